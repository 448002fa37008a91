import MerklePatricia
import Primitives

/// How keys lie. Hashes spread evenly; the others force what hashes never show in so small a trie.
enum KeyShape: CaseIterable {
    /// As hashes do.
    case even
    /// Few nibble values in the first places: much sharing.
    case small
    /// Long shared prefixes that split near the end: extensions, embedded leaves and branches.
    case deep

    func key(_ generator: inout some RandomNumberGenerator) -> Bytes32 {
        switch self {
        case .even: return generator.hash()
        case .small:
            return Bytes32(generator.next() & 0xf0ff_0f00_0000_0000, 0, 0, 0)
        case .deep:
            let shared = [0, 1, 2, 3, 30, 60][generator.below(6)]
            var nibbles = (0..<64).map { UInt8($0 < shared ? 7 : 0) }
            if shared < 62, generator.oneIn(3) { nibbles[shared] = UInt8(generator.below(16)) }
            for index in 61..<64 { nibbles[index] = UInt8(generator.below(3)) }
            return Nibbles(storeKey: nibbles)?.lowestKey ?? .zero
        }
    }

    /// Short values make nodes under 32 bytes where keys split late.
    static func value(_ generator: inout some RandomNumberGenerator) -> [UInt8] {
        let count = generator.oneIn(3) ? 32 + generator.below(40) : 1 + generator.below(3)
        return (0..<count).map { _ in 1 + generator.byte() % 255 }
    }
}

/// A trie, built by the real builder and checked against the reference.
struct TestTrie {
    let shape: KeyShape
    let trie: MemoryTrie
    /// Every branch there is.
    let branches: [Nibbles: [UInt8]]
    let reference: ReferenceTrie
    /// Ascending.
    let rows: [Row]

    init(_ generator: inout SeededGenerator, upTo count: Int) throws(FuzzFailure) {
        shape = generator.pick(KeyShape.allCases) ?? .even
        var reference = ReferenceTrie()
        for _ in 0..<generator.below(count) {
            reference[shape.key(&generator).bytes] = KeyShape.value(&generator)
        }
        self.reference = reference
        rows = reference.entries.map { Row(key: Bytes32($0.key) ?? .zero, value: $0.value) }
        let twigLeaves = generator.pick([0, 4, MerklePatriciaLimits.twigLeaves]) ?? 0
        trie = MemoryTrie(LeafColumns(rows), twigLeaves: twigLeaves)
        let all = MemoryTrie(LeafColumns(rows), twigLeaves: 0).branches
        branches = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0.node) })
        try require(trie.root == reference.root, .readersDiffer("a trie's root, built and by the reference"))
    }

    /// A key that is somewhere interesting.
    func bound(_ generator: inout some RandomNumberGenerator) -> Bytes32 {
        let known = generator.pick(rows)?.key ?? .zero
        switch generator.below(8) {
        case 0: return .zero
        case 1: return .max
        case 2: return generator.neighbour(of: known)
        case 3: return shape.key(&generator)
        case 4: return Nibbles(known, count: generator.below(65)).lowestKey
        case 5: return Nibbles(known, count: generator.below(65)).highestKey
        default: return known
        }
    }

    /// The proofs of some keys: by the prover or, for a change, by the reference.
    func proof(_ keys: [Bytes32], byReference: Bool) throws(FuzzFailure) -> [[UInt8]] {
        var nodes = ProofNodes()
        // The reference gives a node of its own for an empty trie; a prover has none there.
        if byReference {
            for key in keys where !rows.isEmpty {
                for node in reference.proof(for: key.bytes) { nodes.insert(node) }
            }
            return nodes.nodes
        }
        var source = trie
        var prover = TrieProver()
        do {
            for key in keys { try prover.prove(key, upper: nil, source: &source, into: &nodes) }
        } catch {
            throw .setup("a proof: \(error)")
        }
        return nodes.nodes
    }
}

extension LeafColumns {
    init(_ rows: [Row]) {
        self.init()
        for row in rows { append(key: row.key, value: row.value) }
    }
}

/// The leaves of a trie between two keys.
struct TrieRangeScene: Scene {
    private struct Claim: Equatable {
        var root: Bytes32
        var proof: [[UInt8]]
        var rows: [Row]
        var first: Bytes32
        var last: Bytes32
    }

    private let trie: TestTrie
    private let claim: Claim
    /// Nodes that do not belong into the proof.
    private let spare: [[UInt8]]
    private let otherRoot: Bytes32

