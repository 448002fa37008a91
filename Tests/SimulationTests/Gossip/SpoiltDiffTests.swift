import Chain
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

@Suite("Diffs that carry what nobody checked") struct SpoiltDiffTests {
    private let hostile = Bytes32(6, 6, 6, 6), honest = Bytes32(5, 5, 5, 5)

    /// The block is attested already, so nobody looks at its certificate any more; whoever got the diff from this node
    /// with the hostile one's certificate would take this node for its maker.
    @Test func aSpoiltCertificateIsNotPassedOn() throws {
        var scene = try DiffScene()
        let header = CertifiedHeader(
            header: try BlockHeader(rlp: scene.value.header),
            certificate: try Certificate(decoding: scene.value.certificate))
        scene.node.chain.handle(.learned(header, from: honest), at: scene.moment.instant)
        #expect(scene.node.chain.attested.isAttested(scene.key.point))
        var certificate = scene.value.certificate
        certificate[certificate.count - 1] ^= 1
        scene.receive(scene.key, try #require(scene.altered(certificate: certificate).encoded), from: hostile)
        scene.settle()
        #expect(scene.node.state.holdings.held(scene.key.section)?.layers.last?.point == scene.key.point)
        let passedOn = try BlockDiffValue(decoding: try #require(scene.node.state.gossip.recentDiff(scene.key)))
        #expect(passedOn.certificate == scene.value.certificate && passedOn == scene.value)
    }

    /// Before the block is attested here the certificate is looked at, and its sender pays.
    @Test func theOneWhoMakesItPays() throws {
        var scene = try DiffScene()
        var certificate = scene.value.certificate
        certificate[certificate.count - 1] ^= 1
        scene.receive(scene.key, try #require(scene.altered(certificate: certificate).encoded), from: hostile)
        scene.settle()
        #expect(scene.isBanned(hostile))
        #expect(scene.node.state.gossip.recentDiff(scene.key) == nil)
    }

    /// One sender and eight, 64 made-up blocks: the true diff of the next block goes in and is checked at once.
    @Test(arguments: [1, 8])
    func madeUpBlocksDoNotKeepTheTrueOneOut(senders: Int) throws {
        var scene = try DiffScene()
        let section = scene.key.section
        for number in 0..<64 {
            let sender = Bytes32(6, 6, 6, UInt64(number % senders))
            let header = try scene.madeUpHeader(UInt64(number), above: UInt64(number / 8))
            let key = BlockDiffKey(point: header.point, section: section)
            let value = try #require(scene.altered(header: header.rlp, certificate: []).encoded)
            scene.receive(key, value, from: sender)
        }
        let waiting = scene.node.state.pending.of(section).count
        #expect(waiting == StateNetworkLimits.unvouchedDiffsPerSender * min(senders, 8))
        let bytes = StateContentKey.blockDiff(scene.key).encoded
        let offer = StateSync.Event.offered(keys: [bytes], by: honest, Overlay.OfferToken(value: 1))
        scene.node.state.handle(offer, scene.node.chain.attested, at: scene.moment)
        let codes = scene.node.state.drain().compactMap { directive in
            if case .decide(_, let codes, _) = directive { codes } else { nil }
        }
        #expect(codes == [[.accepted]])
        scene.receive(scene.key, scene.encoded, from: honest)
        scene.settle()
        #expect(scene.node.state.holdings.held(section)?.layers.last?.point == scene.key.point)
        #expect(scene.node.totals.invalidAnswers == 0 && !scene.isBanned(honest))
    }

    /// Who sends many of them, each in vain, is left alone in the end.
    @Test func theirSenderPays() throws {
        var scene = try DiffScene()
        for round in 0..<40 where !scene.isBanned(hostile) {
            let header = try scene.madeUpHeader(UInt64(round), above: 2)
            let key = BlockDiffKey(point: header.point, section: scene.key.section)
            scene.receive(key, try #require(scene.altered(header: header.rlp, certificate: []).encoded), from: hostile)
            scene.moment.instant = scene.moment.instant + StateNetworkLimits.unknownHeaderWait + .seconds(1)
            scene.node.handle(.tick, at: scene.moment)
        }
        #expect(scene.isBanned(hostile))
        #expect(!scene.isBanned(honest))
    }
}
