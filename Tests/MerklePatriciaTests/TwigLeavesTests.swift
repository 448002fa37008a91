@testable import MerklePatricia
import Primitives
import Testing

/// The leaves of a twig in their room, held against a plain dictionary.
@Suite struct TwigLeavesTests {
    private static func rows(_ leaves: borrowing TwigLeaves) -> [Bytes32: [UInt8]] {
        var rows: [Bytes32: [UInt8]] = [:]
        for index in 0..<leaves.count { rows[leaves.key(at: index)] = leaves.value(at: index) }
        return rows
    }

    @Test("A leaf's node is its RLP, whatever its value's size and its place")
    func nodes() {
        var generator = SeededGenerator(seed: 9)
        var arena = ByteArena(capacity: 8)
        for size in Array(1...130) + [252, 255, 256, 257, 300, 900, 65_500, 65_535, 65_536, 70_000] {
            for depth in size <= 300 ? Array(0...64) : [0, 1, 33, 63, 64] {
                let key = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
                let value = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
                arena.removeAll()
                let written = value.withUnsafeBytes { LeafNode.write(key, $0, at: depth, to: &arena) }
                let node = Array(arena.bytes)
                #expect(written == node.count)
                #expect(
                    node == TrieNode.leaf(suffix: Nibbles(key).dropFirst(depth), value: value).encoded,
                    "\(size) bytes at \(depth)")
            }
        }
    }

    @Test("Changes leave what a dictionary has, ascending, whatever room they need", arguments: KeySpace.allCases)
    func changes(space: KeySpace) {
        var leaves = TwigLeaves()
        for seed in UInt64(0)..<200 {
            var generator = SeededGenerator(seed: seed)
            leaves.removeAll()
            var model: [Bytes32: [UInt8]] = [:]
            for (key, value) in space.leaves(Int.random(in: 0...90, using: &generator), &generator).rows {
                leaves.append(key: key, value: value)
                model[key] = value
            }
            var changes: [Bytes32: [UInt8]?] = [:]
            for key in model.keys.sorted() where Int.random(in: 0..<3, using: &generator) == 0 {
                changes[key] = .some(Bool.random(using: &generator) ? nil : space.value(&generator))
            }
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                changes[space.key(&generator)] = .some(
                    Int.random(in: 0..<4, using: &generator) == 0 ? nil : space.value(&generator))
            }
            var place = 0
            for (key, value) in changes.sorted(by: { $0.key < $1.key }) {
                leaves.change(key, to: value, from: &place)
                model[key] = value
            }
            #expect(TwigLeavesTests.rows(leaves) == model, "\(space) seed \(seed)")
            let keys = leaves.keys
            #expect(keys == model.keys.sorted(), "\(space) seed \(seed)")
            let columns = LeafColumns(model.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
            let subtree = leaves.subtree
            #expect(subtree == TrieBuilder.subtree(of: columns, in: 0..<columns.count), "\(space) seed \(seed)")
        }
    }
}
