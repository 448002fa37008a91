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
        let runs = seeds.flatMap { seed in [0, 2, 3].map { (seed: seed, lying: $0) } }
        let walks = try inParallel(runs) { try walk(seed: $0.seed, lying: $0.lying) }
        var isPassed = true
        var ratios: [Double] = []
        for (place, seed) in seeds.enumerated() {
            let all = walks[3 * place..<3 * place + 3]
            func seconds(_ walk: Walk?) -> String { walk?.seconds.map { String(format: "%.1f s", $0) } ?? "never" }
            let (honest, half) = (all.first?.seconds, all.last?.seconds)
            let ratio = (half ?? .infinity) / (honest ?? 1)
            ratios.append(ratio)
            let blamed = all.reduce(0) { $0 + $1.honestNamed }
            isPassed = isPassed && ratio <= 4 && blamed == 0
            print(
                "seed \(seed): \(seconds(all.first)) without, \(seconds(all.dropFirst().first)) with a third lying, "
                    + "\(seconds(all.last)) with half: \(String(format: "%.1f", ratio)) times; "
                    + "\(all.last?.named ?? 0) of 6 named, \(blamed) honest ones")
        }
        ratios.sort()
        print(String(format: "median %.1f, worst %.1f times", ratios[ratios.count / 2], ratios.last ?? 0))
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        print("\(isPassed ? "passed" : "FAILED") in \(String(format: "%.0f", seconds)) s")
        return isPassed
    }

    private static func walk(seed: UInt64, lying: Int) throws -> Walk {
        var scenario = try Scenario(Scenario.amongLiars(seed: seed, blocks: 100))
        _ = scenario.fillHolders(limit: Instant(microseconds: 60_000_000))
        var liars: [HostID] = []
        if lying > 0 {
            liars = scenario.corruptHolders(lying)
            scenario.world.network.conditions.loss = 0.2
        }
        let (client, outcome) = try scenario.runClientToWholeState(limit: scenario.world.now + .seconds(300))
        let named = Set(scenario.world.accusations.filter { $0.accuser == client }.map(\.accused))
        return Walk(
            seconds: outcome.wholeStateAfter?.seconds, named: named.count { liars.contains($0) },
            honestNamed: named.count { !liars.contains($0) })
    }
}
