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

    /// Whether a block diff on offer is wanted. `isCanonical` is nil while the block's header is not known.
    public func admission(of key: BlockDiffKey, isCanonical: Bool?) -> BlockDiffAdmission {
        guard let held = held(key.section) else { return .outsideArc }
        guard held.isComplete, let record = held.record else { return .notVerifiable }
        guard key.point.number > record.working.number else { return .known }
        if held.layers.contains(where: { $0.point == key.point }) { return .known }
        if let last = held.layers.last, key.point.number <= last.point.number { return .known }
        if held.pending.contains(where: { $0.key.point == key.point }) { return .inProgress }
        if isCanonical == false { return .notVerifiable }
        if held.pending.count >= StateNetworkLimits.pendingDiffsPerSection { return .busy }
        return .wanted
    }

    /// Queues a diff that was admitted.
    public mutating func enqueue(_ diff: PendingDiff) {
        change(diff.key.section) { held in
            guard held.pending.count < StateNetworkLimits.pendingDiffsPerSection else { return }
            guard !held.pending.contains(where: { $0.key.point == diff.key.point }) else { return }
            let place = held.pending.firstIndex { $0.key.point.number > diff.key.point.number } ?? held.pending.endIndex
            held.pending.insert(diff, at: place)
        }
    }

    /// The next diff to verify, and notice of a gap. Diffs that are no longer of use are dropped on the way.
    public mutating func nextDiff(of index: Int, at now: Instant, isCanonical: (StatePoint) -> Bool?) -> NextDiff {
        guard let held = held(index), !held.isLocked, held.isComplete, let record = held.record else { return .none }
        let top = held.layers.last?.point.number ?? record.working.number
        change(index) { section in
            section.pending.removeAll { diff in
                diff.key.point.number <= top || isCanonical(diff.key.point) == false
                    || (isCanonical(diff.key.point) == nil
                        && now - diff.receivedAt > StateNetworkLimits.unknownHeaderWait)
            }
        }
        guard let next = self.held(index)?.pending.first else { return .none }
        guard isCanonical(next.key.point) == true else { return .none }
        if next.value.sectionHashBefore == stateHash(of: index, at: next.key.point.number) {
            change(index) { section in
                section.pending.removeFirst()
                section.gapSince = nil
            }
            return .verify(next)
        }
        if held.gapSince == nil { change(index) { $0.gapSince = now } }
        return .none
    }

    /// Whether blocks are known to be missing: just completed, or a diff has waited for its predecessor too long.
    public func hasGap(_ index: Int, at now: Instant) -> Bool {
        guard let held = held(index), held.isComplete else { return false }
        return held.needsCatchUp || held.gapSince.map { now - $0 > StateNetworkLimits.gapPatience } ?? false
    }

    /// Remembers a diff's value, to pass on and to serve.
    public mutating func remember(_ key: BlockDiffKey, _ value: [UInt8]) {
        guard !recent.contains(where: { $0.key == key }) else { return }
        recent.append((key, value))
        let surplus = recent.count - StateNetworkLimits.recentDiffs(sections: arc.count)
        if surplus > 0 { recent.removeFirst(surplus) }
    }

    /// The value of a recent block diff.
    public func recentDiff(_ key: BlockDiffKey) -> [UInt8]? { recent.last { $0.key == key }?.value }
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
