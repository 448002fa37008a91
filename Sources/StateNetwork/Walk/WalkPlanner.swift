import Chain
import Primitives
import StateContent
import StateStore

/// The planner of the walk: what is held, what peers announce, what is under way and which anchors are final are
/// lent to it, and it says what to ask whom. See the essay in `Walk.swift`.
public struct WalkPlanner: Sendable {
    /// What the walk covers and how hard it pulls.
    struct Configuration: Sendable {
        /// Whose state this node takes follows from its own part.
        var role: Role
        var lanes: Int
        /// Upper bound of one range answer, bytes.
        var rangeBytes: UInt32
        /// nil: no limit.
        var downloadBytesPerSecond: UInt64?
        /// Where in its stretch each lane begins, 0 up to 1: another place for every node.
        var turn = 0.0
        /// Whether small sections are asked for several at once.
        var asksForBundles = true
        /// Whose storage is kept.
        var kept = KeptStorage.all
    }

    /// Where the walk stands.
    public enum Phase: Sendable, Equatable {
        case waiting
        case walking
        case following
    }

    let configuration: Configuration
    private(set) var phase = Phase.waiting
    private(set) var lanes: Lanes
    var budget: RateBudget
    /// Sizes to ask for where the configured one did not hold a single item.
    private var rangeBytes: [Int: UInt32] = [:]
    private(set) var refusals = Refusals()
    /// Which storage is spread, as others say.
    var directory = SpreadDirectory()
    private var bundles = Bundles()
    /// How much of what is compared has changed.
    var changes = ChangedShare()
    /// Blocks that are asked for.
    var pulls = BlockPulls()
    private var times = RangeTimes()
    /// When a partial section was first seen to have no holder left at its anchor.
    private var orphanedSince: [Int: Instant] = [:]
    /// Something happened since the last plan that may change what the next one says.
    private var isDue = true
    /// When time alone may.
    private var deadline: Instant?
    /// The revisions of what the last plan was made of.
    private var planned: (book: UInt64, operations: UInt64, beliefs: UInt64) = (0, 0, 0)

    init(configuration: Configuration, _ book: SectionBook, at now: Instant) {
        self.configuration = configuration
        lanes = Lanes(
            sections: book.arc.filter { !book.isComplete($0) && !book.mixed.contains($0) }, count: configuration.lanes,
            turn: configuration.turn)
        budget = RateBudget(
            bytesPerSecond: configuration.downloadBytesPerSecond, requestBytes: configuration.rangeBytes, at: now)
    }

    // MARK: What happened

    /// Notes events after which peers or anchors are other than they were. What is held and what is under way are seen
    /// by their revisions, and crowns and code only come and go with an operation's end.
    mutating func hear(_ event: StateSync.Event, _ peers: HolderDirectory) {
        switch event {
        case .peerUpdated(let info): if StatePeer.isNews(info, after: peers[info.id]) { isDue = true }
        case .peerLost, .headAdvanced, .finalAdvanced, .anchorsLost: isDue = true
        default: break
        }
    }

    /// Boundary blocks became final. Nothing under way is cancelled.
    mutating func anchorsAdvanced(_ book: SectionBook) {
        let held = book.pointsNeeded
        refusals.keep { held.contains(book.point(of: $0)) }
    }

    /// The arc is another: what is missing of it is walked, in lanes of its own.
    mutating func arcMoved(_ book: SectionBook) {
        lanes = Lanes(
            sections: book.arc.filter { !book.isComplete($0) && !book.mixed.contains($0) }, count: configuration.lanes)
        isDue = true
    }

    /// Takes up which sections have moved, and where the walk stands by that.
    mutating func follow(_ holdings: inout Holdings, newest: Anchor?) {
        for index in holdings.book.takeMoved() {
            refusals.moved(index)
            bundles.moved(index)
            if holdings.book.isComplete(index) || holdings.book.mixed.contains(index) {
                lanes.release(index)
            } else {
                lanes.giveBack(index)
            }
        }
        guard newest != nil else { return }
        switch phase {
        case .waiting, .walking: phase = holdings.completeAnchor != nil ? .following : .walking
        // New code is missing for a moment again and again; that is no new walk.
        case .following: if !holdings.book.isAllComplete { phase = .walking }
        }
    }

