import Discovery
import Overlay
import Primitives

/// One search for holders of a section, from the first node tried to its end.
public struct HolderSearch: Sendable {
    /// What is awaited.
    public enum Stage: Sendable, Equatable {
        /// The nodes nearest to the section's position.
        case lookup
        /// Found nodes' word on what they have.
        case meeting
        /// The names of nodes that cover the section, from nodes that do not have it.
        case asking
    }

    let section: Int
    /// Searches for it before this one that found too few.
    let attempt: Int
    var stage = Stage.lookup
    /// Found and not met yet, nearest first.
    private(set) var found: [NodeRecord] = []
    /// Nodes near the position that answered the lookup, nearest first.
    var neighbours: [Bytes32] = []
    /// Nodes that are being met, until when.
    var meeting: Set<Bytes32> = []
    var deadline: Instant?
    /// Questions under way.
    var questions = 0
    var hasLookedUp = false, hasAsked = false
    /// Whether its lookup left nodes out: then it cannot have found everybody.
    var avoidsSome = false
    /// Leading bits of the arc round the position in which every node was found; nil before the lookup.
    var horizon: Int?
    /// Nodes that this search came to know of.
    private(set) var seen: Set<Bytes32> = []
    private var waves = 0

    init(section: Int, attempt: Int) {
        self.section = section
        self.attempt = attempt
    }

    /// Nodes that may have the section.
    mutating func find(_ records: some Sequence<NodeRecord>) {
        for record in records where seen.insert(record.id).inserted && found.count < HolderLimits.found {
            found.append(record)
        }
    }

    /// The next nodes to meet, of those that `isStranger`: more with every wave.
    mutating func nextWave(_ isStranger: (Bytes32) -> Bool) -> [NodeRecord] {
        found.removeAll { !isStranger($0.id) }
        guard !found.isEmpty else { return [] }
        let wave = Array(found.prefix(HolderLimits.firstWave << min(waves, 4)))
        found.removeFirst(wave.count)
        waves += 1
        meeting = Set(wave.map(\.id))
        return wave
    }

    /// How many of the nearest nodes its lookup asks.
    var width: Int { HolderLimits.widths[min(attempt, HolderLimits.widths.count - 1)] }

    /// The arc in which the lookup found every node there is: up to the few nearest nobody can have been missed. In a
    /// network of fewer nodes it is the whole ring, if several answered and none failed; nil where nobody knows.
    static func horizon(of result: LookupResult, around position: Bytes32) -> Int? {
        guard result.nodes.count >= HolderLimits.surelyFound else {
            return result.queries > 1 && result.failures == 0 ? 0 : nil
        }
        let farthest = result.nodes[HolderLimits.surelyFound - 1].record.id
        return 257 - RingDistance.logarithmic(farthest, position)
    }
}
