import Foundation
import Simulation

/// Bridge, second bridge, holder and client of a simulated network, each killed at every write of its store: at those
/// that a commit consists of, one stands for all (nothing of the commit is there), and at its end (it is durable, and
/// nobody knows).
enum Kills {
    static func run(seed: UInt64, only: Scenario.Victim?) throws -> Bool {
        let began = ContinuousClock.now
        var faults = 0
        for victim in Scenario.Victim.allCases where only == nil || victim == only {
            let ends = try Scenario.commitEnds(of: victim, seed: seed)
            let writes = ends.flatMap { [$0 - 2, $0 - 1] }
            let kills = try inParallel(writes) { try Scenario.kill(victim, atWrite: $0, seed: seed).0 }
            let bad = kills.filter { $0.fault != nil }
            for kill in bad { print("  \(kill)") }
            faults += bad.count
            print("\(victim.rawValue): \(ends.count) commits, \(kills.count) kills, \(bad.count) did not recover")
        }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        print("\(faults == 0 ? "passed" : "FAILED"), seed \(seed), in \(String(format: "%.0f", seconds)) s")
        return faults == 0
    }
}