    /// Something that was asked of a peer ended.
    mutating func ended(
        _ task: WalkTask, of peer: Bytes32, _ outcome: AskOutcome, budgeted: UInt32, arrived: Int,
        since startedAt: Instant, at now: Instant
    ) {
        if budgeted > 0 || arrived > 0 { budget.settle(taken: budgeted, arrived: arrived) }
        refusals.ended(task, of: peer, outcome, since: startedAt, at: now)
        if case .done(let bytes) = outcome, task.doubled != nil {
            times.note(now - startedAt)
            bundles.took(now - startedAt, bytes: bytes)
        }
        if case .directory(let sections, _) = task { directory.ended(sections, of: peer) }
        if case .storageCrown(let key, _) = task, outcome == .lacksPart || outcome == .refused {
            directory.notShown(key)
        }
        if case .sections(let sections, _, _) = task { bundles.ended(sections, of: peer, outcome, at: now) }
        if case .compare(_, _, _, .stretch(_, _, let maxBytes)) = task, outcome == .tooLarge {
            changes.wasTooSmall(maxBytes)
        }
        guard case .range(let section, _, _, _, let maxBytes) = task else { return }
        switch outcome {
        case .done: rangeBytes[section] = nil
        case .tooLarge: rangeBytes[section] = min(maxBytes &* 2, WalkLimits.rangeBytesMaximum)
        default: break
        }
    }

    /// A range is stored: what its section has in all follows from the part that it covers.
    mutating func came(_ taken: RangeTaken, bytes: Int, _ task: WalkTask?) {
        guard case .range(_, _, let origin, _, _)? = task else { return }
        let section = taken.record.section
        guard section.owner == nil else { return }
        let end =
            if case .partial(let next) = taken.record.coverage { section.fraction(below: next.account) } else { 1.0 }
        bundles.measured(bytes: bytes, sections: end - section.fraction(below: origin.account))
    }

    /// Sections are stored that were asked for together.
    mutating func came(_ taken: SectionsTaken, bytes: Int, _ task: WalkTask?) {
        if let task { bundles.came(taken.given, of: task.sections, bytes: bytes) }
    }

    /// Whether block diffs that peers offer are to be taken. While the walk is held back by a limit they are not: each
    /// brings a header and a proof of its own, and the diff to the next anchor brings the same changes for less. Who
    /// follows takes them all, since the chain's own pace cannot be slowed down without falling behind.
    var takesBlockDiffs: Bool { phase == .following || configuration.downloadBytesPerSecond == nil }

    // MARK: Planning

    /// When a plan may say something new although nothing happened.
    var nextDeadline: Instant? { deadline }

    /// Whether a plan may say something new.
    func isDue(
        _ holdings: Holdings, _ operations: OperationTable, _ peers: HolderDirectory, at now: Instant
    ) -> Bool {
        isDue || planned != (holdings.book.revision, operations.revision, peers.book.beliefs)
            || deadline.map { $0 <= now } ?? false
    }

