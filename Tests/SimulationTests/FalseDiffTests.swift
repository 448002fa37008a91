import Chain
import Primitives
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation
@testable import StateNetwork

@Suite("Diffs that say something false of the state before") struct FalseDiffTests {
    /// A holder that stands at a block, and the next block's true diff of one of its sections, as it went round later.
    private struct Scene {
        var node: Node
        let moment: Moment
        let key: BlockDiffKey
        let value: BlockDiffValue
        let encoded: [UInt8]
    }

    private func scene() throws -> Scene {
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
            let number = node.chain.head.number
            _ = scenario.world.run(until: .seconds(90)) { ($0.progress(holder)?.verifiedHead ?? 0) > number + 2 }
            guard node.holdings.verifiedHead == node.chain.head else { continue }
            let bridge = try #require(scenario.world.node(scenario.bridge))
            let point = scenario.chain.entries[Int(number)].block.header.point
            for section in node.arc {
                let key = BlockDiffKey(point: point, section: section)
                guard let encoded = bridge.holdings.recentDiff(key) else { continue }
                let value = try BlockDiffValue(decoding: encoded)
                return Scene(node: node, moment: moment, key: key, value: value, encoded: encoded)
            }
        }
        throw NodeError.unexpected("no block changed anything in the holder's arc")
    }

    private func checks(_ directives: [Node.Directive]) -> Int {
        directives.count { if case .run(_, .checkBlockDiff) = $0 { true } else { false } }
    }

    @Test func theSenderPaysAndTheTrueDiffIsTakenAtOnce() throws {
        var scene = try scene()
        let (liar, honest) = (Bytes32(6, 6, 6, 6), Bytes32(5, 5, 5, 5))
        let key = StateContentKey.blockDiff(scene.key).encoded
        let lie = BlockDiffValue(
            header: scene.value.header, certificate: scene.value.certificate,
            sectionHashBefore: Keccak.hash([1]), changes: scene.value.changes, codes: scene.value.codes,
            pathProof: scene.value.pathProof)
        let before = scene.node.totals.invalidAnswers
        let item = ContentItem(key: key, value: try #require(lie.encoded))
        scene.node.receiveState(item, from: liar, at: scene.moment)
        scene.node.handle(.tick, at: scene.moment)
        #expect(checks(scene.node.drain()) == 0)
        #expect(scene.node.totals.invalidAnswers == before + 1)
        #expect(scene.node.overlay.standing(of: liar)?.isBanned(at: scene.moment.instant) == true)
        #expect(scene.node.holdings.hasGap(scene.key.section, at: scene.moment.instant), "asked for without patience")
        let code = scene.node.holdings.admission(of: scene.key, isCanonical: true)
        #expect(code == .wanted, "nothing stands in its way")
        // The same instant: no wait, no pause. Where some peer claims to be ahead, the gap is being filled already.
        let isBeingFilled = scene.node.holdings.held(scene.key.section)?.isLocked == true
        scene.node.receiveState(ContentItem(key: key, value: scene.encoded), from: honest, at: scene.moment)
        scene.node.handle(.tick, at: scene.moment)
        #expect(checks(scene.node.drain()) == (isBeingFilled ? 0 : 1))
        #expect(scene.node.overlay.standing(of: honest)?.isBanned(at: scene.moment.instant) != true)
    }
}
