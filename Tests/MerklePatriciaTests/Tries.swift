import Primitives

@testable import MerklePatricia

/// The measured workload of the design: key i = keccak256(i as 8 bytes), value i = the RLP of an account of nonce i.
func workload(_ count: Int) -> LeafColumns {
    var leaves: [(key: Bytes32, value: [UInt8])] = []
    func bigEndian(_ word: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    for index in 0..<UInt64(count) {
        let balance = index.multipliedFullWidth(by: 1_000_000_000_000_000)
        let value = RLPWriter.list { list in
            list.append(index)
            list.append((bigEndian(balance.high) + bigEndian(balance.low)).drop { $0 == 0 })
            list.append(Subtree.emptyRoot)
            list.append(Keccak.empty)
        }
        leaves.append((Keccak.hash(bigEndian(index)), value))
    }
    return columns(leaves.sorted { $0.key < $1.key })
}

func columns(_ leaves: some Sequence<(key: Bytes32, value: [UInt8])>) -> LeafColumns {
    var columns = LeafColumns()
    for leaf in leaves { columns.append(key: leaf.key, value: leaf.value) }
    return columns
}

/// Random keys in clusters that share prefixes of all lengths up to 63 nibbles, and values from one byte, which makes
/// embedded nodes far down, to the size of an account.
struct Clusters {
    var generator: SeededGenerator
    private var centres: [Bytes32] = []

    init(seed: UInt64, centres count: Int = 4) {
        generator = SeededGenerator(seed: seed)
        for _ in 0..<count { centres.append(randomKey()) }
    }

    mutating func randomKey() -> Bytes32 {
        Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
    }

    /// A key that shares a random number of nibbles, often many, with a centre; now and then one from anywhere.
    mutating func key() -> Bytes32 {
        guard let centre = centres.randomElement(using: &generator), below(8) > 0 else { return randomKey() }
        let shared = below(3) == 0 ? below(8) : 56 + below(8)
        let rest = randomKey() ^ randomKey().keepingNibbles(shared)
        return centre.keepingNibbles(shared).or(rest.keepingNibbles(shared) ^ rest)
    }

    mutating func value() -> [UInt8] {
        let size = [1, 1, 2, 5, 33, 70].randomElement(using: &generator) ?? 1
        return (0..<size).map { _ in UInt8.random(in: 1...255, using: &generator) }
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }

    /// Up to `count` leaves, ascending.
    mutating func leaves(_ count: Int) -> LeafColumns {
        var leaves: [Bytes32: [UInt8]] = [:]
        for _ in 0..<count { leaves[key()] = value() }
        return columns(leaves.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) })
    }

    /// A batch of changes to `trie`, ascending: new keys, new values, deletions of what is there and of what is not,
    /// and values that stay as they are.
    mutating func changes(_ count: Int, to trie: MemoryTrie) -> [TrieUpdate.LeafChange] {
        var changes: [Bytes32: [UInt8]?] = [:]
        let deletes = below(3)
        for _ in 0..<count {
            let existing = trie.leaves.randomElement(using: &generator)
            switch (below(6), existing) {
            case (0, _): changes[key()] = .some(nil)
            case (1, let leaf?): changes[leaf.key] = .some(leaf.value)
            case (2, let leaf?): changes[leaf.key] = .some(value())
            case (3...(3 + deletes), let leaf?): changes[leaf.key] = .some(nil)
            default: changes[key()] = .some(value())
            }
        }
        return changes.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }
    }
}

/// The reference trie of the same leaves, the first `stripped` bytes of the keys left out.
func reference(_ leaves: LeafColumns, stripping stripped: Int = 0) -> ReferenceTrie {
    var trie = ReferenceTrie()
    for index in 0..<leaves.count {
        trie[Array(leaves.keys[index].bytes.dropFirst(stripped))] = leaves.value(at: index)
    }
    return trie
}

/// The 16^depth subtrees of a trie, in order.
func sections(_ leaves: LeafColumns, depth: Int) -> [Subtree] {
    (0..<(1 << (4 * depth))).map { index in
        let range = leaves.slice(under: Nibbles(section: index, depth: depth), in: 0..<leaves.count)
        return TrieBuilder.subtree(of: leaves, in: range)
    }
}

/// Proof of both ends of a range, as a server gives it.
func proof(_ trie: MemoryTrie, _ first: Bytes32, _ last: Bytes32) throws -> [[UInt8]] {
    var trie = trie
    var proof = ProofNodes()
    try TrieProver.prove(first, upper: nil, source: &trie, into: &proof)
    try TrieProver.prove(last, upper: nil, source: &trie, into: &proof)
    return proof.nodes
}
