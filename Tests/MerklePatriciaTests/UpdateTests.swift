import Primitives
import Testing

@testable import MerklePatricia

@Suite struct UpdateTests {
    /// After a batch: root and records as if built anew, and exactly the records that differ are named, in order.
    private func check(_ changes: [TrieUpdate.LeafChange], _ trie: inout MemoryTrie, _ note: String) throws {
        let before = Dictionary(uniqueKeysWithValues: trie.branches.map { ($0.path, $0.node) })
        let result = try TrieUpdate.apply(changes, under: .root, source: &trie)
        try trie.apply(changes)
        let rebuilt = MemoryTrie(trie.columns)
        let after = Dictionary(uniqueKeysWithValues: rebuilt.branches.map { ($0.path, $0.node) })
        #expect(trie.subtree == rebuilt.subtree, "\(note)")
        #expect(result.subtree == rebuilt.subtree, "\(note)")
        #expect(trie.branches.map { $0.path } == rebuilt.branches.map { $0.path }, "\(note)")
        #expect(trie.branches.map { $0.node } == rebuilt.branches.map { $0.node }, "\(note)")
        let differing = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
        #expect(result.changes.map { $0.path } == differing, "\(note)")
        #expect(result.changes.map { $0.node } == differing.map { after[$0] }, "\(note)")
    }

    @Test func batchesEqualRebuilding() throws {
        for seed in UInt64(1)...120 {
            var clusters = Clusters(seed: seed, centres: 1 + Int(seed % 4))
            let start = clusters.below(60)
            var trie = MemoryTrie(clusters.leaves(start))
            for round in 0..<30 {
                let count = 1 + clusters.below(12)
                try check(clusters.changes(count, to: trie), &trie, "seed \(seed) round \(round)")
            }
        }
    }

    @Test func deletingAllLeavesNothing() throws {
        for seed in UInt64(1)...40 {
            var clusters = Clusters(seed: seed)
            let start = 1 + clusters.below(50)
            var trie = MemoryTrie(clusters.leaves(start))
            // All but one, so that a leaf is left, then that one too.
            let kept = clusters.below(trie.leaves.count)
            let gone = trie.leaves.enumerated().filter { $0.offset != kept }
                .map { (key: $0.element.key, value: [UInt8]?.none) }
            try check(gone, &trie, "seed \(seed)")
            #expect(trie.branches.isEmpty)
            try check([(key: trie.leaves[0].key, value: nil)], &trie, "seed \(seed)")
            #expect(trie.subtree == .empty)
            #expect(trie.root == Subtree.emptyRoot)
        }
    }

    /// A branch that loses all children but one goes; what is left joins the extension above it, be it leaf or branch.
    @Test func collapse() throws {
        func key(_ text: String) -> Bytes32 {
            Nibbles(storeKey: text.compactMap { UInt8(String($0), radix: 16) })?.lowestKey ?? .zero
        }
        let value = [UInt8](repeating: 3, count: 40)
        var trie = MemoryTrie(columns(["12", "134", "135", "2"].map { (key: key($0), value: value) }))
        try check([(key: key("12"), value: nil)], &trie, "to an extension")
        #expect(trie.branches.map { $0.path.description } == ["root", "13"])
        try check([(key: key("2"), value: nil)], &trie, "the root to an extension")
        #expect(trie.branches.map { $0.path.description } == ["13"])
        try check([(key: key("135"), value: nil)], &trie, "to a leaf")
        #expect(trie.subtree == .leaf(key: key("134"), value: value))
        try check([(key: key("12"), value: value), (key: key("134"), value: nil)], &trie, "another leaf")
        #expect(trie.subtree == .leaf(key: key("12"), value: value))
    }

