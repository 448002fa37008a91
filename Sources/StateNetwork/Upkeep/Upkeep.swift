import Chain
import MerklePatricia
import Primitives
import StateStore

// Upkeep: what a node does for itself beside the walk, the head and its peers.
//
//      ArcKeeper ── widen, announce, narrow, give up history ──▶ the mark is written ──▶ book, directory, radius follow
//      outside   ── sections kept no more ──▶ taken back a piece at a time, once nothing is under way for them
//      Scrubber  ── a piece of a section ──▶ read back ──▶ damaged: served no more, dropped, fetched again by the walk
//                                                     ──▶ code damaged: deleted and wanted again, by itself
//
// Invariants. The store is the truth here too: exponents are written before the arc in memory changes. A section of the
// arc is locked while it is read back. One outside has no lock, since the book does not have it: it goes once no
// operation has it any more, and none can begin. One piece of each kind is under way at a time.
//
// Roles. Only a holder chooses its arc; holders and walkers read back what they hold and repair it. A bridge has its
// state from its chain and nobody to fetch it from: it says what is damaged and ends.

/// What a node does for itself. The holdings, what is under way and who has what are lent to it.
struct Upkeep: Sendable {
    /// One thing under way; its operation bears it.
    enum Chore: Sendable, Hashable {
        case measure
        case dropHistory
        case move(ArcMark)
        case takeBack(Int)
        case scrub(Int)

        /// What is true once what it writes is committed, where nothing has to be found out before.
        var written: UpkeepDone {
            switch self {
            case .move(let mark): .moved(mark)
            case .measure, .dropHistory, .takeBack, .scrub: .droppedHistory(WriteBatch())
            }
        }
    }

    /// What is to be done now.
    enum Step: Sendable {
        case run(UpkeepJob, Chore, sections: [Int])
        case write(WriteBatch, Chore)
        /// The section is dropped, to be begun again.
        case drop(Int)
        case log(NodeReport.Level, String)
    }

    private let id: Bytes32
    private let depth: Int
    private let plan: ArcPlan
    private let repairs: Bool
    /// nil: the arc is not this node's to choose.
    private(set) var keeper: ArcKeeper?
    /// nil for a bridge.
    var scrubber: Scrubber?
    /// Sections that the store has and the arc has not.
    private(set) var outside: Set<Int>
    private var isTakingBack = false
    /// Not before this does the next piece outside go.
    private var takesBackFrom = Instant.zero
    /// Sections of the arc that are damaged and still to be dropped.
    private(set) var damaged: Set<Int> = []
    /// When the arc beside is next looked at, and since when it has had too few holders.
    private var siblingLookAt = Instant.zero
    private var siblingShortSince: Instant?
    /// Sections that were found damaged since the start.
    private(set) var damageCount = 0

    /// `mark`: where the arc begins. `records`: of all that the store has.
    init(
        _ configuration: StateSync.Configuration, mark: ArcMark, records: [SectionRecord], _ book: SectionBook,
        at moment: Moment
    ) {
        let network = configuration.network
        (id, depth, plan) = (configuration.id, network.sectionDepth, configuration.arcPlan)
        // Whoever applies blocks has nobody to fetch a section from.
        repairs = configuration.role != .bridge && !configuration.keeping.blocks.applies
        let isHolder = configuration.role == .holder
        if isHolder {
            keeper = ArcKeeper(
                capacity: configuration.storageBytes ?? .max, floor: plan.floor(depth: depth),
                ceiling: plan.ceiling(depth: depth), mark: mark)
        }
        outside =
            isHolder
            ? Set(
                records.lazy.filter { $0.section.owner == nil }.map(\.section.index).filter { !book.arc.contains($0) })
            : []
        if repairs {
            scrubber = Scrubber(
                book, from: moment.unixSeconds / 60, placing: network.placement,
                keeping: configuration.keeping.storage, at: moment.instant)
        }
    }

    /// The exponents of the arc kept and announced; nil where the arc is not this node's to choose.
    var mark: ArcMark? { keeper?.mark }

    private func arc(_ exponent: Int) -> Arc { Arc(of: id, radiusExponent: exponent, depth: depth) }

    // MARK: Time

    /// When `steps` is next due although nothing happens.
    var deadline: Instant? {
        [scrubber?.deadline, outside.isEmpty || isTakingBack ? nil : takesBackFrom].compactMap { $0 }.min()
    }

    /// What is due now.
    mutating func steps(
        _ holdings: Holdings, _ operations: OperationTable, _ holders: HolderDirectory, at now: Instant
    ) -> [Step] {
        var steps: [Step] = []
        for index in damaged.sorted() where !holdings.book.isLocked(index) { steps.append(.drop(index)) }
        noteSibling(holdings, holders, at: now)
        let sight = sight(holdings, at: now)
        if let decision = keeper?.decide(sight, at: now) {
            steps += carryOut(decision, holdings.book)
        }
        if !outside.isEmpty, !isTakingBack, takesBackFrom <= now {
            if let index = outside.sorted().first(where: { !operations.isUnderWay($0) }) {
                isTakingBack = true
                steps.append(.run(.takeBack(Section(depth: depth, index: index)), .takeBack(index), sections: []))
            } else {
                takesBackFrom = now + UpkeepLimits.goodbye
            }
        }
        if let scrub = scrubber?.piece(of: holdings.book, holdings.crowns, at: now) {
            let index = holdings.book.id(of: scrub.record.section) ?? scrub.record.section.index
            steps.append(.run(.scrub(scrub), .scrub(index), sections: [index]))
        }
        return steps
    }

