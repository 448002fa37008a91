import Chain
import Primitives
import StateStore

// What is told of the state network to those who watch.
extension StateSync {
    /// Sections that are encoded ahead of requests, and their bytes.
    public var ready: NodeProgress.Ready { NodeProgress.Ready(sections: ahead.count, bytes: ahead.byteCount) }

    /// Where the walk stands.
    public var phase: WalkPlanner.Phase { planner.phase }

    /// The arcs that a holder keeps and announces; nil for the other roles.
    public var arcMark: ArcMark? { upkeep.mark }

    /// Sections that were read back to their end, and those that were found damaged, since the start.
    public var scrubbedSections: Int { upkeep.scrubber?.sectionsRead ?? 0 }
    public var damagedSections: Int { upkeep.damageCount }

    /// Sections of the arc and the one beside it that few nodes have; nil where there are none.
    public var underHeld: UnderHeld? { UnderHeld(holders, holdings.book) }

    /// Code that accounts of held sections name and the store lacks.
    public var missingCodes: Int { holdings.codes.count }

    /// Sections that lanes are on and of which nothing is under way.
    public var idleSections: [Int] { planner.idleSections(holdings.book, operations) }

    /// Sections that something is asked of a peer about.
    public var sectionsInFlight: Int { Set(operations.asks.flatMap { $0.task?.sections ?? [] }).count }

    /// The download limit, bytes a second, where it is why nothing is under way; nil otherwise.
    public func limitHoldingBack(at now: Instant) -> UInt64? {
        operations.askCount == 0 && planner.isHeldBack(at: now) ? configuration.downloadBytesPerSecond : nil
    }

    /// Whether there is too little room for the smallest arc.
    public var isShortOfRoom: Bool { upkeep.keeper?.hasToldShort ?? false }

    /// Whether everything of the arc was complete at one anchor, in this run or the one before.
    public var wasComplete: Bool { completion.anchor != nil }
}