    /// What to ask now, and whom by the choice of `chooser`.
    mutating func plan(
        _ holdings: Holdings, _ operations: OperationTable, _ peers: HolderDirectory, _ chain: some AttestedHeaders,
        choosing chooser: inout some PeerChooser, at now: Instant
    ) -> WalkPlan {
        isDue = false
        planned = (holdings.book.revision, operations.revision, peers.book.beliefs)
        deadline = nil
        // Nobody to ask: nothing but drops can come of it, and those wait for a free lane anyway.
        guard let newest = chain.newestAnchor, operations.askCount < WalkLimits.requestsInFlight else {
            return WalkPlan()
        }
        var draft = WalkDraft(
            role: configuration.role, peers, operations, holdings.book, refusals, patience: times.patience, at: now)
        if let time = lanes.leaveWhatIsOwed(operations.asks, patience: times.patience, at: now) {
            draft.lookAgain(at: time)
        }
        planCrown(of: newest, holdings, operations, &draft, by: &chooser)
        planSpread(at: newest, holdings, operations, &draft, by: &chooser)
        // A part of the ring that is new here comes before all else: nobody is helped by half of it.
        if holdings.book.isWidening { planRanges(at: newest, holdings, peers, &draft, by: &chooser) }
        // How much a diff or a code brings is known only afterwards: they go first, and wait while more was loaded than
        // the limit allows. Ranges wait until all that they may bring is covered.
        if !budget.isOverdrawn(at: now) {
            planComparisons(with: newest, holdings, &draft, by: &chooser)
            planCrossings(to: newest, holdings, chain, &draft, by: &chooser)
            planCodes(holdings, operations, chain, &draft, by: &chooser)
            if phase == .following {
                planBlocks(holdings, operations, chain, &draft, by: &chooser)
                planCatchUp(from: newest, holdings, chain, &draft, by: &chooser)
            }
        }
        planRanges(at: newest, holdings, peers, &draft, by: &chooser)
        planDoubles(holdings, operations, &draft, by: &chooser)
        deadline = deadline(after: draft, book: holdings.book)
        return draft.plan
    }

    private func deadline(after draft: WalkDraft, book: SectionBook) -> Instant? {
        var times = draft.candidates.filter(\.isPaused).map(\.pausedUntil) + refusals.deadlines
        // What was overdrawn comes in first, and with it diffs and codes.
        if let ready = budget.ready(for: 0, at: draft.now) { times.append(ready) }
        if let ready = budget.ready(for: configuration.rangeBytes, at: draft.now) { times.append(ready) }
        times += orphanedSince.values.map { $0 + WalkLimits.orphanGrace }
        if phase == .following, let end = book.nextGap(after: draft.now) { times.append(end) }
        if let time = draft.reviewAt { times.append(time) }
        if draft.isBarred { times.append(draft.now + WalkLimits.barredPause) }
        return times.filter { $0 > draft.now }.min()
    }

    private mutating func planCrown(
        of anchor: Anchor, _ holdings: Holdings, _ operations: OperationTable, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        let asks = operations.asks.filter { $0.task == .crown(anchor) }
        guard !holdings.crowns.contains(anchor), asks.count < WalkLimits.askedOfAtOnce else { return }
        // All crossings wait for it: who is slow is not waited for alone.
        if let last = asks.map(\.startedAt).max(), draft.now - last < times.patience {
            return draft.lookAgain(at: last + times.patience)
        }
        let peer = draft.choose(by: &chooser) { peer in
            peer.served.contains { $0.anchor == anchor } && !asks.contains { $0.peer == peer.id }
        }
        if let peer { draft.ask(.crown(anchor), of: peer) }
    }

    /// `D`: complete sections behind the newest anchor, asked for in groups that one peer can serve from one anchor.
    /// Those that were away for longer than any holder's history reaches back are compared by their subtree hashes.
    private mutating func planCrossings(
        to newest: Anchor, _ holdings: Holdings, _ chain: some AttestedHeaders, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard holdings.crowns.contains(newest) else { return }
        for (anchor, sections) in holdings.book.behind(newest) {
            let behind = sections.indices.filter {
                !holdings.book.isLocked($0) && !draft.taken.contains($0)
                    && !awaitsCrowns($0, at: newest, holdings, now: draft.now)
            }
            // From the anchor before the newest every holder leads on: its refusal is a mistake, unless that anchor is
            // none any more. But nobody can help a diff that fits no answer.
            let mayBeTooOld = !chain.isFinal(anchor) || anchor.epoch + WalkLimits.anchorsServed <= newest.epoch
            let refusing = refusals.lackHistory(from: anchor)
            var (led, compared): ([Int], [Int]) = ([], [])
            for section in behind {
                // Whom to ask for nodes is asked for no diff any more, which he would refuse again.
                guard mayBeTooOld && !refusing.isEmpty || refusals.areKnown(of: section) else {
                    led.append(section)
                    continue
                }
                let holders = draft.candidates.filter { $0.holds(section, at: newest) }.map(\.id)
                if refusals.isRefused(section, by: mayBeTooOld ? refusing : [], holders: holders, at: draft.now) {
                    compared.append(section)
                } else {
                    led.append(section)
                }
            }
            for section in compared { planComparison(section, with: newest, holdings, &draft, by: &chooser) }
            assignDiffs(led, from: anchor, held: newest, holdings.book, &draft, by: &chooser) { peer in
                refusing.contains(peer.id) ? nil : .anchor(newest)
            }
        }
    }