    /// What changes nothing writes nothing.
    @Test func noChange() throws {
        var clusters = Clusters(seed: 5)
        var trie = MemoryTrie(clusters.leaves(100))
        var changes = trie.leaves.map { (key: $0.key, value: [UInt8]?.some($0.value)) }
        let absent = clusters.randomKey()
        changes.append((key: absent, value: nil))
        let result = try TrieUpdate.apply(changes.sorted { $0.key < $1.key }, under: .root, source: &trie)
        #expect(result.changes.isEmpty)
        #expect(result.subtree == trie.subtree)
        #expect(try TrieUpdate.apply([], under: .root, source: &trie).subtree == trie.subtree)
    }

    /// Sections changed one by one join to the root of the whole.
    @Test func sectionBySection() throws {
        for seed in UInt64(1)...60 {
            var clusters = Clusters(seed: seed)
            let start = clusters.below(80)
            var trie = MemoryTrie(clusters.leaves(start))
            let changes = clusters.changes(20, to: trie)
            var parts: [Subtree] = []
            for index in 0..<16 {
                let path = Nibbles(section: index, depth: 1)
                let own = changes.filter { path.contains($0.key) }
                parts.append(try TrieUpdate.apply(own, under: path, source: &trie).subtree)
            }
            try trie.apply(changes)
            #expect(Crown(sections: parts, depth: 1).root == trie.root, "seed \(seed)")
        }
    }

    /// A change costs its paths, not the trie.
    @Test func readsOnlyThePaths() throws {
        var trie = MemoryTrie(workload(20_000))
        let reads = trie.reads
        _ = try TrieUpdate.apply([(key: trie.leaves[777].key, value: [1])], under: .root, source: &trie)
        #expect(trie.reads - reads <= 16)
    }

    @Test func refusals() throws {
        var trie = MemoryTrie(workload(50))
        let (a, b) = (Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0))
        func apply(_ changes: [TrieUpdate.LeafChange], under path: Nibbles = .root) throws {
            _ = try TrieUpdate.apply(changes, under: path, source: &trie)
        }
        #expect(throws: TrieError.unsortedChanges) { try apply([(b, [1]), (a, [1])]) }
        #expect(throws: TrieError.unsortedChanges) { try apply([(a, [1]), (a, nil)]) }
        #expect(throws: TrieError.emptyValue(a)) { try apply([(a, [])]) }
        #expect(throws: TrieError.keyOutsidePrefix(a)) { try apply([(a, [1])], under: Nibbles(section: 1, depth: 1)) }
    }

    /// A store that lost a leaf or holds another record is found out where the change depends on it.
    @Test func corruptStores() throws {
        let value = [UInt8](repeating: 3, count: 40)
        let keys = [Bytes32(1 << 60, 0, 0, 0), Bytes32(2 << 60, 0, 0, 0)]
        let whole = MemoryTrie(columns(keys.map { (key: $0, value: value) }))
        var lost = Fixed(branches: whole.branches, leaves: [whole.leaves[0]])
        #expect(throws: TrieError.missingChild(Nibbles(section: 2, depth: 1))) {
            try TrieUpdate.apply([(keys[0], nil)], under: .root, source: &lost)
        }
        var other = Fixed(branches: whole.branches, leaves: [whole.leaves[0], (keys[1], [1])])
        #expect(throws: TrieError.corruptRecord(Nibbles(section: 2, depth: 1))) {
            try TrieUpdate.apply([(keys[0], nil)], under: .root, source: &other)
        }
        var noBranch = Fixed(branches: [(.root, [0xc0])], leaves: whole.leaves)
        #expect(throws: TrieError.corruptRecord(.root)) {
            try TrieUpdate.apply([(keys[0], nil)], under: .root, source: &noBranch)
        }
    }

    /// A source that answers with what it is given, right or wrong.
    private struct Fixed: TrieSource {
        let branches: [(path: Nibbles, node: [UInt8])]
        let leaves: [(key: Bytes32, value: [UInt8])]
        func branch(atOrBelow prefix: Nibbles) -> (path: Nibbles, node: [UInt8])? {
            branches.first { $0.path.hasPrefix(prefix) }
        }
        func leaf(atOrAfter key: Bytes32) -> (key: Bytes32, value: [UInt8])? { leaves.first { $0.key >= key } }
    }
}
