import MerklePatricia
import Primitives
import Testing

@Suite("Changes") struct UpdateTests {
    /// Draws changes: new keys, changed values, deletions of keys that are there and of some that are not.
    private func changes(
        _ trie: MemoryTrie, _ space: KeySpace, _ count: Int, deleting share: Int, _ generator: inout SeededGenerator
    ) -> [TrieUpdate.LeafChange] {
        var rows: [Bytes32: [UInt8]?] = [:]
        for _ in 0..<count {
            let known = trie.leaves.randomElement(using: &generator)?.key
            let old = Bool.random(using: &generator) ? known : nil
            let key = old ?? space.key(&generator)
            let deletes = Int.random(in: 0..<10, using: &generator) < share
            rows[key] = .some(deletes ? nil : space.value(&generator))
        }
        return rows.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// A trie changed in place must be the trie built anew: root, leaves, every record that must be stored and no
    /// wrong one; above a record all branches have theirs.
    private func expectRebuilt(_ trie: MemoryTrie, _ comment: Comment) {
        let rebuilt = MemoryTrie(trie.columns, twigLeaves: trie.twigLeaves)
        #expect(trie.subtree == rebuilt.subtree, comment)
        let stored = Dictionary(uniqueKeysWithValues: trie.branches.map { ($0.path, $0.node) })
        #expect(rebuilt.branches.allSatisfy { stored[$0.path] == $0.node }, comment)
        let whole = MemoryTrie(trie.columns, twigLeaves: 0).branches
        let all = Dictionary(uniqueKeysWithValues: whole.map { ($0.path, $0.node) })
        for (path, node) in trie.branches {
            #expect(all[path] == node, comment)
            #expect(whole.allSatisfy { !path.hasPrefix($0.path) || stored[$0.path] != nil }, comment)
        }
        // Without twigs one set of leaves has one set of records.
        if trie.twigLeaves == 0 { #expect(trie.branches.map(\.path) == whole.map(\.path), comment) }
    }

    /// None, small ones, and those of the store.
    static let twigSizes = [0, 3, 8, MerklePatriciaLimits.twigLeaves]

    @Test("Thousands of random changes give what a rebuild gives", arguments: KeySpace.allCases, twigSizes)
    func random(space: KeySpace, twigLeaves: Int) throws {
        for seed in UInt64(0)..<40 {
            var generator = SeededGenerator(seed: seed)
            var trie = MemoryTrie(space.leaves(Int(seed) * 3, &generator), twigLeaves: twigLeaves)
            for round in 0..<20 {
                // Periods of growth and of decay, down to nothing and up again.
                let share = [2, 5, 9, 10][(round / 5 + Int(seed)) % 4]
                let count = Int.random(in: 1...12, using: &generator)
                let before = trie
                let drawn = changes(trie, space, count, deleting: share, &generator)
                try trie.apply(drawn)
                expectRebuilt(trie, "seed \(seed), round \(round)")
                expectExact(before: before, after: trie, drawn, "seed \(seed), round \(round)")
            }
        }
    }

    /// Only records that differ are listed, in order, each once.
    private func expectExact(
        before: MemoryTrie, after: MemoryTrie, _ drawn: [TrieUpdate.LeafChange], _ comment: Comment
    ) {
        var source = before
        guard let result = try? TrieUpdate.apply(drawn, under: .root, source: &source) else { return }
        let old = Dictionary(uniqueKeysWithValues: before.branches.map { ($0.path, $0.node) })
        let new = Dictionary(uniqueKeysWithValues: after.branches.map { ($0.path, $0.node) })
        let expected = Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted()
        #expect(result.changes.map(\.path) == expected, comment)
        #expect(result.changes.allSatisfy { $0.node == new[$0.path] }, comment)
    }

    @Test("Section by section gives the same as all at once", arguments: [0, 1, 2, 3], twigSizes)
    func sectioned(depth: Int, twigLeaves: Int) throws {
        for space in KeySpace.allCases {
            for seed in UInt64(100)..<112 {
                var generator = SeededGenerator(seed: seed)
                var trie = MemoryTrie(space.leaves(50, &generator), twigLeaves: twigLeaves)
                let drawn = changes(trie, space, 30, deleting: 6, &generator)
                var parts: [Subtree] = []
                for index in 0..<(1 << (4 * depth)) {
                    let path = Nibbles(section: index, depth: depth)
                    let own = drawn.filter { path.contains($0.key) }
                    let result = try TrieUpdate.apply(own, under: path, source: &trie)
                    #expect(result.changes.allSatisfy { $0.path.hasPrefix(path) || $0.path.isEmpty })
                    parts.append(result.subtree)
                }
                try trie.apply(drawn)
                #expect(Crown(sections: parts, depth: depth).root == trie.root, "\(space) seed \(seed)")
            }
        }
    }

    @Test("Deleting all leaves gives the empty trie and no record", arguments: KeySpace.allCases, twigSizes)
    func toEmpty(space: KeySpace, twigLeaves: Int) throws {
        var generator = SeededGenerator(seed: 9)
        var trie = MemoryTrie(space.leaves(60, &generator), twigLeaves: twigLeaves)
        try trie.apply(trie.leaves.map { ($0.key, nil) })
        #expect(trie.subtree == .empty)
        #expect(trie.root == Subtree.emptyRoot)
        #expect(trie.branches.isEmpty)
    }

    @Test("A branch whose one remaining child is a leaf, an extension or a branch goes", arguments: twigSizes)
    func collapse(twigLeaves: Int) throws {
        func key(_ nibbles: [UInt8]) throws -> Bytes32 { try #require(Nibbles(storeKey: nibbles)).lowestKey }
        let far = try key([9])
        let tails: [[[UInt8]]] = [[[1]], [[1, 2, 3], [1, 2, 4]], [[1, 2], [1, 3]]]
        for tail in tails {
            var columns = LeafColumns()
            for nibbles in tail { columns.append(key: try key(nibbles), value: [1]) }
            columns.append(key: far, value: [2])
            var trie = MemoryTrie(columns, twigLeaves: twigLeaves)
            try trie.apply([(far, nil)])
            expectRebuilt(trie, "\(tail)")
            #expect(trie.leaves.count == tail.count)
        }
    }

    @Test("Nothing asked, nothing changed: absent keys deleted, values set to what they are")
    func noChange() throws {
        var generator = SeededGenerator(seed: 4)
        var trie = MemoryTrie(KeySpace.small.leaves(20, &generator))
        let absent: [TrieUpdate.LeafChange] = (0..<5).map { _ in (KeySpace.even.key(&generator), nil) }
        let same: [TrieUpdate.LeafChange] = trie.leaves.map { ($0.key, $0.value) }
        for drawn in [[], absent.sorted { $0.key < $1.key }, same] {
            let result = try TrieUpdate.apply(drawn, under: .root, source: &trie)
            #expect(result.subtree == trie.subtree)
            #expect(result.changes.isEmpty)
        }
    }

    @Test("The cost is that of the paths, not of the trie")
    func cost() throws {
        var trie = MemoryTrie(SampleLeaves.leaves(20_000))
        let before = trie.reads
        let keys = stride(from: 0, to: 20_000, by: 2_000).map { trie.leaves[$0].key }
        _ = try TrieUpdate.apply(keys.map { ($0, [1, 2, 3]) }, under: .root, source: &trie)
        // 10 leaves, about 3 branches each and a twig.
        #expect(trie.reads - before < 10 * 5)
    }

    @Test("What must not be asked is refused by name")
    func refused() throws {
        var trie = MemoryTrie(SampleLeaves.leaves(50))
        let low = Bytes32(1, 0, 0, 0)
        #expect(throws: TrieError.unsortedChanges) {
            try TrieUpdate.apply([(.max, [1]), (low, [1])], under: .root, source: &trie)
        }
        #expect(throws: TrieError.unsortedChanges) {
            try TrieUpdate.apply([(low, [1]), (low, nil)], under: .root, source: &trie)
        }
        #expect(throws: TrieError.keyOutsidePrefix(low)) {
            try TrieUpdate.apply([(low, [1])], under: Nibbles(section: 1, depth: 1), source: &trie)
        }
        #expect(throws: TrieError.emptyValue(low)) {
            try TrieUpdate.apply([(low, [])], under: .root, source: &trie)
        }
    }

    /// A store that answers with other bytes than it was given, or not at all.
    private struct BrokenSource: TrieSource {
        var trie: MemoryTrie
        var node: [UInt8]?
        var hidden: Nibbles?
        var place: Nibbles?
        /// Only the record at this path is another.
        var altered: (path: Nibbles, node: [UInt8])?
        /// Only the leaf of this key is another.
        var alteredLeaf: Bytes32?

        var twigLeaves: Int { trie.twigLeaves }

        mutating func branch(atOrBelow prefix: Nibbles) -> StoredBranch? {
            guard let found = trie.branch(atOrBelow: prefix), found.path != hidden else { return nil }
            if let altered, altered.path == found.path { return StoredBranch(path: altered.path, node: altered.node) }
            return StoredBranch(path: place ?? found.path, node: node ?? found.node)
        }

        mutating func leaves(under prefix: Nibbles, limit: Int, into leaves: inout TwigLeaves) {
            var found = TwigLeaves()
            trie.leaves(under: prefix, limit: limit, into: &found)
            for index in 0..<found.count where hidden?.contains(found.key(at: index)) != true {
                let (key, value) = (found.key(at: index), found.value(at: index))
                leaves.append(key: key, value: alteredLeaf == key ? value + [1] : value)
            }
        }
    }

    @Test("A stored branch that is not the one the branch above names is an error, wherever it is", arguments: [0, 32])
    func altered(twigLeaves: Int) throws {
        let trie = MemoryTrie(SampleLeaves.leaves(3_000), twigLeaves: twigLeaves)
        let drawn = stride(from: 0, to: 3_000, by: 311).map { (key: trie.leaves[$0].key, value: [7, 7] as [UInt8]?) }
        var whole = trie
        try whole.apply(drawn)
        for branch in trie.branches where !branch.path.isEmpty {
            var node = branch.node
            // The last byte before the empty value is that of a child or one that says there is none.
            guard let place = node.dropLast().lastIndex(where: { $0 != 0x80 }) else { continue }
            node[place] ^= 1
            var source = BrokenSource(trie: trie, altered: (branch.path, node))
            if drawn.contains(where: { branch.path.contains($0.key) }) {
                #expect(throws: TrieError.corruptRecord(branch.path)) {
                    try TrieUpdate.apply(drawn, under: .root, source: &source)
                }
            } else {
                let result = try TrieUpdate.apply(drawn, under: .root, source: &source)
                #expect(result.subtree == whole.subtree)
            }
        }
    }

    @Test("The topmost node is checked where its hash is known: as a branch, behind an extension, as a twig, as none")
    func topmost() throws {
        let whole = MemoryTrie(SampleLeaves.leaves(1_000))
        let few = MemoryTrie(SampleLeaves.leaves(20))
        let deep = Nibbles(section: 0x35, depth: 2)
        var behind = LeafColumns()
        for index in UInt64(0)..<60 { behind.append(key: Bytes32(0x35 << 56 | index << 40, 0, 0, 0), value: [1, 2]) }
        for (trie, prefix) in [
            (whole, Nibbles.root), (whole, Nibbles(section: 3, depth: 1)), (few, .root), (MemoryTrie(), .root),
            (MemoryTrie(behind), .root), (MemoryTrie(behind), deep),
        ] {
            var source = trie
            let hash = try source.subtree(under: prefix).hash(at: prefix.count)
            let drawn: [TrieUpdate.LeafChange] = [(prefix.lowestKey, [5, 6])]
            let plain = try TrieUpdate.apply(drawn, under: prefix, source: &source)
            let known = try TrieUpdate.apply(drawn, under: prefix, source: &source, from: hash)
            #expect(known.subtree == plain.subtree)
            // Unchecked nothing is asked of it.
            _ = try TrieUpdate.apply(drawn, under: prefix, source: &source, checking: false, from: .max)
            #expect(throws: TrieError.self) {
                try TrieUpdate.apply(drawn, under: prefix, source: &source, from: .max)
            }
            guard hash != Subtree.emptyRoot else { continue }
            #expect(throws: TrieError.corruptRecord(prefix)) {
                try TrieUpdate.apply(drawn, under: prefix, source: &source, from: Subtree.emptyRoot)
            }
        }
    }

    @Test("A leaf of a twig that is not the one its branch names is an error; unchecked it gives another root")
    func alteredLeaf() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(3_000))
        var whole = trie
        let changed = trie.leaves[1_500].key
        let drawn: [TrieUpdate.LeafChange] = [(changed, [7, 7])]
        try whole.apply(drawn)
        var plain = trie
        let branch = try #require(trie.branches.last { $0.path.contains(changed) })
        let twig = branch.path.appending(changed.nibble(branch.path.count))
        var neighbours = TwigLeaves()
        plain.leaves(under: twig, limit: 64, into: &neighbours)
        for key in neighbours.keys where key != changed {
            var source = BrokenSource(trie: trie, alteredLeaf: key)
            #expect(throws: TrieError.corruptRecord(twig)) {
                try TrieUpdate.apply(drawn, under: .root, source: &source)
            }
            let unchecked = try TrieUpdate.apply(drawn, under: .root, source: &source, checking: false)
            #expect(unchecked.subtree != whole.subtree)
        }
        #expect(neighbours.count > 1, "there is a neighbour")
    }

    @Test("More leaves than a twig may have say that a record is missing")
    func missingRecord() throws {
        var strict = FewTwigs(trie: MemoryTrie(SampleLeaves.leaves(1_000), twigLeaves: 1_000))
        #expect(throws: TrieError.corruptRecord(.root)) {
            try TrieUpdate.apply([(.zero, [1])], under: .root, source: &strict)
        }
    }

    /// A trie without records that claims to have small twigs only.
    private struct FewTwigs: TrieSource {
        var trie: MemoryTrie
        mutating func branch(atOrBelow prefix: Nibbles) -> StoredBranch? { trie.branch(atOrBelow: prefix) }
        mutating func leaves(under prefix: Nibbles, limit: Int, into leaves: inout TwigLeaves) {
            trie.leaves(under: prefix, limit: limit, into: &leaves)
        }
    }

    @Test("Without checks the result is the same, and what stood there before is what the trie had")
    func unchecked() throws {
        for (space, twigLeaves) in zip(KeySpace.allCases, UpdateTests.twigSizes) {
            for seed in UInt64(200)..<230 {
                var generator = SeededGenerator(seed: seed)
                var trie = MemoryTrie(space.leaves(80, &generator), twigLeaves: twigLeaves)
                let drawn = changes(trie, space, 25, deleting: 4, &generator)
                let plain = try TrieUpdate.apply(drawn, under: .root, source: &trie)
                let unchecked = try TrieUpdate.apply(drawn, under: .root, source: &trie, checking: false)
                #expect(plain.subtree == unchecked.subtree, "\(space) seed \(seed)")
                #expect(plain.changes.map(\.path) == unchecked.changes.map(\.path), "\(space) seed \(seed)")
                #expect(plain.changes.map(\.node) == unchecked.changes.map(\.node), "\(space) seed \(seed)")
                let stored = Dictionary(uniqueKeysWithValues: trie.branches.map { ($0.path, $0.node) })
                #expect(plain.changes.allSatisfy { $0.before == stored[$0.path] }, "\(space) seed \(seed)")
            }
        }
    }

    @Test("A store's broken record is an error, not a wrong root")
    func broken() throws {
        let a = Bytes32(0, 0, 0, 0)
        let b = Bytes32(1, 0, 0, 0)
        let c = Bytes32.max
        let trie = MemoryTrie(LeafColumns([(a, [1]), (b, [2]), (c, [3])]), twigLeaves: 0)
        var garbled = BrokenSource(trie: trie, node: [0xc0])
        #expect(throws: TrieError.corruptRecord(.root)) {
            try TrieUpdate.apply([(c, nil)], under: .root, source: &garbled)
        }
        for place in [Nibbles(c), Nibbles(section: 1, depth: 1)] {
            var misplacing = BrokenSource(trie: trie, place: place)
            #expect(throws: TrieError.corruptRecord(place)) {
                try TrieUpdate.apply([(a, nil)], under: Nibbles(section: 0, depth: 1), source: &misplacing)
            }
            var proof = ProofNodes()
            #expect(throws: TrieError.self) {
                misplacing.place = Nibbles(c)
                var prover = TrieProver()
                try prover.prove(a, upper: nil, source: &misplacing, into: &proof)
            }
        }
        let inner = try #require(trie.branches.last).path
        var hiding = BrokenSource(trie: trie, hidden: inner)
        #expect(throws: TrieError.missingChild(Nibbles(section: 0, depth: 1))) {
            try TrieUpdate.apply([(c, nil)], under: .root, source: &hiding)
        }
        #expect(throws: TrieError.missingChild(Nibbles(section: 0, depth: 1))) {
            try TrieUpdate.apply([(a, [9])], under: .root, source: &hiding)
        }
    }
}
