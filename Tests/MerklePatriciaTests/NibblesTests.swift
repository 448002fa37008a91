import Primitives
import Testing

@testable import MerklePatricia

@Suite("Paths") struct NibblesTests {
    @Test("Every operation is that of an array of nibbles")
    func operations() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let a = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
                UInt8.random(in: 0..<16, using: &generator)
            }
            let shared = Int.random(in: 0...a.count, using: &generator)
            let more = Int.random(in: 0...(64 - shared), using: &generator)
            let b = Array(a.prefix(shared)) + [UInt8](repeating: 3, count: more)
            let x = try #require(Nibbles(storeKey: a))
            let y = try #require(Nibbles(storeKey: b))
            #expect(x.storeKey == a && x.count == a.count)
            #expect((x < y) == a.lexicographicallyPrecedes(b))
            #expect((x == y) == (a == b))
            #expect(x.hasPrefix(y) == a.starts(with: b))
            let common = zip(a, b).prefix { $0 == $1 }.count
            #expect(x.commonPrefix(y).storeKey == Array(a.prefix(common)))
            let cut = Int.random(in: 0...64, using: &generator)
            #expect(x.prefix(cut).storeKey == Array(a.prefix(cut)))
            #expect(x.dropFirst(cut).storeKey == Array(a.dropFirst(cut)))
            #expect(x.prefix(cut).appending(x.dropFirst(cut)) == x)
            #expect(Nibbles(x.lowestKey).storeKey == a + [UInt8](repeating: 0, count: 64 - a.count))
            #expect(Nibbles(x.highestKey).storeKey == a + [UInt8](repeating: 15, count: 64 - a.count))
            #expect(x.contains(y.lowestKey) == Nibbles(y.lowestKey).storeKey.starts(with: a))
            for isLeaf in [false, true] {
                let decoded = try #require(Nibbles.decodingCompact(x.compact(isLeaf: isLeaf)))
                #expect(decoded.path == x && decoded.isLeaf == isLeaf)
            }
        }
    }

    @Test("A section's path is its number in hex")
    func section() {
        #expect(Nibbles(section: 0, depth: 0) == .root)
        #expect(Nibbles(section: 0x2af, depth: 3).storeKey == [2, 10, 15])
        #expect(Nibbles(section: 5, depth: 2).storeKey == [0, 5])
    }

    @Test(
        "What is no canonical hex-prefix path is refused",
        arguments: [
            [], [0x40], [0x01], [0x21], [0xf0], [UInt8](repeating: 0, count: 34), [UInt8](repeating: 0x11, count: 33),
        ] as [[UInt8]])
    func refused(bytes: [UInt8]) {
        #expect(Nibbles(compact: bytes) == nil)
    }

    @Test("A store key of more than 64 nibbles, or of a byte above 15, is refused")
    func storeKeys() {
        #expect(Nibbles(storeKey: [UInt8](repeating: 0, count: 65)) == nil)
        #expect(Nibbles(storeKey: [16]) == nil)
    }
}

@Suite("Nodes") struct NodeTests {
    private static let hash = [0xa0] + [UInt8](repeating: 7, count: 32)

    private func list(_ items: [[UInt8]]) -> [UInt8] {
        RLPWriter.list { list in for item in items { list.append(raw: item) } }
    }

    private func expect(_ error: TrieNodeError, _ bytes: [UInt8], _ location: SourceLocation = #_sourceLocation) {
        #expect(throws: error, sourceLocation: location) { try TrieNode(decoding: bytes) }
    }

    @Test("A node re-encodes to the same bytes")
    func roundTrip() throws {
        var branch = [[UInt8]](repeating: [0x80], count: 17)
        branch[3] = NodeTests.hash
        branch[9] = [0xc2, 0x20, 5]
        for node in [
            list(branch), list([[0x20], [5]]), list([[0x16], NodeTests.hash]), list([[0x35], [0x81, 0x80]]),
        ] {
            #expect(try TrieNode(decoding: node).encoded == node)
        }
    }

    @Test("What a correct trie would not have written is refused by name")
    func refused() {
        let empty = [[UInt8]](repeating: [0x80], count: 17)
        expect(.rlp(.truncated), [])
        expect(.rlp(.trailingBytes), list([[0x20], [5]]) + [0])
        expect(.itemCount, [0x80])
        expect(.itemCount, list([[0x20]]))
        expect(.itemCount, list([[0x20], [5], [5]]))
        expect(.itemCount, list(empty + [[0x80]]))
        expect(.itemCount, list(empty.dropLast()))
        expect(.hexPrefix, list([[0x80], [5]]))
        expect(.hexPrefix, list([[0x21], [5]]))
        expect(.hexPrefix, list([[0x40], [5]]))
        expect(.hexPrefix, list([[0xc0], [5]]))
        expect(.emptyValue, list([[0x20], [0x80]]))
        expect(.emptyValue, list([[0x20], [0xc0]]))
        expect(.emptyExtension, list([[0x00], NodeTests.hash]))
        expect(.childReference, list([[0x11], [0x80]]))
        expect(.childReference, list([[0x11], [0x82, 1, 2]]))
        expect(.extensionChild, list([[0x11], [0xc2, 0x20, 5]]))
        var branch = empty
        branch[0] = NodeTests.hash
        expect(.tooFewChildren, list(branch))
        branch[1] = NodeTests.hash
        branch[16] = [5]
        expect(.branchValue, list(branch))
        branch[16] = [0x80]
        branch[2] = [0xc1, 0x80]
        expect(.itemCount, list(branch))
        branch[2] = list([[0x20], [0x9d] + [UInt8](repeating: 1, count: 29)])
        expect(.childReference, list(branch))
        expect(.tooLarge, [UInt8](repeating: 0, count: 1_025))
    }

    @Test("Any bytes give a node or an error, never a trap")
    func garbage() throws {
        var generator = SeededGenerator(seed: 5)
        let node = list([[0x16], NodeTests.hash])
        for round in 0..<5_000 {
            var bytes = (0..<Int.random(in: 0..<60, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if round.isMultiple(of: 2) {
                bytes = node
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[place] ^= UInt8.random(in: 1...255, using: &generator)
            }
            if let read = try? TrieNode(decoding: bytes) { #expect(read.encoded == bytes) }
        }
    }

    @Test("A stored subtree comes back, and what is none is refused")
    func subtrees() throws {
        let path = Nibbles(section: 0x123, depth: 3)
        let all: [Subtree] = [
            .empty, .leaf(key: .max, value: [1]), .branch(path: path, node: .hash(.max)),
            .branch(path: .root, node: .embedded([0xc0])),
        ]
        for subtree in all {
            #expect(try Subtree(decoding: subtree.encoded) == subtree)
            #expect(throws: TrieError.corruptSubtree) { try Subtree(decoding: [9] + subtree.encoded) }
        }
        let deepest = Subtree.branch(path: Nibbles(.max), node: .hash(.max))
        #expect(throws: TrieError.corruptSubtree) { try Subtree(decoding: deepest.encoded) }
        let short = Array(all[2].encoded.dropLast())
        #expect(throws: TrieError.corruptSubtree) { try Subtree(decoding: short) }
        let broken: [[UInt8]] = [
            [], [1], [1] + Bytes32.max.bytes, [0, 0], [2], [2, 200], [2, 1, 16, 0], [2, 0], [2, 255, 0],
        ]
        for bytes in broken {
            #expect(throws: TrieError.corruptSubtree) { try Subtree(decoding: bytes) }
        }
    }
}
