import Chain
import Primitives

/// Who does not lead sections on, and for how long that has been so: what decides whether a section is begun again.
struct Refusals: Sendable {
    /// A section that something was asked for, and that did not get on by it.
    private struct Hindered: Sendable {
        /// When that was first tried.
        let since: Instant
        /// Who was asked and gave nothing: no answer, a useless one, or "busy".
        var by: Set<Bytes32> = []
    }

    /// By the anchor that sections are at: the peers whose history does not reach back to it, as they have said. It
    /// never will again.
    private var tooOld: [Anchor: Set<Bytes32>] = [:]
    /// By section: the peers for whom its diff fits no answer, as they have said since it last went on.
    private var tooLarge: [Int: Set<Bytes32>] = [:]
    /// By section, since it last went on: who was to lead it to another anchor, and who was to give a range of it.
    private var hindered: [Int: Hindered] = [:]
    private var unfed: [Int: Hindered] = [:]
    /// When all holders of a section at the newest anchor were first found to refuse a diff to it.
    private var since: [Int: Instant] = [:]

    // MARK: What happened

    /// Something that was asked of a peer ended.
    mutating func ended(_ task: WalkTask, of peer: Bytes32, _ outcome: AskOutcome, since startedAt: Instant) {
        if outcome.hasHelped == false {
            for section in task.sectionsLedOn {
                hindered[section, default: Hindered(since: startedAt)].by.insert(peer)
            }
            if case .range(let section, _, _, _, _) = task {
                unfed[section, default: Hindered(since: startedAt)].by.insert(peer)
            }
        }
        guard let anchor = task.diffStart else { return }
        if outcome == .tooOld { tooOld[anchor, default: []].insert(peer) }
        // Only the first section's diff was looked at: with none of it the answer would be empty.
        if outcome == .tooLarge, let first = task.sections.first { tooLarge[first, default: []].insert(peer) }
    }

    /// More or less is held of a section, or at another anchor: nothing said of it before counts.
    mutating func moved(_ section: Int) {
        tooLarge[section] = nil
        hindered[section] = nil
        unfed[section] = nil
        since[section] = nil
    }

    /// Nothing is held at other anchors than these any more.
    mutating func keep(_ isHeld: (Anchor) -> Bool) { tooOld = tooOld.filter { isHeld($0.key) } }

    // MARK: What follows

    /// Peers whose history does not reach back to an anchor.
    func lackHistory(from anchor: Anchor) -> Set<Bytes32> { tooOld[anchor] ?? [] }

    /// Whether a section's diff fits no answer of a peer.
    func isTooLarge(_ section: Int, for peer: Bytes32) -> Bool { tooLarge[section]?.contains(peer) ?? false }

    /// Whether nobody who holds a section at the newest anchor gives a diff to it: those `refusing` lack the history
    /// for it, for others it is too large, and the rest was asked and gave nothing, for `WalkLimits.uselessAfter`. It
    /// has to stay so for a while, longer where few say so: whoever is first to announce a new anchor is its only
    /// holder for a moment, and could make us throw away what is held by one word. Where none refuses, nothing would be
    /// won by beginning again.
    mutating func isRefused(
        _ section: Int, by refusing: Set<Bytes32>, holders: [Bytes32], at now: Instant
    ) -> Bool {
        func refuses(_ id: Bytes32) -> Bool { refusing.contains(id) || isTooLarge(section, for: id) }
        let count = holders.count(where: refuses)
        guard count > 0 else {
            if !holders.isEmpty { since[section] = nil }
            return false
        }
        let useless = Refusals.useless(hindered[section], at: now)
        guard holders.allSatisfy({ refuses($0) || useless.contains($0) }) else {
            since[section] = nil
            return false
        }
        let first = since[section] ?? now
        since[section] = first
        return now - first >= (count < WalkLimits.manyRefuse ? WalkLimits.fewRefuseGrace : WalkLimits.orphanGrace)
    }

    /// Holders of a partly fetched section that were asked for a range of it and gave nothing, where that has gone on
    /// for so long that nothing is expected of them: one that announces an anchor everybody else has left could keep
    /// the section there for ever.
    func feedsNot(_ section: Int, at now: Instant) -> Set<Bytes32> { Refusals.useless(unfed[section], at: now) }

    /// Who gave nothing, where that has gone on for so long that nothing is expected of them.
    private static func useless(_ hindered: Hindered?, at now: Instant) -> Set<Bytes32> {
        guard let hindered, now - hindered.since >= WalkLimits.uselessAfter else { return [] }
        return hindered.by
    }

    /// The times at which time alone changes what follows.
    var deadlines: [Instant] {
        var times = since.values.flatMap { [$0 + WalkLimits.orphanGrace, $0 + WalkLimits.fewRefuseGrace] }
        // Only where others refuse does it matter that somebody does not help.
        if !(tooOld.isEmpty && tooLarge.isEmpty) {
            times += hindered.values.map { $0.since + WalkLimits.uselessAfter }
        }
        times += unfed.values.map { $0.since + WalkLimits.uselessAfter }
        return times
    }
}
