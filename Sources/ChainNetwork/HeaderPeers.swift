import Chain
import Primitives

/// What the peers say that they have of the chain, and how it went with those that were asked. All of it is only what
/// they say; it chooses whom to ask and nothing else.
struct HeaderPeers: Sendable {
    /// One peer.
    struct Peer: Sendable {
        /// The payload as it came last, so that a bad one is judged once.
        var payload: [UInt8] = []
        fileprivate(set) var lowest: UInt64 = 1
        var highest: UInt64 = 0
        fileprivate(set) var certified: UInt64 = 0
        /// Highest block that it is known to have heard of: nothing up to there needs to be pushed to it.
        var heardOf: UInt64 = 0
        /// Hash of the head that it claims.
        var headHash = Bytes32.zero
        /// The head for which its whole line was asked for, under proof of work.
        var probed = Bytes32.zero
        /// Requests to it that are open.
        var requests = 0
        /// Requests in a row that came to nothing.
        var failures = 0
        /// Not asked before this; zero where it does not rest.
        fileprivate(set) var notBefore = Instant.zero

        func serves(_ number: UInt64) -> Bool { lowest <= number && number <= highest }

        func isResting(at now: Instant) -> Bool { notBefore > now }

        /// It has brought a block that keys vouch for, and has what leads to it.
        mutating func brought(_ number: UInt64) {
            claim(lowest: lowest, highest: max(highest, number), certified: max(certified, number))
        }

        /// Takes over what it says, cut to numbers that can be counted on from.
        mutating func claim(lowest: UInt64, highest: UInt64, certified: UInt64) {
            let limit = UInt64(Int64.max)
            self.lowest = min(lowest, limit)
            self.highest = min(highest, limit)
            self.certified = min(certified, self.highest)
        }
    }

    private var all: [Bytes32: Peer] = [:]

    var count: Int { all.count }

    subscript(id: Bytes32) -> Peer? {
        get { all[id] }
        set { all[id] = newValue }
    }

    // MARK: What they say

    /// Whether any that failed less often than `failures` claims to serve the block.
    func mayServe(_ number: UInt64, failures: Int) -> Bool {
        all.values.contains { $0.serves(number) && $0.failures < failures }
    }

    /// Whether any calls a block above this one attested.
    func certifyMore(than number: UInt64) -> Bool { all.values.contains { $0.certified > number } }

    /// Whether this is the highest block that any calls attested, of those that have some, may be asked now and whose
    /// last request did not come to nothing; there must be one.
    func agree(on number: UInt64, at now: Instant) -> Bool {
        var isThere = false
        for peer in all.values where peer.lowest <= peer.highest && peer.failures == 0 && !peer.isResting(at: now) {
            guard peer.certified <= number else { return false }
            isThere = true
        }
        return isThere
    }

    /// Each of them, in no order.
    func forEach(_ body: (Peer) -> Void) { all.values.forEach(body) }

    /// The lowest block that any serves who has what comes after `wanted`; nil where one of them serves that too, or
    /// nobody has.
    func lowestServed(beyond wanted: UInt64) -> UInt64? {
        var lowest: UInt64?
        for peer in all.values where peer.highest >= wanted && peer.lowest <= peer.highest {
            if peer.lowest <= wanted { return nil }
            lowest = min(lowest ?? peer.lowest, peer.lowest)
        }
        return lowest
    }

    /// The highest block that any claims to serve who may be asked and has what leads there from `number` on. This is
    /// gone through after every event: without an array.
    func highestServed(from number: UInt64, at now: Instant) -> UInt64? {
        var highest: UInt64?
        for peer in all.values where !peer.isResting(at: now) && peer.lowest <= number {
            highest = max(highest ?? 0, peer.highest)
        }
        return highest
    }

    /// One of those that claim to serve the highest block above `number` and may be asked for what comes after that;
    /// and that block.
    func highestToAsk(
        above number: UInt64, at now: Instant, using generator: inout SeededGenerator
    ) -> (peer: Bytes32, highest: UInt64)? {
        let able = all.filter { !$0.value.isResting(at: now) && $0.value.serves(number + 1) }
        guard let highest = able.values.lazy.map(\.highest).max() else { return nil }
        let best = able.filter { $0.value.highest == highest }.keys.sorted()
        return best.randomElement(using: &generator).map { ($0, highest) }
    }

