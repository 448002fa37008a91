import Chain
import ChainForge
import Foundation
import MerklePatricia
import Primitives
import StateStore
import TestSupport
import Testing

@testable import Shell
@testable import StateNetwork

/// A whole state in memory that follows a chain directory: every root once by changing tries and once from scratch.
private struct ReplayedState {
    var accounts: [Bytes32: StateAccount] = [:]
    private var storages: [Bytes32: MemoryTrie] = [:]
    private var trie = MemoryTrie()

    /// The root by the changed trie.
    var root: Bytes32 { trie.root }

    /// The root by building anew from the plain accounts.
    var rebuiltRoot: Bytes32 {
        var leaves = LeafColumns()
        for (key, account) in accounts.sorted(by: { $0.key < $1.key }) { leaves.append(key: key, value: account.rlp) }
        return TrieBuilder.root(of: leaves)
    }

    /// The storage root of an account, by building anew from its slots.
    func rebuiltStorageRoot(_ key: Bytes32) -> Bytes32 {
        storages[key].map { TrieBuilder.root(of: $0.columns) } ?? StateAccount.emptyRoot
    }

    mutating func load(_ genesis: [GenesisAccount]) throws {
        for entry in genesis {
            let slots = entry.storage.map { slot in (key: slot.key, value: Optional(ReplayedState.leaf(slot.value))) }
            if !slots.isEmpty { try storages[entry.key, default: MemoryTrie()].apply(slots) }
            accounts[entry.key] = entry.account(storageRoot: storages[entry.key]?.root ?? StateAccount.emptyRoot)
        }
        try trie.apply(genesis.map { ($0.key, accounts[$0.key]?.rlp) })
    }

    mutating func apply(_ changes: [AccountChange]) throws {
        var leaves: [TrieUpdate.LeafChange] = []
        for change in changes {
            let slots = change.storage.map { slot in
                (key: slot.key, value: slot.value == .zero ? nil : Optional(ReplayedState.leaf(slot.value)))
            }
            if !slots.isEmpty { try storages[change.key, default: MemoryTrie()].apply(slots) }
            let after = change.applied(
                to: accounts[change.key], storageRoot: storages[change.key]?.root ?? StateAccount.emptyRoot)
            accounts[change.key] = after
            if after == nil { storages[change.key] = nil }
            leaves.append((change.key, after?.rlp))
        }
        try trie.apply(leaves)
    }

    private static func leaf(_ value: UInt256) -> [UInt8] {
        var writer = RLPWriter()
        writer.append(value)
        return writer.bytes
    }
}

