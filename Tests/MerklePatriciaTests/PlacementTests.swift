import MerklePatricia
import Primitives
import Testing

/// How far a storage trie is spread, and what shows it.
@Suite struct PlacementTests {
    private static let rules = [1, 2, 3].flatMap { depth in
        [1, 2].map { Placement(sectionDepth: depth, wideDepth: $0) }
    }

    /// A trie, and its nodes on the way to the lowest key.
    private struct Made {
        let keys: [Bytes32]
        let root: Bytes32
        let way: [[UInt8]]

        init(keys: some Sequence<Bytes32>) {
            var trie = ReferenceTrie()
            self.keys = keys.sorted()
            for key in self.keys { trie[key.bytes] = [1] }
            root = trie.root
            way = trie.proof(for: Bytes32.zero.bytes)
        }

        /// What the rule says, found by counting keys.
        func depth(_ rule: Placement) -> Int {
            var levels = 0
            while levels < rule.sectionDepth + rule.wideDepth {
                guard children(at: levels) >= 12, keys.contains(where: { $0.nibble(levels) == 0 && has($0, levels) })
                else { break }
                levels += 1
            }
            let isBranch = children(at: levels) >= 2
            return min(max((isBranch ? levels : levels - 1) - rule.wideDepth, 0), rule.sectionDepth)
        }

        private func has(_ key: Bytes32, _ zeros: Int) -> Bool { (0..<zeros).allSatisfy { key.nibble($0) == 0 } }

        private func children(at level: Int) -> Int {
            Set(keys.filter { has($0, level) }.map { $0.nibble(level) }).count
        }
    }

    private static func random(_ count: Int, zeros: Int, _ generator: inout SeededGenerator) -> [Bytes32] {
        (0..<count).map { _ in
            // Half of the keys lie near the way, so that small tries reach far too.
            let shift = UInt64(4 * Int.random(in: 0...zeros, using: &generator))
            return Bytes32(generator.next() >> shift, generator.next(), generator.next(), generator.next())
        }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4])
    func theRuleIsThatOfTheKeys(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var found: Set<Int> = []
        for count in [0, 1, 2, 11, 12, 13, 20, 40, 80, 160, 320, 640] {
            for zeros in 0...5 {
                let trie = Made(keys: Self.random(count, zeros: zeros, &generator))
                for rule in Self.rules {
                    let (depth, nodes) = try rule.show(root: trie.root, in: trie.way)
                    #expect(depth == trie.depth(rule))
                    #expect(try rule.depth(root: trie.root, shownBy: nodes) == depth)
                    found.insert(depth)
                }
            }
        }
        #expect(found == [0, 1, 2, 3])
    }

    /// Every node that decides is needed, none may be added, none changed.
    @Test func nothingButTheWholeWayShowsIt() throws {
        var generator = SeededGenerator(seed: 9)
        let trie = Made(keys: Self.random(3_000, zeros: 4, &generator))
        let rule = Placement(sectionDepth: 2, wideDepth: 1)
        let (depth, nodes) = try rule.show(root: trie.root, in: trie.way)
        #expect(depth == 2 && nodes.count == 4)
        for index in nodes.indices {
            var fewer = nodes
            fewer.remove(at: index)
            #expect(throws: ProofError.missingNode(Nibbles(.zero, count: index))) {
                try rule.depth(root: trie.root, shownBy: fewer)
            }
            for place in nodes[index].indices {
                var other = nodes
                other[index][place] ^= 1
                #expect(throws: ProofError.missingNode(Nibbles(.zero, count: index))) {
                    try rule.depth(root: trie.root, shownBy: other)
                }
            }
        }
        #expect(throws: ProofError.unusedNode) {
            try rule.depth(root: trie.root, shownBy: nodes + [TrieNode.leaf(suffix: Nibbles(.max), value: [1]).encoded])
        }
        #expect(throws: ProofError.repeatedNode) { try rule.depth(root: trie.root, shownBy: nodes + [nodes[0]]) }
    }

    /// The parts of a trie lie in sections all round the ring, the first with the account.
    @Test func partsLieRoundTheRing() {
        let account = Bytes32(0x5a3 << 52, 1, 2, 3)
        let sections = (0..<16).map { Placement.section(of: $0, depth: 1, account: account, sectionDepth: 3) }
        #expect(sections.first == 0x5a3 && sections[1] == 0x4a3 && sections[0xf] == 0xaa3)
        #expect(Set(sections.map { $0 >> 8 }) == Set(0..<16))
        let all = (0..<4_096).map { Placement.section(of: $0, depth: 3, account: account, sectionDepth: 3) }
        #expect(Set(all) == Set(0..<4_096))
    }
}
