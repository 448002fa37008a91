import Chain
import Primitives
import StateNetwork
import StateStore
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// One transaction fails, and with it, as the writer has it, all those after it, until the node is started again: a
/// disk that was full, and has room. Memory follows only what is in the store, and what was lost is fetched, made or
/// written again.
@Suite("A transaction that fails") struct FailedCommitTests {
    /// A node whose store fails once, and the scene it is in.
    struct Cast: Sendable, CustomTestStringConvertible {
        let scene: Scenario.Scene
        let victim: Scenario.Victim
        /// Of all its transactions those that change this table; nil: of all.
        var changing: Table?
        var testDescription: String { "\(scene.rawValue), \(victim.rawValue)" }

        static let all: [Cast] = [
            Cast(scene: .ring, victim: .walker),
            // Those on its way to an anchor, which nobody can make for it.
            Cast(scene: .spread, victim: .bridge, changing: .sections),
            Cast(scene: .arcs, victim: .holder),
        ]
    }

    /// For every table one of the transactions that change it fails.
    @Test(arguments: Cast.all) func nothingIsHalfBelieved(cast: Cast) throws {
        let seed: UInt64 = 3
        let (tried, first) = try Scenario.triedTables(of: cast.victim, in: cast.scene, seed: seed)
        var left = tried[first...].reduce(into: Set<Table>()) { $0.formUnion($1) }
        print("seed \(seed), \(cast.testDescription): \(tried.count) transactions change \(left.count) tables")
        // From the middle on, so that something is held that could be believed wrongly.
        let middle = first + (tried.count - first) / 3
        for (place, tables) in tried.enumerated() where place >= middle && !left.isDisjoint(with: tables) {
            guard cast.changing.map({ tables.contains($0) }) ?? true else { continue }
            left.subtract(tables)
            let what = "transaction \(place), which changes \(tables.map(\.rawValue).sorted())"
            var (fault, scenario, host, client) = try Scenario.fail(
                cast.victim, in: cast.scene, atCommit: place, seed: seed
            ) { scenario, host in
                try expectMemoryIsTheStore(of: host, scenario, what)
            }
            #expect(fault == nil, "\(what): \(fault ?? "")")
            guard fault == nil else { continue }
            if let client {
                try Oracle.expectFinalState(in: scenario, of: client, keeping: scenario.keptByClient(in: cast.scene))
            }
            let isQuiet = scenario.world.run(until: scenario.world.now + .seconds(30)) { world in
                world.node(host)?.commits.isEmpty == true && world.node(host)?.state.operations.count == 0
            }
            #expect(isQuiet, "\(what)")
            try expectMemoryIsTheStore(of: host, scenario, what)
            let headers = Set(try stored(host, scenario).headers.map(\.header.hash))
            let head = try #require(scenario.world.node(host)).chain.head
            #expect(headers.contains(head.hash), "\(what): the head's header is not stored")
        }
    }

    /// A bridge that missed a moment applies blocks at once, and is at the next anchor before its holders: there
    /// a storage is spread that is with its account at the anchor before. What it gives them to lead them to a block
    /// after that lists no slots: taken for what it is not, it would make a state of theirs that nobody can go on from.
    @Test(arguments: [101, 102]) func aBridgeAtTheNextAnchorLeadsNobodyAstray(place: Int) throws {
        print("seed 3, transaction \(place)")
        let (fault, scenario, _, walker) = try Scenario.fail(.bridge, in: .spread, atCommit: place, seed: 3) { _, _ in }
        let client = try #require(walker)
        #expect(fault == nil)
        try Oracle.expectFinalState(in: scenario, of: client, keeping: scenario.keptByClient(in: .spread))
        for host in scenario.holders + [client] {
            #expect(scenario.world.node(host)?.totals.invalidAnswers == 0, "\(host)")
        }
    }

    private func stored(_ host: HostID, _ scenario: Scenario) throws -> StoredState {
        try StoredState.load(from: scenario.world.store(host).snapshot(), network: scenario.network)
    }

    /// Everything that is held by memory's word is in the store.
    private func expectMemoryIsTheStore(of host: HostID, _ scenario: Scenario, _ what: String) throws {
        let node = try #require(scenario.world.node(host))
        let held = try stored(host, scenario).held
        let book = node.state.holdings.book
        for record in held.records {
            guard let id = book.id(of: record.section), book.held(id) != nil else { continue }
            #expect(book.held(id)?.record == record, "\(what): section \(record.section)")
        }
        let known = Set(held.records.map(\.section))
        for index in node.arc where book.held(index)?.record != nil {
            #expect(known.contains(book.section(index)), "\(what): memory has section \(index), and the store has not")
        }
        let layers = Set(held.layers.map { "\($0.section) \($0.point)" })
        for index in node.arc {
            for layer in book.held(index)?.layers ?? [] {
                #expect(layers.contains("\(layer.section) \(layer.point)"), "\(what): a layer that is not stored")
            }
        }
        // A bridge makes the crown of an anchor out of what it holds, before the anchor is final and after every start.
        guard host != scenario.bridge else { return }
        let crowns = Set(held.crowns.map(\.anchor))
        for anchor in node.state.holdings.servedAnchors().map(\.anchor) {
            #expect(crowns.contains(anchor), "\(what): serves \(anchor), whose crown is not stored")
        }
    }
}
