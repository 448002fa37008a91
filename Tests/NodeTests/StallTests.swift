import Chain
import ChainNetwork
import Primitives
import StateContent
import Testing

@testable import Node
@testable import StateNetwork

/// Why nothing is verified: what is not known is not told as something that is.
@Suite("Reasons of a stall") struct StallTests {
    private static let key = 0

    /// The first block above genesis, attested by the bench's key and called final where that is asked for.
    private func block(isFinal: Bool) throws -> CertifiedHeader {
        let header = try Bench.block(1).header
        let context = ClaimContext(try Bench.configuration(.walker).network)
        let claims = [Claim.Kind.head] + (isFinal ? [.final] : [])
        let signed = try claims.map { kind in
            try Bench.attestingKey(Self.key).sign(
                Claim(kind: kind, point: header.point, unixSeconds: 1_800_000_000), in: context)
        }
        return CertifiedHeader(header: header, certificate: Certificate(signed))
    }

    /// Peers serve an epoch that no header is here for: that is no lack of holders.
    @Test func peersThatAreAheadOfTheHeadersAreNamed() throws {
        var bench = try Bench(.walker, isFull: false)
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == nil)
        func tell(_ epochs: [UInt64]) throws {
            let served = epochs.map { epoch in
                AnchorSections(
                    anchor: epoch == 0 ? Bench.anchor : Anchor(epoch: epoch, hash: .max), runs: [0..<16])
            }
            let payload = StatePingPayload(role: .holder, radius: .max, head: nil, served: served)
            bench.node.state.holders.told(payload, by: try #require(Bench.info(1)), at: bench.now)
        }
        try tell([5, 6])
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == 6)
        try tell([0, 6])
        #expect(Standing.epochAhead(bench.node, of: Bench.anchor) == nil, "somebody serves ours")
    }

    /// Attested headers are here, and none of them is an epoch's first block and final.
    @Test(arguments: [false, true]) func headersWithoutAnAnchorAreToldSo(isFinal: Bool) throws {
        var bench = try Bench(.walker, isFull: false)
        #expect(Standing.noAnchor(bench.node, 31).reason == "no attested header above the checkpoint was seen")
        bench.node.chain.handle(.learned(try block(isFinal: isFinal), from: Bench.peer), at: bench.now)
        #expect(bench.node.chain.head.number == 1 && bench.node.chain.newestAnchor == nil)
        let stall = Standing.noAnchor(bench.node, 31)
        let final = isFinal ? 1 : 0
        let reason = "headers are here up to block 1, final up to \(final), and none that is final begins an epoch"
        #expect(stall.reason == reason)
        #expect(stall.advice == "waiting until block 8, which begins one, is final" && stall.seconds == 31)
    }
}
