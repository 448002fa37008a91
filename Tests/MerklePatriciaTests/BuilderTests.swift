import Primitives
import Testing

@testable import MerklePatricia

@Suite struct BuilderTests {
    /// Roots published with the workload, made by another implementation.
    @Test(arguments: [
        (1, "a82197c233bd76abd1ad33b2e4f9225558cc9c17440a5173cfbe2b447293db46"),
        (10, "e95b542215ca4ec0cdc976bba71379373fed287fb37f3de56a5a16845eccb4d4"),
        (1_000, "3df0745835249e0330d87b1f18dc4eb0c6baee759bd4899cb193b5cc987d1563"),
        (10_000, "bc4d1ba706a0a17d2cb825f0cc3c4bed11a59147f8caea8bea9186ff14e740a9"),
        (100_000, "b80bc7f8641adb2d0893ef33dbb592e4b284281a76b3b2085a92f95479568f8f"),
    ])
    func publishedRoots(_ count: Int, _ root: String) {
        #expect(TrieBuilder.root(of: workload(count)) == Bytes32(hex: root))
    }

    @Test func emptyTrie() {
        #expect(TrieBuilder.root(of: LeafColumns()) == Subtree.emptyRoot)
        #expect(Subtree.empty.reference(at: 0) == nil)
        #expect(ReferenceTrie().root == Subtree.emptyRoot)
    }

    /// The plain trie of the yellow paper gives the same roots, embedded nodes and all.
    @Test func equalsTheReference() {
        for seed in UInt64(1)...400 {
            var clusters = Clusters(seed: seed, centres: 1 + Int(seed % 5))
            let count = 1 + clusters.below(60)
            let leaves = clusters.leaves(count)
            #expect(TrieBuilder.root(of: leaves) == reference(leaves).root, "seed \(seed)")
        }
    }

    /// A section hash is the root of the section's leaves with the section's nibbles stripped.
    @Test func sectionHashIsTheRootOfStrippedKeys() {
        for seed in UInt64(1)...60 {
            var clusters = Clusters(seed: seed, centres: 3)
            let leaves = clusters.leaves(80)
            for (index, section) in sections(leaves, depth: 2).enumerated() where section != .empty {
                let path = Nibbles(section: index, depth: 2)
                var stripped = LeafColumns()
                for leaf in leaves.slice(under: path, in: 0..<leaves.count) {
                    stripped.append(key: leaves.keys[leaf], value: leaves.value(at: leaf))
                }
                #expect(section.hash(at: 2) == reference(stripped, stripping: 1).root, "seed \(seed)")
            }
        }
    }

    /// Beyond one batch the run is split at its branch; the parts join to the same trie, the branches come in order.
    @Test func largeRunsJoin() {
        let leaves = workload(3 * MerklePatriciaLimits.batchLeaves)
        var branches = BranchColumns()
        let whole = TrieBuilder.build(leaves, in: 0..<leaves.count, under: .root, emitting: &branches)
        #expect(zip(branches.paths, branches.paths.dropFirst()).allSatisfy { $0 < $1 })
        var above = BranchColumns()
        let joined = TrieBuilder.build(joining: sections(leaves, depth: 2), emitting: &above)
        #expect(joined == whole)
        #expect(above.paths == branches.paths.filter { $0.count < 2 })
        for index in 0..<branches.count {
            #expect(throws: Never.self) { try BranchNode(decoding: branches.node(at: index)) }
        }
    }

    @Test func subtreesAreStoredAndReadBack() throws {
        var clusters = Clusters(seed: 9)
        for _ in 0..<200 {
            let count = clusters.below(4)
            let leaves = clusters.leaves(count)
            let subtree = TrieBuilder.subtree(of: leaves, in: 0..<leaves.count)
            #expect(try Subtree(decoding: subtree.encoded) == subtree)
        }
        for bad: [UInt8] in [[], [0, 0], [1], [3], [2, 0], [2, 1, 16, 0], [2, 255], [1] + Bytes32.zero.bytes] {
            #expect(throws: TrieError.corruptSubtree) { try Subtree(decoding: bad) }
        }
    }
}

@Suite struct PathTests {
    @Test func hexPrefixIsReadStrictly() {
        var clusters = Clusters(seed: 3)
        for count in 0...64 {
            let path = Nibbles(clusters.randomKey(), count: count)
            for isLeaf in [false, true] {
                let decoded = Nibbles.decodingCompact(path.compact(isLeaf: isLeaf))
                #expect(decoded?.path == path)
                #expect(decoded?.isLeaf == isLeaf)
            }
        }
        let bad: [[UInt8]] = [
            [], [0x01], [0x21], [0x40], [0xf0], [UInt8](repeating: 0x11, count: 33), [UInt8](repeating: 0, count: 34),
        ]
        for bytes in bad { #expect(Nibbles.decodingCompact(bytes) == nil) }
    }

    /// Every operation against lists of nibbles.
    @Test func operationsOnNibbles() {
        var clusters = Clusters(seed: 4)
        for _ in 0..<2_000 {
            let (a, b) = (clusters.key(), clusters.key())
            let (m, n) = (clusters.below(65), clusters.below(65))
            let (p, q) = (Nibbles(a, count: m), Nibbles(b, count: n))
            let (x, y) = (p.storeKey, q.storeKey)
            #expect((p < q) == x.lexicographicallyPrecedes(y))
            #expect(p.hasPrefix(q) == x.starts(with: y))
            #expect(p.commonPrefix(q).storeKey == zip(x, y).prefix { $0 == $1 }.map { $0.0 })
            #expect(p.dropFirst(n).storeKey == Array(x.dropFirst(n)))
            #expect(p.prefix(n).storeKey == Array(x.prefix(n)))
            #expect(p.prefix(20).appending(q.prefix(44)).storeKey == Array(x.prefix(20) + y.prefix(44)))
            #expect(p.contains(b) == Nibbles(b).storeKey.starts(with: x))
            #expect(Nibbles(p.lowestKey).storeKey == x + [UInt8](repeating: 0, count: 64 - m))
            #expect(Nibbles(p.highestKey).storeKey == x + [UInt8](repeating: 15, count: 64 - m))
            #expect(Nibbles(storeKey: x) == p)
        }
        #expect(Nibbles(storeKey: [16]) == nil)
        #expect(Nibbles(storeKey: [UInt8](repeating: 0, count: 65)) == nil)
    }
}
