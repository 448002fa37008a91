import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// One section's changes with the columns taken apart.
struct WireChanges: Hashable {
    var keys: [Bytes32] = []
    var bodies: [[UInt8]] = []
    var counts: [Int] = []
    var slotKeys: [Bytes32] = []
    var slotValues: [[UInt8]] = []

    private static let gone: [UInt8] = [0x80]

    init(_ changes: [LeafChange]) {
        for change in changes {
            if let slot = change.key.slot {
                slotKeys.append(slot)
                slotValues.append(change.value.map { SlotValue.rlp($0) } ?? WireChanges.gone)
                counts[counts.count - 1] += 1
            } else {
                keys.append(change.key.account)
                bodies.append(change.value ?? WireChanges.gone)
                counts.append(0)
            }
        }
    }

    var value: SSZValue {
        .fields([
            .elements(keys.map { .bytes32($0) }), .bytes(Array(bodies.joined())),
            .elements(counts.map { .integer(UInt32(truncatingIfNeeded: $0)) }),
            .elements(slotKeys.map { .bytes32($0) }), .bytes(Array(slotValues.joined())),
        ])
    }

    mutating func mutate(_ kind: MutationKind, _ generator: inout some RandomNumberGenerator) -> Bool {
        switch kind {
        case .columnShifted:
            switch generator.below(5) {
            case 0: return WireColumns.shift(&slotKeys, &generator)
            case 1: return WireColumns.shift(&slotValues, &generator)
            case 2: return WireColumns.shift(&bodies, &generator)
            case 3: return WireColumns.shift(&counts, &generator)
            default: return WireColumns.shift(&keys, &generator)
            }
        case .countOff:
            guard let place = generator.index(counts.count) else { return false }
            let step = generator.oneIn(2) ? 1 : -1
            counts[place] += step
            if generator.oneIn(2), let other = generator.index(counts.count) { counts[other] -= step }
            return counts.allSatisfy { $0 >= 0 }
        default: return false
        }
    }
}

/// Changes to a list of leaf changes.
enum ChangeMutation {
    static let kinds: [MutationKind] = [
        .leafDropped, .leafAdded, .leafChanged, .leafMoved, .leavesReordered, .leafDuplicated, .keyOffByOne,
        .putTurned, .storageGivenAway, .edgeCut,
    ]

    static func apply(
        _ kind: MutationKind, to changes: inout [LeafChange], _ generator: inout some RandomNumberGenerator
    ) -> Bool {
        let before = changes
        if kind == .leafAdded {
            insert(addition(beside: generator.pick(changes), &generator), into: &changes)
            return changes != before
        }
        guard let place = generator.index(changes.count) else { return false }
        let change = changes[place]
        switch kind {
        case .leafDropped: changes.remove(at: place)
        case .leafChanged:
            guard var value = change.value else { return false }
            if generator.oneIn(2) { _ = generator.flipBit(of: &value) } else { value.append(generator.byte()) }
            changes[place] = LeafChange(key: change.key, value: value)
        case .leafMoved, .keyOffByOne:
            changes.remove(at: place)
            insert(LeafChange(key: moved(change.key, kind, &generator), value: change.value), into: &changes)
        case .leavesReordered:
            let other = generator.below(changes.count)
            let (a, b) = (changes[place], changes[other])
            if generator.oneIn(2) {
                changes.swapAt(place, other)
            } else {
                changes[place] = LeafChange(key: a.key, value: b.value)
                changes[other] = LeafChange(key: b.key, value: a.value)
            }
        case .leafDuplicated:
            changes.insert(change, at: generator.oneIn(2) ? place : generator.below(changes.count))
        case .putTurned:
            let value = change.value == nil ? fresh(slot: change.key.slot != nil, &generator) : nil
            changes[place] = LeafChange(key: change.key, value: value)
        case .storageGivenAway: return giveAway(&changes, &generator)
        case .edgeCut:
            let count = generator.oneIn(4) ? changes.count : 1
            if generator.oneIn(2) { changes.removeFirst(count) } else { changes.removeLast(count) }
        default: return false
        }
        return changes != before
    }

    private static func fresh(slot: Bool, _ generator: inout some RandomNumberGenerator) -> [UInt8] {
        slot ? SampleState.value(&generator) : StateAccount(nonce: generator.next() >> 50).slim
    }

    private static func addition(
        beside other: LeafChange?, _ generator: inout some RandomNumberGenerator
    ) -> LeafChange {
        let key = other?.key ?? FlatKey(account: generator.hash())
        let isSlot = generator.oneIn(2)
        let account = isSlot ? key.account : generator.neighbour(of: key.account)
        let slot = isSlot ? key.slot.map { generator.neighbour(of: $0) } ?? generator.hash() : nil
        let value = generator.oneIn(3) ? nil : fresh(slot: isSlot, &generator)
        return LeafChange(key: FlatKey(account: account, slot: slot), value: value)
    }

