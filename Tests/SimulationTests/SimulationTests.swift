import Chain
@testable import Node
import Primitives
import Testing
@testable import Sync

@testable import Simulation

@Suite("A network in virtual time") struct NetworkTests {
    @Test func aClientEndsWithTheRightRootAcrossEpochs() throws {
        var plan = Cluster.Plan()
        plan.shape = SyntheticChain.Shape(accounts: 120, blocks: 40, changesPerBlock: 6)
        plan.walkerRate = 600
        plan.walkerRangeBytes = 1_500
        var cluster = try Cluster(plan)
        _ = cluster.world.run(until: .seconds(20))
        let walker = try cluster.addWalker()
        let ok = cluster.world.run(until: .seconds(400)) { world in world.progress(walker)?.verifiedHead == 40 }
        for (time, host, report) in cluster.world.reports where host == walker || host.index < 3 {
            print(time.microseconds / 1000, host.index, report)
        }
        for id in cluster.holders { print(id, cluster.world.progress(id) as Any) }
        print(cluster.world.progress(walker) as Any)
        let w = cluster.world.node(walker)!
        print(w.sync.flights, w.sync.lanes, w.sync.budget, w.sync.wantedCodes.count, w.jobs, w.commits.count, w.requests)
        for i in 0..<16 { print(i, w.sync.sections[i]) }
        for p in w.sync.peers.values { print(p) }
        #expect(ok)
    }
}
