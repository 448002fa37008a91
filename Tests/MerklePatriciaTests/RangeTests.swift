import Primitives
import Testing

@testable import MerklePatricia

/// A true claim about a range, to be spoiled.
private struct Claim {
    var root: Bytes32
    var proof: [[UInt8]]
    var leaves: LeafColumns
    var first: Bytes32
    var last: Bytes32

    /// Ends on keys, beside keys, anywhere, or at the ends of the ring.
    init(_ trie: MemoryTrie, _ clusters: inout Clusters) throws {
        func end(_ fallback: Bytes32, _ clusters: inout Clusters) -> Bytes32 {
            guard let key = trie.leaves.randomElement(using: &clusters.generator)?.key else { return fallback }
            switch clusters.below(6) {
            case 0: return fallback
            case 1: return clusters.key()
            case 2: return key.successor ?? key
            case 3: return key.predecessor ?? key
            default: return key
            }
        }
        let (a, b) = (end(.zero, &clusters), end(.max, &clusters))
        first = min(a, b)
        last = max(a, b)
        root = trie.root
        leaves = trie.columns(from: first, through: last)
        proof = try MerklePatriciaTests.proof(trie, first, last)
    }

    func verify(_ rule: ProofRule = .exact) throws(ProofError) -> VerifiedRange {
        try RangeVerifier.verify(root: root, proof: proof, leaves: leaves, first: first, last: last, rule: rule)
    }

    var rows: [(key: Bytes32, value: [UInt8])] {
        get { (0..<leaves.count).map { (leaves.keys[$0], leaves.value(at: $0)) } }
        set { leaves = columns(newValue) }
    }
}

@Suite struct RangeTests {
    private func forEachClaim(
        _ seeds: UInt64, _ body: (MemoryTrie, Claim, inout Clusters, String) throws -> Void
    ) throws {
        for seed in 1...seeds {
            var clusters = Clusters(seed: seed, centres: 1 + Int(seed % 5))
            let count = clusters.below(80)
            let trie = MemoryTrie(clusters.leaves(count))
            for round in 0..<8 {
                try body(trie, try Claim(trie, &clusters), &clusters, "seed \(seed) round \(round)")
            }
        }
    }

    /// True claims are taken, with what comes after and every branch that lies in the range or across its ends.
    @Test func acceptsWhatIsTrue() throws {
        try forEachClaim(250) { trie, claim, _, note in
            let verified = try claim.verify()
            #expect(verified.moreAfter == (trie.leaves.last.map { $0.key > claim.last } ?? false), "\(note)")
            let expected = trie.branches.filter {
                $0.path.highestKey >= claim.first && $0.path.lowestKey <= claim.last
            }
            #expect(verified.branches.paths == expected.map { $0.path }, "\(note)")
            let nodes = (0..<verified.branches.count).map { verified.branches.node(at: $0) }
            #expect(nodes == expected.map { $0.node }, "\(note)")
        }
    }

    /// Leaves left out, added, changed, moved or swapped: the leaves differ, whichever they are.
    @Test func refusesEveryWrongLeaf() throws {
        func expectDiffers(_ claim: Claim, _ note: String) {
            do {
                _ = try claim.verify()
                Issue.record("accepted: \(note)")
            } catch {
                if case .leavesDiffer = error { return }
                Issue.record("\(error): \(note)")
            }
        }
        try forEachClaim(250) { _, claim, clusters, note in
            let rows = claim.rows
            for index in Set([0, rows.count - 1, clusters.below(rows.count + 1)]) where rows.indices.contains(index) {
                var wrong = claim
                wrong.rows.remove(at: index)
                expectDiffers(wrong, "dropped \(index), \(note)")
                wrong = claim
                wrong.rows[index].value[0] ^= 1
                if wrong.rows[index].value != [0] { expectDiffers(wrong, "changed \(index), \(note)") }
                wrong = claim
                wrong.rows[index].value.append(1)
                expectDiffers(wrong, "lengthened \(index), \(note)")
                let next = index + 1 < rows.count ? rows[index + 1].key : claim.last.successor ?? .max
                if let key = rows[index].key.successor, key < next {
                    wrong = claim
                    wrong.rows[index].key = key
                    expectDiffers(wrong, "moved \(index), \(note)")
                    wrong = claim
                    wrong.rows.insert((key, [1, 2, 3]), at: index + 1)
                    expectDiffers(wrong, "added after \(index), \(note)")
                }
                if index > 0, rows[index].value != rows[index - 1].value {
                    wrong = claim
                    wrong.rows[index].value = rows[index - 1].value
                    wrong.rows[index - 1].value = rows[index].value
                    expectDiffers(wrong, "swapped \(index), \(note)")
                }
            }
            if rows.isEmpty {
                var wrong = claim
                wrong.rows = [(claim.first, [1, 2, 3])]
                expectDiffers(wrong, "added to none, \(note)")
            }
        }
    }