    static let kinds: [MutationKind] =
        [
            .leafDropped, .leafAdded, .leafChanged, .leafMoved, .leavesReordered, .leafDuplicated, .keyOffByOne,
            .wrongRoot, .edgeCut, .otherQuestion,
        ] + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        trie = try TestTrie(&generator, upTo: 40)
        let bounds = [trie.bound(&generator), trie.bound(&generator)].sorted()
        claim = Claim(
            root: trie.trie.root, proof: try trie.proof(bounds, byReference: generator.oneIn(4)),
            rows: trie.rows.filter { bounds[0] <= $0.key && $0.key <= bounds[1] }, first: bounds[0], last: bounds[1])
        var changed = trie.reference
        changed[generator.neighbour(of: bounds[0]).bytes] = [9, 9]
        otherRoot = changed.root
        spare = try trie.proof([trie.bound(&generator)], byReference: false) + changed.proof(for: bounds[0].bytes)
        guard try judge(claim) == .stillTrue else { throw .truthRefused("a range of a trie") }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        var mutant = claim
        let applies: Bool
        switch kind {
        case .wrongRoot:
            let flipped = Bytes32(claim.root.word0, claim.root.word1, claim.root.word2 ^ 1, claim.root.word3)
            mutant.root = generator.pick([otherRoot, flipped, Subtree.emptyRoot, generator.hash()]) ?? flipped
            applies = true
        case .edgeCut:
            // The leaves at an end go, or all of them, and the ends stay.
            guard !claim.rows.isEmpty else { return nil }
            let count = generator.oneIn(4) ? claim.rows.count : 1 + generator.below(min(3, claim.rows.count))
            if generator.oneIn(2) { mutant.rows.removeFirst(count) } else { mutant.rows.removeLast(count) }
            applies = true
        case .otherQuestion:
            let bound = trie.bound(&generator)
            if generator.oneIn(2) { mutant.first = bound } else { mutant.last = bound }
            if generator.oneIn(2) {
                mutant.proof = try trie.proof([mutant.first, mutant.last], byReference: false)
            }
            applies = true
        case _ where MutationKind.nodeKinds.contains(kind):
            applies = NodeMutation.apply(kind, to: &mutant.proof, spare: spare, &generator)
        default:
            applies = RowMutation.apply(kind, to: &mutant.rows, &generator) { KeyShape.value(&$0) }
        }
        guard applies, mutant != claim else { return nil }
        return try judge(mutant)
    }

    /// A program of changes, one after the other, to the same claim: for a fuzzer that finds its way by coverage.
    func run(_ generator: inout ByteGenerator) throws(FuzzFailure) -> Bool {
        var accepted = false
        repeat {
            let kind = Self.kinds[generator.below(Self.kinds.count)]
            if try attempt(kind, &generator) == .stillTrue { accepted = true }
        } while !generator.isAtEnd
        return accepted
    }

    private func judge(_ claim: Claim) throws(FuzzFailure) -> Verdict {
        let result: VerifiedRange
        do throws(ProofError) {
            result = try RangeVerifier.verify(
                root: claim.root, proof: claim.proof, leaves: LeafColumns(claim.rows), first: claim.first,
                last: claim.last)
        } catch {
            return .refused
        }
        try require(claim.root == trie.trie.root, .untruthAccepted("a range under a wrong root"))
        let truth = trie.rows.filter { claim.first <= $0.key && $0.key <= claim.last }
        try require(claim.rows == truth, .untruthAccepted("leaves of a range"))
        let moreAfter = trie.rows.last.map { $0.key > claim.last } ?? false
        try require(result.moreAfter == moreAfter, .untruthAccepted("what lies after a range"))
        for index in 0..<result.branches.count {
            let path = result.branches.paths[index]
            let node = trie.branches[path]
            try require(node == result.branches.node(at: index), .untruthAccepted("a branch of a range"))
        }
        let needed = MemoryTrie(LeafColumns(trie.rows)).branches.filter {
            claim.first <= $0.path.highestKey && $0.path.lowestKey <= claim.last
        }
        try require(Set(needed.map(\.path)).isSubset(of: result.branches.paths), .readersDiffer("records of a range"))
        return .stillTrue
    }
}

/// A range proof as a program: two bytes choose the scene, the others are choices.
enum RangeProgram {
    /// Built once: a scene costs ten times what a change to it does.
    private static let scenes: [Result<TrieRangeScene, FuzzFailure>] = (UInt64(0)..<64).map { seed in
        Result { () throws(FuzzFailure) in
            var generator = SeededGenerator(seed: seed)
            return try TrieRangeScene(&generator)
        }
    }

    static func run(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var choices = ByteGenerator(bytes)
        return try scenes[choices.below(scenes.count)].get().run(&choices)
    }
}
