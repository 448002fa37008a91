import MerklePatricia
import Primitives
import Testing

@Suite("Crown and section proofs") struct CrownTests {
    @Test("A section hash cut from the crown is the hash of the section's own leaves", arguments: KeySpace.allCases)
    func sectionHashes(space: KeySpace) throws {
        for seed in UInt64(0)..<60 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(Int(seed), &generator)
            for depth in 0...3 {
                // All sections of depth 3 are many: they are compared in some of the rounds.
                if depth == 3 && !seed.isMultiple(of: 6) { continue }
                let parts = sections(of: leaves, depth: depth)
                let crown = Crown(sections: parts, depth: depth)
                #expect(crown.root == TrieBuilder.root(of: leaves), "seed \(seed), depth \(depth)")
                for (index, part) in parts.enumerated() {
                    let hash = part.hash(at: depth)
                    #expect(try crown.sectionHash(index) == hash, "seed \(seed), depth \(depth), \(index)")
                    let nodes = try crown.proofNodes(forSection: index)
                    let proven = try SectionProof.sectionHash(
                        root: crown.root, proof: nodes, section: Nibbles(section: index, depth: depth))
                    #expect(proven == hash)
                }
            }
        }
    }

    @Test("A section hash is the root of its leaves with the depth's nibbles stripped")
    func stripped() throws {
        for space in KeySpace.allCases {
            var generator = SeededGenerator(seed: 77)
            let leaves = space.leaves(40, &generator)
            let crown = Crown(sections: sections(of: leaves, depth: 2), depth: 2)
            for index in 0..<256 {
                let path = Nibbles(section: index, depth: 2)
                var trie = ReferenceTrie()
                for (key, value) in leaves.rows where path.contains(key) { trie[Array(key.bytes.dropFirst())] = value }
                #expect(try crown.sectionHash(index) == trie.root)
            }
        }
    }

    @Test("A neighbour that empties merges the nodes above, and leaves the section's hash")
    func neighbours() throws {
        for space in KeySpace.allCases {
            for seed in UInt64(0)..<30 {
                var generator = SeededGenerator(seed: seed)
                let leaves = space.leaves(25, &generator)
                var parts = sections(of: leaves, depth: 2)
                let kept = try #require(parts.firstIndex { $0 != .empty })
                let hash = parts[kept].hash(at: 2)
                for index in parts.indices.shuffled(using: &generator) where index != kept && parts[index] != .empty {
                    parts[index] = .empty
                    let crown = Crown(sections: parts, depth: 2)
                    #expect(try crown.sectionHash(kept) == hash)
                    #expect(try crown.sectionHash(index) == Subtree.emptyRoot)
                }
            }
        }
    }

    @Test("The nodes are the ones that the oracle's proofs have above the depth", arguments: KeySpace.allCases)
    func nodes(space: KeySpace) throws {
        for seed in UInt64(0)..<10 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(30, &generator)
            let reference = leaves.reference
            for depth in 1...2 {
                let crown = Crown(sections: sections(of: leaves, depth: depth), depth: depth)
                for index in 0..<crown.sectionCount {
                    let section = Nibbles(section: index, depth: depth)
                    let whole = reference.proof(for: section.lowestKey.bytes)
                    let own = try crown.proofNodes(forSection: index)
                    #expect(Array(whole.prefix(own.count)) == own, "seed \(seed)")
                }
            }
        }
    }

    @Test("A crown comes back from its nodes; one too few or too many is refused", arguments: KeySpace.allCases)
    func decoding(space: KeySpace) throws {
        for seed in UInt64(0)..<20 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(40, &generator)
            let depth = Int(seed) % 4
            let parts = sections(of: leaves, depth: depth)
            let crown = Crown(sections: parts, depth: depth)
            let shuffled = crown.nodes.shuffled(using: &generator)
            let read = try Crown(decoding: shuffled, root: crown.root, depth: depth)
            #expect(read.nodes == crown.nodes)
            for index in crown.nodes.indices {
                var nodes = crown.nodes
                nodes.remove(at: index)
                #expect(throws: ProofError.self) { try Crown(decoding: nodes, root: crown.root, depth: depth) }
                nodes = crown.nodes
                nodes[index][nodes[index].count - 1] ^= 1
                #expect(throws: ProofError.self) { try Crown(decoding: nodes, root: crown.root, depth: depth) }
                nodes = crown.nodes + [crown.nodes[index]]
                #expect(throws: ProofError.repeatedNode) {
                    try Crown(decoding: nodes, root: crown.root, depth: depth)
                }
            }
            #expect(throws: ProofError.unusedNode) {
                try Crown(decoding: crown.nodes + [[0xc2, 0x20, 1]], root: crown.root, depth: depth)
            }
        }
        #expect(throws: ProofError.depth(5)) { try Crown(decoding: [], root: Subtree.emptyRoot, depth: 5) }
        #expect(throws: ProofError.depth(-1)) { try Crown(decoding: [], root: Subtree.emptyRoot, depth: -1) }
        let none = try Crown(decoding: [], root: Subtree.emptyRoot, depth: 1)
        #expect(try none.sectionHash(3) == Subtree.emptyRoot)
    }

    @Test("A partial crown answers for its sections and says so for others")
    func partial() throws {
        let leaves = SampleLeaves.leaves(4_000)
        let parts = sections(of: leaves, depth: 2)
        let crown = Crown(sections: parts, depth: 2)
        var union = ProofNodes()
        let covered = [3, 0x40, 0x4f]
        for index in covered {
            for node in try crown.proofNodes(forSection: index) { union.insert(node) }
        }
        #expect(union.count == 3)
        let partial = try Crown(pathProof: union.nodes, root: crown.root, depth: 2, sections: covered)
        for index in covered { #expect(try partial.sectionHash(index) == parts[index].hash(at: 2)) }
        // 0x41 hangs on the same branch as 0x40; 0x50 does not.
        #expect(try partial.sectionHash(0x41) == parts[0x41].hash(at: 2))
        #expect(throws: ProofError.unknownSection(0x50)) { try partial.sectionHash(0x50) }
        #expect(throws: ProofError.unknownSection(256)) { try partial.sectionHash(256) }
        #expect(throws: ProofError.unknownSection(-1)) { try crown.sectionHash(-1) }
        #expect(throws: ProofError.missingNode(Nibbles(section: 5, depth: 1))) {
            try Crown(pathProof: union.nodes, root: crown.root, depth: 2, sections: covered + [0x50])
        }
        #expect(throws: ProofError.unusedNode) {
            try Crown(pathProof: union.nodes, root: crown.root, depth: 2, sections: [3])
        }
        var source = MemoryTrie(leaves)
        var nodes = ProofNodes()
        #expect(throws: ProofError.unknownSection(0x50)) {
            var prover = TrieProver()
            try prover.prove(
                Nibbles(section: 0x50, depth: 2).lowestKey, upper: partial, source: &source, into: &nodes)
        }
    }

    @Test("A section proof takes exactly its nodes")
    func exact() throws {
        let leaves = SampleLeaves.leaves(2_000)
        let crown = Crown(sections: sections(of: leaves, depth: 2), depth: 2)
        let section = Nibbles(section: 0x21, depth: 2)
        let nodes = try crown.proofNodes(forSection: 0x21)
        #expect(nodes.count == 2)
        func hash(_ proof: [[UInt8]]) throws(ProofError) -> Bytes32 {
            try SectionProof.sectionHash(root: crown.root, proof: proof, section: section)
        }
        #expect(try hash(nodes.reversed()) == crown.sectionHash(0x21))
        #expect(throws: ProofError.missingNode(.root)) { try hash([]) }
        #expect(throws: ProofError.missingNode(Nibbles(section: 2, depth: 1))) { try hash([nodes[0]]) }
        #expect(throws: ProofError.repeatedNode) { try hash(nodes + [nodes[0]]) }
        #expect(throws: ProofError.unusedNode) { try hash(nodes + crown.proofNodes(forSection: 0x31).suffix(1)) }
    }
}

@Suite("Prover") struct ProverTests {
    @Test("A proof is the oracle's proof, whether the key is there or not", arguments: KeySpace.allCases)
    func oracle(space: KeySpace) throws {
        for seed in UInt64(0)..<50 {
            var generator = SeededGenerator(seed: seed)
            let leaves = space.leaves(Int(seed), &generator)
            let reference = leaves.reference
            let trie = MemoryTrie(leaves)
            let absent = (0..<10).map { _ in space.key(&generator) }
            for key in leaves.keys + absent + [.zero, .max] {
                #expect(try proof(trie, key) == reference.proof(for: key.bytes), "seed \(seed), key \(key)")
            }
        }
    }

    @Test("Nodes that two proofs share stand once")
    func shared() throws {
        let trie = MemoryTrie(SampleLeaves.leaves(100))
        let key = trie.leaves[0].key
        #expect(try proof(trie, key, key) == proof(trie, key))
    }
}