    private static func moved(
        _ key: FlatKey, _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) -> FlatKey {
        func other(_ key: Bytes32) -> Bytes32 {
            guard kind == .keyOffByOne else { return generator.neighbour(of: key) }
            return (generator.oneIn(2) ? key.successor : key.predecessor) ?? key
        }
        guard let slot = key.slot else { return FlatKey(account: other(key.account)) }
        return FlatKey(account: key.account, slot: other(slot))
    }

    /// All slots of one account are said to be another's.
    private static func giveAway(
        _ changes: inout [LeafChange], _ generator: inout some RandomNumberGenerator
    ) -> Bool {
        let accounts = changes.filter { $0.key.slot == nil && $0.value != nil }.map(\.key.account)
        let owners = Set(changes.filter { $0.key.slot != nil }.map(\.key.account)).sorted()
        guard let from = generator.pick(owners), let to = generator.pick(accounts), from != to else { return false }
        changes = changes.map { change in
            guard let slot = change.key.slot else { return change }
            let account = change.key.account == from ? to : change.key.account == to ? from : change.key.account
            return LeafChange(key: FlatKey(account: account, slot: slot), value: change.value)
        }.sorted { $0.key < $1.key }
        return true
    }

    private static func insert(_ change: LeafChange, into changes: inout [LeafChange]) {
        changes.insert(change, at: changes.firstIndex { $0.key > change.key } ?? changes.count)
    }
}

/// Diffs of some sections between two states, as they are served, read and applied.
struct SectionDiffsScene: Scene {
    private struct Answer: Hashable {
        var sections: [Int]
        var changes: [WireChanges]
        var proof: [[UInt8]]

        var encoded: [UInt8]? {
            let value = SSZValue.fields([
                .elements(sections.map { .integer(UInt32(truncatingIfNeeded: $0)) }),
                .elements(changes.map(\.value)), .elements(proof.map { .bytes($0) }),
            ])
            return (try? SSZ.encode(value, as: SectionDiffsValue.schema)).map { [0] + $0 }
        }
    }

    private let pair: TwoStates
    private let key: DiffsKey
    private let answer: Answer
    private let lists: [[LeafChange]]

    static let kinds: [MutationKind] =
        ChangeMutation.kinds + [.columnShifted, .countOff, .wrongRoot, .otherQuestion, .bytesChanged]
        + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        let pair = try TwoStates(&generator)
        self.pair = pair
        let asked = pair.sections(&generator)
        let kept = pair.before.kept(&generator)
        let key = DiffsKey(
            from: StatePoint(number: 1, hash: pair.before.root), to: StatePoint(number: 2, hash: pair.after.root),
            sections: asked, maxBytes: 1 << 22, withProof: true, keeping: kept)
        guard let key else { throw .setup("a diffs key") }
        self.key = key
        var proof = ProofNodes()
        for section in asked { for node in try pair.proof(section) { proof.insert(node) } }
        lists = asked.map { pair.changes(in: Section(depth: pair.depth, index: $0), keeping: kept) }
        answer = Answer(sections: asked, changes: lists.map { WireChanges($0) }, proof: proof.nodes)
        let served = try? DiffsServer.serve(
            key, depth: pair.depth, path: { try pair.proof($0.index) },
            changes: { pair.changes(in: $0, keeping: kept) })
        guard let served, served == answer.encoded else { throw .readersDiffer("diffs, by the server and the schema") }
        guard try judge(served, root: pair.after.root) == .stillTrue else { throw .truthRefused("diffs") }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        var mutant = answer
        var root = pair.after.root
        guard let place = generator.index(mutant.changes.count) else { return nil }
        switch kind {
        case .wrongRoot:
            root = generator.oneIn(2) ? pair.before.root : generator.hash()
            guard root != pair.after.root else { return nil }
        case .otherQuestion:
            // Another section's number, or an order of sections that is none.
            if generator.oneIn(2) { mutant.sections[place] ^= 1 } else { mutant.sections.swapAt(place, 0) }
        case .bytesChanged:
            guard var bytes = mutant.encoded, generator.flipBit(of: &bytes) else { return nil }
            return try judge(bytes, root: root)
        case .columnShifted, .countOff:
            guard mutant.changes[place].mutate(kind, &generator) else { return nil }
        case _ where MutationKind.nodeKinds.contains(kind):
            let spare = pair.before.crown.nodes + pair.after.crown.nodes
            guard NodeMutation.apply(kind, to: &mutant.proof, spare: spare, &generator) else { return nil }
        default:
            var changes = lists[place]
            guard ChangeMutation.apply(kind, to: &changes, &generator) else { return nil }
            // A slot before any account has no columns.
            guard changes.first?.key.slot == nil else { return nil }
            mutant.changes[place] = WireChanges(changes)
        }
        guard mutant != answer || root != pair.after.root, let bytes = mutant.encoded else { return nil }
        return try judge(bytes, root: root)
    }

    /// Refused where anything of it is: a sender's error in one section costs it the answer.
    private func judge(_ value: [UInt8], root: Bytes32) throws(FuzzFailure) -> Verdict {
        guard let diffs = try? DiffsCheck.verify(value, key: key, depth: pair.depth, stateRoot: root) else {
            return .refused
        }
        try require(root == pair.after.root, .untruthAccepted("diffs under a wrong root"))
        var isRefused = false
        for diff in diffs {
            let truth = pair.after.sections[diff.section.index]
            let hash = truth.hash(at: pair.depth)
            try require(diff.hashAfter == hash, .untruthAccepted("a section hash"))
            var view = pair.before.view
            let applied = try? DiffsCheck.apply(
                diff.changes, to: diff.section, expecting: hash, keeping: key.kept, in: &view)
            guard let update = applied else {
                isRefused = true
                continue
            }
            let truthful = pair.changes(in: diff.section, keeping: key.kept)
            try require(diff.changes == truthful, .untruthAccepted("changes of a section"))
            try require(update.subtreeAfter == truth, .untruthAccepted("a section after its changes"))
        }
        return isRefused ? .refused : .stillTrue
    }
}

