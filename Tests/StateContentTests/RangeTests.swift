import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

@Suite struct RangeTests {
    static let seed: UInt64 = 4_001

    @Test(arguments: [1, 2]) func honestRangesAreAccepted(depth: Int) throws {
        var generator = SeededGenerator(seed: Self.seed)
        for size in [4, 20, 120] {
            let state = try TestState.random(&generator, accounts: size, depth: depth)
            for _ in 0..<60 {
                let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
                let maxBytes = UInt32([4_000, 6_000, 20_000, 1 << 20].randomElement(using: &generator) ?? 0)
                let key = try TestState.key(bounds[0], bounds[1], maxBytes: maxBytes)
                let value = try state.serve(key)
                #expect(value.count <= maxBytes)
                let range = try RangeCheck.verify(value, key: key, stateRoot: state.root)
                #expect(state.has(range))
                #expect(range.end == key.limit || range.leafCount > 0)
            }
        }
    }

    /// The walk of a sync: each range begins where the last one ended. Everything comes once, nothing is missing.
    @Test(arguments: [3_500, 5_000, 30_000, 1 << 20]) func aWalkGivesTheWholeState(maxBytes: Int) throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let state = try TestState.random(&generator, accounts: 150, depth: 1)
        var leaves: [FlatKey: [UInt8]] = [:]
        var branches: [Nibbles: [UInt8]] = [:]
        var storage: [StorageBranchKey: [UInt8]] = [:]
        var next: Cursor? = .first
        var answers = 0
        while let origin = next {
            let key = try TestState.key(origin, .last, maxBytes: UInt32(maxBytes))
            let range = try RangeCheck.verify(state.serve(key), key: key, stateRoot: state.root)
            #expect(state.has(range))
            for leaf in range.leaves { leaves[leaf.key] = leaf.value }
            for index in 0..<range.accountBranches.count {
                branches[range.accountBranches.paths[index]] = range.accountBranches.node(at: index)
            }
            for (account, columns) in range.storageBranches {
                for index in 0..<columns.count {
                    storage[StorageBranchKey(account: account, path: columns.paths[index])] = columns.node(at: index)
                }
            }
            answers += 1
            next = range.end.successor
        }
        #expect(leaves.count == state.leaves.count)
        #expect(state.leaves.allSatisfy { leaves[$0.key] == $0.value })
        #expect(maxBytes > 1 << 19 ? answers == 1 : answers > 1)
        // Every branch of the state's own tries came out of the verification.
        try state.snapshot.forEach(.accountBranches, from: [], upTo: nil) { (key, value) throws(StoreError) in
            #expect(Nibbles(storeKey: key).map { branches[$0] } == Array(value))
            return true
        }
        try state.snapshot.forEach(.storageBranches, from: [], upTo: nil) { (key, value) throws(StoreError) in
            let account = Bytes32(key.prefix(32)) ?? .zero
            let path = Nibbles(storeKey: key.dropFirst(32)) ?? .root
            #expect(storage[StorageBranchKey(account: account, path: path)] == Array(value))
            return true
        }
    }

    @Test func emptyRangesAreProven() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        let state = try TestState.random(&generator, accounts: 40)
        // The widest gap between two accounts.
        let place = try #require(
            state.accounts.indices.dropLast().max { a, b in
                func width(_ index: Int) -> UInt64 {
                    state.accounts[index + 1].key.word0 - state.accounts[index].key.word0
                }
                return width(a) < width(b)
            })
        let origin = Cursor(account: try #require(state.accounts[place].key.successor))
        let limit = Cursor.end(of: try #require(state.accounts[place + 1].key.predecessor))
        let key = try TestState.key(origin, limit)
        let range = try RangeCheck.verify(state.serve(key), key: key, stateRoot: state.root)
        #expect(range.leafCount == 0)
        #expect(range.end == limit)
        let nothing = try TestState([], depth: 1)
        let whole = try TestState.key(.first, .last)
        let empty = try RangeCheck.verify(nothing.serve(whole), key: whole, stateRoot: nothing.root)
        #expect(empty.leafCount == 0)
        #expect(throws: RangeError.self) {
            try RangeCheck.verify(nothing.serve(whole), key: whole, stateRoot: state.root)
        }
    }

    @Test func originsAndEndsInsideAStorage() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        let state = try TestState.random(&generator, accounts: 60)
        let account = try #require(state.accounts.first { $0.slots.count == 40 })
        let middle = Cursor(account: account.key, slot: account.slots[10].key)
        let later = Cursor(account: account.key, slot: account.slots[30].key)
        let inside = try TestState.key(middle, later)
        let range = try RangeCheck.verify(state.serve(inside), key: inside, stateRoot: state.root)
        #expect(range.accounts.keys == [account.key])
        #expect(range.slots.keys == account.slots[10...30].map(\.key))
        let beyond = try TestState.key(
            Cursor(account: account.key, slot: account.slots[39].key).successor ?? .last, .last)
        let rest = try RangeCheck.verify(state.serve(beyond), key: beyond, stateRoot: state.root)
        #expect(rest.accounts.keys.first == account.key)
        #expect(rest.slotCounts.first == 0)
        #expect(state.has(rest))
    }

    @Test func tooLittleRoomIsSaid() throws {
        var generator = SeededGenerator(seed: Self.seed + 4)
        let state = try TestState.random(&generator, accounts: 60)
        let key = try TestState.key(.first, .last, maxBytes: 200)
        #expect(try state.serve(key) == StateStatus.itemTooLarge.encoded)
        #expect(throws: RangeError.status(.status(.itemTooLarge))) {
            try RangeCheck.verify(StateStatus.itemTooLarge.encoded, key: key, stateRoot: state.root)
        }
    }

    /// A node that holds some sections serves those, and ends with them.
    @Test func heldSectionsEndTheAnswer() throws {
        var generator = SeededGenerator(seed: Self.seed + 5)
        let state = try TestState.random(&generator, accounts: 120)
        let held = [Section(depth: 1, index: 4), Section(depth: 1, index: 5), Section(depth: 1, index: 7)]
        var view = StateView(state.snapshot, depth: 1, sections: held.map { ($0, .base) })
        let key = try TestState.key(Cursor(account: held[0].firstKey), .last)
        let value = try #require(try RangeServer.serve(key, view: &view, crown: state.crown))
        let range = try RangeCheck.verify(value, key: key, stateRoot: state.root)
        #expect(range.end == Cursor.end(of: held[1].lastKey))
        #expect(state.has(range))
        let elsewhere = try TestState.key(Cursor(account: Bytes32(0x6000_0000_0000_0000, 0, 0, 0)), .last)
        #expect(try RangeServer.serve(elsewhere, view: &view, crown: state.crown) == nil)
    }

    @Test func storageTriesAreRefusedByName() throws {
        let state = try TestState([], depth: 1)
        var view = state.view
        let key = try #require(
            RangeKey(
                trie: .storage(account: .zero, placement: 1), anchor: TestState.anchor, origin: .first, limit: .last,
                maxBytes: 9_999))
        let value = try RangeServer.serve(key, view: &view, crown: state.crown)
        #expect(value == StateStatus.placementNotSupported.encoded)
    }

    /// Keys and values make up most of an answer: less than 15 % is added.
    @Test func overheadIsSmall() throws {
        var generator = SeededGenerator(seed: Self.seed + 6)
        let state = try TestState(
            (0..<4_000).map { _ in
                let key = TestState.nextKey(like: [], &generator)
                return TestState.Account(
                    key: key, nonce: generator.next() >> 50, codeHash: StateAccount.emptyCodeHash, slots: [])
            }, depth: 1)
        let key = try TestState.key(Cursor(account: Bytes32(1 << 60, 0, 0, 0)), .last)
        let value = try state.serve(key)
        let raw = state.leaves(from: key.origin, through: .last).reduce(0) { $0 + 32 + $1.value.count }
        #expect(Double(value.count) < 1.15 * Double(raw))
    }
}
