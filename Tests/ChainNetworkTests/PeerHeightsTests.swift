import Chain
import ChainLab
import Primitives
import Testing

@testable import ChainNetwork

/// What peers say of their heights is shown, and holds nothing up.
struct PeerHeightsTests {
    private func made() throws -> (chain: MadeChain, entries: [CertifiedHeader]) {
        let chain = try MadeChain(epochLength: 64)
        return (chain, chain.published(try MadeChain.run(on: chain.genesis, 300)))
    }

    @Test func nobodyIsNotCaughtUp() throws {
        let (chain, entries) = try made()
        #expect(try !SeenHeights(chain.machine([])).isCaughtUp(at: .zero))
        #expect(try !SeenHeights(chain.machine(entries)).isCaughtUp(at: .zero), "with nobody to compare with")
    }

    @Test func whoHasWhatAPeerShowsIsCaughtUp() throws {
        let (chain, entries) = try made()
        var cluster = Cluster(try chain.machine([]))
        cluster.add(1, try chain.machine(entries))
        #expect(!SeenHeights(cluster.client).isCaughtUp(at: cluster.now), "headers are on their way")
        cluster.settle(limit: .seconds(5))
        #expect(cluster.client.head.number == 300 && SeenHeights(cluster.client).isCaughtUp(at: cluster.now))
        #expect(SeenHeights(cluster.client).told == (1, 0, 300))
        #expect(
            SeenHeights(cluster.client).heights(of: Cluster.id(1))
                == PeerHeights(lowest: 0, highest: 300, certified: 300))
        #expect(SeenHeights(cluster.client).heights(of: Cluster.id(2)) == nil)
    }

    /// Great heights with nothing behind them, whether the peer is silent or says that it has nothing.
    @Test(arguments: [false, true]) func aHeightWithNothingBehindItHoldsNothingUp(isSilent: Bool) throws {
        let (chain, entries) = try made()
        var cluster = Cluster(try chain.machine([]))
        let claim = ChainPingPayload(
            genesisHash: chain.genesis.hash, lowest: 0, highest: 9_000_000, headHash: .max, certified: 9_000_000)
        cluster.add(1, claim: claim.encoded) { _ in
            isSilent ? nil : HeadersValue.notServed(lowest: 1, highest: 0).encoded()
        }
        cluster.add(2, try chain.machine(entries))
        cluster.settle(limit: .seconds(45))
        #expect(cluster.client.head.number == 300)
        #expect(SeenHeights(cluster.client).isCaughtUp(at: cluster.now))
        #expect(cluster.asked[Cluster.id(1)] ?? 0 <= 16, "\(cluster.asked)")
    }

    /// A peer that has more and lost a request: what is missing is still missing.
    @Test func aLostRequestIsNoEnd() throws {
        let (chain, entries) = try made()
        var cluster = Cluster(try chain.machine(Array(entries.prefix(100))))
        let server = try chain.machine(entries)
        cluster.add(1, claim: server.localPayload) { _ in nil }
        cluster.settle(limit: .seconds(70))
        #expect(cluster.client.head.number == 100 && !SeenHeights(cluster.client).isCaughtUp(at: cluster.now))
        cluster.responders[Cluster.id(1)] = { server.serve($0) }
        cluster.settle(limit: .seconds(90))
        #expect(cluster.client.head.number == 300 && SeenHeights(cluster.client).isCaughtUp(at: cluster.now))
    }
}