    /// Sections with a gap after the newest anchor, brought to a block that a holder proves.
    private func planCatchUp(
        from newest: Anchor, _ holdings: Holdings, _ chain: some AttestedHeaders, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard draft.hasRoom, draft.hasFree(where: { _ in true }) else { return }
        let book = holdings.book
        let gaps = book.gaps(at: draft.now).filter { index in
            !book.isLocked(index) && !draft.taken.contains(index) && book.anchor(ofSection: index) == newest
        }
        // Sections at different blocks are asked for apart: a target must lie beyond all that a request names.
        for (known, ids) in byGapEnd(gaps, book, chain).sorted(by: { ($0.key?.number ?? 0) < ($1.key?.number ?? 0) }) {
            for (top, group) in Dictionary(grouping: ids, by: { book.top(of: $0) }).sorted(by: { $0.key < $1.key }) {
                let parts = group.filter { book.isPart($0) }
                assignDiffs(parts, from: newest, held: newest, book, &draft, by: &chooser) { _ in
                    known.map { .block($0) }
                }
                let sections = group.filter { !book.isPart($0) }
                assignDiffs(sections, from: newest, held: newest, book, &draft, by: &chooser) { peer in
                    // What a peer has told of its head may be older than the diffs that it has sent.
                    if let head = peer.head, head.number > max(top, known?.number ?? 0), chain.isAttested(head) {
                        return .block(head)
                    }
                    return known.map { .block($0) }
                }
            }
        }
    }

    /// Asks those who have the sections at the anchor `held` for diffs of them from `anchor` to what `target` names.
    private func assignDiffs(
        _ wanted: [Int], from anchor: Anchor, held: Anchor, _ book: SectionBook, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser, target: (WalkDraft.Candidate) -> WalkTask.DiffTarget?
    ) {
        guard !wanted.isEmpty else { return }
        // Looked up once, since every section that nobody can lead would ask all peers in vain.
        let able = draft.candidates.filter { $0.isFree && target($0) != nil }
        guard draft.hasRoom, !able.isEmpty else { return }
        let runs = able.flatMap { $0.served.filter { $0.anchor == held }.flatMap(\.runs) }
        let covered = AnchorSections(anchor: held, runs: runs).runs
        func isCovered(_ id: Int) -> Bool {
            book.parts.ids.homes(of: id).contains { home in covered.contains { $0.contains(home) } }
        }
        func serves(_ section: Int, _ peer: WalkDraft.Candidate) -> Bool {
            peer.holds(section, at: held) && !refusals.isTooLarge(section, for: peer.id) && target(peer) != nil
        }
        for first in wanted where !draft.taken.contains(first) && isCovered(first) {
            guard let id = draft.choose(by: &chooser, where: { serves(first, $0) }), let peer = draft.candidate(id),
                let goal = target(peer)
            else { continue }
            // The bitmask of a diff request spans 256 sections from the first.
            let group = wanted.filter { section in
                (first..<first + 256).contains(section) && book.parts.ids.areOfOneTrie(first, section)
                    && !draft.taken.contains(section) && serves(section, peer)
            }.prefix(WalkLimits.sectionsPerDiff)
            let asked = configuration.kept.nameable(Array(group), depth: book.depth)
            draft.ask(.diffs(sections: Array(asked), from: anchor, to: goal), of: id)
        }
    }

