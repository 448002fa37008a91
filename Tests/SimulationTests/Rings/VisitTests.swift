import Chain
import Primitives
import StateContent
import StateNetwork
import Testing

@testable import Node
@testable import Simulation

/// A visitor asks the ring: what it is told is proven, and takes few round trips.
@Suite("A visit to the ring") struct VisitTests {
    private static let roundTrip = Interval.milliseconds(100)

    private func plan(seed: UInt64, holders: Int, radius: Int) -> Scenario.Plan {
        print("seed \(seed)")
        var plan = Scenario.Plan(seed: seed)
        plan.holders = holders
        plan.radiusExponent = radius
        plan.conditions = SimulatedNetwork.Conditions(latency: .milliseconds(50))
        plan.shape = SyntheticChain.Shape(accounts: 300, blocks: 26, changesPerBlock: 2)
        return plan
    }

    /// What a host was answered, or why not, since so many reports.
    private func outcome(
        of host: HostID, since told: Int, in scenario: Scenario
    ) -> Result<RingAnswer, RingFailure>? {
        for entry in scenario.world.reports[told...] where entry.host == host {
            switch entry.report {
            case .answered(let answer): return .success(answer)
            case .unanswered(let failure): return .failure(failure)
            default: break
            }
        }
        return nil
    }

    private func ask(_ question: StateQuestion, by host: HostID, in scenario: inout Scenario) throws -> RingAnswer {
        let told = scenario.world.reports.count
        scenario.world.ask(question, by: host)
        _ = scenario.world.run(until: scenario.world.now + .seconds(30)) { world in
            world.reports[told...].contains { entry in
                guard entry.host == host else { return false }
                switch entry.report {
                case .answered, .unanswered: return true
                default: return false
                }
            }
        }
        return try #require(outcome(of: host, since: told, in: scenario)).get()
    }

