import Foundation
import Primitives
import Simulation

@testable import Node
@testable import Overlay

/// A ring of holders in virtual time, and a client that knows one of them and fetches the whole state.
struct Ring {
    private var groups: [Scenario.Group] = []
    private var depth = 2
    private var seed: UInt64 = 1
    /// One way, milliseconds; of each datagram, per cent.
    private var latency = 20, loss = 0
    private var accounts = 0

    /// Virtual time in which the holders must be filled, and then the client.
    static let fillLimit = Interval.seconds(900)
    static let clientLimit = Interval.seconds(600)

    static let usage =
        "soak ring GROUPS [depth=D] [seed=N] [latency=MS] [loss=PERCENT] [accounts=N]; "
        + "GROUPS as in 16x1/16+64x1/256, D 1 to 3"

    /// The words after `ring`; nil where they are not such.
    init?(_ words: [String]) {
        guard let first = words.first else { return nil }
        for word in first.split(separator: "+") {
            let numbers = word.split(whereSeparator: { "x/".contains($0) }).compactMap { Int($0) }
            guard numbers.count == 3, numbers[1] == 1, numbers[2] > 0, numbers[2].nonzeroBitCount == 1,
                (1...4_000).contains(numbers[0])
            else { return nil }
            groups.append(
                Scenario.Group(count: numbers[0], radiusExponent: 256 - numbers[2].trailingZeroBitCount))
        }
        for word in words.dropFirst() {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let value = Int(parts[1]), value >= 0 else { return nil }
            switch parts[0] {
            case "depth": depth = value
            case "seed": seed = UInt64(value)
            case "latency": latency = value
            case "loss": loss = value
            case "accounts": accounts = value
            default: return nil
            }
        }
        guard (1...3).contains(depth), loss < 100, latency <= 10_000 else { return nil }
    }

    private var nodes: Int { groups.reduce(0) { $0 + $1.count } }

