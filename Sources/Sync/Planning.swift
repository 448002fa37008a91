import Chain
import Primitives
import StateStore

extension StateSync {
    /// What to ask now, and whom by the choice of `book`. Call after anything changed, and when `nextDeadline` is
    /// reached.
    public mutating func plan(at now: Instant, choosing book: inout some PeerChooser) -> SyncPlan {
        var plan = SyncPlan()
        guard let newest else { return plan }
        // Nobody to ask: nothing but drops can come of it, and those wait for a free lane anyway.
        guard flights.count < SyncLimits.requestsInFlight else { return plan }
        var taken = Set(flights.values.flatMap(\.assignment.task.sections))
        planCrown(of: newest, &plan, by: &book, at: now)
        // How much a diff or a code brings is known only afterwards: they go first, and wait while more was loaded than
        // the limit allows. Ranges wait until all that they may bring is covered.
        if !budget.isOverdrawn(at: now) {
            planCrossings(to: newest, taken: &taken, &plan, by: &book, at: now)
            planCodes(&plan, by: &book, at: now)
            if phase == .following { planCatchUp(from: newest, taken: &taken, &plan, by: &book, at: now) }
        }
        planRanges(at: newest, taken: &taken, &plan, by: &book, now: now)
        return plan
    }

    /// The next time at which `plan` may say something new although nothing was told.
    public func nextDeadline(at now: Instant) -> Instant? {
        // Asked after every event: without arrays.
        var earliest: Instant?
        func consider(_ time: Instant) {
            if time > now { earliest = min(time, earliest ?? time) }
        }
        for peer in peers.values { consider(peer.pausedUntil) }
        // Only where others refuse does it matter that somebody does not help.
        if !(tooOldFor.isEmpty && tooLargeFor.isEmpty) {
            for section in hindered.values { consider(section.since + SyncLimits.uselessAfter) }
        }
        // What was overdrawn comes in first, and with it diffs and codes.
        if let ready = budget.ready(for: 0, at: now) { consider(ready) }
        if let ready = budget.ready(for: configuration.rangeBytes, at: now) { consider(ready) }
        for since in orphanedSince.values { consider(since + StateSync.orphanGrace) }
        for since in refusedSince.values {
            consider(since + StateSync.orphanGrace)
            consider(since + SyncLimits.fewRefuseGrace)
        }
        return earliest
    }

    /// How long a partly fetched section may be without a holder at its anchor before it goes on at another, and one
    /// that all refuse to lead on before it is begun again: long enough for one round of pings.
    static let orphanGrace = Interval.seconds(8)
    /// Anchors a holder serves: its working one and the one before. A section at an older one waits for nobody.
    static let anchorsServed: UInt64 = 2

    private mutating func planCrown(
        of anchor: Anchor, _ plan: inout SyncPlan, by book: inout some PeerChooser, at now: Instant
    ) {
        guard !crowns.contains(anchor) else { return }
        guard !flights.values.contains(where: { $0.assignment.task == .crown(anchor) }) else { return }
        let peer = choose(by: &book, at: now) { $0.served.contains { $0.anchor == anchor } }
        guard let peer else { return }
        plan.assignments.append(assign(.crown(anchor), to: peer, budgeted: 0, at: now))
    }

    /// `D`: complete sections behind the newest anchor, asked for in groups that one peer can serve from one anchor.
    /// Those that were away for longer than any holder's history reaches back are begun again.
    private mutating func planCrossings(
        to newest: Anchor, taken: inout Set<Int>, _ plan: inout SyncPlan,
        by book: inout some PeerChooser, at now: Instant
    ) {
        guard crowns.contains(newest) else { return }
        var behind: [Anchor: [Int]] = [:]
        for (slot, status) in sections.enumerated() where !status.isLocked {
            let index = configuration.arc.lowerBound + slot
            guard case .complete(let anchor) = status.coverage, anchor != newest, !taken.contains(index) else {
                continue
            }
            behind[anchor, default: []].append(index)
        }
        for anchor in behind.keys.sorted(by: { $0.epoch < $1.epoch }) {
            let refusing = tooOldFor[anchor] ?? []
            assignDiffs(behind[anchor] ?? [], from: anchor, taken: &taken, &plan, by: &book, at: now) { peer in
                refusing.contains(peer.id) ? nil : .anchor(newest)
            }
            // From the anchor before the newest every holder leads on: its refusal is a mistake. But nobody can help a
            // diff that fits no answer.
            let mayBeTooOld = anchor.epoch + StateSync.anchorsServed <= newest.epoch
            plan.drops += (behind[anchor] ?? []).filter { section in
                !taken.contains(section) && isRefused(section, mayBeTooOld ? refusing : [], at: newest, now: now)
            }
        }
    }

