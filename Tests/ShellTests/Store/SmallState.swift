import Chain
import Foundation
import MerklePatricia
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Shell

/// A data directory with a small whole state in it, and the network file that belongs to it; both are removed at the
/// end.
final class SmallState {
    static let depth = 1

    let folder: String
    let directory: DataDirectory
    let networkFile: String
    let network: NetworkConfiguration
    let header: BlockHeader
    let accounts: [AccountChange]

    /// `count` accounts, every third with slots, every fifth with code; one has 300 slots.
    init(accounts count: Int = 400) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("state-\(UUID().uuidString)").path
        directory = DataDirectory(folder + "/data")
        networkFile = folder + "/net.json"
        accounts = try (0..<count).map { index in
            let tail = [UInt8(index >> 16 & 0xff), UInt8(index >> 8 & 0xff), UInt8(index & 0xff)]
            let address = try #require(Address([UInt8](repeating: 7, count: 17) + tail))
            let slots = index == 6 ? 300 : index % 3 == 0 ? index % 7 : 0
            return AccountChange(
                address: address, nonce: UInt64(index), balance: UInt256(UInt64(index) * 1_000 + 1),
                code: index % 5 == 0 ? [0x60, UInt8(index % 50), 0x55] : [],
                storage: (0..<slots).map { .init(slot: UInt256(UInt64($0)), value: UInt256(UInt64($0 * 200 + 1))) })
        }
        let fields = BlockHeader.Fields(
            parentHash: .zero, stateRoot: SmallState.root(of: accounts), number: 0, timestamp: 1)
        header = try BlockHeader(fields)
        network = try NetworkConfiguration(
            name: "small", chainID: 7, genesisHash: header.hash, checkpoint: header.point, epochLength: 8,
            sectionDepth: SmallState.depth,
            rule: NetworkConfiguration.Rule(keys: [.max], threshold: 1, maxAgeSeconds: 60))
        _ = try directory.lock()
        try NetworkConfigurationFile.write(network, to: networkFile)
        let store = try LMDBStore(directory: directory.storePath)
        try StoreMeta.open(store, for: network)
        let block = ReplayedBlock(header: header, changes: accounts)
        guard
            case .genesis(let outcome) = StateJob.genesis(BuildGenesis(block: block, depth: SmallState.depth))
                .run(on: try store.snapshot())
        else { return }
        try store.commit([
            try outcome.get().batch, HeaderRecords.writing(header: header.rlp, at: header.point),
        ])
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static func root(of accounts: [AccountChange]) -> Bytes32 {
        var columns = LeafColumns()
        for change in accounts.sorted(by: { $0.key < $1.key }) {
            var slots = LeafColumns()
            for slot in change.storage { slots.append(key: slot.key, value: SlotValue.rlp(slot.value.minimalBytes)) }
            let account = StateAccount(
                nonce: change.nonce ?? 0, balance: change.balance ?? .zero, storageRoot: TrieBuilder.root(of: slots),
                codeHash: change.codeHash ?? StateAccount.emptyCodeHash)
            columns.append(key: change.key, value: account.rlp)
        }
        return TrieBuilder.root(of: columns)
    }

    /// Changes the store.
    func change(_ body: (LMDBSnapshot, inout WriteBatch) throws -> Void) throws {
        let store = try LMDBStore(directory: directory.storePath)
        var batch = WriteBatch()
        try body(try store.snapshot(), &batch)
        try store.commit(batch)
    }

    /// Turns the lowest bit of one byte of an entry; counted from the end where negative.
    func spoil(_ table: Table, _ key: [UInt8], byte: Int) throws {
        try change { snapshot, batch in
            var value = try #require(try snapshot.get(table, key))
            value[byte < 0 ? value.count + byte : byte] ^= 1
            batch.put(table, key, value)
        }
    }

    /// The file that an export writes.
    var output: String { folder + "/state.json" }

    func export() throws {
        try StateExport.run(dataDirectory: directory, networkFile: networkFile, output: output)
    }

    func verify() throws -> StoreCheck.Report {
        try StoreCheck.run(dataDirectory: directory, networkFile: networkFile, threads: 2)
    }

    /// What a start looks at.
    func start() throws {
        try StoreAccess.withSnapshot(of: directory, networkFile: networkFile) { snapshot, network in
            let damaged = try StoreCheck.some(snapshot, network, from: 3, threads: 2)
            guard let first = damaged.first else { return }
            throw ShellError.damaged(path: directory.path, first.fault, others: damaged.count - 1)
        }
    }
}
