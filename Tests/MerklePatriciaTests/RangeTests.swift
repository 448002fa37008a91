import MerklePatricia
import Primitives
import Testing

@Suite("Ranges: completeness") struct RangeAcceptTests {
    /// The records a range must show: of the branches inside those that are no twig's, and all across its ends.
    private func records(_ trie: MemoryTrie, _ first: Bytes32, _ last: Bytes32) -> BranchColumns {
        let leaves = trie.columns
        var columns = BranchColumns()
        for (path, node) in MemoryTrie(leaves, twigLeaves: 0).branches
        where path.highestKey >= first && path.lowestKey <= last {
            let isInside = first <= path.lowestKey && path.highestKey <= last
            guard !isInside || leaves.slice(under: path).count > MerklePatriciaLimits.twigLeaves else { continue }
            columns.append(path: path, node: node)
        }
        return columns
    }

    @Test("A true range with the proofs of both its ends is accepted", arguments: KeySpace.allCases)
    func accepted(space: KeySpace) throws {
        for seed in UInt64(0)..<150 {
            var generator = SeededGenerator(seed: seed)
            let trie = MemoryTrie(space.leaves(Int(seed) % 70, &generator))
            for _ in 0..<6 {
                let (first, last) = Bounds.draw(trie, space, &generator)
                let leaves = trie.columns(from: first, through: last)
                let result = try RangeVerifier.verify(
                    root: trie.root, proof: try proof(trie, first, last), leaves: leaves, first: first, last: last)
                let comment: Comment = "seed \(seed) \(first)…\(last)"
                #expect(result.branches == records(trie, first, last), comment)
                #expect(result.moreAfter == trie.leaves.contains { $0.key > last }, comment)
            }
        }
    }

    @Test("The proof may be had through the crown, and is the same", arguments: [0, 1, 2, 3])
    func throughCrown(depth: Int) throws {
        for space in KeySpace.allCases {
            for seed in UInt64(300)..<310 {
                var generator = SeededGenerator(seed: seed)
                let trie = MemoryTrie(space.leaves(40, &generator))
                let crown = Crown(sections: sections(of: trie.columns, depth: depth), depth: depth)
                // Below the crown a store has the records of the sections only.
                for _ in 0..<10 {
                    let (first, last) = Bounds.draw(trie, space, &generator)
                    let all = try proof(trie, first, last)
                    #expect(try proof(trie, first, last, upper: crown) == all, "\(space) seed \(seed)")
                }
            }
        }
    }

    @Test("Without a proof the whole keyspace can be shown, and nothing less")
    func whole() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(100))
        let leaves = trie.columns
        let result = try RangeVerifier.verify(root: trie.root, proof: [], leaves: leaves, first: .zero, last: .max)
        #expect(result.branches.count == trie.branches.count)
        #expect(throws: ProofError.missingNode(.root)) {
            try RangeVerifier.verify(
                root: trie.root, proof: [], leaves: leaves, first: .zero, last: leaves.keys[leaves.count - 1])
        }
    }

    @Test("A proof of a section's ends need only hold the nodes above it")
    func minimal() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(3_000))
        let crown = Crown(sections: sections(of: trie.columns, depth: 2), depth: 2)
        for index in [0, 0x7f, 0xff] {
            let section = Nibbles(section: index, depth: 2)
            let leaves = trie.columns(from: section.lowestKey, through: section.highestKey)
            let result = try RangeVerifier.verify(
                root: trie.root, proof: try crown.proofNodes(forSection: index), leaves: leaves,
                first: section.lowestKey, last: section.highestKey)
            #expect(result.moreAfter == (index != 0xff))
        }
    }

    @Test("Ranges of many batches: whole, and cut in the middle; a leaf changed anywhere is found")
    func large() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(30_000))
        let leaves = trie.columns
        for range in [0..<30_000, 1..<29_999, 5_000..<24_000, 11_111..<20_500] {
            let (first, last) = (leaves.keys[range.lowerBound], leaves.keys[range.upperBound - 1])
            let nodes = try proof(trie, first, last)
            let part = LeafColumns(Array(leaves.rows[range]))
            let verified = try RangeVerifier.verify(
                root: trie.root, proof: nodes, leaves: part, first: first, last: last)
            #expect(verified.branches == records(trie, first, last))
            for changed in [0, range.count / 3, range.count - 1] {
                var rows = part.rows
                rows[changed].1[3] ^= 1
                #expect(throws: ProofError.self) {
                    try RangeVerifier.verify(
                        root: trie.root, proof: nodes, leaves: LeafColumns(rows), first: first, last: last)
                }
            }
        }
    }

    @Test("The empty trie has no leaf anywhere, and needs no proof")
    func empty() throws {
        let none = LeafColumns()
        let result = try RangeVerifier.verify(
            root: Subtree.emptyRoot, proof: [], leaves: none, first: .zero, last: .max)
        #expect(result.branches.isEmpty && !result.moreAfter)
        #expect(throws: ProofError.leavesDiffer(.root)) {
            try RangeVerifier.verify(
                root: Subtree.emptyRoot, proof: [], leaves: LeafColumns([(.zero, [1])]), first: .zero, last: .max)
        }
        #expect(throws: ProofError.unusedNode) {
            try RangeVerifier.verify(
                root: Subtree.emptyRoot, proof: [[0x80]], leaves: none, first: .zero, last: .max)
        }
    }
}

