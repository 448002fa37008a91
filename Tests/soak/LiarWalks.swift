import Foundation
import Primitives
import Simulation

/// What it costs a client's walk, seed by seed, that half of the holders lie, each in another way, and that every fifth
/// packet is lost.
enum LiarWalks {
    /// One walk.
    private struct Walk: Sendable {
        var seconds: Double?
        var named = 0
        var honestNamed = 0
    }

    static func run(seeds: UInt64) throws -> Bool {
        let began = ContinuousClock.now
        let seeds = Array(200..<(200 + seeds))
        // Without either, with the loss alone, and with a third and half of the holders lying besides.
        let kinds: [(lying: Int, loss: Double)] = [(0, 0), (0, 0.2), (2, 0.2), (3, 0.2)]
        let runs = seeds.flatMap { seed in kinds.map { (seed: seed, lying: $0.lying, loss: $0.loss) } }
        let walks = try inParallel(runs) { try walk(seed: $0.seed, lying: $0.lying, loss: $0.loss) }
        var isPassed = true
        var ratios: [(ofLoss: Double, ofBoth: Double)] = []
        for (place, seed) in seeds.enumerated() {
            let all = Array(walks[kinds.count * place..<kinds.count * (place + 1)])
            let seconds = all.map { $0.seconds ?? .infinity }
            let ratio = (ofLoss: seconds[3] / seconds[1], ofBoth: seconds[3] / seconds[0])
            ratios.append(ratio)
            let blamed = all.reduce(0) { $0 + $1.honestNamed }
            isPassed = isPassed && ratio.ofBoth <= 4 && blamed == 0
            print(
                "seed \(seed): "
                    + String(
                        format:
                            "%.1f s without either, %.1f s with the loss, %.1f s with a third lying, %.1f s with half",
                        seconds[0], seconds[1], seconds[2], seconds[3])
                    + String(format: ": %.1f times the loss alone, %.1f times neither; ", ratio.ofLoss, ratio.ofBoth)
                    + "\(all[3].named) of 6 named, \(blamed) honest ones")
        }
        let (ofLoss, ofBoth) = (ratios.map(\.ofLoss).sorted(), ratios.map(\.ofBoth).sorted())
        print(
            String(
                format: "times the loss alone: median %.1f, worst %.1f; times neither: median %.1f, worst %.1f",
                ofLoss[ofLoss.count / 2], ofLoss.last ?? 0, ofBoth[ofBoth.count / 2], ofBoth.last ?? 0))
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        print("\(isPassed ? "passed" : "FAILED") in \(String(format: "%.0f", seconds)) s")
        return isPassed
    }

    private static func walk(seed: UInt64, lying: Int, loss: Double) throws -> Walk {
        var scenario = try Scenario(Scenario.amongLiars(seed: seed, blocks: 100))
        _ = scenario.fillHolders(limit: Instant(microseconds: 60_000_000))
        var liars: [HostID] = []
        if lying > 0 { liars = scenario.corruptHolders(lying) }
        scenario.world.network.conditions.loss = loss
        let (client, outcome) = try scenario.runClientToWholeState(limit: scenario.world.now + .seconds(300))
        let named = Set(scenario.world.accusations.filter { $0.accuser == client }.map(\.accused))
        return Walk(
            seconds: outcome.wholeStateAfter?.seconds, named: named.count { liars.contains($0) },
            honestNamed: named.count { !liars.contains($0) })
    }
}
