import Primitives
import Testing

@testable import MerklePatricia

@Suite struct CrownTests {
    private func forEachCrown(
        _ seeds: UInt64, _ body: (MemoryTrie, Crown, inout Clusters, String) throws -> Void
    ) throws {
        for seed in 1...seeds {
            // Few leaves in few clusters: leaves and extensions across the depth, sections without leaves.
            var clusters = Clusters(seed: seed, centres: 1 + Int(seed % 3))
            let count = [0, 1, 2, 5, 40][clusters.below(5)]
            let trie = MemoryTrie(clusters.leaves(count))
            for depth in 0...3 {
                let crown = Crown(sections: sections(trie.columns, depth: depth), depth: depth)
                try body(trie, crown, &clusters, "seed \(seed) depth \(depth)")
            }
        }
    }

    @Test func joinsTheSectionsToTheRoot() throws {
        try forEachCrown(60) { trie, crown, _, note in
            #expect(crown.root == trie.root, "\(note)")
            let parts = sections(trie.columns, depth: crown.depth)
            for (index, part) in parts.enumerated() where part != .empty || index.isMultiple(of: 37) {
                let hash = try crown.sectionHash(index)
                #expect(hash == part.hash(at: crown.depth), "\(note)")
            }
        }
    }

    /// A trie of many leaves, where all nodes above the depth are branches.
    @Test func fullCrown() throws {
        let leaves = workload(20_000)
        for (depth, nodes) in [(0, 0), (1, 1), (2, 17), (3, 273)] {
            let crown = Crown(sections: sections(leaves, depth: depth), depth: depth)
            #expect(crown.nodes.count == nodes)
            #expect(crown.sectionCount == 1 << (4 * depth))
            #expect(crown.root == TrieBuilder.root(of: leaves))
            let read = try Crown(decoding: crown.nodes.reversed(), root: crown.root, depth: depth)
            #expect(read.nodes == crown.nodes)
            #expect(read.byteCount == crown.nodes.reduce(0) { $0 + $1.count })
        }
    }

    @Test func readsItsOwnNodesAndNoOthers() throws {
        try forEachCrown(60) { _, crown, clusters, note in
            func read(_ nodes: [[UInt8]]) throws(ProofError) -> Crown {
                try Crown(decoding: nodes, root: crown.root, depth: crown.depth)
            }
            let again = try read(crown.nodes)
            #expect(again.nodes == crown.nodes, "\(note)")
            #expect(throws: ProofError.unusedNode, "\(note)") { try read(crown.nodes + [[0xc2, 0x20, 0x01]]) }
            guard !crown.nodes.isEmpty else { return }
            let index = clusters.below(crown.nodes.count)
            #expect(throws: ProofError.repeatedNode, "\(note)") { try read(crown.nodes + [crown.nodes[index]]) }
            var nodes = crown.nodes
            nodes[index][clusters.below(nodes[index].count)] ^= 1 << UInt8(clusters.below(8))
            expectMissing("turned bit, \(note)") { () throws(ProofError) in _ = try read(nodes) }
            nodes = crown.nodes
            nodes.remove(at: index)
            expectMissing("dropped, \(note)") { () throws(ProofError) in _ = try read(nodes) }
        }
    }

    private func expectMissing(_ note: String, _ body: () throws(ProofError) -> Void) {
        do {
            try body()
            Issue.record("accepted: \(note)")
        } catch {
            if case .missingNode = error { return }
            Issue.record("\(error): \(note)")
        }
    }

    /// The path proof of a section gives its hash, and nothing in it can be left out or added.
    @Test func sectionProofs() throws {
        try forEachCrown(60) { _, crown, clusters, note in
            for _ in 0..<10 {
                let index = clusters.below(crown.sectionCount)
                let section = Nibbles(section: index, depth: crown.depth)
                let path = try crown.proofNodes(forSection: index)
                func hash(_ nodes: [[UInt8]]) throws(ProofError) -> Bytes32 {
                    try SectionProof.sectionHash(root: crown.root, proof: nodes, section: section)
                }
                #expect(try hash(path) == crown.sectionHash(index), "\(note)")
                #expect(throws: ProofError.unusedNode, "\(note)") { try hash(path + [[0xc2, 0x20, 0x01]]) }
                guard !path.isEmpty else { continue }
                let node = clusters.below(path.count)
                var less = path
                less.remove(at: node)
                expectMissing("dropped, \(note)") { () throws(ProofError) in _ = try hash(less) }
                var turned = path
                turned[node][clusters.below(path[node].count)] ^= 1 << UInt8(clusters.below(8))
                expectMissing("turned bit, \(note)") { () throws(ProofError) in _ = try hash(turned) }
            }
        }
    }

    /// A partial crown answers for its sections as the whole one does, and says so where it cannot.
    @Test func partialCrowns() throws {
        try forEachCrown(60) { _, crown, clusters, note in
            let chosen = (0..<3).map { _ in clusters.below(crown.sectionCount) }
            var union = ProofNodes()
            for index in chosen { for node in try crown.proofNodes(forSection: index) { union.insert(node) } }
            let partial = try Crown(
                pathProof: union.nodes, root: crown.root, depth: crown.depth, sections: chosen)
            for index in chosen { #expect(try partial.sectionHash(index) == crown.sectionHash(index), "\(note)") }
            let other = clusters.below(crown.sectionCount)
            do {
                #expect(try partial.sectionHash(other) == crown.sectionHash(other), "\(note)")
            } catch ProofError.unknownSection(other) {
                #expect(!chosen.contains(other), "\(note)")
            }
            #expect(throws: ProofError.unusedNode, "\(note)") {
                try Crown(
                    pathProof: union.nodes + [[0xc2, 0x20, 0x01]], root: crown.root, depth: crown.depth,
                    sections: chosen)
            }
        }
        let crown = Crown(sections: sections(workload(500), depth: 2), depth: 2)
        let partial = try Crown(
            pathProof: crown.proofNodes(forSection: 17), root: crown.root, depth: 2, sections: [17])
        #expect(throws: ProofError.unknownSection(200)) { try partial.sectionHash(200) }
    }

    /// Nodes above from the crown, nodes below from the store: the same proof as from the store alone.
    @Test func proofsThroughTheCrown() throws {
        try forEachCrown(60) { trie, crown, clusters, note in
            var trie = trie
            for key in trie.leaves.prefix(4).map({ $0.key }) + [clusters.key(), clusters.randomKey()] {
                var (through, alone) = (ProofNodes(), ProofNodes())
                try TrieProver.prove(key, upper: crown, source: &trie, into: &through)
                try TrieProver.prove(key, upper: nil, source: &trie, into: &alone)
                #expect(through.nodes == alone.nodes, "\(note)")
            }
        }
    }

    @Test func numbersOutsideAreNamed() throws {
        let crown = Crown(sections: sections(workload(100), depth: 1), depth: 1)
        for index in [-1, 16, Int.max] {
            #expect(throws: ProofError.unknownSection(index)) { try crown.sectionHash(index) }
            #expect(throws: ProofError.unknownSection(index)) { try crown.proofNodes(forSection: index) }
            #expect(throws: ProofError.unknownSection(index)) {
                try Crown(pathProof: crown.nodes, root: crown.root, depth: 1, sections: [index])
            }
        }
        for depth in [-1, 5, Int.max] {
            #expect(throws: ProofError.depth(depth)) {
                try Crown(decoding: crown.nodes, root: crown.root, depth: depth)
            }
            #expect(throws: ProofError.depth(depth)) {
                try Crown(pathProof: crown.nodes, root: crown.root, depth: depth, sections: [])
            }
        }
    }
}
