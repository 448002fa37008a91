import Foundation
import Primitives
import Simulation

/// A ring of holders in virtual time, and a client that knows one of them and fetches the whole state.
struct Ring {
    let nodes: Int
    /// Size of a holder's arc in bits.
    let exponent: Int
    let depth: Int
    let seed: UInt64

    /// Virtual time in which the holders must be filled, and then the client.
    static let fillLimit = Interval.seconds(900)
    static let clientLimit = Interval.seconds(600)

    /// The words after `ring`; nil where they are not such.
    init?(_ words: [String]) {
        guard (3...4).contains(words.count), let nodes = Int(words[0]), let exponent = Int(words[1]),
            let depth = Int(words[2]), let seed = UInt64(words.count > 3 ? words[3] : "1"),
            (1...4_000).contains(nodes), (240...256).contains(exponent), (1...3).contains(depth)
        else { return nil }
        self.nodes = nodes
        self.exponent = exponent
        self.depth = depth
        self.seed = seed
    }

    var arcs: Int { 1 << (256 - exponent) }

    private var plan: Scenario.Plan {
        var plan = Scenario.Plan(seed: seed)
        plan.groups = [Scenario.Group(count: nodes, radiusExponent: exponent)]
        plan.sectionDepth = depth
        // Some accounts in every section, and enough of them that an arc is more than one answer.
        plan.shape = SyntheticChain.Shape(
            accounts: max(2_000, 16 << (4 * depth)), blocks: 400, changesPerBlock: 20)
        plan.epochLength = 16
        plan.blockInterval = .seconds(4)
        plan.startSpread = .seconds(5)
        plan.firstBlock = Instant(microseconds: 10_000_000)
        plan.conditions = SimulatedNetwork.Conditions(latency: .milliseconds(20), jitter: .milliseconds(5))
        plan.boot = .earlierHolder
        plan.walkerLanes = 16
        plan.walkerRangeBytes = 32_768
        return plan
    }

    /// Runs it and prints what comes of it; whether the client came to hold the whole state.
    func run() throws -> Bool {
        let began = ContinuousClock.now
        var scenario = try Scenario(plan)
        tell("\(nodes) holders of 1/\(arcs), depth \(depth), seed \(seed), "
            + "\(scenario.chain.finalState.count) accounts: made in \(wall(since: began))")
        let filled = fill(&scenario, since: began)
        if !filled { tell("the holders were not filled in \(seconds(Ring.fillLimit)); the client joins all the same") }
        let (client, outcome) = try scenario.runClientToWholeState(limit: scenario.world.now + Ring.clientLimit)
        let times = outcome.holdersFilledAfter.compactMap { $0 }.sorted()
        if let first = times.first, let last = times.last {
            tell("holders filled after their start: \(times.count) of \(nodes), first \(seconds(first)), "
                + "median \(seconds(times[times.count / 2])), last \(seconds(last))")
        }
        // What it last reported may be from before it knew anybody.
        let progress = scenario.world.node(client)?.progress(at: scenario.world.moment)
        let held = String(format: "%.1f %%", 100 * (progress?.held ?? 0))
        tell("client: " + (outcome.wholeStateAfter.map { "whole state after \(seconds($0))" } ?? "holds \(held)")
            + ", \(outcome.traffic.received) bytes received, \(outcome.traffic.sent) sent, "
            + "\(progress?.peers ?? 0) peers, \(progress?.usefulPeers ?? 0) of them useful")
        say(scenario.world, since: began)
        tell("log hash \(outcome.logHash)")
        return filled && outcome.wholeStateAfter != nil
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
        tell("\(beginning)\(world.eventCount) events, \(wall(since: began)), "
            + "\(world.now.microseconds / 1_000_000) virtual s, "
            + "\(Int(Double(world.eventCount) / max(spent, 0.001))) events/s")
    }

    private func wall(since began: ContinuousClock.Instant) -> String {
        String(format: "%.1f wall s", (ContinuousClock.now - began) / .seconds(1))
    }

    private func seconds(_ interval: Interval) -> String { String(format: "%.1f s", interval.seconds) }
}