    /// Whether nobody who holds a section at the newest anchor gives a diff to it: those `refusing` lack the history
    /// for it, for others it is too large, and the rest was asked and gave nothing, for `uselessAfter`. It has to stay
    /// so for a while, longer where few say so: whoever is first to claim a new anchor is its only holder for a moment,
    /// and could make us throw away what is held by one word. Where none refuses, nothing would be won by beginning
    /// again.
    private mutating func isRefused(
        _ section: Int, _ refusing: Set<Bytes32>, at newest: Anchor, now: Instant
    ) -> Bool {
        let refusing = refusing.union(tooLargeFor[section] ?? [])
        let holders = peers.values.filter { $0.claim.holds(section, at: newest) }
        let count = holders.count { refusing.contains($0.claim.id) }
        guard count > 0 else {
            if !holders.isEmpty { refusedSince[section] = nil }
            return false
        }
        let useless = uselessHolders(of: section, at: now)
        guard holders.allSatisfy({ refusing.contains($0.claim.id) || useless.contains($0.claim.id) }) else {
            refusedSince[section] = nil
            return false
        }
        let since = refusedSince[section] ?? now
        refusedSince[section] = since
        return now - since >= (count < SyncLimits.manyRefuse ? SyncLimits.fewRefuseGrace : StateSync.orphanGrace)
    }

    /// Who was asked to lead a section on and gave nothing, where that has gone on for so long that nothing is expected
    /// of them.
    private func uselessHolders(of section: Int, at now: Instant) -> Set<Bytes32> {
        guard let hindered = hindered[section], now - hindered.since >= SyncLimits.uselessAfter else { return [] }
        return hindered.by
    }

    /// Sections with a gap after the newest anchor, brought to a block that a holder proves.
    private mutating func planCatchUp(
        from newest: Anchor, taken: inout Set<Int>, _ plan: inout SyncPlan,
        by book: inout some PeerChooser, at now: Instant
    ) {
        let gaps = sections.indices.filter { slot in
            let status = sections[slot]
            return status.hasGap && !status.isLocked && status.coverage == .complete(anchor: newest)
        }.map { $0 + configuration.arc.lowerBound }.filter { !taken.contains($0) }
        // Sections at different blocks are asked for apart: a target must lie beyond all that a request names.
        let byTop = Dictionary(grouping: gaps) { sections[$0 - configuration.arc.lowerBound].top }
        let nearHead = nearHead
        for top in byTop.keys.sorted() {
            assignDiffs(byTop[top] ?? [], from: newest, taken: &taken, &plan, by: &book, at: now) { peer in
                // Claims come with pings and are seconds old; a holder has a block's diffs moments after its header.
                let goals = [peer.head, nearHead].compactMap { $0 }
                guard peer.head != nil, let goal = goals.max(by: { $0.number < $1.number }), goal.number > top else {
                    return nil
                }
                return .block(goal)
            }
        }
    }

    private mutating func assignDiffs(
        _ wanted: [Int], from anchor: Anchor, taken: inout Set<Int>, _ plan: inout SyncPlan,
        by book: inout some PeerChooser, at now: Instant,
        target: (SyncPeer) -> SyncTask.DiffTarget?
    ) {
        var rest = wanted
        // Looked up once, since every section that nobody can lead would ask all peers in vain.
        guard peers.values.contains(where: { isFree($0, at: now) && target($0.claim) != nil }) else { return }
        while let first = rest.first {
            func serves(_ section: Int, _ peer: SyncPeer) -> Bool {
                guard tooLargeFor[section]?.contains(peer.id) != true else { return false }
                return switch target(peer) {
                case .anchor(let newest)?: peer.holds(section, at: newest)
                case .block?: peer.holds(section, at: anchor)
                case nil: false
                }
            }
            guard let id = choose(by: &book, at: now, where: { serves(first, $0) }), let claim = peers[id]?.claim,
                let goal = target(claim)
            else {
                rest.removeFirst()
                continue
            }
            var group: [Int] = []
            // The bitmask of a diff request spans 256 sections from the first.
            for section in rest where section - first < 256 && group.count < SyncLimits.sectionsPerDiff {
                if serves(section, claim) { group.append(section) }
            }
            rest.removeAll { group.contains($0) }
            taken.formUnion(group)
            plan.assignments.append(
                assign(.diffs(sections: group, from: anchor, to: goal), to: id, budgeted: 0, at: now))
        }
    }

    private mutating func planCodes(
        _ plan: inout SyncPlan, by book: inout some PeerChooser, at now: Instant
    ) {
        var asked = Set<Bytes32>()
        for flight in flights.values {
            if case .codes(let hashes, _) = flight.assignment.task { asked.formUnion(hashes) }
        }
        let waiting = Dictionary(grouping: wantedCodes.filter { !asked.contains($0.hash) }, by: \.section)
        for section in waiting.keys.sorted() {
            var rest = (waiting[section] ?? []).map(\.hash)[...]
            while !rest.isEmpty, let peer = choose(by: &book, at: now, where: { $0.claims(section) }) {
                let group = Array(rest.prefix(SyncLimits.codesPerRequest))
                rest = rest.dropFirst(group.count)
                plan.assignments.append(assign(.codes(group, section: section), to: peer, budgeted: 0, at: now))
            }
        }
    }

