import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

@testable import StateNetwork

/// Who is to blame where a block does not lead to its header's root: the chain, or the bridge's own store.
@Suite("Replay") struct ReplayTests {
    /// A genesis large enough that sections and one account's storage have stored branches, and a block after it.
    private struct Scene {
        let map = FaultyMap()
        let records: [SectionRecord]
        let wide: AccountChange
        let changes: [AccountChange]
        /// After the block.
        let root: Bytes32

        init() throws {
            let accounts = try (0..<700).map { index in
                let tail = [UInt8(index >> 8), UInt8(truncatingIfNeeded: index)]
                let address = try #require(Address([UInt8](repeating: 0, count: 18) + tail))
                let slots = index == 5 ? 200 : index % 3
                return AccountChange(
                    address: address, nonce: 1, balance: UInt256(UInt64(index)), code: [],
                    storage: (0..<slots).map { .init(slot: UInt256(UInt64($0)), value: UInt256(UInt64($0 + 1))) })
            }
            wide = accounts[5]
            changes = [
                AccountChange(
                    address: wide.address, nonce: nil, balance: nil, code: nil,
                    storage: [.init(slot: UInt256(7), value: UInt256(99)), .init(slot: UInt256(8), value: .zero)])
            ]
            let genesis = BuildGenesis(block: try Scene.block(accounts, number: 0, root: .zero), depth: 1)
            let before = try Scene.rootFound { _ = try genesis.run(on: MemorySnapshot()) }
            let taken = try BuildGenesis(block: Scene.block(accounts, number: 0, root: before), depth: 1)
                .run(on: MemorySnapshot())
            try map.commit(taken.batch)
            records = taken.records
            let (map, changes, holdings) = (map, changes, Scene.holdings(records))
            root = try Scene.rootFound {
                let block = try Scene.block(changes, number: 1, root: .zero)
                _ = try ReplayBlock(block: block, holdings).run(on: map.snapshot())
            }
        }

        /// The whole ring, without layers.
        private static func holdings(_ records: [SectionRecord]) -> Holdings {
            Holdings(
                depth: 1, epochLength: 8, arc: 0..<Section.count(depth: 1), records: records, layers: [], crowns: [])
        }

        /// A store that is as it must be blames the chain, and says what it found.
        private static func rootFound(_ body: () throws -> Void) throws -> Bytes32 {
            guard case .wrongRoot(_, .zero, let found)? = #expect(throws: BridgeError.self, performing: body) else {
                throw BridgeError.noChanges(section: 0)
            }
            return found
        }

        private static func block(
            _ changes: [AccountChange], number: UInt64, root: Bytes32, codeHashes: [Bytes32: Bytes32] = [:]
        ) throws -> ReplayedBlock {
            let fields = BlockHeader.Fields(parentHash: .zero, stateRoot: root, number: number, timestamp: 1)
            return ReplayedBlock(header: try BlockHeader(fields), changes: changes, codeHashes: codeHashes)
        }

        func replay(root: Bytes32? = nil) throws -> ReplayTaken {
            try job(root: root).run(on: map.snapshot())
        }

        func job(root: Bytes32? = nil, codeHashes: [Bytes32: Bytes32] = [:]) throws -> ReplayBlock {
            ReplayBlock(
                block: try Scene.block(changes, number: 1, root: root ?? self.root, codeHashes: codeHashes),
                Scene.holdings(records))
        }

        /// Changes one byte of an entry of the store.
        func spoil(_ table: Table, _ key: [UInt8], byte: Int) throws {
            var value = try #require(try map.snapshot().get(table, key))
            value[byte < 0 ? value.count + byte : byte] ^= 1
            var batch = WriteBatch()
            batch.put(table, key, value)
            try map.commit(batch)
        }

        /// Where the last child's hash ends in the shallowest branch of a table at or below a key.
        func top(_ table: Table, _ prefix: [UInt8]) throws -> (key: [UInt8], byte: Int) {
            var found: (key: [UInt8], byte: Int)?
            try map.snapshot().forEach(table, from: prefix, upTo: nil) { (key, value) throws(StoreError) in
                let last = value.dropLast().lastIndex { $0 != 0x80 } ?? 0
                found = (Array(key), last)
                return false
            }
            return try #require(found)
        }
    }

    @Test func aStoreAsItMustBeTakesTheBlock() throws {
        let scene = try Scene()
        #expect(try scene.replay().crown.root == scene.root)
    }

    /// A code hash that is named without its code is that of the code which the account has.
    @Test func aCodeHashThatContradictsTheAccountIsRefused() throws {
        let scene = try Scene()
        let (account, none) = (scene.wide, StateAccount.emptyCodeHash)
        let right = try scene.job(codeHashes: [account.key: none]).run(on: scene.map.snapshot())
        #expect(right.crown.root == scene.root)
        let other = Keccak.hash([1, 2, 3])
        #expect(
            throws: BridgeError.wrongCodeHash(block: 1, account: account.address, expected: other, found: none)
        ) { try scene.job(codeHashes: [account.key: other]).run(on: scene.map.snapshot()) }
        guard
            case .replay(.failure(.lie(let what))) = StateJob.replay(try scene.job(codeHashes: [account.key: other]))
                .run(on: scene.map.snapshot())
        else {
            Issue.record("not the chain's fault")
            return
        }
        #expect(what.contains("\(account.address)") && what.contains("\(other)") && what.contains("\(none)"))
    }

    @Test func anotherSlotOfTheTwigIsTheStoresFault() throws {
        let scene = try Scene()
        let changed = scene.changes[0].storage.map(\.key)
        // A neighbour in the twig of the first changed slot: the branch above them stands at the root.
        let near = try #require(
            scene.wide.storage.map(\.key).first {
                !changed.contains($0) && $0.nibble(0) == changed[0].nibble(0)
            })
        try scene.spoil(.leaves, FlatKey(account: scene.wide.key, slot: near).bytes, byte: -1)
        try expectOwnFault(scene)
    }

    @Test func anotherTopmostBranchOfAStorageIsTheStoresFault() throws {
        let scene = try Scene()
        let (key, _) = try scene.top(.storageBranches, scene.wide.key.bytes)
        #expect(key == scene.wide.key.bytes, "it stands at the root")
        // It has all children, and a child that the block changes would be written anew.
        #expect(try scene.map.snapshot().get(.storageBranches, key)?.count == 532)
        let changed = Set(scene.changes[0].storage.map { $0.key.nibble(0) })
        let other = try #require((0..<16).first { !changed.contains($0) })
        try scene.spoil(.storageBranches, key, byte: 3 + 33 * other + 32)
        try expectOwnFault(scene)
    }

    @Test func anotherTopmostBranchOfASectionIsTheStoresFault() throws {
        let scene = try Scene()
        let section = Section(of: scene.wide.key, depth: 1)
        let (key, byte) = try scene.top(.accountBranches, section.path.storeKey)
        #expect(key == section.path.storeKey, "it stands at the section's own path")
        try scene.spoil(.accountBranches, key, byte: byte)
        try expectOwnFault(scene)
    }

    private func expectOwnFault(_ scene: Scene) throws {
        let error = #expect(throws: StateChangeError.self) { try scene.replay() }
        guard case .trie? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        guard case .replay(.failure(.store(.corrupt))) = StateJob.replay(try scene.job()).run(on: scene.map.snapshot())
        else {
            Issue.record("the chain is blamed")
            return
        }
    }
}
