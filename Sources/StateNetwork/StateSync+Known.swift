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

    /// Lanes that have a section now.
    public var activeLanes: Int { planner.lanes.active.count }

    /// Code that accounts of held sections name and the store lacks.
    public var missingCodes: Int { holdings.codes.count }

    /// Peers that serve something.
    public var usefulPeers: Int {
        holders.peers.values.count { configuration.role.takesState(from: $0.role) && !$0.served.isEmpty }
    }

    /// Sections that lanes are on and of which nothing is under way.
    public var idleSections: [Int] { planner.idleSections(holdings.book, operations) }

    /// Fraction of the arc held and verified at any anchor, and at the newest one.
    public func heldFraction(newest: Anchor?) -> (any: Double, newest: Double) {
        planner.heldFraction(holdings.book, newest: newest)
    }
}
