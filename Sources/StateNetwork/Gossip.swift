import Chain
import Primitives
import StateStore

extension Holdings {
    /// What to do with a section's next waiting diff.
    public enum NextDiff: Sendable {
        /// It fits onto what is held: verify it.
        case verify(PendingDiff)
        /// Nothing waits, or what waits does not fit yet.
        case none
    }

    /// Whether a block diff that `sender` offers is wanted. `isCanonical` is nil while the block's header is not
    /// attested here: the diff may bring what attests it, or be made up.
    public func admission(
        of key: BlockDiffKey, from sender: Bytes32?, isCanonical: Bool?
    ) -> BlockDiffAdmission {
        guard let held = held(key.section) else { return .outsideArc }
        guard held.isComplete, let record = held.record else { return .notVerifiable }
        guard key.point.number > record.working.number else { return .known }
        if held.layers.contains(where: { $0.point == key.point }) { return .known }
        if let last = held.layers.last, key.point.number <= last.point.number { return .known }
        if held.pending.contains(where: { $0.key.point == key.point }), !hasRoomForRival(held, of: key) {
            return .inProgress
        }
        if isCanonical == false { return .notVerifiable }
        if isFullOfLayers { return .busy }
        // One of a block that is not attested yet needs room only if it turns out that nobody vouches for it.
        let hasRoom = waitingDiffs.hasRoom(for: 0, from: sender, isVouched: true, beside: held.pending)
        let isOverShare = isCanonical == nil && isOverShare(sender, beside: held.pending)
        return hasRoom && !isOverShare ? .wanted : .busy
    }

    /// Whether a sender has all the places in a section that it may have for blocks that nobody vouches for.
    private func isOverShare(_ sender: Bytes32?, beside pending: [PendingDiff]) -> Bool {
        pending.count { !$0.isVouched && $0.sender == sender } >= StateNetworkLimits.unvouchedDiffsPerSender
    }

    /// Whether no more layers are kept: no anchor has become final for so long that those above the last one fill their
    /// room.
    public var isFullOfLayers: Bool { layerBytes >= layerLimit }

    /// Whether another diff of a block may come in beside those that wait: where the one whose turn it is does not go
    /// on from what is held, it may be that blocks are missing, or that it says something false of the state before it.
    private func hasRoomForRival(_ held: Held, of key: BlockDiffKey) -> Bool {
        guard !held.isLocked, held.pending.first?.key.point == key.point else { return false }
        let rivals = held.pending.filter { $0.key.point == key.point }
        let state = stateHash(of: key.section, at: key.point.number)
        return rivals.count < StateNetworkLimits.rivalDiffs
            && !rivals.contains { $0.value.sectionHashBefore == state }
    }

    /// Queues a diff that was admitted.
    public mutating func enqueue(_ diff: PendingDiff) {
        guard let held = held(diff.key.section), held.isComplete,
            waitingDiffs.hasRoom(
                for: diff.encoded.count, from: diff.sender, isVouched: diff.isVouched, beside: held.pending)
        else { return }
        defer { review(diff.key.section) }
        change(diff.key.section) { held in
            let rivals = held.pending.filter { $0.key.point == diff.key.point }
            guard rivals.count < StateNetworkLimits.rivalDiffs,
                !rivals.contains(where: { $0.value.sectionHashBefore == diff.value.sectionHashBefore })
            else { return }
            let place = held.pending.firstIndex { $0.key.point.number > diff.key.point.number } ?? held.pending.endIndex
            held.pending.insert(diff, at: place)
        }
    }

    /// The next diff to verify, and notice of a gap. Diffs that are no longer of use are dropped on the way.
    public mutating func nextDiff(of index: Int, at now: Instant, isCanonical: (StatePoint) -> Bool?) -> NextDiff {
        guard let held = held(index), !held.isLocked, held.isComplete, let record = held.record else { return .none }
        let top = held.layers.last?.point.number ?? record.working.number
        dropUseless(of: index, top: top, at: now, isCanonical: isCanonical)
        guard let next = self.held(index)?.pending.first else { return .none }
        lookAgain(after: next, since: held.gapSince, at: now)
        guard isCanonical(next.key.point) == true else { return .none }
        if isFullOfLayers {
            // What waits is not kept either: by the time there is room the way to the head is one answer.
            change(index) { section in
                section.pending = []
                section.needsCatchUp = true
            }
            return .none
        }
        let state = stateHash(of: index, at: next.key.point.number)
        let fits = self.held(index)?.pending.firstIndex {
            $0.key.point == next.key.point && $0.value.sectionHashBefore == state
        }
        if let fits, let diff = self.held(index)?.pending[fits] {
            change(index) { section in
                section.pending.remove(at: fits)
                section.gapSince = nil
            }
            return .verify(diff)
        }
        if held.gapSince == nil {
            change(index) { $0.gapSince = now }
            lookAgain(after: next, since: now, at: now)
        }
        return .none
    }

