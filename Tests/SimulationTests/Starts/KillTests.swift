import Chain
import Primitives
import StateNetwork
import StateStore
import Synchronization
import Testing

@testable import Node
@testable import Simulation

/// Bridges, holder and client are killed at their writes, while epochs turn and the head goes to a shorter branch.
@Suite("Killed at every write") struct KillTests {
    private final class Shelf: Sendable {
        let stores = Mutex<[(host: HostID, store: MemorySnapshot)]>([])
    }

    /// What any kill leaves is what one of the commits left: from each of them the host starts.
    @Test(arguments: [UInt64(1)])
    func everyCommitLeavesAStoreThatStarts(seed: UInt64) throws {
        var scenario = try Scenario(Scenario.forKills(seed: seed))
        let shelf = Shelf()
        scenario.world.committed = { host, store in shelf.stores.withLock { $0.append((host, store)) } }
        let (client, outcome) = try scenario.runClient(joining: .seconds(9), limit: .seconds(150))
        #expect(outcome.reachedHead)
        try Oracle.expectFinalState(in: scenario, of: client)
        let stores = shelf.stores.withLock { $0 }
        let bridges = [scenario.bridge, scenario.rival?.host]
        var shrunk = 0
        var highest: [HostID: UInt64] = [:]
        for (host, store) in stores {
            let configuration = scenario.world.hosts[host.index].configuration
            let stored = try StoredState.load(from: store, network: scenario.network)
            let node = try CarouselNode(
                configuration: configuration, stored: stored, entropy: Entropy(seed: Bytes32(0, 0, 0, seed)),
                at: scenario.world.moment)
            if bridges.contains(host), let head = stored.held.replayedHead {
                // The block's header is there with it, unless the other branch has won meanwhile.
                let hasHeader = try HeaderRecords.header(at: head, in: store) != nil
                let isPassed = node.chain.final.number >= head.number
                #expect(hasHeader || head.number == 0 || head.number > 10, "\(head)")
                #expect((node.nextReplayed == head.number + 1) == (hasHeader || isPassed))
            }
            // What is stored above the final block is one line, or two while both have their voter.
            let top = stored.headers.last?.header.number ?? 0
            if top < highest[host] ?? 0 { shrunk += 1 }
            highest[host] = top
        }
        #expect(shrunk > 0, "the head did go to a shorter branch")
        print("seed \(seed): \(stores.count) stores of \(scenario.world.hosts.count) hosts")
    }

    /// Each is killed at some of its writes, and all come to the end. `tools/soak kills` takes all of them.
    @Test(arguments: Scenario.Victim.allCases)
    func aKilledNodeGoesOn(victim: Scenario.Victim) throws {
        let seed: UInt64 = 1
        let (ends, _) = try Scenario.commitEnds(of: victim, seed: seed)
        #expect(ends.count > 20)
        for (index, end) in ends.enumerated() where index % max(1, ends.count / 3) == 0 {
            for write in [end - 1, end - 2] {
                let (kill, scenario, client) = try Scenario.kill(victim, atWrite: write, seed: seed)
                #expect(kill.fault == nil, "seed \(seed): \(kill)")
                if kill.fault == nil { try Oracle.expectFinalState(in: scenario, of: try #require(client)) }
            }
        }
    }

    /// One scene with one of its victims.
    struct Cast: Sendable, CustomTestStringConvertible {
        let scene: Scenario.Scene
        let victim: Scenario.Victim
        var testDescription: String { "\(scene.rawValue), \(victim.rawValue)" }

        static let rare: [Cast] = [.spread, .comparison, .arcs, .only].flatMap { (scene: Scenario.Scene) in
            scene.victims.map { Cast(scene: scene, victim: $0) }
        }
    }

    /// The same where storage is spread, where sections are compared in place, where arcs grow and shrink, and where
    /// the storage of few is kept.
    @Test(arguments: Cast.rare)
    func aKilledNodeGoesOnWithWhatIsRare(cast: Cast) throws {
        let seed: UInt64 = 2
        let (ends, undisturbed) = try Scenario.commitEnds(of: cast.victim, in: cast.scene, seed: seed)
        #expect(ends.count > 20)
        let kills = cast.scene == .arcs ? 3 : 1
        for place in 0..<kills {
            let end = ends[ends.count * (2 * place + 1) / (2 * kills)]
            let write = place.isMultiple(of: 2) ? end - 2 : end - 1
            let (kill, scenario, client) = try Scenario.kill(
                cast.victim, in: cast.scene, atWrite: write, seed: seed)
            #expect(kill.fault == nil, "seed \(seed): \(kill)")
            if kill.fault == nil, let client {
                try Oracle.expectFinalState(
                    in: scenario, of: client, keeping: scenario.keptByClient(in: cast.scene))
            }
            print("\(cast.testDescription): \(kill), \(kill.leafBytes) bytes of leaves, \(undisturbed) without")
        }
    }
}
