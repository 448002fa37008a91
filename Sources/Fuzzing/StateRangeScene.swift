import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// A range answer with its columns taken apart, written again by the schema: nothing here is the codec's own.
struct WireRange: Hashable {
    var end: Cursor
    var keys: [Bytes32] = []
    var kinds: [UInt8] = []
    var bodies: [[UInt8]] = []
    var counts: [Int] = []
    var slotKeys: [Bytes32] = []
    var slotValues: [[UInt8]] = []
    var accountProof: [[UInt8]] = []
    var storageProofs: [[[UInt8]]] = []

    init(decoding value: [UInt8]) throws(FuzzFailure) {
        do throws(SSZError) {
            let fields = try SSZ.decode(value.dropFirst(), as: RangeValue.schema).fields
            let bounds = try fields[0].fields
            end = Cursor(account: try bounds[0].bytes32, slot: try bounds[1].bytes32)
            for key in try fields[1].elements { keys.append(try key.bytes32) }
            kinds = try fields[2].bytes
            bodies = WireColumns.items(try fields[3].bytes)
            for count in try fields[4].elements { counts.append(Int(truncatingIfNeeded: try count.uint64)) }
            for key in try fields[5].elements { slotKeys.append(try key.bytes32) }
            slotValues = WireColumns.items(try fields[6].bytes)
            for node in try fields[7].elements { accountProof.append(try node.bytes) }
            for proof in try fields[8].elements {
                var nodes: [[UInt8]] = []
                for node in try proof.elements { nodes.append(try node.bytes) }
                storageProofs.append(nodes)
            }
        } catch {
            throw .setup("an honest range: \(error)")
        }
    }

    /// nil where a limit of the schema is broken.
    var encoded: [UInt8]? {
        let nodes = { (list: [[UInt8]]) in SSZValue.elements(list.map { .bytes($0) }) }
        let value = SSZValue.fields([
            .fields([.bytes32(end.account), .bytes32(end.slot)]), .elements(keys.map { .bytes32($0) }),
            .bytes(kinds), .bytes(Array(bodies.joined())),
            .elements(counts.map { .integer(UInt32(truncatingIfNeeded: $0)) }),
            .elements(slotKeys.map { .bytes32($0) }), .bytes(Array(slotValues.joined())), nodes(accountProof),
            .elements(storageProofs.map(nodes)),
        ])
        return (try? SSZ.encode(value, as: RangeValue.schema)).map { [0] + $0 }
    }

    /// Which entry of `counts` slot `index` belongs to.
    func owner(of index: Int) -> Int? {
        var sum = 0
        return counts.firstIndex { count in
            sum += count
            return index < sum
        }
    }

    /// Where the slots of entry `place` of `counts` lie.
    func slots(of place: Int) -> Range<Int> {
        let start = counts[..<place].reduce(0, +)
        return start..<(start + counts[place])
    }
}

/// What columns have in common.
enum WireColumns {
    /// Items of RLP that stand one after the other.
    static func items(_ bytes: [UInt8]) -> [[UInt8]] {
        var reader = RLPReader(bytes)
        var items: [[UInt8]] = []
        while !reader.isAtEnd, let item = try? reader.nextRaw() { items.append(item) }
        return items
    }

    /// A column turned by one place, one of its items moved, or the last left out and the first doubled.
    static func shift<Item>(_ column: inout [Item], _ generator: inout some RandomNumberGenerator) -> Bool {
        guard column.count > 1 else { return false }
        switch generator.below(3) {
        case 0: column.append(column.removeFirst())
        case 1: column.insert(column.removeLast(), at: 0)
        default:
            column.removeLast()
            column.insert(column[0], at: 0)
        }
        return true
    }
}

/// A range of the state as it is served: accounts and their storage.
struct StateRangeScene: Scene {
    private let state: SampleState
    private let key: RangeKey
    private let honest: [UInt8]
    private let wire: WireRange

