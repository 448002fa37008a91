import Foundation
import Primitives
import Simulation

/// What a holder costs while nothing changes: half of 4,096 sections, three empty blocks a second. A ring is run with
/// one holder and with several; the difference in processor time is theirs.
enum Idle {
    private static let more = 5
    private static let measured = Interval.seconds(120)
    /// Of a core.
    private static let bar = 0.005

    /// Whether a holder stays below the bar.
    static func run() throws -> Bool {
        // The first run of a process pays for pages and caches: it counts for nothing.
        _ = try seconds(holders: 1)
        let several = try seconds(holders: 1 + more)
        let one = try seconds(holders: 1)
        let share = (several - one) / Double(more) / measured.seconds
        print(String(format: "a holder of 2,048 sections, 3 empty blocks a second: %.2f %% of a core", 100 * share))
        return share <= bar
    }

    /// Processor seconds of the whole ring over the measured time.
    private static func seconds(holders: Int) throws -> Double {
        var plan = Scenario.Plan(seed: 1)
        plan.groups = [Scenario.Group(count: holders, radiusExponent: 255)]
        plan.sectionDepth = 3
        plan.shape = SyntheticChain.Shape(accounts: 4_000, blocks: 700, changesPerBlock: 0, emptyEvery: 1)
        plan.epochLength = 256
        plan.blockInterval = Interval(microseconds: 333_333)
        var scenario = try Scenario(plan)
        guard scenario.fillHolders(limit: .zero + .seconds(60)) else { throw Idle.NotFilled() }
        _ = scenario.world.run(until: scenario.world.now + .seconds(5))
        let began = clock()
        _ = scenario.world.run(until: scenario.world.now + measured)
        let spent = Double(clock() - began) / Double(CLOCKS_PER_SEC)
        let verified = scenario.holders.compactMap { scenario.world.progress($0)?.verifiedHead }
        print("\(holders) holders: \(spent) s; verified up to \(verified)")
        return spent
    }

    struct NotFilled: Error {}
}
