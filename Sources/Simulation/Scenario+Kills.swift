import Chain
import Node
import Primitives
import StateNetwork
import StateStore
import Synchronization

extension Scenario {
    /// Who is killed.
    public enum Victim: String, CaseIterable, Sendable {
        case bridge, rival, holder, walker
    }

    /// One kill, and what came of it.
    public struct Kill: Sendable, CustomStringConvertible {
        public let victim: Victim
        /// The write of the victim's store at which its machine crashed.
        public let write: Int
        /// What went wrong; nil: the victim started again, and everybody came to the end of the chain.
        public let fault: String?

        public var description: String { "\(victim.rawValue) killed at write \(write): \(fault ?? "recovered")" }
    }

    /// A world in which everything happens at which a kill could do harm: epochs turn, the head goes to a shorter
    /// branch, a client fetches meanwhile.
    public static func forKills(seed: UInt64) -> Plan {
        var plan = Plan(seed: seed)
        plan.holders = 2
        plan.shape = SyntheticChain.Shape(accounts: 60, blocks: 12, changesPerBlock: 4)
        plan.blockInterval = .seconds(1)
        plan.firstBlock = Instant(microseconds: 3_000_000)
        plan.rival = Rival(forksAfter: 10, blocks: 26, begins: Instant(microseconds: 17_000_000))
        plan.walkerRate = 4_000
        plan.walkerRangeBytes = 2_000
        return plan
    }

    /// When the client joins, and when all must have come to the end.
    private static let joining = Instant(microseconds: 9_000_000)
    private static let limit = Instant(microseconds: 150_000_000)

    /// What the victim's store counts its writes by after each of its commits: a crash at the write before that is one
    /// after the commit was durable and before anybody knew, and one at the write before tears it.
    public static func commitEnds(of victim: Victim, seed: UInt64) throws -> [Int] {
        var scenario = try Scenario(forKills(seed: seed))
        let log = CommitLog()
        func watch(_ host: HostID, _ world: inout World) {
            let store = world.store(host)
            world.committed = { committer, _ in if committer == host { log.add(store.writes) } }
        }
        if victim != .walker { watch(scenario.host(victim, scenario.bridge), &scenario.world) }
        let client = try scenario.join()
        if victim == .walker { watch(client, &scenario.world) }
        _ = scenario.world.run(until: limit, condition: scenario.endCondition(client))
        return log.all
    }

    /// Where a store's writes stood after each commit.
    private final class CommitLog: Sendable {
        private let ends = Mutex<[Int]>([])
        func add(_ writes: Int) { ends.withLock { $0.append(writes) } }
        var all: [Int] { ends.withLock { $0 } }
    }

    /// Kills the victim at one write, starts it again a second later, and looks what comes of it.
    public static func kill(_ victim: Victim, atWrite write: Int, seed: UInt64) throws -> (Kill, Scenario, HostID) {
        var scenario = try Scenario(forKills(seed: seed))
        if victim != .walker {
            scenario.world.store(scenario.host(victim, scenario.bridge)).faults.crashAtWrite = write
        }
        let client = try scenario.join(crashingAt: victim == .walker ? write : nil)
        let host = scenario.host(victim, client)
        func outcome(_ fault: String?) -> (Kill, Scenario, HostID) {
            (Kill(victim: victim, write: write, fault: fault), scenario, client)
        }
        guard scenario.world.run(until: limit, condition: { $0.store(host).hasCrashed }) else {
            return outcome("there was no such write")
        }
        scenario.world.store(host).faults.crashAtWrite = nil
        _ = scenario.world.run(until: scenario.world.now + .seconds(1))
        do {
            switch victim {
            case .bridge, .rival: try scenario.restartBridge(host)
            case .holder, .walker: try scenario.world.start(host)
            }
        } catch {
            return outcome("does not start: \(error)")
        }
        let reached = scenario.world.run(until: limit, condition: scenario.endCondition(client))
        let failures = scenario.world.reports.compactMap { entry -> String? in
            if case .failed(let text) = entry.report { text } else { nil }
        }
        if let failure = failures.first { return outcome(failure) }
        let heads = (scenario.holders + [client]).map { scenario.world.progress($0) }.map {
            "\($0?.verifiedHead ?? 0)/\($0?.head ?? 0)"
        }
        return outcome(reached ? nil : "verified and attested heads of holders and client: \(heads)")
    }

    private mutating func join(crashingAt write: Int? = nil) throws -> HostID {
        _ = world.run(until: Scenario.joining)
        let client = try addWalker()
        world.store(client).faults.crashAtWrite = write
        return client
    }

    private func host(_ victim: Victim, _ client: HostID) -> HostID {
        switch victim {
        case .bridge: bridge
        case .rival: rival?.host ?? bridge
        case .holder: holders.first ?? bridge
        case .walker: client
        }
    }

    /// Whether holders and client stand at the last block. Does not hold on to the world.
    private func endCondition(_ client: HostID) -> (World) -> Bool {
        let (hosts, last) = (holders + [client], lastBlock.number)
        return { world in hosts.allSatisfy { world.progress($0)?.verifiedHead == last } }
    }
}