    /// A proof with a node less, one more, one twice, or one bit turned.
    @Test func refusesEveryWrongProof() throws {
        try forEachClaim(250) { _, claim, clusters, note in
            let verified = try claim.verify()
            var wrong = claim
            wrong.proof.append([0xc2, 0x20, 0x01])
            #expect(throws: ProofError.unusedNode, "\(note)") { try wrong.verify() }
            #expect(try wrong.verify(.tolerant) == verified, "\(note)")
            guard !claim.proof.isEmpty else { return }
            let index = clusters.below(claim.proof.count)
            wrong = claim
            wrong.proof.append(claim.proof[index])
            #expect(throws: ProofError.repeatedNode, "\(note)") { try wrong.verify() }
            #expect(try wrong.verify(.tolerant) == verified, "\(note)")
            wrong = claim
            wrong.proof.shuffle(using: &clusters.generator)
            #expect(try wrong.verify() == verified, "\(note)")

            wrong = claim
            wrong.proof.remove(at: index)
            try expectLess(wrong, verified, note)
            wrong = claim
            let byte = clusters.below(claim.proof[index].count)
            wrong.proof[index][byte] ^= 1 << UInt8(clusters.below(8))
            do {
                _ = try wrong.verify()
                Issue.record("accepted a turned bit: \(note)")
            } catch ProofError.missingNode {
            } catch ProofError.unusedNode {
            } catch {
                Issue.record("\(error): \(note)")
            }
        }
    }

    /// Without a node that is not needed the claim is as true as before; without another it must fail.
    private func expectLess(_ claim: Claim, _ verified: VerifiedRange, _ note: String) throws {
        do {
            #expect(try claim.verify() == verified, "\(note)")
        } catch ProofError.missingNode {
            #expect(throws: ProofError.self, "\(note)") { try claim.verify(.tolerant) }
        } catch ProofError.unusedNode {
            #expect(try claim.verify(.tolerant) == verified, "\(note)")
        }
    }

    /// Ranges whose ends are subtrees' ends need no more than the nodes above.
    @Test func sectionsNeedOnlyTheCrown() throws {
        let trie = MemoryTrie(workload(3_000))
        for index in [0, 7, 15] {
            let path = Nibbles(section: index, depth: 1)
            let leaves = trie.columns(from: path.lowestKey, through: path.highestKey)
            let root = trie.branches[0].node
            let verified = try RangeVerifier.verify(
                root: trie.root, proof: [root], leaves: leaves, first: path.lowestKey, last: path.highestKey)
            #expect(verified.moreAfter == (index < 15))
        }
        let whole = try RangeVerifier.verify(
            root: trie.root, proof: [], leaves: trie.columns, first: .zero, last: .max)
        #expect(whole.branches.count == trie.branches.count)
    }

    @Test func exactErrors() throws {
        let trie = MemoryTrie(workload(100))
        let (first, last) = (trie.leaves[20].key, trie.leaves[30].key)
        let leaves = trie.columns(from: first, through: last)
        let nodes = try proof(trie, first, last)
        func verify(
            root: Bytes32? = nil, proof: [[UInt8]]? = nil, leaves own: LeafColumns? = nil, first a: Bytes32? = nil,
            last b: Bytes32? = nil
        ) throws {
            _ = try RangeVerifier.verify(
                root: root ?? trie.root, proof: proof ?? nodes, leaves: own ?? leaves, first: a ?? first,
                last: b ?? last)
        }
        try verify()
        #expect(throws: ProofError.boundsReversed) { try verify(first: last, last: first) }
        #expect(throws: ProofError.missingNode(.root)) { try verify(proof: []) }
        #expect(throws: ProofError.missingNode(.root)) { try verify(root: Bytes32(1, 2, 3, 4)) }
        #expect(throws: ProofError.leavesDiffer(.root)) { try verify(root: Subtree.emptyRoot) }
        #expect(throws: ProofError.unusedNode) { try verify(root: Subtree.emptyRoot, leaves: LeafColumns()) }
        #expect(throws: ProofError.leavesDiffer(.root)) {
            try verify(root: Bytes32(1, 2, 3, 4), proof: [], first: .zero, last: .max)
        }
        #expect(throws: ProofError.leafOutsideRange) { try verify(first: first.successor) }
        #expect(throws: ProofError.leafOutsideRange) { try verify(last: last.predecessor) }
        let rows = trie.leaves[20...30].map { $0 }
        #expect(throws: ProofError.unsortedLeaves) { try verify(leaves: columns(rows.reversed())) }
        #expect(throws: ProofError.unsortedLeaves) { try verify(leaves: columns([rows[0], rows[0]])) }
        #expect(throws: ProofError.emptyValue) { try verify(leaves: columns([(rows[0].key, [])])) }
    }

    /// A proof is the list of nodes on the path: as the reference trie has them, for keys there and not there.
    @Test func proofsAreThoseOfTheReference() throws {
        for seed in UInt64(1)...100 {
            var clusters = Clusters(seed: seed)
            let count = 1 + clusters.below(40)
            let leaves = clusters.leaves(count)
            var trie = MemoryTrie(leaves)
            let plain = reference(leaves)
            for key in leaves.keys.prefix(5) + [clusters.key(), clusters.key(), clusters.randomKey()] {
                var proof = ProofNodes()
                try TrieProver.prove(key, upper: nil, source: &trie, into: &proof)
                #expect(proof.nodes == plain.proof(for: key.bytes), "seed \(seed) key \(key)")
            }
        }
    }
}
