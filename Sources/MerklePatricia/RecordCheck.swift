import Primitives

/// Whether stored nodes are those that the branches above name, found out in batches.
struct RecordCheck: ~Copyable {
    private var nodes = ByteArena(capacity: 1 << 14)
    private var runs: [Keccak.Run] = []
    private var expected: [(path: Nibbles, hash: Bytes32)] = []

    /// Takes the node at `path`, which its parent names so. Throws for this one or for one before.
    mutating func add(_ node: [UInt8], at path: Nibbles, named name: NodeReference) throws(TrieError) {
        switch name {
        case .embedded(let bytes):
            guard bytes == node else { throw .corruptRecord(path) }
        case .hash(let hash):
            nodes.room(for: node.count).copyBytes(from: node)
            runs.append(Keccak.Run(offset: nodes.count, length: node.count, target: 32 &* expected.count))
            nodes.commit(node.count)
            expected.append((path, hash))
            if expected.count >= MerklePatriciaLimits.hashBatch { try finish() }
        }
    }

    /// Looks at all that were added.
    mutating func finish() throws(TrieError) {
        guard !expected.isEmpty, let base = nodes.bytes.baseAddress else { return }
        let wrong = withUnsafeTemporaryAllocation(byteCount: 32 * expected.count, alignment: 8) { hashes in
            guard let target = hashes.baseAddress else { return 0 }
            runs.withUnsafeBufferPointer { Keccak.hash(base, runs: $0, into: target) }
            return expected.indices.first { Bytes32(loading: target + 32 * $0) != expected[$0].hash } ?? -1
        }
        guard wrong < 0 else { throw .corruptRecord(expected[wrong].path) }
        nodes.removeAll()
        runs.removeAll(keepingCapacity: true)
        expected.removeAll(keepingCapacity: true)
    }
}
