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
    /// By section, since it last went on: who does not give its nodes at an anchor.
    private var withholding: [Int: [Anchor: Set<Bytes32>]] = [:]
    /// When that was first said.
    private var withheldSince: [Int: Instant] = [:]
    /// Peers that have never heard of subtree hashes.
    private var former = FormerPeers()
    /// By section, since it last went on: who was to lead it to another anchor, who was to give a range of it, and who
    /// its nodes.
    private var hindered: [Int: Hindered] = [:]
    private var unfed: [Int: Hindered] = [:]
    private var uncompared: [Int: Hindered] = [:]
    /// By part of a spread storage, since it last went on: who said that it has none of it, and when.
    private var lacking: [Int: [Bytes32: Instant]] = [:]
    /// When all holders of a section at the newest anchor were first found to refuse a diff to it.
    private var since: [Int: Instant] = [:]

    // MARK: What happened

    /// Something that was asked of a peer ended.
    mutating func ended(
        _ task: WalkTask, of peer: Bytes32, _ outcome: AskOutcome, since startedAt: Instant, at now: Instant
    ) {
        // Who says of a diff that it is not there has not helped either, whatever it announces.
        if outcome.hasHelped == false || outcome == .refused {
            for section in task.sectionsLedOn {
                hindered[section, default: Hindered(since: startedAt)].by.insert(peer)
            }
        }
        if outcome.hasHelped == false {
            switch task {
            case .range(let section, _, _, _, _):
                unfed[section, default: Hindered(since: startedAt)].by.insert(peer)
            case .compare(let section, _, _, _):
                uncompared[section, default: Hindered(since: startedAt)].by.insert(peer)
            case .crown, .sections, .diffs, .carry, .codes, .storageCrown, .directory, .blockDiffs: break
            }
        }
        if case .compare(let section, _, let anchor, let means) = task {
            switch outcome {
            case .notKnown: former.add(peer, sequence: nil, at: now)
            // A larger range is asked for next.
            case .tooLarge where means.isStretch: break
            case .refused, .tooLarge, .invalid:
                withholding[section, default: [:]][anchor, default: []].insert(peer)
                withheldSince[section] = withheldSince[section] ?? now
            case .done: uncompared[section] = nil
            case .busy, .tooOld, .failed, .lacksPart, .aborted: break
            }
        }
        if outcome == .lacksPart {
            for part in task.subject.map({ task.sections.isEmpty ? [$0] : task.sections }) ?? [] {
                lacking[part, default: [:]][peer] = now
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
        withholding[section] = nil
        withheldSince[section] = nil
        hindered[section] = nil
        unfed[section] = nil
        uncompared[section] = nil
        since[section] = nil
        lacking[section] = nil
    }

    /// Nothing is held at other anchors than these any more.
    mutating func keep(_ isHeld: (Anchor) -> Bool) { tooOld = tooOld.filter { isHeld($0.key) } }

    // MARK: What follows

    /// Parts that a peer has said it lacks, and is not asked for now.
    func lacks(_ peer: Bytes32, at now: Instant) -> Set<Int> {
        guard !lacking.isEmpty else { return [] }
        return Set(lacking.filter { $0.value[peer].map { now - $0 < WalkLimits.partPause } ?? false }.keys)
    }

    /// Peers whose history does not reach back to an anchor.
    func lackHistory(from anchor: Anchor) -> Set<Bytes32> { tooOld[anchor] ?? [] }

    /// Whether anybody has refused a diff of a section, or gave none, since it last went on.
    func areKnown(of section: Int) -> Bool { tooLarge[section] != nil || hindered[section] != nil }

    /// Whether a section's diff fits no answer of a peer.
    func isTooLarge(_ section: Int, for peer: Bytes32) -> Bool { tooLarge[section]?.contains(peer) ?? false }

    /// Whether a peer has said that it gives no nodes of a section at an anchor, or of none.
    func hasSaid(_ peer: Bytes32, _ section: Int, at anchor: Anchor, now: Instant) -> Bool {
        former.contains(peer, sequence: nil, at: now) || withholding[section]?[anchor]?.contains(peer) ?? false
    }

    /// Whether nobody of those who hold a section at an anchor gives its nodes, by what one of them at least has said.
    /// That all of them have never heard of such content is final for a while; that some do not have it there may be
    /// otherwise at the next anchor, and what was compared is worth waiting for that.
    func nobodyCompares(_ section: Int, _ holders: [Bytes32], at anchor: Anchor, now: Instant) -> Bool {
        guard holders.contains(where: { hasSaid($0, section, at: anchor, now: now) }) else { return false }
        if holders.allSatisfy({ former.contains($0, sequence: nil, at: now) }) { return true }
        return withheldSince[section].map { now - $0 >= WalkLimits.uselessAfter } ?? false
    }

    /// Peers that were asked for nodes of a section and gave nothing for too long.
    func comparesNot(_ section: Int, at now: Instant) -> Set<Bytes32> {
        Refusals.useless(uncompared[section], at: now)
    }

    /// Whether nobody who holds a section at the newest anchor gives a diff to it: those `refusing` lack the history
    /// for it, for others it is too large, and the rest was asked and gave nothing, for `WalkLimits.uselessAfter`. It
    /// has to stay so for a while, longer where few say so: whoever is first to announce a new anchor is its only
    /// holder for a moment, and could keep us from the shorter way by one word.
    mutating func isRefused(
        _ section: Int, by refusing: Set<Bytes32>, holders: [Bytes32], at now: Instant
    ) -> Bool {
        func refuses(_ id: Bytes32) -> Bool { refusing.contains(id) || isTooLarge(section, for: id) }
        guard !holders.isEmpty else { return false }
        let count = holders.count(where: refuses)
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
        times += withheldSince.values.map { $0 + WalkLimits.uselessAfter }
        for list in [hindered, unfed, uncompared] {
            times += list.values.map { $0.since + WalkLimits.uselessAfter }
        }
        times += lacking.values.flatMap { $0.values.map { $0 + WalkLimits.partPause } }
        return times
    }
}
