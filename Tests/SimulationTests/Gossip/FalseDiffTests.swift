import Chain
import Primitives
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation
@testable import StateNetwork

@Suite("Diffs that say something false of the state before") struct FalseDiffTests {
    @Test func theSenderPaysAndTheTrueDiffIsTakenAtOnce() throws {
        var scene = try DiffScene()
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
        #expect(scene.checksBegun() == 0)
        #expect(scene.node.totals.invalidAnswers == before + 1)
        #expect(scene.node.overlay.standing(of: liar)?.isBanned(at: scene.moment.instant) == true)
        #expect(scene.node.holdings.hasGap(scene.key.section, at: scene.moment.instant), "asked for without patience")
        let code = scene.node.holdings.admission(of: scene.key, from: honest, isCanonical: true)
        #expect(code == .wanted, "nothing stands in its way")
        // The same instant: no wait, no pause. Where some peer claims to be ahead, the gap is being filled already.
        let isBeingFilled = scene.node.holdings.held(scene.key.section)?.isLocked == true
        scene.node.receiveState(ContentItem(key: key, value: scene.encoded), from: honest, at: scene.moment)
        scene.node.handle(.tick, at: scene.moment)
        #expect(scene.checksBegun() == (isBeingFilled ? 0 : 1))
        #expect(scene.node.overlay.standing(of: honest)?.isBanned(at: scene.moment.instant) != true)
    }
}
