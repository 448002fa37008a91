import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// What a section hashes to, by the reference: its leaves with the first two nibbles, one byte, stripped.
private func referenceHash(_ trie: TestTrie, section: Int) -> Bytes32 {
    var stripped = ReferenceTrie()
    for row in trie.rows where Int(row.key.word0 >> 56) == section {
        stripped[Array(row.key.bytes.dropFirst())] = row.value
    }
    return stripped.root
}

/// A trie cut at depth 2 and its crown.
private struct CutTrie {
    static let depth = 2
    let trie: TestTrie
    let crown: Crown

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        trie = try TestTrie(&generator, upTo: 48)
        let columns = LeafColumns(trie.rows)
        var start = 0
        var sections: [Subtree] = []
        for section in Section.all(depth: CutTrie.depth) {
            let end = columns.keys[start...].firstIndex { !section.contains($0) } ?? columns.count
            var branches = BranchColumns()
            sections.append(TrieBuilder.build(columns, in: start..<end, under: section.path, emitting: &branches))
            start = end
        }
        crown = Crown(sections: sections, depth: CutTrie.depth)
        try require(crown.root == trie.trie.root, .readersDiffer("a crown's root"))
    }

    /// A section with leaves, one beside it, or any.
    func section(_ generator: inout some RandomNumberGenerator) -> Int {
        let known = generator.pick(trie.rows).map { Int($0.key.word0 >> 56) } ?? 0
        switch generator.below(4) {
        case 0: return generator.below(256)
        case 1: return known ^ 1
        default: return known
        }
    }

    /// Nodes of the trie below the crown.
    func deepNodes(_ generator: inout some RandomNumberGenerator) throws(FuzzFailure) -> [[UInt8]] {
        try trie.proof([trie.bound(&generator)], byReference: false) + crown.nodes
    }

    func wrongRoot(_ generator: inout some RandomNumberGenerator) -> Bytes32? {
        let flipped = Bytes32(crown.root.word0 ^ 1, crown.root.word1, crown.root.word2, crown.root.word3)
        let below = generator.pick(crown.nodes).map { Keccak.hash($0) }
        let root = generator.pick([flipped, Subtree.emptyRoot, below ?? generator.hash()]) ?? flipped
        return root == crown.root ? nil : root
    }
}

/// The path proof of one section.
struct SectionProofScene: Scene {
    private let cut: CutTrie
    private let section: Int
    private let proof: [[UInt8]]
    private let spare: [[UInt8]]

    static let kinds: [MutationKind] = [.wrongRoot, .keyOffByOne, .otherQuestion] + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        cut = try CutTrie(&generator)
        section = cut.section(&generator)
        do throws(ProofError) {
            proof = try cut.crown.proofNodes(forSection: section)
        } catch {
            throw .setup("a path proof: \(error)")
        }
        spare = try cut.deepNodes(&generator)
        guard try judge(proof, section: section, root: cut.crown.root) == .stillTrue else {
            throw .truthRefused("a path proof")
        }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        switch kind {
        case .wrongRoot:
            guard let root = cut.wrongRoot(&generator) else { return nil }
            return try judge(proof, section: section, root: root)
        case .keyOffByOne:
            let next = (section + (generator.oneIn(2) ? 1 : 255)) % 256
            return try judge(proof, section: next, root: cut.crown.root)
        case .otherQuestion:
            let other = cut.section(&generator)
            return other == section ? nil : try judge(proof, section: other, root: cut.crown.root)
        default:
            var nodes = proof
            guard NodeMutation.apply(kind, to: &nodes, spare: spare, &generator), nodes != proof else { return nil }
            return try judge(nodes, section: section, root: cut.crown.root)
        }
    }

    private func judge(_ proof: [[UInt8]], section: Int, root: Bytes32) throws(FuzzFailure) -> Verdict {
        let path = Nibbles(section: section, depth: CutTrie.depth)
        guard let hash = try? SectionProof.sectionHash(root: root, proof: proof, section: path) else {
            return .refused
        }
        // A root of no leaves is true of a trie without any, whatever the scene's own.
        let truth = root == Subtree.emptyRoot ? Subtree.emptyRoot : referenceHash(cut.trie, section: section)
        try require(root == cut.crown.root || root == Subtree.emptyRoot, .untruthAccepted("a path under a wrong root"))
        try require(hash == truth, .untruthAccepted("a section hash"))
        return .stillTrue
    }
}

/// A whole crown as it is served.
struct CrownScene: Scene {
    private let cut: CutTrie
    private let spare: [[UInt8]]

    static let kinds: [MutationKind] = [.wrongRoot, .countOff, .bytesChanged] + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        cut = try CutTrie(&generator)
        spare = try cut.deepNodes(&generator)
        let verdict = try judge(CrownValue.serve(cut.crown), root: cut.crown.root, depth: CutTrie.depth)
        guard verdict == .stillTrue else { throw .truthRefused("a crown") }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        var bytes = CrownValue.serve(cut.crown)
        switch kind {
        case .wrongRoot:
            guard let root = cut.wrongRoot(&generator) else { return nil }
            return try judge(bytes, root: root, depth: CutTrie.depth)
        case .countOff:
            let depth = CutTrie.depth + (generator.oneIn(2) ? 1 : -1)
            return try judge(bytes, root: cut.crown.root, depth: depth)
        case .bytesChanged:
            guard generator.flipBit(of: &bytes) else { return nil }
            if generator.oneIn(4) { bytes.removeLast() }
            return try judge(bytes, root: cut.crown.root, depth: CutTrie.depth)
        default:
            var nodes = cut.crown.nodes
            guard NodeMutation.apply(kind, to: &nodes, spare: spare, &generator), nodes != cut.crown.nodes,
                let body = try? SSZ.encode(.elements(nodes.map { .bytes($0) }), as: CrownValue.schema)
            else { return nil }
            return try judge([0] + body, root: cut.crown.root, depth: CutTrie.depth)
        }
    }

    private func judge(_ value: [UInt8], root: Bytes32, depth: Int) throws(FuzzFailure) -> Verdict {
        guard let crown = try? CrownValue.verify(value, stateRoot: root, depth: depth) else { return .refused }
        if root == Subtree.emptyRoot && crown.nodes.isEmpty { return .stillTrue }
        try require(root == cut.crown.root, .untruthAccepted("a crown under a wrong root"))
        if depth == CutTrie.depth {
            // Every node once and no other; their order is free.
            let same = Set(crown.nodes) == Set(cut.crown.nodes) && crown.nodes.count == cut.crown.nodes.count
            try require(same, .untruthAccepted("the nodes of a crown"))
        }
        // There are 256 sections; those with leaves and the two outermost stand for all.
        let known = Set(cut.trie.rows.map { Int($0.key.word0 >> 56) }).union([0, 255]).sorted()
        for section in known where depth == CutTrie.depth {
            let hash = try? crown.sectionHash(section)
            try require(hash == referenceHash(cut.trie, section: section), .untruthAccepted("a crown's section"))
        }
        return .stillTrue
    }
}