    static let kinds: [MutationKind] = MutationKind.allCases.filter { $0 != .putTurned }

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        state = try SampleState(&generator, upTo: 20)
        let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
        let maxBytes: UInt32 = [2_500, 4_000, 1 << 20][generator.below(3)]
        let anchor = Anchor(epoch: 3, hash: .max)
        let kept = state.kept(&generator)
        guard
            let key = RangeKey(
                anchor: anchor, origin: bounds[0], limit: bounds[1], maxBytes: maxBytes, keeping: kept)
        else { throw .setup("a range key") }
        var view = state.view
        let served = try? RangeServer.serve(key, view: &view, crown: state.crown)
        guard let value = served else { throw .setup("an answer") }
        // Mutants may be a little longer than what was asked for.
        guard
            let wide = RangeKey(
                anchor: anchor, origin: key.origin, limit: key.limit, maxBytes: 1 << 22, keeping: kept)
        else { throw .setup("a range key") }
        self.key = wide
        honest = value
        guard value.first == 0 else { throw .setup("an answer with data, not status \(value.first ?? 255)") }
        wire = try WireRange(decoding: value)
        try require(wire.encoded == value, .readersDiffer("a range, by the server and by the schema"))
        guard try judge(value, key: self.key, root: state.root) == .stillTrue else {
            throw .truthRefused("a range of a state")
        }
    }

    func attempt(
        _ kind: MutationKind, _ generator: inout some RandomNumberGenerator
    ) throws(FuzzFailure) -> Verdict? {
        switch kind {
        case .wrongRoot:
            guard let root = state.wrongRoot(&generator) else { return nil }
            return try judge(honest, key: key, root: root)
        case .otherQuestion:
            let bounds = [state.cursor(&generator), generator.oneIn(2) ? key.origin : key.limit].sorted()
            let asked = RangeKey(
                anchor: key.anchor, origin: bounds[0], limit: bounds[1], maxBytes: key.maxBytes,
                keeping: generator.oneIn(2) ? key.kept : state.kept(&generator))
            guard let asked, asked != key else { return nil }
            return try judge(honest, key: asked, root: state.root)
        case .bytesChanged:
            var bytes = honest
            switch generator.below(4) {
            case 0: bytes.removeLast(1 + generator.below(min(40, bytes.count - 1)))
            case 1: bytes.append(generator.byte())
            default: _ = generator.flipBit(of: &bytes)
            }
            return try judge(bytes, key: key, root: state.root)
        default:
            var mutant = wire
            guard mutant.mutate(kind, state: state, &generator), mutant != wire, let bytes = mutant.encoded else {
                return nil
            }
            return try judge(bytes, key: key, root: state.root)
        }
    }

    private func judge(_ value: [UInt8], key: RangeKey, root: Bytes32) throws(FuzzFailure) -> Verdict {
        guard let range = try? RangeCheck.verify(value, key: key, stateRoot: root) else { return .refused }
        try require(root == state.root, .untruthAccepted("a range under a wrong root"))
        try require(range.origin == key.origin && range.end <= key.limit, .untruthAccepted("the ends of a range"))
        let truth = state.leaves(from: range.origin, through: range.end)
            .filter { $0.key.slot == nil || key.kept.keeps($0.key.account) }
        let found = range.leaves.map { MemoryState.Leaf(key: $0.key, value: $0.value) }
        try require(found == truth, .untruthAccepted("the leaves of a range"))
        return .stillTrue
    }
}

extension WireRange {
    /// Applies one change; false where there is nothing to change.
    mutating func mutate(
        _ kind: MutationKind, state: SampleState, _ generator: inout some RandomNumberGenerator
    ) -> Bool {
        switch kind {
        case .leafDropped, .leafAdded, .leafChanged, .leafMoved, .leavesReordered, .leafDuplicated, .keyOffByOne:
            return generator.oneIn(2) && !slotKeys.isEmpty ? slot(kind, &generator) : account(kind, &generator)
        case .nodeDropped, .nodeAdded, .nodeRepeated, .nodeBitFlipped, .nodesSwapped:
            let spare = state.someNodes(&generator) + storageProofs.joined()
            if let place = generator.index(storageProofs.count), generator.oneIn(2) {
                return NodeMutation.apply(kind, to: &storageProofs[place], spare: accountProof, &generator)
            }
            return NodeMutation.apply(kind, to: &accountProof, spare: spare, &generator)
        case .edgeCut: return cutEdge(state, &generator)
        case .columnShifted:
            switch generator.below(6) {
            case 0: return WireColumns.shift(&slotKeys, &generator)
            case 1: return WireColumns.shift(&slotValues, &generator)
            case 2: return WireColumns.shift(&bodies, &generator)
            case 3: return WireColumns.shift(&kinds, &generator)
            case 4: return WireColumns.shift(&counts, &generator)
            default: return WireColumns.shift(&keys, &generator)
            }
        case .countOff:
            guard let place = generator.index(counts.count) else { return false }
            // One slot more or less; or the boundary between two accounts moved.
            let step = generator.oneIn(2) ? 1 : -1
            counts[place] += step
            if generator.oneIn(2), place + 1 < counts.count { counts[place + 1] -= step }
            return counts.allSatisfy { $0 >= 0 }
        case .storageGivenAway: return giveAway(&generator)
        case .kindChanged:
            guard let place = generator.index(kinds.count) else { return false }
            kinds[place] = UInt8(generator.below(4))
            if generator.oneIn(2) { storageProofs.append(accountProof) }
            return true
        default: return false
        }
    }

