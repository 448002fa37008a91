import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// Merged views against plain dictionaries, with layers that need not be tries.
@Suite struct StateViewTests {
    private typealias Leaves = [FlatKey: [UInt8]]

    /// Random leaves (slots only under an account) and random layers over them, by section.
    private struct Case {
        let map = FaultyMap()
        var base: Leaves = [:]
        var undo: [FlatKey: [UInt8]?] = [:]
        var layers: [[FlatKey: [UInt8]?]] = []
        var expected: Leaves { over(undo: false) }

        static func key(_ generator: inout SeededGenerator) -> FlatKey {
            let account = Bytes32(
                UInt64.random(in: 0...15, using: &generator) << 60, 0, 0, UInt64.random(in: 0...2, using: &generator))
            let slot = Bytes32(UInt64.random(in: 0...3, using: &generator), 0, 0, 0)
            return FlatKey(account: account, slot: Bool.random(using: &generator) ? slot : nil)
        }

        static func value(_ generator: inout SeededGenerator) -> [UInt8] {
            (0..<Int.random(in: 1...9, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }

        init(_ generator: inout SeededGenerator) throws {
            for _ in 0..<Int.random(in: 0...120, using: &generator) {
                let key = Case.key(&generator)
                base[key] = Case.value(&generator)
            }
            for _ in 0..<Int.random(in: 0...60, using: &generator) {
                undo[Case.key(&generator)] = .some(Bool.random(using: &generator) ? Case.value(&generator) : nil)
            }
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                var layer: [FlatKey: [UInt8]?] = [:]
                for _ in 0..<Int.random(in: 0...40, using: &generator) {
                    layer[Case.key(&generator)] = .some(Bool.random(using: &generator) ? Case.value(&generator) : nil)
                }
                layers.append(layer)
            }
            var batch = WriteBatch()
            for (key, value) in base { batch.put(.leaves, key.bytes, value) }
            for (key, value) in undo { batch.put(.undoLeaves, key.bytes, value.map { [1] + $0 } ?? [0]) }
            try map.commit(batch)
        }

        func over(undo readsUndo: Bool, layers count: Int = .max) -> Leaves {
            var result = base
            for layer in (readsUndo ? [undo] : []) + layers.prefix(count) {
                for (key, value) in layer { result[key] = value }
            }
            return result
        }

        /// Newest first.
        func layering(undo: Bool, layers count: Int = .max) -> SectionLayering {
            let overlays = layers.prefix(count).reversed().map { layer in
                StateOverlay(
                    SectionUpdate(
                        section: Section(depth: 1, index: 0), subtreeAfter: .empty,
                        leaves: layer.sorted { $0.key < $1.key }.map {
                            EntryChange(key: $0.key, before: nil, after: $0.value)
                        },
                        accountBranches: [], storageBranches: [], newCodeHashes: []))
            }
            return SectionLayering(readsUndo: undo, overlays: Array(overlays))
        }
    }