    private func sight(_ holdings: Holdings, at now: Instant) -> ArcKeeper.Sight {
        ArcKeeper.Sight(
            isComplete: holdings.book.isWholeArcComplete && holdings.codes.isEmpty, isTidy: outside.isEmpty,
            isSiblingUnderHeld: siblingShortSince.map { now - $0 >= UpkeepLimits.siblingPatience } ?? false)
    }

    private mutating func noteSibling(_ holdings: Holdings, _ holders: HolderDirectory, at now: Instant) {
        guard let mark, now >= siblingLookAt else { return }
        siblingLookAt = now + UpkeepLimits.siblingLook
        guard mark.kept < 256, !mark.isWidening, holdings.book.isWholeArcComplete else {
            siblingShortSince = nil
            return
        }
        let sibling = arc(mark.kept + 1).sections.filter { !holdings.book.arc.contains($0) }
        let isShort = sibling.contains { holders.providers(of: $0) < UpkeepLimits.holders }
        siblingShortSince = isShort ? siblingShortSince ?? now : nil
    }

    private func carryOut(_ decision: ArcKeeper.Decision, _ book: SectionBook) -> [Step] {
        switch decision {
        case .measure:
            return [.run(.measure(lookingForHistoryAbove: keeper?.threshold ?? .max), .measure, sections: [])]
        case .dropHistory: return [.run(.dropHistory, .dropHistory, sections: [])]
        case .move(let next):
            guard let before = mark else { return [] }
            let size = "2^\(next.kept) keys, \(arc(next.kept).sections.count) sections"
            let text =
                if next.kept > before.kept {
                    "there is room for a larger arc: \(size) are to be held"
                } else if next.kept < before.kept {
                    "there is too little room for the arc: \(size) are kept; raise --storage-capacity for more"
                } else {
                    "the larger arc is complete: \(size) are announced"
                }
            return [.log(.info, text), .write(next.writing(under: plan), .move(next))]
        case .tellShort:
            return [.log(.warning, "there is too little room for the smallest arc: raise --storage-capacity")]
        }
    }

    // MARK: What happened

    /// Transactions of so many bytes were handed out.
    mutating func wrote(_ bytes: Int) { keeper?.wrote(bytes) }

    /// A peer was answered; `key`: what it asked for.
    mutating func asked(rangeOf section: Int?, by peer: Bytes32, at now: Instant) {
        scrubber?.asked(section, by: peer, at: now)
    }

    /// A section that a job found to be other than its record says is served no more, and fetched again. False where
    /// this node cannot do that.
    mutating func found(damaged index: Int, _ holdings: inout Holdings) -> Bool {
        guard repairs, holdings.held(index)?.record != nil else { return false }
        holdings.book.change(index) { $0.isDamaged = true }
        if damaged.insert(index).inserted { damageCount += 1 }
        return true
    }

    /// Something was done, and written where it had to be. Gives what is to be told.
    mutating func done(_ done: UpkeepDone, _ holdings: inout Holdings, at now: Instant) -> String? {
        switch done {
        case .measured(let use): keeper?.measured(use)
        case .droppedHistory: keeper?.gaveUp()
        case .moved(let mark): move(to: mark, &holdings, at: now)
        case .tookBack(let section, _, let isAll):
            isTakingBack = false
            if isAll { outside.remove(section.index) }
        case .scrubbed(let scrub, let isDone, let codes):
            scrubber?.read(scrub, isDone: isDone, at: now)
            guard !codes.isEmpty else { return nil }
            let section = scrub.record.section
            holdings.codes.want(codes.map { WantedCode(hash: $0, section: section.index) })
            return DamageText.line(codes: codes, of: section)
        case .damaged(let section, let what):
            scrubber?.gaveUp(at: now)
            guard let id = holdings.book.id(of: section), found(damaged: id, &holdings) else { return nil }
            return DamageText.line(section, what)
        }
        return nil
    }

    /// Something came to nothing: it is tried again.
    mutating func failed(_ chore: Chore, at now: Instant) {
        switch chore {
        case .measure, .dropHistory, .move: keeper?.failed()
        case .takeBack:
            isTakingBack = false
            takesBackFrom = now + UpkeepLimits.goodbye
        case .scrub: scrubber?.gaveUp(at: now)
        }
    }

    /// A damaged section is dropped.
    mutating func dropped(_ index: Int) { damaged.remove(index) }

    private mutating func move(to mark: ArcMark, _ holdings: inout Holdings, at now: Instant) {
        keeper?.moved(to: mark, at: now)
        let (kept, announced) = (arc(mark.kept).sections, arc(mark.announced).sections)
        for index in holdings.book.arc where !kept.contains(index) && holdings.held(index)?.record != nil {
            outside.insert(index)
            // Its layers and its record go with it.
            takesBackFrom = now + UpkeepLimits.goodbye
        }
        damaged = damaged.filter { kept.contains(holdings.book.place(of: $0)) }
        holdings.move(to: kept, announced: announced)
    }
}