    /// Drops the diffs that cannot be of use any more. Who sent one of a block that no key stood behind, and that was
    /// not attested in time either, is noted.
    private mutating func dropUseless(
        of index: Int, top: UInt64, at now: Instant, isCanonical: (StatePoint) -> Bool?
    ) {
        var inVain: [(block: StatePoint, sender: Bytes32)] = []
        change(index) { section in
            section.pending.removeAll { diff in
                guard diff.key.point.number > top else { return true }
                switch isCanonical(diff.key.point) {
                case true?: return false
                case nil: guard now - diff.receivedAt > StateNetworkLimits.unknownHeaderWait else { return false }
                case false?: break
                }
                if !diff.isVouched, let sender = diff.sender { inVain.append((diff.key.point, sender)) }
                return true
            }
        }
        for (block, sender) in inVain { waitedInVain[block, default: []].insert(sender) }
    }

    /// Takes the senders noted so: each as often as there were blocks, however many sections each block was sent for.
    public mutating func takeSendersInVain() -> [Bytes32] {
        defer { waitedInVain = [:] }
        return waitedInVain.values.flatMap { $0 }.sorted()
    }

    /// The diffs whose turn it is in a section, several of one block where they disagree; none while the section is
    /// locked.
    public func blockingDiffs(of index: Int) -> [PendingDiff] {
        guard let held = held(index), !held.isLocked, let first = held.pending.first else { return [] }
        return held.pending.filter { $0.key.point == first.key.point }
    }

    /// Diffs of the same block and section that wait beside `diff` and disagree with it about the state before.
    public func rivals(of diff: PendingDiff) -> [PendingDiff] {
        (held(diff.key.section)?.pending ?? []).filter {
            $0.key == diff.key && $0.value.sectionHashBefore != diff.value.sectionHashBefore
        }
    }

    /// Throws a diff away that turned out to be false. The others who had the true one were told that it was on its
    /// way, so the section is asked for without waiting for it to be offered again.
    public mutating func discard(_ diff: PendingDiff) {
        change(diff.key.section) { held in
            held.pending.removeAll {
                $0.key == diff.key && $0.value.sectionHashBefore == diff.value.sectionHashBefore
            }
            held.needsCatchUp = true
        }
        review(diff.key.section)
    }

    /// Notice of a gap without waiting for one to show.
    public mutating func missesBlocks(_ index: Int) { change(index) { $0.needsCatchUp = true } }

    /// Notes when time alone changes what is to be done about a diff that waits.
    private mutating func lookAgain(after diff: PendingDiff, since gap: Instant?, at now: Instant) {
        let times = [
            diff.receivedAt + StateNetworkLimits.unknownHeaderWait + .milliseconds(1),
            gap.map { $0 + StateNetworkLimits.gapPatience + .milliseconds(1) },
        ]
        for case let time? in times where time > now { reviewAt = reviewAt.map { min($0, time) } ?? time }
    }

    /// Whether blocks are known to be missing: just completed, or a diff has waited for its predecessor too long.
    public func hasGap(_ index: Int, at now: Instant) -> Bool {
        guard let held = held(index), held.isComplete else { return false }
        // One layer in place of many makes room; one in place of one or none would only take more.
        if isFullOfLayers && held.layers.count < 2 { return false }
        return held.needsCatchUp || held.gapSince.map { now - $0 > StateNetworkLimits.gapPatience } ?? false
    }

    /// Remembers a diff's value, to pass on and to serve.
    public mutating func remember(_ key: BlockDiffKey, _ value: [UInt8]) {
        recent.add(key, value)
    }

    /// The value of a recent block diff.
    public func recentDiff(_ key: BlockDiffKey) -> [UInt8]? { recent[key] }
}

/// Whether a block diff on offer is wanted, and why not.
public enum BlockDiffAdmission: Sendable, Equatable {
    case wanted
    case known
    case inProgress
    case outsideArc
    /// The section is not complete, or the block's header is not attested.
    case notVerifiable
    case busy
}

/// The values of recent block diffs, bounded by number and by bytes; the oldest go first.
struct RecentDiffs: Sendable {
    private let limit: Int
    private var values: [BlockDiffKey: [UInt8]] = [:]
    /// Keys as they came. Those before `first` are gone.
    private var order: [BlockDiffKey] = []
    private var first = 0
    private(set) var bytes = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { values.count }

    subscript(key: BlockDiffKey) -> [UInt8]? { values[key] }

    mutating func add(_ key: BlockDiffKey, _ value: [UInt8]) {
        guard values[key] == nil else { return }
        values[key] = value
        order.append(key)
        bytes += value.count
        // The newest stays whatever its size: it is about to be passed on.
        while count > 1, count > limit || bytes > StateNetworkLimits.recentDiffBytes {
            bytes -= values.removeValue(forKey: order[first])?.count ?? 0
            first += 1
        }
        if first > order.count / 2 {
            order.removeFirst(first)
            first = 0
        }
    }
}