    /// Each lane asks for the next range of the section it is on. Where the download limit does not cover a request for
    /// every lane, the section that is first to lose its anchor goes first: lanes that all crept at the same pace would
    /// all be overtaken.
    private mutating func planRanges(
        at newest: Anchor, taken: inout Set<Int>, _ plan: inout SyncPlan,
        by book: inout some PeerChooser, now: Instant
    ) {
        guard wantedCodeSet.count < SyncLimits.codesWanted else { return }
        lanes.fill { index in sections[index - configuration.arc.lowerBound].begun != nil }
        for index in lanes.active.sorted(by: { urgency(of: $0) < urgency(of: $1) }) where !taken.contains(index) {
            let status = sections[index - configuration.arc.lowerBound]
            if status.isLocked { continue }
            if case .complete = status.coverage { continue }
            let section = Section(depth: configuration.depth, index: index)
            let begun = status.begun
            let anchor = status.carriedTo ?? begun?.anchor ?? newest
            if let begun, isOrphaned(index, at: anchor, now: now) {
                planCarry(index, from: begun.anchor, to: newest, taken: &taken, &plan, by: &book, at: now)
                continue
            }
            let maxBytes = rangeBytes[index] ?? configuration.rangeBytes
            guard peers.values.contains(where: { isFree($0, at: now) && $0.claim.holds(index, at: anchor) }) else {
                continue
            }
            guard budget.take(maxBytes, at: now) else { return }
            let peer = choose(by: &book, bytes: Int(maxBytes), at: now) { $0.holds(index, at: anchor) }
            guard let peer else {
                budget.settle(taken: maxBytes, arrived: 0)
                continue
            }
            taken.insert(index)
            let task = SyncTask.range(
                section: index, anchor: anchor, origin: begun?.next ?? Cursor(account: section.firstKey, slot: .zero),
                limit: Cursor(account: section.lastKey, slot: .max), maxBytes: maxBytes)
            plan.assignments.append(assign(task, to: peer, budgeted: maxBytes, at: now))
        }
    }

    /// The order in which lanes are served when not all can be: by anchor, sections not begun last, then by index.
    private func urgency(of index: Int) -> (epoch: UInt64, index: Int) {
        (sections[index - configuration.arc.lowerBound].begun?.anchor.epoch ?? .max, index)
    }

    /// A partly fetched section goes on at the newest anchor; where nobody's history leads there it is begun again.
    private mutating func planCarry(
        _ index: Int, from anchor: Anchor, to newest: Anchor, taken: inout Set<Int>, _ plan: inout SyncPlan,
        by book: inout some PeerChooser, at now: Instant
    ) {
        guard crowns.contains(newest), !budget.isOverdrawn(at: now) else { return }
        let refusing = (tooOldFor[anchor] ?? []).union(tooLargeFor[index] ?? [])
        guard !isRefused(index, refusing, at: newest, now: now) else {
            plan.drops.append(index)
            orphanedSince[index] = nil
            return
        }
        let peer = choose(by: &book, at: now) { $0.holds(index, at: newest) && !refusing.contains($0.id) }
        guard let peer else { return }
        taken.insert(index)
        let task = SyncTask.carry(section: index, from: anchor, to: newest)
        plan.assignments.append(assign(task, to: peer, budgeted: 0, at: now))
    }

    /// Whether a partly fetched section cannot go on at its anchor: that is out of everybody's reach, or nobody has
    /// claimed to serve it for a while.
    private mutating func isOrphaned(_ index: Int, at anchor: Anchor, now: Instant) -> Bool {
        guard let newest, anchor != newest, !peers.values.contains(where: { $0.claim.holds(index, at: anchor) }) else {
            orphanedSince[index] = nil
            return false
        }
        if anchor.epoch + StateSync.anchorsServed <= newest.epoch { return true }
        let since = orphanedSince[index] ?? now
        orphanedSince[index] = since
        return now - since >= StateSync.orphanGrace
    }

    /// The peer to ask of those that `qualify` and have room for another request: the book's choice.
    private func choose(
        by book: inout some PeerChooser, bytes: Int = SyncLimits.unknownAnswerBytes, at now: Instant,
        where qualifies: (SyncPeer) -> Bool
    ) -> Bytes32? {
        guard flights.count < SyncLimits.requestsInFlight else { return nil }
        let able = peers.values.filter { isFree($0, at: now) && qualifies($0.claim) }
        return book.choose(among: able.map { (id: $0.claim.id, load: $0.inFlight) }, bytes: bytes, at: now)
    }

    private func isFree(_ peer: PeerState, at now: Instant) -> Bool {
        peer.inFlight < SyncLimits.requestsPerPeer && peer.pausedUntil <= now
    }
}
