import Primitives
import Testing

@testable import MerklePatricia

@Suite struct NodeTests {
    private func encoded(_ items: [RLPValue]) -> [UInt8] { RLPValue.list(items).encoded }
    private func branch(_ children: [Int: RLPValue], value: [UInt8] = []) -> [UInt8] {
        encoded((0..<16).map { children[$0] ?? .string([]) } + [.string(value)])
    }
    private let hash = RLPValue.string([UInt8](repeating: 7, count: 32))

    @Test func refusesWhatNoTrieHasWritten() {
        let leaf = RLPValue.list([.string([0x31]), .string([1])])
        let cases: [(NodeError, [UInt8])] = [
            (.tooLarge, [UInt8](repeating: 0, count: 1_025)),
            (.itemCount, RLPValue.string([1, 2]).encoded),
            (.itemCount, encoded([.string([0x20])])),
            (.itemCount, encoded([.string([0x20]), .string([1]), .string([1])])),
            (.itemCount, encoded([RLPValue](repeating: .string([]), count: 18))),
            (.rlp(.trailingBytes), encoded([.string([0x20]), .string([1])]) + [0]),
            (.hexPrefix, encoded([.string([0x40]), .string([1])])),
            (.hexPrefix, encoded([.list([]), .string([1])])),
            (.emptyExtension, encoded([.string([0x00]), hash])),
            (.emptyValue, encoded([.string([0x20]), .string([])])),
            (.childReference, encoded([.string([0x11]), .string([])])),
            (.childReference, encoded([.string([0x11]), .string([UInt8](repeating: 1, count: 31))])),
            (.extensionChild, encoded([.string([0x11]), leaf])),
            (.childReference, branch([0: hash, 1: .string([1])])),
            (.childReference, branch([0: hash, 1: .list([.string([0x31]), .string(Bytes32.max.bytes)])])),
            (.branchValue, branch([0: hash, 1: hash], value: [1])),
            (.tooFewChildren, branch([0: hash])),
            (.tooFewChildren, branch([:])),
        ]
        for (error, bytes) in cases {
            #expect(throws: error) { try TrieNode(decoding: bytes) }
        }
        #expect(throws: NodeError.self) { try TrieNode(decoding: []) }
    }

    /// Changed bytes are refused or are the one encoding of another node: never read two ways, never a trap.
    @Test func oneEncodingANode() throws {
        var clusters = Clusters(seed: 11)
        let trie = MemoryTrie(clusters.leaves(300))
        let nodes = trie.branches.map { $0.node } + (try proof(trie, .zero, .max))
        for _ in 0..<20_000 {
            var bytes = nodes[clusters.below(nodes.count)]
            for _ in 0...clusters.below(2) {
                bytes[clusters.below(bytes.count)] = UInt8(clusters.below(256))
            }
            if clusters.below(4) == 0 { bytes.removeLast(clusters.below(bytes.count)) }
            guard let node = try? TrieNode(decoding: bytes) else { continue }
            #expect(node.encoded == bytes)
        }
    }

    /// Well linked nodes that stand where they cannot: whoever made the root, nothing is read out of them.
    @Test func linkedButImpossible() {
        let long = [UInt8](repeating: 1, count: 40)
        let full = Nibbles(.zero).compact(isLeaf: true)
        let short = Nibbles(.zero, count: 63).compact(isLeaf: true)
        func pair(_ path: [UInt8], _ value: [UInt8]) -> [UInt8] { encoded([.string(path), .string(value)]) }
        func link(_ node: [UInt8]) -> RLPValue { .string(Keccak.hash(node).bytes) }
        let deepLeaf = pair(full, long)
        let branchAtEnd = branch([0: hash, 1: hash])
        let toEnd = encoded([.string(Nibbles(.zero).compact(isLeaf: false)), link(branchAtEnd)])
        let rightLeaf = pair(short, long)
        let leafBelow = encoded([.string([0x10]), link(rightLeaf)])
        let tiny = encoded([.string([0x20]), .string([1])])
        let namesTiny = branch([0: link(tiny), 1: hash])
        let cases: [(NodeError, [[UInt8]])] = [
            (.pathLength, [pair(short, long)]),
            (.pathLength, [branch([0: link(deepLeaf), 1: hash]), deepLeaf]),
            (.pathLength, [toEnd, branchAtEnd]),
            (.extensionChild, [leafBelow, rightLeaf]),
            (.shortNode, [namesTiny, tiny]),
            (.tooLarge, [[UInt8](repeating: 1, count: 1_025)]),
        ]
        for (error, nodes) in cases {
            let root = Keccak.hash(nodes[0])
            #expect(throws: ProofError.malformedNode(error)) {
                try RangeVerifier.verify(
                    root: root, proof: nodes, leaves: LeafColumns(), first: Bytes32(0, 0, 0, 1), last: .max)
            }
            #expect(throws: ProofError.malformedNode(error)) {
                try SectionProof.sectionHash(root: root, proof: nodes, section: Nibbles(.zero, count: 4))
            }
            #expect(throws: ProofError.malformedNode(error)) { try Crown(decoding: nodes, root: root, depth: 4) }
        }
        // Where the range holds all of the extension's child, that is found out though its leaves are right.
        #expect(throws: ProofError.malformedNode(.extensionChild)) {
            try RangeVerifier.verify(
                root: Keccak.hash(leafBelow), proof: [leafBelow], leaves: columns([(key: .zero, value: long)]),
                first: .zero, last: Nibbles(section: 0, depth: 1).highestKey)
        }
    }
}
