import MerklePatricia
import Primitives
import Testing

@Suite("Builder") struct BuilderTests {
    @Test(
        "Roots of the published workload",
        arguments: [
            (1, "a82197c233bd76abd1ad33b2e4f9225558cc9c17440a5173cfbe2b447293db46"),
            (10, "e95b542215ca4ec0cdc976bba71379373fed287fb37f3de56a5a16845eccb4d4"),
            (1_000, "3df0745835249e0330d87b1f18dc4eb0c6baee759bd4899cb193b5cc987d1563"),
            (10_000, "bc4d1ba706a0a17d2cb825f0cc3c4bed11a59147f8caea8bea9186ff14e740a9"),
            (100_000, "b80bc7f8641adb2d0893ef33dbb592e4b284281a76b3b2085a92f95479568f8f"),
        ])
    func workload(count: Int, root: String) {
        let leaves = SampleLeaves.leaves(count)
        var branches = BranchColumns()
        let subtree = TrieBuilder.build(leaves, in: 0..<count, under: .root, emitting: &branches)
        #expect(subtree.hash(at: 0) == Bytes32(hex: root))
        #expect(TrieBuilder.root(of: leaves) == Bytes32(hex: root))
        #expect(zip(branches.paths, branches.paths.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test("No leaf is the empty root; one leaf has no branch")
    func few() {
        #expect(TrieBuilder.root(of: LeafColumns()) == Subtree.emptyRoot)
        #expect(
            Subtree.emptyRoot
                == Bytes32(hex: "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"))
        var branches = BranchColumns()
        let one = LeafColumns([(.max, [1])])
        #expect(TrieBuilder.build(one, in: 0..<1, under: .root, emitting: &branches) == .leaf(key: .max, value: [1]))
        #expect(branches.isEmpty)
    }

    @Test("The root is the oracle's, whatever the keys", arguments: KeySpace.allCases)
    func oracle(space: KeySpace) {
        for seed in UInt64(0)..<60 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(1 + Int(seed), &generator)
            #expect(TrieBuilder.root(of: leaves) == leaves.reference.root, "seed \(seed)")
        }
    }

    @Test("Records are exactly the branches that are read when the trie is walked", arguments: KeySpace.allCases)
    func records(space: KeySpace) throws {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(80, &generator)
            let trie = MemoryTrie(leaves, twigLeaves: 0)
            for (path, node) in trie.branches {
                let branch = try BranchNode(decoding: node)
                for nibble in 0..<16 {
                    let child = path.appending(nibble)
                    var part = LeafColumns()
                    for (key, value) in leaves.rows where child.contains(key) { part.append(key: key, value: value) }
                    let below = TrieBuilder.subtree(of: part, in: 0..<part.count)
                    #expect(branch[nibble] == below.reference(at: child.count), "seed \(seed)")
                }
            }
        }
    }

    @Test("Every record is a branch that the oracle proves, in the order of paths", arguments: KeySpace.allCases)
    func recordsAreTheOracles(space: KeySpace) {
        for seed in UInt64(900)..<930 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(Int(seed % 30) * 2 + 2, &generator)
            var branches = BranchColumns()
            let subtree = TrieBuilder.build(
                leaves, in: 0..<leaves.count, under: .root, emitting: &branches, twigLeaves: 0)
            #expect(subtree.hash(at: 0) == leaves.reference.root, "seed \(seed)")
            #expect(zip(branches.paths, branches.paths.dropFirst()).allSatisfy { $0 < $1 }, "seed \(seed)")
            #expect(subtree == TrieBuilder.subtree(of: leaves, in: 0..<leaves.count), "seed \(seed)")
            let reference = leaves.reference
            let proven = Set(leaves.keys.flatMap { reference.proof(for: $0.bytes) })
            for index in 0..<branches.count where branches.node(at: index).count >= 32 {
                #expect(proven.contains(branches.node(at: index)), "seed \(seed), \(branches.paths[index])")
            }
            var bytes = 0
            branches.forEach { path, node in bytes += node.count }
            #expect(bytes == branches.byteCount)
        }
    }

    @Test("With twigs the branches with more leaves are emitted, and no others", arguments: KeySpace.allCases)
    func twigs(space: KeySpace) {
        for seed in UInt64(40)..<70 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(Int(seed) * 3, &generator)
            let all = MemoryTrie(leaves, twigLeaves: 0).branches
            for size in [1, 2, 5, 16, 40, 1_000] {
                let trie = MemoryTrie(leaves, twigLeaves: size)
                let expected = all.filter { leaves.slice(under: $0.path).count > size }
                #expect(trie.branches.map(\.path) == expected.map(\.path), "seed \(seed), twigs of \(size)")
                #expect(trie.branches.map(\.node) == expected.map(\.node), "seed \(seed), twigs of \(size)")
                #expect(trie.root == leaves.reference.root, "seed \(seed), twigs of \(size)")
            }
        }
    }

    @Test("A part built under its prefix has the hash of its stripped leaves")
    func stripped() {
        // The oracle takes keys of any length, so it can be given the rest of each key.
        for seed in UInt64(0)..<40 {
            var generator = SeededGenerator(seed: seed)
            let leaves = KeySpace.deep.leaves(60, &generator)
            let path = Nibbles(leaves.keys[leaves.count / 2], count: 2 * Int.random(in: 0...15, using: &generator))
            var stripped = ReferenceTrie()
            var part = LeafColumns()
            for (key, value) in leaves.rows where path.contains(key) {
                stripped[Array(key.bytes.dropFirst(path.count / 2))] = value
                part.append(key: key, value: value)
            }
            let subtree = TrieBuilder.subtree(of: part, in: 0..<part.count)
            #expect(subtree.hash(at: path.count) == stripped.root, "seed \(seed)")
        }
    }

    @Test("Runs longer than a batch give the same as their parts joined")
    func large() {
        // One nibble has far more than the others, so that splitting and batching both happen.
        var leaves = LeafColumns()
        for (key, value) in SampleLeaves.leaves(12_000).rows {
            leaves.append(key: Bytes32(key.word0 >> 8, key.word1, key.word2, key.word3), value: value)
        }
        leaves.append(key: .max, value: [1])
        let all = TrieBuilder.root(of: leaves)
        let crown = Crown(sections: sections(of: leaves, depth: 1), depth: 1)
        #expect(crown.root == all)
        #expect(MemoryTrie(leaves).root == all)
    }
}
