import Primitives
import StateContent
import StateNetwork
import Testing

@testable import Simulation

/// What a client says for which nothing comes, whatever the reason: in a network, as one meets it.
@Suite("Why nothing comes") struct StallReasonTests {
    /// What a client says after it has walked for a while in a network that `disturb` has changed.
    private static func cause(
        seed: UInt64, rate: UInt64? = nil, after time: Interval = .seconds(60),
        _ disturb: (inout Scenario) -> Void
    ) throws -> (cause: StallReason?, progress: NodeProgress) {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = 4
        plan.shape = SyntheticChain.Shape(accounts: 400, blocks: 20, changesPerBlock: 2)
        plan.walkerRate = rate
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        disturb(&scenario)
        let client = try scenario.addWalker()
        _ = scenario.world.run(until: scenario.world.now + time)
        let progress = try #require(scenario.world.progress(client))
        return (progress.stall?.cause, progress)
    }

    @Test func theLimitIsNamed() throws {
        let (cause, progress) = try Self.cause(seed: 91, rate: 20) { _ in }
        #expect(cause == .downloadLimited(bytesPerSecond: 20), "\(progress)")
        #expect(progress.phase == .walking && progress.remaining == nil)
    }

    @Test func busyHoldersAreNamed() throws {
        let (cause, progress) = try Self.cause(seed: 92) { scenario in
            for host in scenario.holders {
                scenario.world.corrupt(host) { _ in StateStatus.busy(seconds: 600).encoded }
            }
        }
        guard case .holdersBusy(let section, _, let holders)? = cause else {
            Issue.record("\(progress)")
            return
        }
        #expect(section == "0" && holders > 0)
    }

    @Test func liarsAreNamed() throws {
        let (cause, progress) = try Self.cause(seed: 93, after: .seconds(90)) { scenario in
            for host in scenario.holders { scenario.world.corrupt(host) { Array($0.dropLast()) } }
        }
        guard case .holdersLied(_, _, _, let banned, _)? = cause else {
            Issue.record("\(progress)")
            return
        }
        #expect(banned > 0)
    }

    @Test func silentHoldersAreNamed() throws {
        let (cause, progress) = try Self.cause(seed: 94, after: .seconds(45)) { scenario in
            for host in scenario.holders { scenario.world.corrupt(host) { _ in nil } }
        }
        guard case .holdersSilent(_, _, let holders)? = cause else {
            Issue.record("\(progress)")
            return
        }
        #expect(holders > 0)
    }

    /// Half of the ring has nobody.
    @Test func missingHoldersAreNamed() throws {
        var plan = Scenario.Plan(seed: 95)
        plan.groups = [Scenario.Group(count: 3, radiusExponent: 255, onlyArc: 0)]
        plan.shape = SyntheticChain.Shape(accounts: 400, blocks: 20, changesPerBlock: 2)
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(30))
        let client = try scenario.addWalker()
        _ = scenario.world.run(until: scenario.world.now + .seconds(90))
        let progress = try #require(scenario.world.progress(client))
        guard case .noHolders(let section, _, _, _)? = progress.stall?.cause else {
            Issue.record("\(progress)")
            return
        }
        #expect(section == "8" && progress.held > 0.49 && progress.held < 0.51)
    }
}
