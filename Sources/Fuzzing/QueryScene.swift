import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What a state gives to a question about one account, or one slot of it: whatever is taken for an answer must be so.
struct QueryScene: Scene {
    private let state: SampleState
    private let query: StateQuery
    private let need: StateQuery.Need
    fileprivate let honest: [UInt8]
    private let wire: WireRange

    static let kinds: [MutationKind] =
        [
            .leafDropped, .leafAdded, .leafChanged, .leafMoved, .leafDuplicated, .keyOffByOne, .edgeCut, .countOff,
            .kindChanged, .wrongRoot, .otherQuestion, .bytesChanged,
        ] + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        state = try SampleState(&generator, upTo: 20)
        query = try state.query(state.question(&generator), root: state.root)
        guard let need = query.needs.first, case .range(let key) = need else { throw .setup("a question") }
        self.need = need
        var view = state.view
        let served = try? RangeServer.serve(key, view: &view, crown: state.crown)
        guard let value = served, value.first == 0 else { throw .setup("an answer") }
        honest = value
        wire = try WireRange(decoding: value)
        guard try judge(value, of: query, for: need, root: state.root) == .stillTrue else {
            throw .truthRefused("an answer to a question")
        }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        switch kind {
        case .wrongRoot:
            guard let root = state.wrongRoot(&generator) else { return nil }
            return try judge(honest, of: try state.query(query.question, root: root), for: need, root: root)
        case .otherQuestion:
            let other = try state.query(state.question(&generator), root: state.root)
            guard other.question != query.question, let asked = other.needs.first else { return nil }
            return try judge(honest, of: other, for: asked, root: state.root)
        case .bytesChanged:
            var bytes = honest
            switch generator.below(4) {
            case 0: bytes.removeLast(1 + generator.below(min(40, bytes.count - 1)))
            case 1: bytes.append(generator.byte())
            default: _ = generator.flipBit(of: &bytes)
            }
            return try judge(bytes, of: query, for: need, root: state.root)
        default:
            var mutant = wire
            guard mutant.mutate(kind, state: state, &generator), mutant != wire, let bytes = mutant.encoded else {
                return nil
            }
            return try judge(bytes, of: query, for: need, root: state.root)
        }
    }

    /// Any bytes for an answer; whether they are taken for one.
    func takes(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        try judge(bytes, of: query, for: need, root: state.root) == .stillTrue
    }

    private func judge(
        _ value: [UInt8], of query: StateQuery, for need: StateQuery.Need, root: Bytes32
    ) throws(FuzzFailure) -> Verdict {
        var query = query
        guard let isTaken = try? query.take(value, for: need), isTaken else { return .refused }
        try require(root == state.root, .untruthAccepted("an answer under a wrong root"))
        guard let answer = query.answer else { throw .truthRefused("a question that one answer answers") }
        let truth = state.accounts.first { $0.key == query.question.account }
        try require(answer.account == truth?.body, .untruthAccepted("an account"))
        try require(
            way(to: query.question.account, under: root, answer.accountProof) == truth?.body.rlp,
            .untruthAccepted("the proof of an account"))
        for slot in answer.slots {
            let expected = truth?.slots.first { $0.key == slot.key }?.value
            try require(slot.value == expected ?? [], .untruthAccepted("a slot"))
            guard let body = truth?.body, body.storageRoot != StateAccount.emptyRoot else { continue }
            try require(
                way(to: slot.key, under: body.storageRoot, slot.proof) == expected.map { SlotValue.rlp($0) },
                .untruthAccepted("the proof of a slot"))
        }
        return .stillTrue
    }

    /// What nodes show at a key, read the plain way.
    private func way(to key: Bytes32, under root: Bytes32, _ nodes: [[UInt8]]) -> [UInt8]? {
        (try? TriePath(to: key, under: root, in: nodes))?.value
    }
}

extension SampleState {
    /// Of an account that is there or not, with no slot or one that is there or not.
    fileprivate func question(_ generator: inout some RandomNumberGenerator) -> StateQuestion {
        let near = generator.pick(accounts)
        let key = generator.oneIn(4) ? near.map { generator.neighbour(of: $0.key) } : near?.key
        var slots: [Bytes32] = []
        if !generator.oneIn(3) {
            let own = near.flatMap { generator.pick($0.slots) }?.key
            slots = [generator.oneIn(4) ? generator.hash() : own ?? generator.hash()]
        }
        return StateQuestion(account: key ?? generator.hash(), slots: slots)
    }

    /// The question at a block with this state root.
    fileprivate func query(_ question: StateQuestion, root: Bytes32) throws(FuzzFailure) -> StateQuery {
        let fields = BlockHeader.Fields(parentHash: .max, stateRoot: root, number: 24, timestamp: 1_000)
        guard let header = try? BlockHeader(fields) else { throw .setup("a block") }
        return StateQuery(question, at: Anchor(epoch: 3, hash: header.hash), header, placedBy: nil)
    }
}

/// Any bytes as answers to questions, and programs of changes to true ones, driven by coverage.
///
/// Byte 0 chooses a question of sixteen; where byte 1 is even the rest is the answer itself, else choices of changes.
enum QueryProgram {
    /// Built once: a scene costs much more than what is tried on it.
    private static let scenes: [Result<QueryScene, FuzzFailure>] = (UInt64(0)..<16).map { seed in
        Result { () throws(FuzzFailure) in
            var generator = SeededGenerator(seed: seed)
            return try QueryScene(&generator)
        }
    }

    static func run(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.count > 1 else { return false }
        let scene = try scenes[Int(bytes[0]) % scenes.count].get()
        let rest = Array(bytes.dropFirst(2))
        guard bytes[1] & 1 == 1 else { return try scene.takes(rest) }
        var choices = ByteGenerator(rest)
        let kind = QueryScene.kinds[choices.below(QueryScene.kinds.count)]
        return try scene.attempt(kind, &choices) == .stillTrue
    }

    /// The true answers.
    static func seeds() -> [[UInt8]] {
        scenes.enumerated().compactMap { place, scene in
            (try? scene.get()).map { [UInt8(place), 0] + $0.honest }
        }
    }
}