/// Whole chains, block by block: the changes lead to every header's state root.
@Suite struct ReplayTests {
    /// The chain that lies beside the sources.
    private static var ownChain: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Specs/chains/bal-chain").path
    }

    /// Follows a directory through; gives the number of blocks. Changed storage and the whole account trie are built
    /// anew at every `rebuilding`-th block as well.
    private func follow(_ path: String, rebuilding: UInt64) throws -> UInt64 {
        let directory = try ChainDirectory(path: path)
        var state = ReplayedState()
        try state.load(try directory.genesisAccounts())
        #expect(state.root == directory.genesisHeader.stateRoot)
        #expect(state.rebuiltRoot == directory.genesisHeader.stateRoot)
        let blocks = try directory.blocks()
        var count: UInt64 = 0
        while let block = try blocks.next() {
            count += 1
            try state.apply(block.changes)
            #expect(state.root == block.header.stateRoot, "block \(block.header.number)")
            guard block.header.number.isMultiple(of: rebuilding) else { continue }
            #expect(state.rebuiltRoot == block.header.stateRoot, "block \(block.header.number), from scratch")
            for change in block.changes {
                guard let account = state.accounts[change.key] else { continue }
                #expect(state.rebuiltStorageRoot(change.key) == account.storageRoot, "\(change.address)")
            }
        }
        return count
    }

    @Test func everyRootOfTheChainWithAccessLists() throws {
        #expect(try follow(ReplayTests.ownChain, rebuilding: 1) == 400)
    }

    @Test(.enabled(if: SharedFolder.url("chains/ethtest-chain") != nil, "needs the shared folder"))
    func everyRootOfTheChainWithDiffs() throws {
        let folder = try #require(SharedFolder.url("chains/ethtest-chain"))
        #expect(try follow(folder.path, rebuilding: 1) == 600)
    }

    // MARK: Made chains

    /// A made chain in a folder of its own, removed at the end.
    private final class Made {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("made-\(UUID().uuidString)").path
        let summary: ChainDirectoryWriter.Summary

        init(_ shape: ForgeShape, seed: UInt64, isPacked: Bool = false) throws {
            var forge = try ChainForge(shape: shape, seed: seed)
            summary = try ChainDirectoryWriter.write(&forge, to: path, isPacked: isPacked)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    @Test(arguments: [false, true])
    func everyRootOfAMadeChain(isPacked: Bool) throws {
        let made = try Made(ForgeShape(accounts: 600, blocks: 50, transactions: 40), seed: 3, isPacked: isPacked)
        #expect(try follow(made.path, rebuilding: 10) == 50)
        #expect(try ChainDirectory(path: made.path).lastBlock() == made.summary.head.number)
    }

    /// What a bridge does with a chain: its own jobs, on a store. They throw where a root is not the header's.
    @Test func aBridgeTakesAMadeChain() throws {
        let made = try Made(ForgeShape(accounts: 400, blocks: 12, transactions: 30), seed: 4)
        let folder = LMDBStoreTests.Directory()
        let store = try LMDBStore(directory: folder.path)
        let source = ReplaySource(directory: try ChainDirectory(path: made.path), from: 0, after: nil)
        let genesis = try #require(try source.next())
        guard
            case .genesis(.success(let taken)) = StateJob.genesis(BuildGenesis(block: genesis, depth: 1)).run(
                on: try store.snapshot())
        else {
            Issue.record("genesis is refused")
            return
        }
        try store.commit(taken.batch)
        var holdings = Holdings(
            depth: 1, epochLength: 64, arc: 0..<16, records: taken.records, layers: [], crowns: [])
        var last = genesis.header
        while let block = try source.next() {
            let job = ReplayBlock(block: block, holdings)
            guard case .replay(.success(let replayed)) = StateJob.replay(job).run(on: try store.snapshot()) else {
                Issue.record("block \(block.header.number) is refused")
                return
            }
            #expect(replayed.crown.root == block.header.stateRoot)
            try store.commit(replayed.batch)
            for change in replayed.changes {
                let isTaken = holdings.committed(change.layer, replacing: false)
                #expect(isTaken)
            }
            last = block.header
        }
        #expect(last.hash == made.summary.head.hash)
        // Each is kept as it came, in the transaction that applied it.
        #expect(try BlockRecords.heights(in: store.snapshot()) == 1...12)
        let (body, list) = try #require(try BlockRecords.block(at: last.point, in: try store.snapshot()))
        let kept = BlockBytes(header: last.rlp, body: body, accessList: list)
        #expect(try CheckedBlock(kept, expecting: last.hash).header == last)
    }

    /// Several blocks at once lead to the same state as one after the other, and a wrong one among them to none.
    @Test func blocksAreAppliedTogether() throws {
        let made = try Made(ForgeShape(accounts: 400, blocks: 12, transactions: 30), seed: 4)
        let folder = LMDBStoreTests.Directory()
        let store = try LMDBStore(directory: folder.path)
        let source = ReplaySource(directory: try ChainDirectory(path: made.path), from: 0, after: nil)
        let genesis = try BuildGenesis(block: try #require(try source.next()), depth: 1).run(on: try store.snapshot())
        try store.commit(genesis.batch)
        let holdings = Holdings(
            depth: 1, epochLength: 64, arc: 0..<16, records: genesis.records, layers: [], crowns: [])
        var blocks: [CheckedBlock] = []
        while let block = try source.next() {
            let bytes = try #require(block.bytes.first?.block)
            blocks.append(try CheckedBlock(bytes, expecting: block.header.hash))
        }
        #expect(ReplayedBlock([]) == nil)
        let together = try #require(ReplayedBlock(blocks))
        #expect(together.first == 1 && together.header.number == 12)
        var keeping = Keeping(arcPlan: .fixed(256))
        keeping.blocks.kept = 5
        let taken = try ReplayBlock(block: together, holdings, keeping: keeping).run(on: try store.snapshot())
        #expect(taken.crown.root == blocks.last?.header.stateRoot)
        try store.commit(taken.batch)
        #expect(try BlockRecords.heights(in: store.snapshot()) == 8...12)
        #expect(try ReplayMark.read(from: store.snapshot()) == together.header.point)
        // One left out in the middle.
        blocks.remove(at: 5)
        let short = try #require(ReplayedBlock(blocks))
        var before = MemorySnapshot()
        before.apply(genesis.batch)
        let snapshot = before
        #expect(throws: BridgeError.self) { _ = try ReplayBlock(block: short, holdings).run(on: snapshot) }
    }

    /// The recorded head state is the state that genesis and the access lists lead to.
    @Test func theWrittenHeadStateIsTheReplayedOne() throws {
        let made = try Made(ForgeShape(accounts: 300, blocks: 45, transactions: 25), seed: 5)
        let directory = try ChainDirectory(path: made.path)
        var state = ReplayedState()
        try state.load(try directory.genesisAccounts())
        let blocks = try directory.blocks()
        while let block = try blocks.next() { try state.apply(block.changes) }
        let data = try Data(contentsOf: URL(fileURLWithPath: made.path + "/headstate.json"))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["root"] as? String == Hex.encode(made.summary.head.stateRoot.bytes))
        let accounts = try #require(object["accounts"] as? [String: [String: Any]])
        #expect(accounts.count == state.accounts.count && accounts.count == made.summary.accounts)
        for (name, fields) in accounts {
            let key = try #require(Address(hex: name)).key
            let account = try #require(state.accounts[key])
            #expect(fields["key"] as? String == "\(key)" && fields["address"] as? String == name)
            #expect(fields["nonce"] as? UInt64 == account.nonce)
            #expect(fields["balance"] as? String == "\(account.balance)")
            #expect(fields["root"] as? String == "\(account.storageRoot)")
            #expect(fields["codeHash"] as? String == "\(account.codeHash)")
            let code = try #require(Hex.decode(fields["code"] as? String ?? "0x"))
            #expect(Keccak.hash(code) == account.codeHash)
        }
    }

    @Test func aDirectoryThatHasAChainIsNotWrittenOver() throws {
        let made = try Made(ForgeShape(accounts: 64, blocks: 1, transactions: 1), seed: 6)
        var forge = try ChainForge(shape: ForgeShape(accounts: 64, blocks: 1, transactions: 1), seed: 7)
        #expect(
            throws: ShellError.file(
                path: made.path + "/genesis.json", reason: "is there already: choose another directory")
        ) { try ChainDirectoryWriter.write(&forge, to: made.path, isPacked: false) }
    }
}
