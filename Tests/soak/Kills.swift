import Foundation
import Simulation

/// Bridge, second bridge, holder and client of a simulated network, each killed at every write of its store: at those
/// that a commit consists of, one stands for all (nothing of the commit is there), and at its end (it is durable, and
/// nobody knows).
enum Kills {
    static func run(seed: UInt64, in only: Scenario.Scene?, _ onlyVictim: Scenario.Victim?) throws -> Bool {
        let began = ContinuousClock.now
        var faults = 0
        for scene in Scenario.Scene.allCases where only == nil || scene == only {
            for victim in scene.victims where onlyVictim == nil || victim == onlyVictim {
                let (ends, undisturbed) = try Scenario.commitEnds(of: victim, in: scene, seed: seed)
                let writes = ends.flatMap { [$0 - 2, $0 - 1] }
                let kills = try inParallel(writes) {
                    try Scenario.kill(victim, in: scene, atWrite: $0, seed: seed).kill
                }
                let bad = kills.filter { $0.fault != nil }
                for kill in bad { print("  \(kill)") }
                faults += bad.count
                let most = kills.map(\.leafBytes).max() ?? 0
                print(
                    "\(scene.rawValue), \(victim.rawValue): \(ends.count) commits, \(kills.count) kills, \(bad.count) "
                        + "did not recover; fetched \(most) bytes of leaves at most, \(undisturbed) without a kill")
            }
        }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        print("\(faults == 0 ? "passed" : "FAILED"), seed \(seed), in \(String(format: "%.0f", seconds)) s")
        return faults == 0
    }
}
