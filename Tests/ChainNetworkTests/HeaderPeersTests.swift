import Chain
import Primitives
import Testing

@testable import ChainNetwork

struct HeaderPeersTests {
    private var generator = SeededGenerator(seed: 5)

    private func id(_ number: UInt64) -> Bytes32 { Bytes32(number, 0, 0, number) }

    /// Peers 1, 2, … that claim to serve these blocks.
    private func peers(_ ranges: [ClosedRange<UInt64>]) -> HeaderPeers {
        var peers = HeaderPeers()
        for (index, range) in ranges.enumerated() {
            var peer = HeaderPeers.Peer()
            peer.payload = [1]
            peer.claim(lowest: range.lowerBound, highest: range.upperBound, certified: range.upperBound)
            peers[id(UInt64(index) + 1)] = peer
        }
        return peers
    }

    @Test mutating func theLeastBusyIsAskedOfThoseThatServe() {
        var peers = peers([1...10, 1...10, 20...30])
        peers[id(1)]?.requests = 1
        #expect(peers.choose(for: 5, at: .zero, using: &generator) == id(2))
        peers[id(2)]?.requests = ChainNetworkLimits.requestsPerPeer
        #expect(peers.choose(for: 5, at: .zero, using: &generator) == id(1))
        #expect(peers.choose(for: 25, at: .zero, using: &generator) == id(3))
        #expect(peers.choose(for: 15, at: .zero, using: &generator) == nil)
        peers[id(1)]?.requests = ChainNetworkLimits.requestsPerPeer
        #expect(peers.choose(for: 5, at: .zero, using: &generator) == nil)
    }

    @Test mutating func whoFailsRestsLongerEachTime() throws {
        var peers = peers([1...10])
        var now = Instant.zero
        var rests: [Interval] = []
        for _ in 0..<9 {
            peers.failed(id(1), at: now)
            let end = try #require(peers.firstRestEnd())
            #expect(peers.choose(for: 5, at: now, using: &generator) == nil)
            #expect(!peers.haveRested(at: now) && peers.haveRested(at: end))
            rests.append(end - now)
            now = end
            peers.endRests(at: now)
            #expect(peers.firstRestEnd() == nil && peers.choose(for: 5, at: now, using: &generator) == id(1))
        }
        #expect(rests[0] == ChainNetworkLimits.firstPause && rests[1] == ChainNetworkLimits.firstPause * 2)
        #expect(rests.last == ChainNetworkLimits.longestPause && rests == rests.sorted())
    }

    @Test func aRestThatHelpsNobodyIsNotWaitedFor() {
        var peers = peers([1...10, 1...50])
        peers.pause(id(1), for: .seconds(1), at: .zero)
        peers.pause(id(2), for: .seconds(9), at: .zero)
        #expect(peers.firstRestEnd() == Instant.zero + .seconds(1))
        #expect(peers.firstRestEnd(above: 10) == Instant.zero + .seconds(9))
        #expect(peers.firstRestEnd(above: 50) == nil)
    }

    @Test func aGapIsWhatNobodyServesBeforeWhatSomeServe() {
        #expect(peers([20...30, 25...40]).lowestServed(beyond: 10) == 20)
        #expect(peers([20...30, 5...40]).lowestServed(beyond: 10) == nil)
        #expect(peers([1...5]).lowestServed(beyond: 10) == nil)
    }

    @Test mutating func aBlockIsNewsToThoseBehindIt() {
        var peers = peers([1...10, 1...10, 1...10])
        peers.heard(of: 11, by: id(1))
        let news = peers.behind(11, isProven: true, besides: id(2), using: &generator)
        #expect(news == [id(3)])
        let word = peers.behind(11, isProven: false, besides: id(2), using: &generator)
        #expect(Set(word) == [id(1), id(3)])
        peers.heard(of: 7, by: id(1))
        #expect(peers[id(1)]?.heardOf == 11)
    }

    @Test func claimsBeyondTheNumbersAreCut() throws {
        let peers = peers([0...UInt64.max])
        let peer = try #require(peers[id(1)])
        #expect(peer.highest == UInt64(Int64.max) && peer.certified == peer.highest)
    }
}