/// What one block changed in one section, as it is pushed.
struct BlockDiffScene: Scene {
    private let pair: TwoStates
    private let section: Section
    private let key: BlockDiffKey
    private let value: BlockDiffValue

    static let kinds: [MutationKind] =
        ChangeMutation.kinds + [.wrongRoot, .otherQuestion, .bytesChanged, .countOff] + MutationKind.nodeKinds

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        let pair = try TwoStates(&generator)
        let section = Section(depth: pair.depth, index: pair.sections(&generator).first ?? 0)
        self.pair = pair
        self.section = section
        let fields = BlockHeader.Fields(
            parentHash: .max, stateRoot: pair.after.root, number: 12, timestamp: 1_000)
        var view = pair.before.view
        let changes = pair.changes(in: section)
        guard let header = try? BlockHeader(fields), let hash = try? pair.before.crown.sectionHash(section.index),
            let update = try? SectionChange.apply(changes, to: section, in: &view)
        else { throw .setup("a block") }
        let codes = (UInt8(0)..<13).map { SampleState.code($0) }
            .filter { update.newCodeHashes.contains(Keccak.hash($0)) }
        value = BlockDiffValue(
            header: header.rlp, certificate: [], sectionHashBefore: hash, changes: changes, codes: codes,
            pathProof: try pair.proof(section.index))
        key = BlockDiffKey(point: header.point, section: section.index)
        guard let bytes = value.encoded, (try? BlockDiffValue(decoding: bytes)) == value,
            try judge(value, key: key) == .stillTrue
        else { throw .truthRefused("a block diff") }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        var (header, changes, codes, proof) = (value.header, value.changes, value.codes, value.pathProof)
        switch kind {
        case .wrongRoot: guard generator.flipBit(of: &header) else { return nil }
        case .otherQuestion:
            return try judge(value, key: BlockDiffKey(point: key.point, section: key.section ^ 1))
        case .bytesChanged:
            guard var bytes = value.encoded, generator.flipBit(of: &bytes) else { return nil }
            guard let read = try? BlockDiffValue(decoding: bytes) else { return .refused }
            return read == value ? nil : try judge(read, key: key)
        case .countOff:
            // A code too many, twice, or too few. The last is no lie: codes are asked for elsewhere then.
            if generator.oneIn(2) { codes.append(codes.first ?? [1]) } else { codes = Array(codes.dropLast()) }
            guard codes != value.codes else { return nil }
        case _ where MutationKind.nodeKinds.contains(kind):
            let spare = pair.before.crown.nodes + pair.after.crown.nodes
            guard NodeMutation.apply(kind, to: &proof, spare: spare, &generator), proof != value.pathProof else {
                return nil
            }
        default: guard ChangeMutation.apply(kind, to: &changes, &generator) else { return nil }
        }
        let mutant = BlockDiffValue(
            header: header, certificate: [], sectionHashBefore: value.sectionHashBefore, changes: changes,
            codes: codes, pathProof: proof)
        // Through the wire, where it has that form.
        guard let bytes = mutant.encoded, let read = try? BlockDiffValue(decoding: bytes) else {
            return try judge(mutant, key: key)
        }
        return try judge(read, key: key)
    }

    private func judge(_ value: BlockDiffValue, key: BlockDiffKey) throws(FuzzFailure) -> Verdict {
        guard let claims = try? BlockDiffCheck.verify(value, key: key, depth: pair.depth) else { return .refused }
        try require(claims.header.header.stateRoot == pair.after.root, .untruthAccepted("a block's header"))
        let stated = Section(depth: pair.depth, index: key.section)
        let truth = pair.after.sections[key.section]
        try require(claims.sectionHashAfter == truth.hash(at: pair.depth), .untruthAccepted("a section hash"))
        var view = pair.before.view
        let applied = try? BlockDiffCheck.apply(value, to: stated, expecting: claims.sectionHashAfter, in: &view)
        guard let applied else { return .refused }
        try require(value.changes == pair.changes(in: stated), .untruthAccepted("changes of a block"))
        try require(applied.update.subtreeAfter == truth, .untruthAccepted("a section after a block"))
        let named = Set(applied.update.newCodeHashes)
        try require(applied.codes.allSatisfy { named.contains($0.hash) }, .untruthAccepted("a code that is not named"))
        return .stillTrue
    }
}
