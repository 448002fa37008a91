import Chain
import Foundation
import Primitives
import Simulation
import StateContent

@testable import Node
@testable import Overlay
@testable import StateNetwork

/// What blocks cost that touch a third of 4,096 sections: the bytes that a holder of a sixteenth of the ring receives
/// for each, against what it cannot do without, and the processor time of the bridge and of all holders.
enum Blocks {
    /// Blocks that are counted, after some that are not.
    private static let counted = 20, before = 4
    private static let interval = Interval.milliseconds(500)
    /// Bytes of block diffs received over those needed.
    private static let bar = 1.5

    /// Whether the bytes stay below the bar. What the same costs by sections, as nodes of the former version do it, is
    /// printed beside it.
    static func run(changes: Int) throws -> Bool {
        print("by sections (0x43):")
        _ = try bytes(changes: changes, areFormer: true)
        print("by stretches (0x4A):")
        // Blocks that touch less cost more beside their leaves: the bar holds for both.
        let results = try [changes, changes / 5].map { try bytes(changes: $0, areFormer: false) }
        return results.allSatisfy { $0 <= bar }
    }

    private static func bytes(changes: Int, areFormer: Bool) throws -> Double {
        var plan = Scenario.Plan(seed: 3)
        plan.groups = [Scenario.Group(count: 16, radiusExponent: 252)]
        plan.groups[0].isFormer = areFormer
        plan.former.isBridge = areFormer
        plan.sectionDepth = 3
        plan.shape = SyntheticChain.Shape(
            accounts: 65_536, blocks: 40 + before + counted + 4, changesPerBlock: changes, emptyEvery: 1_000)
        plan.epochLength = 512
        plan.blockInterval = interval
        plan.firstBlock = .zero + .seconds(60)
        var scenario = try Scenario(plan)
        guard scenario.fillHolders(limit: .zero + .seconds(55)) else { throw Idle.NotFilled() }
        try run(&scenario, upTo: before)
        let began = clock()
        let start = received(scenario)
        try run(&scenario, upTo: before + counted)
        _ = scenario.world.run(until: scenario.world.now + .milliseconds(250))
        let spent = Double(clock() - began) / Double(CLOCKS_PER_SEC) / Double(counted)
        let end = received(scenario)
        let needed = try needed(scenario, blocks: before + 1...before + counted)
        let streamed = Double(end.streamed - start.streamed) / Double(needed.all)
        let whole = Double(end.all - start.all) / Double(needed.all)
        let share = Double(counted * scenario.holders.count)
        print(
            String(
                format: "%d changes a block, a holder of 256 of 4,096 sections: needed %.0f bytes a block "
                    + "(leaves %.0f, proof %.0f, header and certificate %.0f)",
                changes, Double(needed.all) / share, Double(needed.leaves) / share, Double(needed.proof) / share,
                Double(needed.header) / share))
        print(
            String(
                format: "  block diffs received %.2f of that, headers and certificates besides %.2f, all UDP bytes "
                    + "received %.2f; processor %.0f ms a block for the bridge and 16 holders",
                streamed, Double(end.headers - start.headers) / Double(needed.all), whole, 1_000 * spent))
        let verified = scenario.holders.compactMap { scenario.world.progress($0)?.verifiedHead }
        print("  verified up to \(verified.min() ?? 0)…\(verified.max() ?? 0)")
        return streamed
    }

    private static func run(_ scenario: inout Scenario, upTo number: Int) throws {
        let holders = scenario.holders
        let reached = scenario.world.run(until: scenario.world.now + .seconds(120)) { world in
            holders.allSatisfy { (world.progress($0)?.verifiedHead ?? 0) >= UInt64(number) }
        }
        if !reached { throw Idle.NotFilled() }
    }

    /// What all holders received: values of block diffs, those of the chain network, and UDP payload of every kind.
    private static func received(_ scenario: Scenario) -> (streamed: UInt64, headers: UInt64, all: UInt64) {
        let ids = ([scenario.bridge] + scenario.holders).compactMap { scenario.world.node($0)?.record.id }
        return scenario.holders.reduce((0, 0, 0)) { sum, host in
            guard let node = scenario.world.node(host) else { return sum }
            let values = ids.reduce(0) { $0 + node.overlay.traffic(with: $1, network: .state).received }
            let headers = ids.reduce(0) { $0 + node.overlay.traffic(with: $1, network: .chain).received }
            return (sum.0 + values, sum.1 + headers, sum.2 + scenario.world.traffic(of: host).received)
        }
    }

    /// What a block's changes in an arc cannot do without: the keys and values of the changed leaves, the nodes from
    /// the root to the touched sections once each, the header and its certificate.
    private static func needed(
        _ scenario: Scenario, blocks: ClosedRange<Int>
    ) throws -> (all: Int, leaves: Int, proof: Int, header: Int) {
        guard let bridge = scenario.world.node(scenario.bridge) else { throw Idle.NotFilled() }
        var (leaves, proof, header) = (0, 0, 0)
        for number in blocks {
            let point = scenario.chain.entries[number - 1].block.header.point
            for host in scenario.holders {
                guard let arc = scenario.world.node(host)?.arc else { continue }
                var nodes: Set<[UInt8]> = []
                var hasHeader = false
                for section in arc {
                    guard
                        let bytes = bridge.state.gossip.recentDiff(BlockDiffKey(point: point, section: section))
                    else { continue }
                    let diff = try BlockDiffValue(decoding: bytes)
                    leaves += diff.changes.reduce(0) { $0 + 32 + ($1.value?.count ?? 1) }
                    leaves += diff.codes.reduce(0) { $0 + $1.count }
                    nodes.formUnion(diff.pathProof)
                    if !hasHeader { header += diff.header.count + diff.certificate.count }
                    hasHeader = true
                }
                proof += nodes.reduce(0) { $0 + $1.count }
            }
        }
        return (leaves + proof + header, leaves, proof, header)
    }
}
