import MerklePatricia
import Primitives

/// Ways to draw keys. Hashes spread evenly; the others force what hashes never show in a test's size.
enum KeySpace: CaseIterable, Sendable {
    /// Like hashes.
    case even
    /// Two nibble values at every place of the first few, then one tail: much sharing, many collapses.
    case small
    /// Long shared prefixes that split near the end: extensions, embedded leaves and branches.
    case deep
    /// All in one narrow part, some elsewhere: long extensions across every section boundary.
    case clustered

    func key(_ generator: inout SeededGenerator) -> Bytes32 {
        var nibbles = [UInt8](repeating: 0, count: 64)
        func draw(_ bound: UInt8) -> UInt8 { UInt8.random(in: 0..<bound, using: &generator) }
        switch self {
        case .even: for index in 0..<64 { nibbles[index] = draw(16) }
        case .small: for index in 0..<5 { nibbles[index] = draw(2) * 15 }
        case .deep:
            let shared = [0, 1, 2, 3, 30, 60][Int(draw(6))]
            for index in 0..<shared { nibbles[index] = 7 }
            if shared < 62, draw(3) == 0 { nibbles[shared] = draw(16) }
            for index in 61..<64 { nibbles[index] = draw(3) }
        case .clustered:
            let home: [UInt8] = [4, 2, 15, 0, 9]
            let away = draw(5) == 0 ? Int(draw(5)) : 5
            for index in 0..<5 { nibbles[index] = index < away ? home[index] : draw(16) }
            for index in 5..<7 { nibbles[index] = draw(4) }
            for index in 60..<64 { nibbles[index] = draw(16) }
        }
        return Nibbles(storeKey: nibbles)?.lowestKey ?? .zero
    }

    /// Short values make nodes under 32 bytes where keys split late.
    func value(_ generator: inout SeededGenerator) -> [UInt8] {
        let long = self == .even ? Bool.random(using: &generator) : Int.random(in: 0..<4, using: &generator) == 0
        let count = long ? Int.random(in: 32...90, using: &generator) : Int.random(in: 1...3, using: &generator)
        return (0..<count).map { _ in UInt8.random(in: 1...255, using: &generator) }
    }

    /// About `count` leaves (fewer where draws meet), ascending.
    func leaves(_ count: Int, _ generator: inout SeededGenerator) -> LeafColumns {
        let keys = Set((0..<count).map { _ in key(&generator) }).sorted()
        var columns = LeafColumns()
        for key in keys { columns.append(key: key, value: value(&generator)) }
        return columns
    }
}

extension LeafColumns {
    init(_ rows: [(Bytes32, [UInt8])]) {
        self.init()
        for (key, value) in rows { append(key: key, value: value) }
    }

    var rows: [(Bytes32, [UInt8])] { (0..<count).map { (keys[$0], value(at: $0)) } }

    /// The oracle's trie of these leaves.
    var reference: ReferenceTrie {
        var trie = ReferenceTrie()
        for (key, value) in rows { trie[key.bytes] = value }
        return trie
    }
}

/// The published workload: key_i = keccak256(i), an account with nonce i.
enum SampleLeaves {
    static func leaves(_ count: Int) -> LeafColumns {
        let rows = (0..<UInt64(count)).map { index in
            (key: Keccak.hash(withUnsafeBytes(of: index.bigEndian) { Array($0) }), index: index)
        }.sorted { $0.key < $1.key }
        var columns = LeafColumns()
        columns.reserveCapacity(count, valueBytes: 80 * count)
        for row in rows {
            columns.append(
                key: row.key,
                value: RLPWriter.list { list in
                    list.append(row.index)
                    list.append(UInt256(row.index).multiplied(by: 1_000_000_000_000_000, adding: 0) ?? .zero)
                    list.append(Subtree.emptyRoot)
                    list.append(Keccak.empty)
                })
        }
        return columns
    }
}

/// Proof nodes of a stored trie for some keys.
func proof(_ trie: MemoryTrie, _ keys: Bytes32..., upper: Crown? = nil) throws -> [[UInt8]] {
    var source = trie
    var nodes = ProofNodes()
    var prover = TrieProver()
    for key in keys { try prover.prove(key, upper: upper, source: &source, into: &nodes) }
    return nodes.nodes
}

/// The sections of a trie at a depth, each built by itself.
func sections(of leaves: LeafColumns, depth: Int) -> [Subtree] {
    (0..<(1 << (4 * depth))).map { index in
        let path = Nibbles(section: index, depth: depth)
        var columns = LeafColumns()
        for (key, value) in leaves.rows where path.contains(key) { columns.append(key: key, value: value) }
        return TrieBuilder.subtree(of: columns, in: 0..<columns.count)
    }
}
