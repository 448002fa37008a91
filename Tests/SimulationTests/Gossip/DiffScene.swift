import Chain
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation
@testable import StateNetwork

/// A holder that stands at a block, and the next block's true diff of one of its sections, as it went round later.
struct DiffScene {
    var node: CarouselNode
    var moment: Moment
    let key: BlockDiffKey
    let value: BlockDiffValue
    let encoded: [UInt8]
    /// What the block changed in the whole arc, `value` first among it or not.
    let diffs: [(section: Int, value: BlockDiffValue)]
    /// What its store holds then.
    let snapshot: MemorySnapshot

    /// Whether the node asks a peer for nothing for a while.
    func isBanned(_ peer: Bytes32) -> Bool {
        node.overlay.standing(of: peer)?.isBanned(at: moment.instant) == true
    }

    /// `sections`: of the arc that the block has to change at least.
    init(sections: Int = 1) throws {
        var scenario = try Scenario(Scenarios.small(seed: 21))
        let holder = scenario.holders[0]
        let standing = scenario.world.run(until: .seconds(60)) {
            ($0.progress(holder)?.verifiedHead ?? 0) >= 9
        }
        #expect(standing)
        // Not every block changes something in the arc.
        for _ in 0..<10 {
            let node = try #require(scenario.world.node(holder))
            let moment = scenario.world.moment
            let snapshot = scenario.world.store(holder).snapshot()
            let number = node.chain.head.number
            _ = scenario.world.run(until: .seconds(90)) { ($0.progress(holder)?.verifiedHead ?? 0) > number + 2 }
            guard node.state.holdings.verifiedHead == node.chain.head else { continue }
            let bridge = try #require(scenario.world.node(scenario.bridge))
            let point = scenario.chain.entries[Int(number)].block.header.point
            let diffs = node.arc.compactMap { section in
                bridge.state.gossip.recentDiff(BlockDiffKey(point: point, section: section))
                    .flatMap { try? BlockDiffValue(decoding: $0) }.map { (section: section, value: $0) }
            }
            guard diffs.count >= sections else { continue }
            for section in node.arc {
                let key = BlockDiffKey(point: point, section: section)
                guard let encoded = bridge.state.gossip.recentDiff(key) else { continue }
                guard DiffScene.takes(key, node, at: moment) else { continue }
                self.node = node
                self.moment = moment
                self.snapshot = snapshot
                self.key = key
                self.encoded = encoded
                self.diffs = diffs
                value = try BlockDiffValue(decoding: encoded)
                return
            }
        }
        throw NodeError.unexpected("no block changed anything in the holder's arc")
    }

    /// Whether the node accepts an offer of this diff: at some moments it is on its way to it already.
    private static func takes(_ key: BlockDiffKey, _ node: CarouselNode, at moment: Moment) -> Bool {
        var asked = node
        let keys = [StateContentKey.blockDiff(key).encoded]
        let offer = StateSync.Event.offered(keys: keys, by: .max, Overlay.OfferToken(value: 1))
        asked.state.handle(offer, asked.chain.attested, at: moment)
        return asked.state.drain().contains { directive in
            if case .decide(_, let codes, _) = directive { codes == [.accepted] } else { false }
        }
    }

    /// Jobs that check a block diff, begun since the last call.
    mutating func checksBegun() -> Int {
        node.drain().count { if case .run(_, .checkBlockDiffs) = $0 { true } else { false } }
    }

    /// Runs the jobs that have come about and says that what they give was committed, until nothing more comes.
    mutating func settle() {
        node.handle(.tick, at: moment)
        var directives = node.drain()
        while !directives.isEmpty {
            for directive in directives {
                switch directive {
                case .run(let id, let job): node.handle(.jobFinished(id, job.run(on: snapshot)), at: moment)
                case .commit(let id, _): node.handle(.committed(id), at: moment)
                case .send, .report: break
                }
            }
            directives = node.drain()
        }
    }

    /// The codes that an offer of a stretch gets.
    mutating func offer(_ key: BlockDiffsKey, from peer: Bytes32) -> [AcceptCode] {
        let keys = [StateContentKey.blockDiffs(key).encoded]
        let offer = StateSync.Event.offered(keys: keys, by: peer, Overlay.OfferToken(value: 1))
        node.state.handle(offer, node.chain.attested, at: moment)
        for case .decide(_, let codes, _) in node.state.drain() { return codes }
        return []
    }

    mutating func receive(_ key: BlockDiffsKey, _ value: [UInt8], from peer: Bytes32) {
        let item = ContentItem(key: StateContentKey.blockDiffs(key).encoded, value: value)
        node.state.handle(.received([item], from: peer), node.chain.attested, at: moment)
    }

    mutating func receive(_ key: BlockDiffKey, _ value: [UInt8], from peer: Bytes32) {
        let item = ContentItem(key: StateContentKey.blockDiff(key).encoded, value: value)
        node.state.handle(.received([item], from: peer), node.chain.attested, at: moment)
    }

    /// The value with another header or certificate.
    func altered(header: [UInt8]? = nil, certificate: [UInt8]? = nil) -> BlockDiffValue {
        BlockDiffValue(
            header: header ?? value.header, certificate: certificate ?? value.certificate,
            sectionHashBefore: value.sectionHashBefore, changes: value.changes, codes: value.codes,
            pathProof: value.pathProof)
    }

    /// The header of a block that nobody makes, `above` blocks above the next one.
    func madeUpHeader(_ salt: UInt64, above: UInt64 = 0) throws -> BlockHeader {
        var fields = try BlockHeader(rlp: value.header).fields
        fields.number += above
        fields.parentHash = Bytes32(salt, 2, 3, 4)
        return try BlockHeader(fields)
    }
}
