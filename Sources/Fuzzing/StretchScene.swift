import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What one block changed in a stretch of sections, as it is offered, or, with the storage of some accounts alone, as
/// it is asked for: read, taken apart and applied.
struct StretchScene: Scene {
    private struct Stretch: Hashable {
        var header: [UInt8]
        var hashesBefore: [Bytes32]
        var changes: WireChanges
        var codes: [[UInt8]]
        var proof: [[UInt8]]

        var encoded: [UInt8]? {
            let value = SSZValue.fields([
                .bytes(header), .bytes([]), .elements(hashesBefore.map { .bytes32($0) }), changes.value,
                .elements(codes.map { .bytes($0) }), .elements(proof.map { .bytes($0) }),
            ])
            return (try? SSZ.encode(value, as: BlockDiffsValue.schema)).map { [0] + $0 }
        }
    }

    private let pair: TwoStates
    private let key: BlockDiffsKey
    private let honest: Stretch
    private let changes: [LeafChange]

    static let kinds: [MutationKind] =
        ChangeMutation.kinds + [.columnShifted, .countOff, .wrongRoot, .otherQuestion, .bytesChanged]
        + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        for _ in 0..<Self.draws {
            guard let scene = try StretchScene(drawnBy: &generator) else { continue }
            self = scene
            return
        }
        throw .setup("a stretch")
    }

    /// States drawn until one has a stretch: where nothing changed of what is kept there is none.
    private static let draws = 16

    private init?(drawnBy generator: inout SeededGenerator) throws(FuzzFailure) {
        let pair = try TwoStates(&generator)
        self.pair = pair
        let kept = pair.before.kept(&generator)
        let fields = BlockHeader.Fields(parentHash: .max, stateRoot: pair.after.root, number: 12, timestamp: 1_000)
        guard let header = try? BlockHeader(fields) else { throw .setup("a block") }
        let changed = Set(pair.changes.map { Section(of: $0.key.account, depth: pair.depth).index }).sorted()
        let sections = Array(changed.prefix(1 + generator.below(4)))
        var diffs: [(section: Int, value: BlockDiffValue)] = []
        for index in sections {
            let section = Section(depth: pair.depth, index: index)
            diffs.append((index, try pair.diff(of: section, header).keeping(kept)))
        }
        let joined = BlockDiffsServer.join(diffs, at: header.point)
        guard let (key, value) = joined.first, let read = try? BlockDiffsValue(decoding: value),
            let asked = BlockDiffsKey(point: header.point, first: key.first, last: key.last, keeping: kept)
        else { return nil }
        self.key = asked
        changes = read.changes
        honest = Stretch(
            header: read.header, hashesBefore: read.sectionHashesBefore, changes: WireChanges(read.changes),
            codes: read.codes, proof: read.proof)
        try require(honest.encoded == value, .readersDiffer("a stretch, by the server and the schema"))
        guard try judge(value, key: asked) == .stillTrue else { throw .truthRefused("a stretch") }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        var mutant = honest
        switch kind {
        case .wrongRoot: guard generator.flipBit(of: &mutant.header) else { return nil }
        case .otherQuestion:
            // Other bounds, or the storage of others.
            let asked = BlockDiffsKey(
                point: key.point, first: max(0, key.first - generator.below(2)), last: key.last + generator.below(2),
                keeping: generator.oneIn(2) ? key.kept : pair.before.kept(&generator))
            guard let asked, asked != key, let bytes = honest.encoded else { return nil }
            return try judge(bytes, key: asked)
        case .bytesChanged:
            guard var bytes = mutant.encoded, generator.flipBit(of: &bytes) else { return nil }
            return try judge(bytes, key: key)
        case .columnShifted, .countOff:
            guard mutant.changes.mutate(kind, &generator) else { return nil }
        case _ where MutationKind.nodeKinds.contains(kind):
            let spare = pair.before.crown.nodes + pair.after.crown.nodes
            guard NodeMutation.apply(kind, to: &mutant.proof, spare: spare, &generator) else { return nil }
        default:
            var changed = changes
            guard ChangeMutation.apply(kind, to: &changed, &generator), changed.first?.key.slot == nil else {
                return nil
            }
            mutant.changes = WireChanges(changed)
        }
        guard mutant != honest, let bytes = mutant.encoded else { return nil }
        return try judge(bytes, key: key)
    }

    /// Refused where anything of it is. What an answer leaves out of what is asked for, whole sections that is, is
    /// another's to give: only what it says has to be so.
    private func judge(_ bytes: [UInt8], key: BlockDiffsKey) throws(FuzzFailure) -> Verdict {
        guard let value = try? BlockDiffsValue(decoding: bytes),
            let claims = try? BlockDiffsCheck.verify(value, key: key, depth: pair.depth)
        else { return .refused }
        try require(claims.header.header.stateRoot == pair.after.root, .untruthAccepted("a stretch's header"))
        for part in claims.parts {
            let section = Section(depth: pair.depth, index: part.section)
            let truth = pair.after.sections[part.section]
            try require(part.sectionHashAfter == truth.hash(at: pair.depth), .untruthAccepted("a section hash"))
            // A part that goes on from another state than it says waits for it, and is never applied.
            guard let before = try? pair.before.crown.sectionHash(part.section), part.value.sectionHashBefore == before
            else { return .refused }
            var view = pair.before.view
            let applied = try? BlockDiffCheck.apply(
                part.value, to: section, expecting: part.sectionHashAfter, from: before, leavingKnownCodes: true,
                keeping: key.kept, in: &view)
            guard let applied else { return .refused }
            let truthful = pair.changes(in: section, keeping: key.kept)
            try require(part.value.changes == truthful, .untruthAccepted("changes of a section of a stretch"))
            try require(applied.update.subtreeAfter == truth, .untruthAccepted("a section after a stretch"))
        }
        return .stillTrue
    }
}

extension TwoStates {
    /// What the way from one to the other changes in one section, as a block's.
    fileprivate func diff(of section: Section, _ header: BlockHeader) throws(FuzzFailure) -> BlockDiffValue {
        var view = before.view
        let changes = self.changes(in: section)
        guard let hash = try? before.crown.sectionHash(section.index),
            let update = try? SectionChange.apply(changes, to: section, in: &view)
        else { throw .setup("a block") }
        let codes = (UInt8(0)..<13).map { SampleState.code($0) }
            .filter { update.newCodeHashes.contains(Keccak.hash($0)) }
        return BlockDiffValue(
            header: header.rlp, certificate: [], sectionHashBefore: hash, changes: changes, codes: codes,
            pathProof: try proof(section.index))
    }
}