    private var plan: Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.groups = groups
        plan.sectionDepth = depth
        // Some accounts in every section, and enough of them that an arc is more than one answer.
        plan.shape = SyntheticChain.Shape(
            accounts: accounts > 0 ? accounts : max(2_000, 16 << (4 * depth)), blocks: 400, changesPerBlock: 20)
        plan.epochLength = 16
        plan.blockInterval = .seconds(4)
        plan.startSpread = .seconds(5)
        plan.firstBlock = Instant(microseconds: 10_000_000)
        plan.conditions = SimulatedNetwork.Conditions(
            loss: Double(loss) / 100, latency: .milliseconds(latency), jitter: .milliseconds(latency / 4))
        plan.boot = .earlierHolder
        plan.walkerLanes = 16
        plan.walkerRangeBytes = 32_768
        return plan
    }

    /// Runs it and prints what comes of it; whether the client came to hold the whole state.
    func run() throws -> Bool {
        let began = ContinuousClock.now
        var scenario = try Scenario(plan)
        scenario.world.executor = { count, body in DispatchQueue.concurrentPerform(iterations: count, execute: body) }
        let kinds = groups.map { "\($0.count) of 1/\(1 << (256 - $0.radiusExponent))" }.joined(separator: ", ")
        tell(
            "\(nodes) holders (\(kinds)), depth \(depth), seed \(seed), \(latency) ms, \(loss) % lost, "
                + "\(scenario.chain.finalState.count) accounts: made in \(wall(since: began))")
        let filled = fill(&scenario, since: began)
        if !filled { tell("the holders were not filled in \(seconds(Ring.fillLimit)); the client joins all the same") }
        let client = try scenario.addWalker()
        follow(client, in: &scenario)
        let outcome = scenario.outcome(of: client, reachedHead: false)
        let times = outcome.holdersFilledAfter.compactMap { $0 }.sorted()
        if let first = times.first, let last = times.last {
            tell(
                "holders filled after their start: \(times.count) of \(nodes), first \(seconds(first)), "
                    + "median \(seconds(times[times.count / 2])), last \(seconds(last))")
        }
        // What it last reported may be from before it knew anybody.
        let progress = scenario.world.node(client)?.progress(at: scenario.world.moment)
        let held = String(format: "%.1f %%", 100 * (progress?.held ?? 0))
        tell(
            "client: " + (outcome.wholeStateAfter.map { "whole state after \(seconds($0))" } ?? "holds \(held)")
                + ", \(outcome.traffic.received) bytes received, \(outcome.traffic.sent) sent, "
                + "\(progress?.peers ?? 0) peers, \(progress?.peerCounts.useful ?? 0) of them useful")
        let traffic = scenario.world.traffic(of: client)
        let other = Double(traffic.sent + traffic.received - traffic.streamed)
        let all = Double(traffic.sent + traffic.received)
        let share = String(format: "%.0f bytes, %.1f %% of all", other, 100 * other / all)
        tell("outside streams, both ways: \(share): headers, codes, requests, and finding and keeping holders")
        if let overlay = scenario.world.node(client)?.overlay {
            let counts = overlay.statistics
            // At most: a PING with its PONG 700 bytes, a FIND_NODES with an answer of a whole packet 1,420, a
            // handshake with its record 800, by the layouts of Specs/wire.md.
            let pings = counts.pingsSent + counts.pingsAnswered
            let queries = counts.queriesSent + counts.queriesAnswered
            let handshakes = overlay.wire.discovery.statistics.handshakes
            let bound = Double(700 * pings + 1_420 * queries + 800 * handshakes)
            tell(
                "finding and keeping: \(pings) PINGs, \(queries) queries, \(handshakes) handshakes: "
                    + String(format: "at most %.0f bytes, %.1f %% of all", bound, 100 * bound / all))
        }
        if let holders = scenario.world.node(client)?.holders {
            tell(
                "searches of the client: \(holders.searchCount) with \(holders.queryCount) queries; "
                    + "\(holders.keptCount) kept peers")
        }
        say(scenario.world, since: began)
        tell("log hash \(outcome.logHash)")
        return filled && outcome.wholeStateAfter != nil
    }

    /// Runs until the client has the whole state; what it says of its progress every two seconds is printed.
    private func follow(_ client: HostID, in scenario: inout Scenario) {
        let begin = scenario.world.now
        while scenario.world.now < begin + Ring.clientLimit {
            let isDone = scenario.world.run(until: scenario.world.now + .seconds(2)) {
                $0.completion(of: client) != nil
            }
            guard !isDone else { return }
            guard let progress = scenario.world.progress(client) else { continue }
            let waiting = progress.waiting.map { "; section \($0.section) waits: \($0.why)" } ?? ""
            tell(
                "  \(seconds(scenario.world.now - begin)): \(progress.phase.rawValue) "
                    + String(format: "%.1f %%, ", 100 * progress.held)
                    + "\(progress.peers) peers, \(progress.searches) searches\(waiting)")
        }
    }

    /// Runs until the holders are filled, with a line now and then.
    private func fill(_ scenario: inout Scenario, since began: ContinuousClock.Instant) -> Bool {
        let end = scenario.world.now + Ring.fillLimit
        while scenario.world.now < end {
            if scenario.fillHolders(limit: min(end, scenario.world.now + .seconds(30))) { return true }
            say(scenario.world, since: began, "\(scenario.world.completeCount) of \(nodes) holders filled; ")
        }
        return false
    }

    /// Prints a line that is seen at once, in a file too: a large ring takes its time.
    private func tell(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    private func say(_ world: World, since began: ContinuousClock.Instant, _ beginning: String = "") {
        let spent = (ContinuousClock.now - began) / .seconds(1)
        tell(
            "\(beginning)\(world.eventCount) events, \(wall(since: began)), "
                + "\(world.now.microseconds / 1_000_000) virtual s, "
                + "\(Int(Double(world.eventCount) / max(spent, 0.001))) events/s")
    }

    private func wall(since began: ContinuousClock.Instant) -> String {
        String(format: "%.1f wall s", (ContinuousClock.now - began) / .seconds(1))
    }

    private func seconds(_ interval: Interval) -> String { String(format: "%.1f s", interval.seconds) }
}