    /// A ring whose chain has come to its end, and a visitor that has its headers.
    private func visited(_ plan: Scenario.Plan) throws -> (scenario: Scenario, visitor: HostID) {
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(90))
        let visitor = try scenario.addVisitor()
        let last = scenario.lastBlock.number
        let isHere = scenario.world.run(until: scenario.world.now + .seconds(20)) { world in
            world.progress(visitor).map { $0.head == last && $0.anchor != nil } ?? false
        }
        #expect(isHere)
        return (scenario, visitor)
    }

    /// Accounts that were there from the beginning to the end, and at every anchor therefore, by address.
    private func lasting(in scenario: Scenario) -> [(key: Address, value: PlainAccount)] {
        let first = Set(scenario.chain.genesisAccounts.map(\.address))
        return scenario.chain.finalState.filter { first.contains($0.key) }.sorted { $0.key < $1.key }
    }

    private func expect(_ answer: StateAnswer, of address: Address, in scenario: Scenario) throws {
        let anchor = answer.anchor.epoch * scenario.plan.epochLength
        #expect(answer.point.number == anchor)
        #expect(answer.stateRoot == scenario.chain.entries[Int(anchor) - 1].block.header.stateRoot)
        #expect(answer.account != nil && !answer.accountProof.isEmpty, "\(address)")
    }

    /// Every question takes one lookup and four round trips at most: whoever was never spoken with is found by one
    /// request, shakes hands, answers, and sends.
    @Test(arguments: [(UInt64(1), 8, 255), (UInt64(2), 32, 253)])
    func aQuestionTakesFourRoundTrips(seed: UInt64, holders: Int, radius: Int) throws {
        var (scenario, visitor) = try visited(plan(seed: seed, holders: holders, radius: radius))
        var times: [Double] = []
        for (address, account) in lasting(in: scenario).prefix(24) {
            let slots = account.storage.keys.sorted().prefix(1).map { Keccak.hash($0.big.bytes) }
            let answer = try ask(StateQuestion(account: address.key, slots: slots), by: visitor, in: &scenario)
            try expect(answer.state, of: address, in: scenario)
            times.append(answer.took.seconds / Self.roundTrip.seconds)
            #expect(answer.took.seconds <= 4.1 * Self.roundTrip.seconds, "\(answer.took.seconds) s")
        }
        let mean = times.reduce(0, +) / Double(times.count)
        print("\(holders) holders: \(mean) round trips on average, \(times.max() ?? 0) at most")
    }

    @Test func whatIsNotThereIsProven() throws {
        var (scenario, visitor) = try visited(plan(seed: 3, holders: 6, radius: 255))
        let answer = try ask(
            StateQuestion(account: Bytes32(1, 2, 3, 4), slots: [.max], wantsCode: true), by: visitor, in: &scenario)
        #expect(answer.state.account == nil && answer.state.code == [] && !answer.state.accountProof.isEmpty)
    }

    @Test func codeComesToo() throws {
        var (scenario, visitor) = try visited(plan(seed: 4, holders: 6, radius: 255))
        let (address, account) = try #require(lasting(in: scenario).first { !$0.value.code.isEmpty })
        let answer = try ask(
            StateQuestion(account: address.key, wantsCode: true), by: visitor, in: &scenario)
        #expect(answer.state.code == account.code)
    }

    /// A visitor keeps nothing, asks for nothing of itself, and is nobody's holder.
    @Test func aVisitorLeavesNoTrace() throws {
        let (scenario, visitor) = try visited(plan(seed: 5, holders: 6, radius: 255))
        let node = try #require(scenario.world.node(visitor))
        #expect(
            node.totals.ranges == 0 && node.holders.searchCount == 0
                && node.progress(at: scenario.world.moment).held == 0)
        for host in scenario.holders {
            let holders = try #require(scenario.world.node(host)).holders
            #expect(holders[node.record.id].map { !$0.isLiveProvider(of: 0) } ?? true)
        }
    }

    /// What a liar gives in place of an answer.
    enum Lie: String, CaseIterable {
        case anotherBit, noByte, tooMuch

        func told(_ value: [UInt8]) -> [UInt8] {
            switch self {
            case .anotherBit:
                var lie = value
                if lie.count > 40 { lie[lie.count - 20] ^= 1 }
                return lie
            case .noByte: return []
            case .tooMuch: return value + [UInt8](repeating: 0, count: 200_000)
            }
        }
    }

    /// Liars are found out and named, and somebody else is asked.
    @Test(arguments: Lie.allCases) func liesAreNotBelieved(lie: Lie) throws {
        var (scenario, visitor) = try visited(plan(seed: 6, holders: 6, radius: 256))
        for host in scenario.holders.dropLast() { scenario.world.corrupt(host) { lie.told($0) } }
        let (address, _) = try #require(lasting(in: scenario).first)
        let answer = try ask(StateQuestion(account: address.key), by: visitor, in: &scenario)
        try expect(answer.state, of: address, in: scenario)
        let last = try #require(scenario.holders.last)
        let honest = try #require(scenario.world.node(last)).record.id
        #expect(answer.peers == [honest])
        let named = Set(scenario.world.accusations.filter { $0.accuser == visitor }.map(\.accused))
        #expect(!named.isEmpty && named.isSubset(of: scenario.holders.dropLast()), "\(named)")
    }

    /// A slot of a storage that is spread round the ring, and that nobody has all of.
    @Test func slotsOfSpreadStorageAreFound() throws {
        var plan = plan(seed: 91, holders: 16, radius: 253)
        plan.wideDepth = 1
        plan.shape = SyntheticChain.Shape(accounts: 40, blocks: 26, changesPerBlock: 2)
        plan.shape.wideSlots = 1_500
        var (scenario, visitor) = try visited(plan)
        let (address, account) = try #require(
            scenario.chain.finalState.max { $0.value.storage.count < $1.value.storage.count })
        let slots = account.storage.keys.sorted()
        let keys = [slots[3], slots[700], slots[1_200]].map { Keccak.hash($0.big.bytes) }
        let answer = try ask(StateQuestion(account: address.key, slots: keys), by: visitor, in: &scenario)
        try expect(answer.state, of: address, in: scenario)
        #expect(answer.state.slots.count { !$0.value.isEmpty && !$0.proof.isEmpty } == 3)
        print("\(answer.took.seconds / Self.roundTrip.seconds) round trips, \(answer.requests) requests")
    }

    /// Nobody is there: that is told, once.
    @Test func aVisitToNobodyEnds() throws {
        var (scenario, visitor) = try visited(plan(seed: 7, holders: 4, radius: 255))
        for host in scenario.holders + [scenario.bridge] { scenario.world.kill(host) }
        let told = scenario.world.reports.count
        scenario.world.ask(StateQuestion(account: .max), by: visitor)
        _ = scenario.world.run(until: scenario.world.now + .seconds(200))
        switch try #require(outcome(of: visitor, since: told, in: scenario)) {
        case .failure(.nobodyHasIt), .failure(.noPeers): break
        case let other: Issue.record("\(other)")
        }
    }
}
