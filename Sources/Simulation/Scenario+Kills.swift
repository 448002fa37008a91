import Chain
import Node
import Primitives
import StateContent
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
        /// Bytes of leaves that the victim fetched as ranges and sections in both of its lives.
        public let leafBytes: UInt64

        public var description: String { "\(victim.rawValue) killed at write \(write): \(fault ?? "recovered")" }
    }

    /// What goes on meanwhile.
    public enum Scene: String, CaseIterable, Sendable {
        /// Epochs turn, the head goes to a shorter branch, a client fetches the state.
        case ring
        /// A contract's storage becomes wide and narrow again: it is spread in parts, by crowns and directories.
        case spread
        /// A client was away for longer than anybody's history reaches, and compares what it holds.
        case comparison
        /// Holders choose their arcs by the room they have: they take more of the ring, and give it up again.
        case arcs
        /// A client keeps all accounts and the storage of few (`--only`), while the head goes to a shorter branch.
        case only

        /// Whose kills are of interest in it.
        public var victims: [Victim] {
            switch self {
            case .ring: Victim.allCases
            case .spread: [.bridge, .holder, .walker]
            case .comparison, .only: [.walker]
            case .arcs: [.holder]
            }
        }
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

    /// The same for another scene.
    public static func forKills(_ scene: Scene, seed: UInt64) -> Plan {
        switch scene {
        case .ring, .only: return forKills(seed: seed)
        case .spread:
            var plan = Plan(seed: seed)
            plan.wideDepth = 1
            plan.holders = 4
            plan.shape = SyntheticChain.Shape(accounts: 30, blocks: 50, changesPerBlock: 2)
            plan.shape.wideSlots = 600
            plan.shape.wideFrom = 18
            plan.shape.wideUntil = 34
            plan.blockInterval = .seconds(1)
            plan.firstBlock = Instant(microseconds: 3_000_000)
            return plan
        case .comparison:
            var plan = Plan(seed: seed)
            plan.holders = 2
            plan.radiusExponent = 256
            plan.shape = SyntheticChain.Shape(accounts: 400, blocks: 112, changesPerBlock: 2)
            plan.quickBlocks = 100
            plan.blockInterval = .seconds(1)
            return plan
        case .arcs:
            var plan = Plan(seed: seed)
            plan.groups = [400_000, 3_000_000].enumerated().map { place, bytes in
                var group = Group(count: 1, radiusExponent: 253, onlyArc: UInt64(place * 3))
                group.storageBytes = bytes
                return group
            }
            plan.shape = SyntheticChain.Shape(accounts: 150, blocks: 110, changesPerBlock: 40)
            plan.blockInterval = .seconds(1)
            return plan
        }
    }

    /// When a client joins, and when all must have come to the end.
    private static func joining(_ scene: Scene) -> Instant {
        Instant(microseconds: scene == .spread ? 14_000_000 : 9_000_000)
    }

    private static func limit(_ scene: Scene) -> Instant {
        Instant(microseconds: scene == .arcs ? 300_000_000 : 150_000_000)
    }

    /// The network of a scene, run until the client's part in it begins: its first life, or, where it is compared, its
    /// second. `arm` is called with the victim before it lives.
    private static func begin(
        _ scene: Scene, _ victim: Victim, seed: UInt64, arm: (HostID, inout World) -> Void
    ) throws -> (scenario: Scenario, client: HostID?) {
        var scenario = try Scenario(forKills(scene, seed: seed))
        if victim != .walker { arm(scenario.host(victim, scenario.bridge), &scenario.world) }
        guard scene != .arcs else { return (scenario, nil) }
        _ = scenario.world.run(until: joining(scene))
        let client = try scenario.addWalker(keeping: scenario.keptByClient(in: scene))
        if scene == .comparison { try scenario.sendAway(client) }
        if victim == .walker { arm(client, &scenario.world) }
        return (scenario, client)
    }

    /// Whose storage and code a scene's client keeps: of three contracts, or of all.
    public func keptByClient(in scene: Scene) -> KeptStorage {
        guard scene == .only else { return .all }
        let largest = winner.finalState.sorted {
            ($0.value.storage.count, $0.key.key) > ($1.value.storage.count, $1.key.key)
        }
        return .only(largest.prefix(3).map(\.key.key))
    }

    /// A client that has everything goes, and comes back ten epochs later to holders whose history does not reach so
    /// far.
    private mutating func sendAway(_ client: HostID) throws {
        _ = world.run(until: world.now + .seconds(60)) { $0.completion(of: client) != nil }
        world.kill(client)
        let until = (world.progress(bridge)?.head ?? 0) + 10 * plan.epochLength
        _ = world.run(until: world.now + .seconds(60)) { ($0.progress(bridge)?.head ?? 0) >= until }
        for holder in holders {
            world.corrupt(
                holder,
                tampering: { [reach = 2 * plan.epochLength] job, value, _ in
                    guard case .serveDiffs(let job) = job, job.key.from.number + reach < job.key.to.number else {
                        return value
                    }
                    return StateStatus.historyTooShort.encoded
                })
        }
        try world.start(client)
    }

    /// What the victim's store counts its writes by after each of its commits: a crash at the write before that is one
    /// after the commit was durable and before anybody knew, and one at the write before tears it. And the bytes of
    /// leaves that it fetched.
    public static func commitEnds(
        of victim: Victim, in scene: Scene = .ring, seed: UInt64
    ) throws -> (ends: [Int], leafBytes: UInt64) {
        let log = CommitLog()
        var (scenario, client) = try begin(scene, victim, seed: seed) { host, world in
            let store = world.store(host)
            world.committed = { committer, _ in if committer == host { log.add(store.writes) } }
        }
        _ = scenario.world.run(until: limit(scene), condition: scenario.endCondition(client))
        return (log.all, scenario.world.leafBytes(of: scenario.host(victim, client ?? scenario.bridge)))
    }

    /// Where a store's writes stood after each commit.
    private final class CommitLog: Sendable {
        private let ends = Mutex<[Int]>([])
        func add(_ writes: Int) { ends.withLock { $0.append(writes) } }
        var all: [Int] { ends.withLock { $0 } }
    }

    /// Kills the victim at one write, starts it again a second later, and looks what comes of it.
    public static func kill(
        _ victim: Victim, in scene: Scene = .ring, atWrite write: Int, seed: UInt64
    ) throws -> (kill: Kill, scenario: Scenario, client: HostID?) {
        var (scenario, client) = try begin(scene, victim, seed: seed) { host, world in
            world.store(host).faults.crashAtWrite = write
        }
        let host = scenario.host(victim, client ?? scenario.bridge)
        let fault = try scenario.recover(victim, host, client, limit(scene))
        let kill = Kill(victim: victim, write: write, fault: fault, leafBytes: scenario.world.leafBytes(of: host))
        return (kill, scenario, client)
    }

    /// Runs until the victim has crashed, starts it again, and runs to the end; what went wrong.
    private mutating func recover(
        _ victim: Victim, _ host: HostID, _ client: HostID?, _ limit: Instant
    ) throws -> String? {
        guard world.run(until: limit, condition: { $0.store(host).hasCrashed }) else {
            return "there was no such write"
        }
        world.store(host).faults.crashAtWrite = nil
        _ = world.run(until: world.now + .seconds(1))
        return try startAgain(victim, host, client, limit)
    }

    /// Starts the victim, and runs to the end; what went wrong, at others from the beginning.
    private mutating func startAgain(
        _ victim: Victim, _ host: HostID, _ client: HostID?, _ limit: Instant
    ) throws -> String? {
        let began = world.now
        do {
            switch victim {
            case .bridge, .rival: try restartBridge(host)
            case .holder, .walker: try world.start(host)
            }
        } catch {
            return "does not start: \(error)"
        }
        let reached = world.run(until: limit, condition: endCondition(client))
        let failure = world.reports.lazy.compactMap { entry -> String? in
            if case .failed(let text) = entry.report, entry.time >= began || entry.host != host { text } else { nil }
        }.first
        if let failure { return failure }
        guard !reached else { return nil }
        let ends = (holders + [client].compactMap { $0 }).map { world.progress($0) }
        let heads = ends.map { "\($0?.verifiedHead ?? 0)/\($0?.head ?? 0)" }
        let behind = ends.compactMap { $0 }.first { $0.verifiedHead < lastBlock.number }
        let why = behind?.stall.map { "\($0.reason): \($0.advice)" } ?? "\(behind?.phase.rawValue ?? "no progress")"
        return "verified and attested heads of holders and client: \(heads); \(why)"
    }

    /// The tables that each of the victim's transactions changes, where nothing happens to it; the scene begins with
    /// the `first` of them.
    public static func triedTables(
        of victim: Victim, in scene: Scene, seed: UInt64
    ) throws -> (all: [Set<Table>], first: Int) {
        var first = 0
        var (scenario, client) = try begin(scene, victim, seed: seed) { host, world in
            first = world.store(host).triedTables.count
        }
        _ = scenario.world.run(until: limit(scene), condition: scenario.endCondition(client))
        return (scenario.world.store(scenario.host(victim, client ?? scenario.bridge)).triedTables, first)
    }

    /// Lets one of the victim's transactions fail for want of room, starts the victim again a second later, when there
    /// is room, and runs to the end; what went wrong. `failed` is shown the world in between.
    public static func fail(
        _ victim: Victim, in scene: Scene, atCommit commit: Int, seed: UInt64, failed: (Scenario, HostID) throws -> Void
    ) throws -> (fault: String?, scenario: Scenario, host: HostID, client: HostID?) {
        var (scenario, client) = try begin(scene, victim, seed: seed) { host, world in
            world.store(host).faults.failure = .diskFull
            world.store(host).faults.failsAtCommit = commit
        }
        let host = scenario.host(victim, client ?? scenario.bridge)
        let hasFailed = scenario.world.run(until: limit(scene)) { $0.store(host).hasFailed }
        guard hasFailed else { return ("there was no such transaction", scenario, host, client) }
        _ = scenario.world.run(until: scenario.world.now + .seconds(1))
        try failed(scenario, host)
        scenario.world.store(host).faults = .none
        scenario.world.kill(host)
        let fault = try scenario.startAgain(victim, host, client, limit(scene))
        return (fault, scenario, host, client)
    }

    private func host(_ victim: Victim, _ client: HostID) -> HostID {
        switch victim {
        case .bridge: bridge
        case .rival: rival?.host ?? bridge
        case .holder: holders.first ?? bridge
        case .walker: client
        }
    }

    /// Whether holders and client stand at the last block, and no holder's arc is on its way. Does not hold on to the
    /// world.
    private func endCondition(_ client: HostID?) -> (World) -> Bool {
        let (holders, client, last) = (holders, client, lastBlock.number)
        return { world in
            (holders + [client].compactMap { $0 }).allSatisfy { world.progress($0)?.verifiedHead == last }
                && holders.allSatisfy { world.node($0)?.arcMark.map { $0.kept == $0.announced } ?? true }
        }
    }
}