/// Ends of ranges: keys of the trie and their neighbours, path ends, keys of no leaf, the ends of the ring.
enum Bounds {
    static func draw(
        _ trie: MemoryTrie, _ space: KeySpace, _ generator: inout SeededGenerator
    ) -> (Bytes32, Bytes32) {
        let one = key(trie, space, &generator)
        let other = key(trie, space, &generator)
        return (min(one, other), max(one, other))
    }

    private static func key(
        _ trie: MemoryTrie, _ space: KeySpace, _ generator: inout SeededGenerator
    ) -> Bytes32 {
        let known = trie.leaves.randomElement(using: &generator)?.key ?? .zero
        switch Int.random(in: 0..<9, using: &generator) {
        case 0: return .zero
        case 1: return .max
        case 2: return known.successor ?? known
        case 3: return known.predecessor ?? known
        case 4: return space.key(&generator)
        case 5: return Nibbles(known, count: Int.random(in: 0...64, using: &generator)).lowestKey
        case 6: return Nibbles(known, count: Int.random(in: 0...64, using: &generator)).highestKey
        default: return known
        }
    }
}

@Suite("Ranges: soundness") struct RangeRefuseTests {
    /// A true range, and what may be done to it.
    private struct Claim {
        var root: Bytes32
        var proof: [[UInt8]]
        var rows: [(Bytes32, [UInt8])]
        var first: Bytes32
        var last: Bytes32

        func verify() throws(ProofError) {
            _ = try RangeVerifier.verify(
                root: root, proof: proof, leaves: LeafColumns(rows), first: first, last: last)
        }

        var isAccepted: Bool { (try? verify()) != nil }
    }

    private func claim(_ space: KeySpace, _ seed: UInt64, _ generator: inout SeededGenerator) throws -> Claim {
        let trie = MemoryTrie(space.leaves(2 + Int(seed) % 60, &generator))
        let (first, last) = Bounds.draw(trie, space, &generator)
        return Claim(
            root: trie.root, proof: try proof(trie, first, last),
            rows: trie.columns(from: first, through: last).rows, first: first, last: last)
    }