    /// Each lane asks for the next range of the section it is on. Where the download limit does not cover a request for
    /// every lane, the section that is first to lose its anchor goes first: lanes that all crept at the same pace would
    /// all be overtaken.
    private mutating func planRanges(
        at newest: Anchor, _ holdings: Holdings, _ peers: HolderDirectory, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard holdings.codes.count < WalkLimits.codesWanted else { return }
        let book = holdings.book
        if lanes.current.contains(nil) {
            lanes.fill(
                Lanes.Sections(
                    book: book, providers: { peers.providers(of: book.place(of: $0)) },
                    ofFellows: draft.ofFellows(at: newest),
                    isUnderWay: { [taken = draft.taken] in taken.contains($0) || book.isLocked($0) }))
        }
        // By anchor, sections not begun last; of equals the one that fewest have, then in the order of the lanes, which
        // begin elsewhere in every node.
        let order = lanes.active.enumerated().map { lane, index in
            let anchor = book.begun.contains(index) ? book.anchor(ofSection: index) : nil
            return (
                epoch: anchor?.epoch ?? .max, providers: draft.providers(of: index, at: anchor ?? newest), lane: lane,
                index: index
            )
        }.sorted { ($0.epoch, $0.providers, $0.lane) < ($1.epoch, $1.providers, $1.lane) }
        for (_, _, _, index) in order
        where !draft.taken.contains(index) && !book.isLocked(index) && !book.isComplete(index)
            && !book.mixed.contains(index)
        {
            let section = book.section(index)
            let begun = book.read(index) { entry in
                entry.begunUpTo.map { (next: $0, carriedTo: entry.carrying?.anchor) }
            }
            let stands = begun == nil ? nil : book.anchor(ofSection: index)
            let anchor = begun?.carriedTo ?? stands ?? newest
            if let stands, isOrphaned(index, at: anchor, newest, draft) {
                planCarry(index, from: stands, to: newest, holdings, &draft, by: &chooser)
                continue
            }
            let maxBytes = rangeBytes[index] ?? configuration.rangeBytes
            guard draft.hasFree(where: { $0.holds(index, at: anchor) }) else { continue }
            guard budget.take(maxBytes, at: draft.now) else { return }
            guard
                let peer = draft.choose(
                    bytes: Int(maxBytes), by: &chooser, where: { $0.holds(index, at: anchor) })
            else {
                budget.settle(taken: maxBytes, arrived: 0)
                continue
            }
            if begun == nil, let task = bundle(from: index, at: anchor, maxBytes, of: peer, book, peers, draft) {
                draft.ask(task, of: peer, budgeted: maxBytes)
                continue
            }
            let task = WalkTask.range(
                section: index, anchor: anchor,
                origin: begun?.next ?? section.firstCursor, limit: section.lastCursor, maxBytes: maxBytes)
            draft.ask(task, of: peer, budgeted: maxBytes)
        }
    }

    /// The section that a lane is on, with those after it that the peer has too, that are as rare and that no other
    /// lane is on, as many as one answer is likely to hold; nil where that is one. At the end of the walk what is left
    /// is shared out among the lanes.
    private func bundle(
        from index: Int, at anchor: Anchor, _ maxBytes: UInt32, of id: Bytes32, _ book: SectionBook,
        _ peers: HolderDirectory, _ draft: WalkDraft
    ) -> WalkTask? {
        let left = book.arc.count - book.completeCount - book.mixed.count - draft.taken.count
        let most = min(bundles.count(in: maxBytes), left / max(lanes.current.count, 1))
        guard configuration.asksForBundles, most > 1, !book.isPart(index), bundles.mayHave(index),
            bundles.areKnown(to: id, at: draft.now),
            let peer = draft.candidate(id)
        else { return nil }
        let (active, rarity) = (Set(lanes.active), peers.providers(of: index))
        var sections = [index]
        let end = min(index + StateContentLimits.maskBits, book.arc.upperBound)
        for next in (index + 1)..<max(end, index + 1) where !book.isComplete(next) {
            guard sections.count < most, !active.contains(next), !draft.taken.contains(next), !book.isLocked(next),
                !book.begun.contains(next), !book.mixed.contains(next), bundles.mayHave(next),
                peer.holds(next, at: anchor),
                peers.providers(of: next) <= rarity
            else { break }
            sections.append(next)
        }
        sections = Array(configuration.kept.nameable(sections, depth: book.depth))
        return sections.count > 1 ? .sections(sections, anchor: anchor, maxBytes: maxBytes) : nil
    }

