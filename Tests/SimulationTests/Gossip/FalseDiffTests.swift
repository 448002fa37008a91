import Chain
import Primitives
import StateContent
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
        let lie = BlockDiffValue(
            header: scene.value.header, certificate: scene.value.certificate,
            sectionHashBefore: Keccak.hash([1]), changes: scene.value.changes, codes: scene.value.codes,
            pathProof: scene.value.pathProof)
        let before = scene.node.totals.invalidAnswers
        scene.receive(scene.key, try #require(lie.encoded), from: liar)
        scene.node.handle(.tick, at: scene.moment)
        #expect(scene.checksBegun() == 0)
        #expect(scene.node.totals.invalidAnswers == before + 1)
        #expect(scene.isBanned(liar))
        let hasGap = scene.node.state.holdings.book.hasGap(scene.key.section, at: scene.moment.instant)
        #expect(hasGap, "asked for without patience")
        let code = scene.node.state.pending.admission(
            of: scene.key, from: honest, isCanonical: true, scene.node.state.holdings.book)
        #expect(code == .wanted, "nothing stands in its way")
        // The same instant: no wait, no pause. Where some peer says that it is ahead, the gap is being filled already.
        let isBeingFilled = scene.node.state.holdings.book.isLocked(scene.key.section)
        scene.receive(scene.key, scene.encoded, from: honest)
        scene.node.handle(.tick, at: scene.moment)
        #expect(scene.checksBegun() == (isBeingFilled ? 0 : 1))
        #expect(!scene.isBanned(honest))
    }
}