    private mutating func account(_ kind: MutationKind, _ generator: inout some RandomNumberGenerator) -> Bool {
        var rows = zip(keys, zip(kinds, bodies)).map { Row(key: $0, value: [$1.0] + $1.1) }
        let changed = RowMutation.apply(kind, to: &rows, &generator) { generator in
            // The kind, and a body that is well formed.
            [0] + StateAccount(nonce: generator.next() >> 50, balance: UInt256(generator.next())).slim
        }
        keys = rows.map(\.key)
        kinds = rows.map { $0.value.first ?? 0 }
        bodies = rows.map { Array($0.value.dropFirst()) }
        guard changed, kind == .leafDropped || kind == .leafDuplicated else { return changed }
        // The slots go with their account where that leaves the columns in step.
        if kind == .leafDropped, let place = generator.index(counts.count), generator.oneIn(2) {
            let range = slots(of: place)
            slotKeys.removeSubrange(range)
            slotValues.removeSubrange(range)
            counts.remove(at: place)
        }
        return true
    }

    private mutating func slot(_ kind: MutationKind, _ generator: inout some RandomNumberGenerator) -> Bool {
        guard let index = generator.index(slotKeys.count), let place = owner(of: index) else { return false }
        let range = slots(of: place)
        var rows = zip(slotKeys[range], slotValues[range]).map { Row(key: $0, value: $1) }
        guard RowMutation.apply(kind, to: &rows, &generator, value: { SlotValue.rlp(SampleState.value(&$0)) }) else {
            return false
        }
        slotKeys.replaceSubrange(range, with: rows.map(\.key))
        slotValues.replaceSubrange(range, with: rows.map(\.value))
        counts[place] = rows.count
        return true
    }

    /// The end moves, and the leaves behind it may go too; or leaves at an end go and the end stays.
    private mutating func cutEdge(_ state: SampleState, _ generator: inout some RandomNumberGenerator) -> Bool {
        switch generator.below(3) {
        case 0: end = state.cursor(&generator)
        case 1:
            guard kinds.last == 0 else { return false }
            keys.removeLast()
            kinds.removeLast()
            bodies.removeLast()
            if generator.oneIn(2), let last = keys.last { end = .end(of: last) }
        default:
            guard let last = counts.last, last > 0 else { return false }
            let count = 1 + generator.below(last)
            counts[counts.count - 1] -= count
            slotKeys.removeLast(count)
            slotValues.removeLast(count)
            guard generator.oneIn(2), let key = keys.last, let slot = slotKeys.last else { return true }
            end = Cursor(account: key, slot: slot)
        }
        return true
    }

    /// Two accounts exchange their slots, their storage roots, or both; or one takes the root of another.
    private mutating func giveAway(_ generator: inout some RandomNumberGenerator) -> Bool {
        guard counts.count > 1 else { return false }
        let places = kinds.indices.filter { kinds[$0] == 1 || kinds[$0] == 2 }
        let one = generator.below(counts.count - 1)
        let other = one + 1
        guard places.count == counts.count, var a = try? StateAccount(slim: bodies[places[one]]),
            var b = try? StateAccount(slim: bodies[places[other]])
        else { return false }
        let choice = generator.below(4)
        if choice != 1 {
            let (first, second) = (slots(of: one), slots(of: other))
            let whole = first.lowerBound..<second.upperBound
            slotKeys.replaceSubrange(whole, with: Array(slotKeys[second] + slotKeys[first]))
            slotValues.replaceSubrange(whole, with: Array(slotValues[second] + slotValues[first]))
            counts.swapAt(one, other)
        }
        if choice > 0 {
            (a.storageRoot, b.storageRoot) = (b.storageRoot, choice == 3 ? b.storageRoot : a.storageRoot)
            bodies[places[one]] = a.slim
            bodies[places[other]] = b.slim
        }
        return true
    }
}