    /// At the end of the walk, when lanes have nothing more to begin, what takes long is asked of a second peer too,
    /// and after twice as long of a third, of such as have helped before where there are any: the walk is not to wait
    /// for the slowest, nor for two of whom nothing comes. Whichever answer comes first is taken.
    private mutating func planDoubles(
        _ holdings: Holdings, _ operations: OperationTable, _ draft: inout WalkDraft, by chooser: inout some PeerChooser
    ) {
        guard phase == .walking || holdings.book.isWidening, lanes.isLastRound, lanes.current.contains(nil) else {
            return
        }
        let ranges = operations.asks.filter { ask in
            ask.stage.isAsked && ask.task.map { $0.doubled != nil && !$0.isOvertaken(holdings.book) } ?? false
        }
        let bySection = Dictionary(grouping: ranges) { $0.task?.subject ?? 0 }
        for (_, asks) in bySection.sorted(by: { $0.key < $1.key }) where asks.count < WalkLimits.askedOfAtOnce {
            guard let last = asks.max(by: { ($0.startedAt, $0.id) < ($1.startedAt, $1.id) }), let task = last.task,
                let (anchor, maxBytes) = task.doubled
            else { continue }
            let patience = times.patience * (1 << (asks.count - 1))
            guard draft.now - last.startedAt >= patience else {
                draft.lookAgain(at: last.startedAt + patience)
                continue
            }
            guard budget.take(maxBytes, at: draft.now) else { return }
            func isAble(_ peer: WalkDraft.Candidate) -> Bool {
                !asks.contains { $0.peer == peer.id } && task.sections.allSatisfy { peer.holds($0, at: anchor) }
            }
            let peer =
                draft.choose(bytes: Int(maxBytes), by: &chooser) { $0.hasHelped && isAble($0) }
                ?? draft.choose(bytes: Int(maxBytes), by: &chooser, where: isAble)
            if let peer {
                draft.ask(task, of: peer, budgeted: maxBytes)
            } else {
                budget.settle(taken: maxBytes, arrived: 0)
            }
        }
    }

    /// A partly fetched section goes on at the newest anchor; where nobody's history leads there it is compared by its
    /// subtree hashes.
    private mutating func planCarry(
        _ index: Int, from anchor: Anchor, to newest: Anchor, _ holdings: Holdings, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        if holdings.book.isPart(index) {
            return planComparison(index, with: newest, holdings, &draft, by: &chooser)
        }
        guard holdings.crowns.contains(newest), !budget.isOverdrawn(at: draft.now) else { return }
        let refusing = refusals.lackHistory(from: anchor)
        let holders = draft.candidates.filter { $0.holds(index, at: newest) }.map(\.id)
        guard !refusals.isRefused(index, by: refusing, holders: holders, at: draft.now) else {
            planComparison(index, with: newest, holdings, &draft, by: &chooser)
            return
        }
        let peer = draft.choose(by: &chooser) { [refusals] peer in
            peer.holds(index, at: newest) && !refusing.contains(peer.id) && !refusals.isTooLarge(index, for: peer.id)
        }
        if let peer { draft.ask(.carry(section: index, from: anchor, to: newest), of: peer) }
    }

    /// Whether a partly fetched section cannot go on at its anchor: that is out of everybody's reach, or nobody of whom
    /// anything is to be expected has announced it for a while.
    private mutating func isOrphaned(_ index: Int, at anchor: Anchor, _ newest: Anchor, _ draft: WalkDraft) -> Bool {
        let useless = refusals.feedsNot(index, at: draft.now)
        func feeds(_ peer: WalkDraft.Candidate) -> Bool {
            peer.holds(index, at: anchor) && !useless.contains(peer.id)
        }
        guard anchor != newest, !draft.candidates.contains(where: feeds) else {
            orphanedSince[index] = nil
            return false
        }
        if anchor.epoch + WalkLimits.anchorsServed <= newest.epoch { return true }
        let since = orphanedSince[index] ?? draft.now
        orphanedSince[index] = since
        return draft.now - since >= WalkLimits.orphanGrace
    }
}
