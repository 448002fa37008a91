import MerklePatricia
import Primitives
import StateStore

extension Workloads {
    /// Building, verifying, proving and changing tries.
    static let tries: [any Workload] = [
        RootWorkload(), RangeVerifyWorkload(), RangeProveWorkload(), UpdateWorkload(),
    ]
}

/// The root of a million sorted leaves, every branch record emitted.
struct RootWorkload: Workload {
    let name = "trie.root.1m"
    let items = "leaves"
    let scales = true
    let summary = "the root of 1,000,000 sorted leaves, all branch records emitted"

    /// The root of the workload, as three independent clients give it.
    static let root = Bytes32(hex: "29041771ba23ca0a80ad5a191ebe1e953fe542badc38e8d1b206d2f7ce2c82ae")

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        RootTrial(leaves: material.leaves(BenchLimits.stateLeaves), threads: threads)
    }
}

private struct RootTrial: Trial {
    let leaves: LeafColumns
    let threads: Int

    func run() throws -> Work {
        guard let root = threads == 1 ? whole() : try joined(), root == RootWorkload.root else {
            throw BenchError.wrongResult(workload: "trie.root.1m", what: "the root is not the known one")
        }
        return Work(items: leaves.count, bytes: 32 * leaves.count + leaves.valueBytes.count)
    }

    private func whole() -> Bytes32? {
        var branches = BranchColumns()
        return TrieBuilder.build(leaves, in: 0..<leaves.count, under: .root, emitting: &branches).hash(at: 0)
    }

    /// The sixteen sections of depth 1, each built by one of the threads, then joined by their crown.
    private func joined() throws -> Bytes32? {
        let parts = BenchSlots<Subtree>(count: 16)
        try BenchThreads.run(threads) { thread in
            for section in stride(from: thread, to: 16, by: threads) {
                let path = Nibbles(section: section, depth: 1)
                var branches = BranchColumns()
                parts[section] = TrieBuilder.build(
                    leaves, in: leaves.slice(under: path), under: path, emitting: &branches)
            }
        }
        let sections = parts.all
        return sections.count == 16 ? Crown(sections: sections, depth: 1).root : nil
    }
}

/// Ranges of 4,096 leaves out of a million with the proofs of both edges, verified, branch records emitted.
struct RangeVerifyWorkload: Workload {
    let name = "range.verify.4096"
    let items = "leaves"
    let scales = true
    let summary = "16 ranges of 4,096 leaves of a trie of 1,000,000, both edges proven, branch records emitted"

    /// Ranges of a run on each thread, evenly over the keys.
    static let ranges = 16

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let trie = MemoryTrie(material.leaves(BenchLimits.stateLeaves))
        let leaves = material.leaves(BenchLimits.stateLeaves)
        let step = leaves.count / RangeVerifyWorkload.ranges
        let cases = try (0..<RangeVerifyWorkload.ranges).map { index -> ProvenRange in
            let start = index * step + step / 3
            let range = start..<start + BenchLimits.rangeLeaves
            var proof = ProofNodes()
            var source = trie
            var prover = TrieProver()
            try prover.prove(leaves.keys[range.lowerBound], upper: nil, source: &source, into: &proof)
            try prover.prove(leaves.keys[range.upperBound - 1], upper: nil, source: &source, into: &proof)
            var columns = LeafColumns()
            for place in range { columns.append(key: leaves.keys[place], value: leaves.value(at: place)) }
            let (first, last) = (leaves.keys[range.lowerBound], leaves.keys[range.upperBound - 1])
            let stored = trie.branches.count { $0.path.highestKey >= first && $0.path.lowestKey <= last }
            return ProvenRange(leaves: columns, proof: proof.nodes, storedBranches: stored)
        }
        return RangeVerifyTrial(root: trie.root, cases: cases, threads: threads)
    }
}

/// A range and the nodes that prove its edges.
struct ProvenRange: Sendable {
    let leaves: LeafColumns
    let proof: [[UInt8]]
    /// Of the whole trie's records, those that lie in the range or across an end.
    let storedBranches: Int
}

private struct RangeVerifyTrial: Trial {
    let root: Bytes32
    let cases: [ProvenRange]
    let threads: Int

    func run() throws -> Work {
        try BenchThreads.run(threads) { _ in
            for one in cases {
                let first = one.leaves.keys[0]
                let last = one.leaves.keys[one.leaves.count - 1]
                let verified = try RangeVerifier.verify(
                    root: root, proof: one.proof, leaves: one.leaves, first: first, last: last)
                guard verified.moreAfter, verified.branches.count >= one.storedBranches else {
                    throw BenchError.wrongResult(workload: "range.verify.4096", what: "branches are missing")
                }
            }
        }
        let count = cases.reduce(0) { $0 + $1.leaves.count }
        let bytes = cases.reduce(0) { $0 + 32 * $1.leaves.count + $1.leaves.valueBytes.count }
        return Work(items: threads * count, bytes: threads * bytes)
    }
}

/// Both edges of ranges of 4,096 leaves proven out of a store of a million accounts.
struct RangeProveWorkload: Workload {
    let name = "range.prove"
    let items = "proofs"
    let scales = true
    let summary = "both edges of 1,000 ranges of 4,096 leaves proven out of the store of 1,000,000 accounts"

    /// Ranges of a run on each thread, spread over the keys.
    static let ranges = 1_000

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 2, name: "served", in: material)
        let keys = material.leaves(BenchLimits.stateLeaves).keys
        var generator = SeededGenerator(seed: 3)
        let edges = (0..<RangeProveWorkload.ranges).map { _ in
            let start = Int.random(in: 0...keys.count - BenchLimits.rangeLeaves, using: &generator)
            return (first: keys[start], last: keys[start + BenchLimits.rangeLeaves - 1])
        }
        return RangeProveTrial(stored: stored, edges: edges, threads: threads)
    }
}

private struct RangeProveTrial: Trial {
    let stored: StoredAccounts
    let edges: [(first: Bytes32, last: Bytes32)]
    let threads: Int

    func run() throws -> Work {
        let sizes = BenchSlots<Int>(count: threads)
        let (stored, edges) = (stored, edges)
        try BenchThreads.run(threads) { thread in
            var accounts = StateView(try stored.store.snapshot(), depth: stored.depth).accountTrie
            var bytes = 0
            for edge in edges {
                var proof = ProofNodes()
                // One for both edges, as for an answer.
                var prover = TrieProver()
                try prover.prove(edge.first, upper: stored.crown, source: &accounts, into: &proof)
                try prover.prove(edge.last, upper: stored.crown, source: &accounts, into: &proof)
                guard let root = proof.nodes.first, root == stored.crown.nodes.first, proof.count > 6 else {
                    throw BenchError.wrongResult(workload: "range.prove", what: "nodes are missing")
                }
                bytes += proof.byteCount
            }
            sizes[thread] = bytes
        }
        return Work(items: threads * edges.count, bytes: sizes.all.reduce(0, +))
    }
}
