import Primitives
import Testing

@testable import MerklePatricia

/// Leaves hashed as they come give what they give together.
@Suite struct StreamedTrieTests {
    private static let seed: UInt64 = 2_201

    /// Around the number that is waited for, and several times as many.
    @Test(arguments: [0, 1, 2, 17, 1_000, 16_383, 16_384, 16_385, 70_000])
    func hashesAsTheBuilderDoes(count: Int) {
        var generator = SeededGenerator(seed: Self.seed)
        let leaves = KeySpace.even.leaves(count, &generator)
        #expect(Self.streamed(leaves) == TrieBuilder.subtree(of: leaves, in: 0..<leaves.count))
    }

    /// Keys that are no hashes: parts of all sizes, also one larger than what is waited for.
    @Test(arguments: KeySpace.allCases) func hashesUnevenKeys(space: KeySpace) {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let leaves = space.leaves(40_000, &generator)
        #expect(Self.streamed(leaves) == TrieBuilder.subtree(of: leaves, in: 0..<leaves.count))
    }

    /// A few keys far apart, then very many in one part.
    @Test func onePartMayHaveAlmostAll() {
        var leaves = LeafColumns()
        for index in UInt64(0)..<16_500 { leaves.append(key: Bytes32(index << 49, 0, 0, 0), value: [1, 2]) }
        for index in UInt64(0)..<40_000 { leaves.append(key: Bytes32(.max, index, 0, 0), value: [3, 4, 5]) }
        #expect(Self.streamed(leaves) == TrieBuilder.subtree(of: leaves, in: 0..<leaves.count))
    }

    @Test func whatDoesNotAscendIsNotTaken() {
        var trie = StreamedTrie()
        let taken = [5, 5, 4, 6].map { trie.append(key: Bytes32($0, 0, 0, 0), value: [1]) }
        #expect(taken == [true, false, false, true])
        let leaves = LeafColumns([(Bytes32(5, 0, 0, 0), [1]), (Bytes32(6, 0, 0, 0), [1])])
        let (first, second) = (trie.finish(), trie.finish())
        #expect(first == TrieBuilder.subtree(of: leaves, in: 0..<2))
        #expect(second == .empty, "the next trie is another")
    }

    private static func streamed(_ leaves: LeafColumns) -> Subtree {
        var trie = StreamedTrie()
        let refused = leaves.rows.count { !trie.append(key: $0.0, value: $0.1) }
        #expect(refused == 0)
        return trie.finish()
    }
}
