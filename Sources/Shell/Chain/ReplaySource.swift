import Chain
import Foundation
import Primitives
import StateNetwork
import Synchronization

/// A recorded chain as a bridge's feed: genesis with its whole allocation, then block after block, each checked against
/// its own header as far as that commits to it. The state root is the node's to check.
final class ReplaySource: Sendable {
    private struct State {
        let reader: ChainBlockReader
        var isGenesisDue: Bool
    }

    private let directory: ChainDirectory
    private let head: StatePoint?
    private let firstBlock: UInt64
    private let isGenesisAlone: Bool
    private let state: Mutex<State?> = Mutex(nil)

    /// The chain in `directory` from block `first` on; 0 is genesis. `head`: the newest block that was applied before;
    /// nil where none was. Nothing but the genesis header is read yet. `genesisAlone`: nothing comes after it.
    init(directory: ChainDirectory, from first: UInt64, after head: StatePoint?, genesisAlone: Bool = false) {
        isGenesisAlone = genesisAlone
        self.directory = directory
        self.head = head
        firstBlock = first
    }

    /// The next block; nil after the last. One thread calls it.
    func next() throws -> ReplayedBlock? {
        try state.withLock { state in
            if state == nil { state = State(reader: try directory.blocks(), isGenesisDue: firstBlock == 0) }
            if state?.isGenesisDue == true {
                state?.isGenesisDue = false
                return ReplayedBlock(header: directory.genesisHeader, changes: try genesisChanges())
            }
            guard !isGenesisAlone else { return nil }
            // Blocks that were applied before are read all the same: each is checked against the one before it.
            while let block = try state?.reader.next() {
                // The chain may be another one than the bridge began with, from some block on.
                if let head, block.header.number == head.number, block.header.point != head {
                    throw ChainDirectoryError.notReplayed(
                        file: directory.path + "/chain.rlp", block.header.point, expected: head.hash)
                }
                guard block.header.number >= firstBlock else { continue }
                return ReplayedBlock(
                    header: block.header, changes: block.changes, codeHashes: block.codeHashes,
                    bytes: BlockBytes(block.block, block.accessList), certificate: block.certificate)
            }
            return nil
        }
    }

    private func genesisChanges() throws -> [AccountChange] {
        try directory.genesisAccounts().map { account in
            AccountChange(
                address: account.address, nonce: account.nonce, balance: account.balance,
                code: account.code.isEmpty ? nil : account.code, storage: account.storage)
        }
    }
}