    @Test("No leaf can be left out, added, changed or moved", arguments: KeySpace.allCases)
    func leaves(space: KeySpace) throws {
        for seed in UInt64(0)..<120 {
            var generator = SeededGenerator(seed: seed)
            let good = try claim(space, seed, &generator)
            #expect(good.isAccepted)
            for index in good.rows.indices {
                var bad = good
                bad.rows.remove(at: index)
                #expect(!bad.isAccepted, "dropped \(index), seed \(seed)")
                bad = good
                bad.rows[index].1[0] ^= 1
                #expect(!bad.isAccepted, "value \(index), seed \(seed)")
                bad = good
                bad.rows[index].1.append(0)
                #expect(!bad.isAccepted, "longer \(index), seed \(seed)")
                for moved in [good.rows[index].0.successor, good.rows[index].0.predecessor].compactMap({ $0 }) {
                    bad = good
                    bad.rows[index].0 = moved
                    #expect(!bad.isAccepted, "moved \(index), seed \(seed)")
                }
                bad = good
                bad.rows.insert(bad.rows[index], at: index)
                #expect(throws: ProofError.unsortedLeaves) { try bad.verify() }
                guard index > 0 else { continue }
                bad = good
                bad.rows.swapAt(index, index - 1)
                #expect(throws: ProofError.unsortedLeaves) { try bad.verify() }
                bad = good
                (bad.rows[index].1, bad.rows[index - 1].1) = (bad.rows[index - 1].1, bad.rows[index].1)
                #expect(!bad.isAccepted || bad.rows[index].1 == good.rows[index].1, "values of \(index), seed \(seed)")
            }
            for _ in 0..<10 {
                let extra = space.key(&generator)
                guard good.first <= extra, extra <= good.last, !good.rows.contains(where: { $0.0 == extra })
                else { continue }
                var bad = good
                bad.rows.append((extra, [1]))
                bad.rows.sort { $0.0 < $1.0 }
                #expect(!bad.isAccepted, "extra \(extra), seed \(seed)")
            }
            if good.rows.count > 1 {
                var bad = good
                bad.rows = []
                #expect(!bad.isAccepted, "all dropped, seed \(seed)")
            }
        }
    }

    @Test("A range may not be said to be longer than it is", arguments: KeySpace.allCases)
    func bounds(space: KeySpace) throws {
        for seed in UInt64(500)..<560 {
            var generator = SeededGenerator(seed: seed)
            let trie = MemoryTrie(space.leaves(40, &generator))
            let (first, last) = Bounds.draw(trie, space, &generator)
            let leaves = trie.columns(from: first, through: last)
            for _ in 0..<20 {
                // The liar gives a true proof of the wider ends, and the leaves of the narrower range.
                let wider = (min(first, space.key(&generator)), max(last, space.key(&generator)))
                let claim = Claim(
                    root: trie.root, proof: try proof(trie, wider.0, wider.1), rows: leaves.rows, first: wider.0,
                    last: wider.1)
                let isTrue = trie.columns(from: wider.0, through: wider.1) == leaves
                #expect(claim.isAccepted == isTrue, "seed \(seed)")
            }
        }
    }