    /// One that claims a head which is not known here, at a height at which another block is attested here, and whose
    /// line was not looked at for that head yet: the lowest id of them.
    func onAnotherLine(than chain: AttestedChain, at now: Instant) -> Bytes32? {
        all.filter { id, peer in
            peer.certified > 0 && peer.certified <= chain.head.number && peer.headHash != peer.probed
                && peer.highest > chain.floor.number && !peer.isResting(at: now) && !chain.holds(peer.headHash)
        }.keys.min()
    }

    /// One of the least busy that claim to serve `number` and may be asked.
    func choose(
        for number: UInt64, except asked: [Bytes32] = [], at now: Instant, using generator: inout SeededGenerator
    ) -> Bytes32? {
        var least = ChainNetworkLimits.requestsPerPeer
        var able: [Bytes32] = []
        for (id, peer) in all where !peer.isResting(at: now) && peer.serves(number) && peer.requests <= least {
            if asked.contains(id) { continue }
            if peer.requests < least { able.removeAll() }
            least = peer.requests
            able.append(id)
        }
        guard least < ChainNetworkLimits.requestsPerPeer else { return nil }
        // By id, so that nothing depends on the map's order.
        return able.sorted().randomElement(using: &generator)
    }

    /// Some of those that a new block is news to, besides the one it came from. While too few keys have spoken for it
    /// (`isProven` is false) it is news to all: each brings the others the word it has.
    func behind(
        _ number: UInt64, isProven: Bool, besides source: Bytes32?, using generator: inout SeededGenerator
    ) -> [Bytes32] {
        let behind = all.filter { id, peer in
            id != source && !peer.payload.isEmpty && (peer.heardOf < number || !isProven)
        }
        return Array(behind.keys.sorted().shuffled(using: &generator).prefix(ChainNetworkLimits.pushFanout))
    }

    /// The peer has heard of this block.
    mutating func heard(of number: UInt64, by id: Bytes32) {
        if let heardOf = all[id]?.heardOf { all[id]?.heardOf = max(heardOf, number) }
    }

    /// A peer brought this block. If it had nothing when it last said what it has, it has begun since, and where every
    /// chain begins: at the checkpoint. Whoever takes that for the truth too early asks once in vain; whoever waits
    /// for the next ping to say so lets a new network stand still until then.
    mutating func began(_ id: Bytes32, at checkpoint: UInt64, upTo number: UInt64) {
        guard let peer = all[id], !peer.payload.isEmpty, peer.lowest > peer.highest else { return }
        all[id]?.claim(lowest: checkpoint, highest: number, certified: peer.certified)
    }

    // MARK: Rests

    /// The peer is not asked for so long.
    mutating func pause(_ id: Bytes32, for interval: Interval, at now: Instant) {
        if let until = all[id]?.notBefore { all[id]?.notBefore = max(until, now + interval) }
    }

    /// A request came to nothing: the peer rests a while, longer each time.
    mutating func failed(_ id: Bytes32, at now: Instant) {
        guard let failures = all[id]?.failures else { return }
        all[id]?.failures = failures + 1
        let rest = min(ChainNetworkLimits.firstPause * (1 << min(failures, 6)), ChainNetworkLimits.longestPause)
        pause(id, for: rest, at: now)
    }

    /// Whether a rest has ended that was not ended yet.
    func haveRested(at now: Instant) -> Bool {
        all.values.contains { $0.notBefore > .zero && $0.notBefore <= now }
    }

    /// Ends the rests that are over.
    mutating func endRests(at now: Instant) {
        for (id, peer) in all where peer.notBefore > .zero && peer.notBefore <= now { all[id]?.notBefore = .zero }
    }

    /// When the first rest ends of those that can serve a block above `number`; nil: where nobody rests.
    func firstRestEnd(above number: UInt64? = nil) -> Instant? {
        var first: Instant?
        for peer in all.values where peer.notBefore > .zero && number.map({ peer.highest > $0 }) ?? true {
            first = min(first ?? peer.notBefore, peer.notBefore)
        }
        return first
    }
}
