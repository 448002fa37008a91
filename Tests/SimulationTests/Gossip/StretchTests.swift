import Chain
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation
@testable import StateNetwork

/// A stretch of a block's true diffs, and what is false in it, at a holder that stands at the block before.
@Suite("Stretches that are true and false") struct StretchTests {
    private let hostile = Bytes32(6, 6, 6, 6), honest = Bytes32(5, 5, 5, 5)

    private func joined(
        _ diffs: [(section: Int, value: BlockDiffValue)], _ scene: DiffScene
    ) throws -> (key: BlockDiffsKey, value: [UInt8]) {
        try #require(BlockDiffsServer.join(diffs, at: scene.key.point).first)
    }

    /// The sections that have the block as their newest layer.
    private func taken(_ scene: DiffScene) -> [Int] {
        scene.diffs.map(\.section).filter {
            scene.node.state.holdings.held($0)?.layers.last?.point == scene.key.point
        }
    }

    @Test func whatCameTogetherIsOneJobAndOneTransaction() throws {
        var scene = try DiffScene(sections: 2)
        let stretch = try joined(scene.diffs, scene)
        scene.receive(stretch.key, stretch.value, from: honest)
        scene.node.handle(.tick, at: scene.moment)
        var (jobs, commits) = (0, 0)
        var directives = scene.node.drain()
        while !directives.isEmpty {
            for directive in directives {
                switch directive {
                case .run(let id, let job):
                    if case .checkBlockDiffs = job { jobs += 1 }
                    scene.node.handle(.jobFinished(id, job.run(on: scene.snapshot)), at: scene.moment)
                case .commit(let id, _):
                    if taken(scene).isEmpty { commits += 1 }
                    scene.node.handle(.committed(id), at: scene.moment)
                case .send, .report: break
                }
            }
            directives = scene.node.drain()
        }
        #expect(jobs == 1 && commits >= 1)
        #expect(taken(scene) == scene.diffs.map(\.section))
        // What is passed on is what came, joined anew.
        #expect(scene.node.state.gossip.recentDiffs(stretch.key) == stretch.value)
        #expect(!scene.isBanned(honest))
    }

    /// A leaf is left out in one section: its sender pays once, and the others hold.
    @Test func aLieInOneSectionCostsItsSenderOnceAndTheOthersNothing() throws {
        var scene = try DiffScene(sections: 2)
        var diffs = scene.diffs
        let (section, value) = diffs[0]
        let change = try #require(value.changes.first)
        let body = StateAccount(nonce: 77, balance: UInt256(5))
        diffs[0].value = BlockDiffValue(
            header: value.header, certificate: value.certificate, sectionHashBefore: value.sectionHashBefore,
            changes: [LeafChange(key: FlatKey(account: change.key.account), value: body.slim)], codes: [],
            pathProof: value.pathProof)
        let stretch = try joined(diffs, scene)
        let before = scene.node.totals.invalidAnswers
        let (first, meanwhile) = (scene.offer(stretch.key, from: hostile), scene.offer(stretch.key, from: honest))
        #expect(first == [.accepted] && meanwhile == [.inProgress])
        scene.receive(stretch.key, stretch.value, from: hostile)
        scene.settle()
        #expect(scene.node.totals.invalidAnswers == before + 1)
        #expect(scene.isBanned(hostile))
        let again = scene.offer(stretch.key, from: honest)
        #expect(again == [.accepted], "what is false in it may come from another")
        #expect(taken(scene) == diffs.map(\.section).filter { $0 != section })
        #expect(scene.node.state.gossip.recentDiff(BlockDiffKey(point: scene.key.point, section: section)) == nil)
    }

    /// It says something false of the state before in one section: that can be shown there, and the true one is taken.
    @Test func aFalseStateBeforeIsRefutedInItsSection() throws {
        var scene = try DiffScene(sections: 2)
        var diffs = scene.diffs
        let (section, value) = diffs[1]
        diffs[1].value = BlockDiffValue(
            header: value.header, certificate: value.certificate, sectionHashBefore: Keccak.hash([1]),
            changes: value.changes, codes: value.codes, pathProof: value.pathProof)
        let stretch = try joined(diffs, scene)
        scene.receive(stretch.key, stretch.value, from: hostile)
        scene.settle()
        #expect(scene.isBanned(hostile))
        #expect(taken(scene) == diffs.map(\.section).filter { $0 != section })
        let holdings = scene.node.state.holdings
        #expect(holdings.held(section)?.needsCatchUp == true || holdings.book.isLocked(section), "it is asked for")
    }

    /// What it proves by itself it must prove whole: nothing of it is taken otherwise.
    @Test func aFalseProofIsALieAsAWhole() throws {
        var scene = try DiffScene(sections: 2)
        var diffs = scene.diffs
        let value = diffs[0].value
        diffs[0].value = BlockDiffValue(
            header: value.header, certificate: value.certificate, sectionHashBefore: value.sectionHashBefore,
            changes: value.changes, codes: value.codes,
            pathProof: value.pathProof + [[UInt8](repeating: 1, count: 40)])
        let stretch = try joined(diffs, scene)
        let before = scene.node.totals.invalidAnswers
        scene.receive(stretch.key, stretch.value, from: hostile)
        scene.settle()
        #expect(scene.node.totals.invalidAnswers == before + 1 && scene.isBanned(hostile))
        #expect(taken(scene).isEmpty)
    }

    /// A certificate that does not hold goes no further than here.
    @Test func aSpoiltCertificateIsNotPassedOn() throws {
        var scene = try DiffScene(sections: 2)
        let header = CertifiedHeader(
            header: try BlockHeader(rlp: scene.value.header),
            certificate: try Certificate(decoding: scene.value.certificate))
        scene.node.chain.handle(.learned(header, from: honest), at: scene.moment.instant)
        var certificate = scene.value.certificate
        certificate[certificate.count - 1] ^= 1
        let spoilt = try joined(scene.diffs.map { ($0.section, $0.value.certified(by: certificate)) }, scene)
        scene.receive(spoilt.key, spoilt.value, from: hostile)
        scene.settle()
        #expect(taken(scene) == scene.diffs.map(\.section))
        let passedOn = try #require(scene.node.state.gossip.recentDiffs(spoilt.key))
        #expect(passedOn == (try joined(scene.diffs, scene)).value)
    }
}