    @Test("No proof node can be changed, no needed one left out, none added", arguments: KeySpace.allCases)
    func nodes(space: KeySpace) throws {
        for seed in UInt64(0)..<80 {
            var generator = SeededGenerator(seed: seed)
            let good = try claim(space, seed, &generator)
            for index in good.proof.indices {
                for _ in 0..<4 {
                    var bad = good
                    let place = Int.random(in: 0..<bad.proof[index].count, using: &generator)
                    bad.proof[index][place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    // A node that was only allowed is now one that nothing leads to.
                    #expect(!bad.isAccepted, "bit of node \(index), seed \(seed)")
                }
                var bad = good
                bad.proof.append(good.proof[index])
                #expect(throws: ProofError.repeatedNode) { try bad.verify() }
                bad = good
                bad.proof.remove(at: index)
                // Left out, it was either needed, or only allowed: then what hangs on it must go too.
                if bad.isAccepted {
                    #expect(try isOptional(good.proof[index], good), "node \(index), seed \(seed)")
                }
            }
            var bad = good
            bad.proof.append([0xc2, 0x20, 0x05])
            #expect(throws: ProofError.unusedNode) { try bad.verify() }
            bad.proof.insert([UInt8](repeating: 0, count: 2_000), at: 0)
            #expect(throws: ProofError.malformedNode(.tooLarge)) { try bad.verify() }
            bad = good
            bad.root = Bytes32(good.root.word0 ^ 1, good.root.word1, good.root.word2, good.root.word3)
            #expect(!bad.isAccepted)
        }
    }

    /// Whether a node lies wholly inside the range, so that the leaves alone give it.
    private func isOptional(_ node: [UInt8], _ claim: Claim) throws -> Bool {
        var inside: Set<[UInt8]> = []
        let whole = MemoryTrie(LeafColumns(claim.rows), twigLeaves: 0)
        for (key, value) in claim.rows {
            for depth in 0...64 {
                let path = Nibbles(key, count: depth)
                guard claim.first <= path.lowestKey, path.highestKey <= claim.last else { continue }
                inside.insert(TrieNode.leaf(suffix: Nibbles(key).dropFirst(depth), value: value).encoded)
            }
        }
        for (path, record) in whole.branches where claim.first <= path.lowestKey && path.highestKey <= claim.last {
            inside.insert(record)
            for depth in 0..<path.count {
                let above = Nibbles(path.lowestKey, count: depth)
                guard claim.first <= above.lowestKey, above.highestKey <= claim.last else { continue }
                let child = NodeReference(encodedNode: record)
                inside.insert(TrieNode.extension(path: path.dropFirst(depth), child: child).encoded)
            }
        }
        return inside.contains(node)
    }

    @Test("Ill-formed claims are refused by name")
    func named() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(50))
        let keys = trie.leaves.map(\.key)
        let nodes = try proof(trie, keys[10], keys[20])
        let leaves = trie.columns(from: keys[10], through: keys[20])
        func verify(_ leaves: LeafColumns, _ first: Bytes32, _ last: Bytes32) throws(ProofError) {
            _ = try RangeVerifier.verify(root: trie.root, proof: nodes, leaves: leaves, first: first, last: last)
        }
        #expect(throws: ProofError.boundsReversed) { try verify(leaves, keys[20], keys[10]) }
        #expect(throws: ProofError.leafOutsideRange) { try verify(leaves, keys[11], keys[20]) }
        #expect(throws: ProofError.leafOutsideRange) { try verify(leaves, keys[10], keys[19]) }
        var rows = leaves.rows
        rows[3].1 = []
        #expect(throws: ProofError.emptyValue) { try verify(LeafColumns(rows), keys[10], keys[20]) }
    }

    @Test("What no correct trie has is refused even under its own root")
    func impossible() throws {
        let value = [UInt8](repeating: 1, count: 40)
        func root(_ nodes: [[UInt8]]) -> Bytes32 { Keccak.hash(nodes[0]) }
        func expect(
            _ error: TrieNodeError, _ nodes: [[UInt8]], from first: Bytes32 = Bytes32(1, 0, 0, 0),
            through last: Bytes32 = Bytes32(2, 0, 0, 0)
        ) {
            #expect(throws: ProofError.malformedNode(error)) {
                try RangeVerifier.verify(
                    root: root(nodes), proof: nodes, leaves: LeafColumns(), first: first, last: last)
            }
        }
        // A leaf that ends too early.
        expect(.pathLength, [TrieNode.leaf(suffix: Nibbles(.zero, count: 20), value: value).encoded])
        // An extension to a leaf.
        let leaf = TrieNode.leaf(suffix: Nibbles(.zero, count: 62), value: value).encoded
        let above = TrieNode.extension(path: Nibbles(.zero, count: 2), child: NodeReference(encodedNode: leaf)).encoded
        expect(.extensionChild, [above, leaf])
        // A short node named by its hash.
        let twins = MemoryTrie(LeafColumns([(.zero, [1]), (Bytes32(0, 0, 0, 1), [1])]), twigLeaves: 0)
        let short = twins.branches[0].node
        let over = TrieNode.extension(path: Nibbles(.zero, count: 63), child: .hash(Keccak.hash(short))).encoded
        #expect(short.count < 32)
        expect(.shortNode, [over, short], from: Bytes32(0, 0, 0, 1), through: Bytes32(0, 0, 0, 2))
        // An extension over an extension, the inner one inside the range so that it is not even read.
        let key = Bytes32.zero
        let next = Bytes32(0, 0, 0, 1)
        let pair = LeafColumns([(key, value), (next, value)])
        let inner = try #require(TrieBuilder.subtree(of: pair, in: 0..<2).reference(at: 2))
        let outer = TrieNode.extension(path: Nibbles(.zero, count: 2), child: inner).encoded
        #expect(throws: ProofError.malformedNode(.extensionChild)) {
            try RangeVerifier.verify(
                root: Keccak.hash(outer), proof: [outer], leaves: pair, first: .zero,
                last: Nibbles(.zero, count: 2).highestKey)
        }
    }
}
