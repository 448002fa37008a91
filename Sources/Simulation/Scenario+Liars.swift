import Node
import Primitives
import StateNetwork

extension Scenario {
    /// A ring whose halves have six holders each, small enough that a client's walk takes seconds, on a chain whose
    /// epochs take eight. Nobody lies yet, and nothing is lost.
    public static func amongLiars(seed: UInt64, blocks: Int = 120) -> Plan {
        var plan = Plan(seed: seed)
        plan.holders = 12
        plan.sectionDepth = 2
        plan.shape = SyntheticChain.Shape(accounts: 1_500, blocks: blocks, changesPerBlock: 6)
        plan.conditions = SimulatedNetwork.Conditions(latency: .milliseconds(30), jitter: .milliseconds(10))
        plan.blockInterval = .seconds(1)
        plan.firstBlock = Instant(microseconds: 500_000)
        plan.quickBlocks = 10
        plan.walkerLanes = 8
        plan.walkerRangeBytes = 16_384
        return plan
    }

    /// Makes liars of `count` holders of every arc, each of another kind as far as there are kinds; which kinds, and in
    /// which order, is the seed's choice. Gives the liars.
    public mutating func corruptHolders(_ count: Int) -> [HostID] {
        var generator = SeededGenerator(seed: plan.seed ^ 0x6c69_6172)
        let kinds = LiarKind.all(depth: plan.sectionDepth).shuffled(using: &generator)
        let arcs = 1 << max(0, 256 - plan.radiusExponent)
        let liars = holders.enumerated().filter { $0.offset / arcs < count }.map(\.element)
        for (place, host) in liars.enumerated() { world.corrupt(host, as: kinds[place % kinds.count]) }
        return liars
    }
}

extension World {
    /// That a host has told the one who runs it of another one's lie.
    public struct Accusation: Sendable {
        public let time: Instant
        public let accuser, accused: HostID
        /// The line.
        public let text: String
    }

    /// All of them so far, by time.
    public var accusations: [Accusation] {
        let names = Dictionary(
            uniqueKeysWithValues: hosts.indices.map { index in
                ("peer \(hosts[index].configuration.key.nodeID.short) ", HostID(index: index))
            })
        return reports.compactMap { entry in
            guard case .log(.warning, let text) = entry.report,
                let accused = names.first(where: { text.hasPrefix($0.key) })?.value
            else { return nil }
            return Accusation(time: entry.time, accuser: entry.host, accused: accused, text: text)
        }
    }
}