    private func check(
        _ view: StateView<MemorySnapshot>, _ expected: Leaves, _ generator: inout SeededGenerator
    ) throws {
        let sorted = expected.sorted { $0.key < $1.key }
        #expect(try view.flat() == sorted.map { LeafChange(key: $0.key, value: $0.value) })
        for _ in 0..<20 {
            let key = Case.key(&generator)
            #expect(try view.leaf(key) == expected[key])
            let origin = Cursor(account: key.account, slot: key.slot ?? .zero)
            #expect(
                try view.flat(from: origin).map(\.key) == sorted.map(\.key).filter { $0 >= origin.firstKey })
            let limit = Cursor.end(of: Case.key(&generator).account)
            #expect(
                try view.leaves(from: origin, through: limit, count: 7).map(\.key)
                    == Array(sorted.map(\.key).filter { $0 >= origin.firstKey && limit.covers($0) }.prefix(7)))
        }
        var walk = try view.walk(from: .first)
        var accounts: Set<Bytes32> = []
        while let key = try walk.next() {
            // After each first leaf of an account the rest of it is skipped.
            #expect(accounts.insert(key.account).inserted)
            walk.skipSlots()
        }
        #expect(accounts == Set(expected.keys.map(\.account)))
    }

    @Test func layersInOneView() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<60 {
            let test = try Case(&generator)
            let undo = Bool.random(using: &generator)
            let view = StateView(test.map.snapshot(), depth: 1, layering: test.layering(undo: undo))
            try check(view, test.over(undo: undo), &generator)
        }
    }

    @Test func everySectionThroughItsOwnLayers() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<40 {
            let test = try Case(&generator)
            var held: [(section: Section, layering: SectionLayering)] = []
            var expected: Leaves = [:]
            for section in Section.all(depth: 1).shuffled(using: &generator) {
                guard Int.random(in: 0..<4, using: &generator) > 0 else { continue }
                let (undo, count) = (Bool.random(using: &generator), Int.random(in: 0...3, using: &generator))
                held.append((section, test.layering(undo: undo, layers: count)))
                for (key, value) in test.over(undo: undo, layers: count) where section.contains(key.account) {
                    expected[key] = value
                }
            }
            let view = StateView(test.map.snapshot(), depth: 1, sections: held)
            #expect(view.heldSections == held.map(\.section).sorted())
            for section in Section.all(depth: 1) {
                #expect(view.holds(section) == held.contains { $0.section == section })
            }
            try check(view, expected, &generator)
        }
    }

    @Test func branchesAreFoundBelowAPrefix() throws {
        var generator = SeededGenerator(seed: 3)
        let map = FaultyMap()
        var batch = WriteBatch()
        var paths: Set<Nibbles> = []
        let account = Bytes32(0x3000_0000_0000_0000, 0, 0, 0)
        for _ in 0..<200 {
            let count = Int.random(in: 1...5, using: &generator)
            let path = Nibbles(storeKey: (0..<count).map { _ in UInt8.random(in: 0...3, using: &generator) }) ?? .root
            paths.insert(path)
            batch.put(.accountBranches, path.storeKey, path.storeKey)
            batch.put(.storageBranches, account.bytes + path.storeKey, path.storeKey)
        }
        try map.commit(batch)
        let view = StateView(map.snapshot(), depth: 1)
        var accounts = view.accountTrie
        var storage = view.storageTrie(of: account)
        var other = view.storageTrie(of: .zero)
        for _ in 0..<300 {
            let count = Int.random(in: 1...6, using: &generator)
            let prefix = Nibbles(storeKey: (0..<count).map { _ in UInt8.random(in: 0...3, using: &generator) }) ?? .root
            let expected = paths.filter { $0.hasPrefix(prefix) }.min()
            #expect(try accounts.branch(atOrBelow: prefix)?.path == expected)
            #expect(try storage.branch(atOrBelow: prefix)?.path == expected)
            #expect(try storage.branch(atOrBelow: prefix)?.node == expected?.storeKey)
            #expect(try other.branch(atOrBelow: prefix) == nil)
        }
        #expect(try storage.branch(atOrBelow: .root)?.path == paths.min())
    }

    @Test func flatKeysSortAsTheirBytes() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<2_000 {
            let (a, b) = (Case.key(&generator), Case.key(&generator))
            #expect((a < b) == ByteOrder.isLess(a.bytes, b.bytes))
            #expect(FlatKey(a.bytes) == a)
        }
        #expect(FlatKey([]) == nil)
        #expect(FlatKey([UInt8](repeating: 0, count: 63)) == nil)
        #expect(FlatKey([UInt8](repeating: 0, count: 65)) == nil)
    }

    @Test func cursorsStepAndCover() {
        let a = Bytes32(1, 0, 0, 0)
        #expect(Cursor(account: a).firstKey == FlatKey(account: a))
        let one = Bytes32(0, 0, 0, 1)
        #expect(Cursor(account: a, slot: one).firstKey == FlatKey(account: a, slot: one))
        #expect(Cursor.end(of: a).successor == Cursor(account: a.successor ?? .zero))
        #expect(Cursor.end(of: a).successor?.predecessor == Cursor.end(of: a))
        #expect(Cursor.last.successor == nil)
        #expect(Cursor.first.predecessor == nil)
        #expect(Cursor(account: a).covers(FlatKey(account: a)))
        #expect(!Cursor(account: a).covers(FlatKey(account: a, slot: Bytes32(0, 0, 0, 1))))
        #expect(Cursor.end(of: a).covers(FlatKey(account: a, slot: .max)))
        #expect(Cursor.end(of: a).covers(FlatKey(account: .zero, slot: .max)))
        #expect(!Cursor.end(of: a).covers(FlatKey(account: .max)))
        let cursor = Cursor(account: a, slot: .max)
        #expect(Cursor(cursor.bytes) == cursor)
        #expect(Cursor(cursor.bytes + [0]) == nil)
    }

    @Test func sectionsCutTheRing() {
        for depth in 0...3 {
            let all = Section.all(depth: depth)
            #expect(all.count == Section.count(depth: depth))
            #expect(all.first?.firstKey == .zero)
            #expect(all.last?.lastKey == .max)
            #expect(all.last?.next == nil)
            for section in all.dropLast() {
                #expect(section.next?.firstKey == section.lastKey.successor)
                #expect(section.contains(section.lastKey))
                #expect(Section(of: section.lastKey, depth: depth) == section)
                #expect(section.path.count == depth)
            }
        }
        #expect(Section(of: Nibbles(Bytes32.max, count: 1), depth: 2) == nil)
        #expect(Section(of: Nibbles(Bytes32.max, count: 2), depth: 2)?.index == 255)
    }
}
