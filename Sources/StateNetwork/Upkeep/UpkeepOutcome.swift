import Primitives
import StateStore

/// Something that a node did for itself, done and written: the other parts follow.
struct UpkeepOutcome {
    let done: UpkeepDone

    /// Ends the operation; where the arc is another now, everything that goes by it follows.
    func apply(to sync: inout StateSync, _ id: OperationID, at now: Instant) {
        if let text = sync.upkeep.done(done, &sync.holdings, at: now) { sync.outbox.log(.warning, text) }
        if case .moved(let mark) = done {
            let sections = sync.holdings.book.arc.count
            sync.holders.arc = sync.configuration.arc(mark.kept)
            sync.planner.arcMoved(sync.holdings.book)
            sync.announcer.announce(radiusExponent: mark.announced)
            sync.gossip.cover(sections: sections)
            sync.completion.cover(sections: sections)
            sync.completion.somethingCameAbout(at: now)
            SpreadKeeping.dropOutside(&sync, at: now)
        }
        sync.end(id, .done(bytes: 0), at: now)
    }
}

/// What a job found of sections that are not as they were written.
struct DamageFound {
    let sections: [Int]
    let what: String

    /// Whether they can be fetched again; if so, they are served no more.
    func isRepaired(by sync: inout StateSync) -> Bool {
        let found = sections.filter { sync.upkeep.found(damaged: $0, &sync.holdings) }
        for index in found { sync.outbox.log(.warning, DamageText.line(sync.holdings.book.section(index), what)) }
        return !found.isEmpty
    }
}
