import Chain
import Primitives

/// Which peers have blocks, as they say, and how it went with those that were asked. All of it chooses whom to ask and
/// nothing else: what a peer says of its height moves no target.
struct BlockPeers: Sendable {
    /// One peer.
    struct Peer: Sendable {
        /// The blocks that its last ping promises; nil where it keeps none.
        fileprivate(set) var heights: ClosedRange<UInt64>?
        /// The lowest block that it keeps, as it said when it was asked for a lower one. It only rises.
        fileprivate var lowest: UInt64 = 0
        /// The highest block that it has, as it said when it was asked for a higher one, and until when that counts:
        /// one that goes block by block itself has more of them soon.
        fileprivate var highest: (block: UInt64, until: Instant)?
        /// How long it takes to answer, smoothed; nil before the first answer.
        fileprivate(set) var answerTime: Interval?
        /// Requests to it that are open.
        fileprivate(set) var requests = 0
        /// Since when blocks have come from it; nil where none did yet.
        fileprivate(set) var usefulSince: Instant?
        /// Not asked before this.
        fileprivate(set) var notBefore = Instant.zero
        /// Requests in a row that came to nothing.
        private var failures = 0
        /// The last outcomes, a set bit for one that came to nothing.
        private var outcomes: UInt16 = 0
        private var outcomeCount = 0

        func serves(_ number: UInt64, at now: Instant) -> Bool {
            guard let heights, heights.contains(number), number >= lowest else { return false }
            return highest.map { number <= $0.block || $0.until <= now } ?? true
        }

        /// The blocks that it has, as far as it has said; nil where it keeps none.
        var kept: ClosedRange<UInt64>? {
            heights.flatMap {
                max($0.lowerBound, lowest) > $0.upperBound ? nil : max($0.lowerBound, lowest)...$0.upperBound
            }
        }

        /// Whether it can be asked now.
        func isFree(at now: Instant) -> Bool {
            notBefore <= now && requests < ChainNetworkLimits.blockRequestsPerPeer
        }

        /// How long it has for an answer.
        var timeout: Interval {
            let (least, most) = (
                ChainNetworkLimits.blockTimeouts.lowerBound, ChainNetworkLimits.blockTimeouts.upperBound
            )
            return answerTime.map { min(max($0 * 8, least), most) } ?? least
        }

        /// How long it is waited for before another is asked too.
        var patience: Interval {
            answerTime.map { max($0 * 2, ChainNetworkLimits.blockStagger) } ?? ChainNetworkLimits.firstBlockStagger
        }

        /// The share of the last requests that came to nothing; nil before there are enough of them.
        var failureRate: Double? {
            guard outcomeCount >= ChainNetworkLimits.fewestBlockOutcomes else { return nil }
            return Double(outcomes.nonzeroBitCount) / Double(outcomeCount)
        }

        fileprivate mutating func note(failed: Bool, at now: Instant) {
            if !failed { usefulSince = usefulSince ?? now }
            outcomes = outcomes << 1 | (failed ? 1 : 0)
            outcomeCount = min(outcomeCount + 1, ChainNetworkLimits.blockOutcomes)
            failures = failed ? failures + 1 : 0
        }

        fileprivate mutating func note(_ time: Interval) {
            answerTime =
                answerTime.map { Interval(microseconds: ($0.microseconds * 3 + time.microseconds) / 4) } ?? time
        }

        /// How long it rests after the last failure: longer each time, and longest where it fails half of the time.
        fileprivate var rest: Interval {
            if let failureRate, failureRate >= 0.5 { return ChainNetworkLimits.longestPause }
            let rest = ChainNetworkLimits.firstPause * (1 << min(max(failures - 1, 0), 6))
            return min(rest, ChainNetworkLimits.longestPause)
        }
    }

    private var all: [Bytes32: Peer] = [:]

    subscript(id: Bytes32) -> Peer? { all[id] }

    /// Peers that say they have blocks.
    var count: Int { all.values.count { $0.heights != nil } }

    // MARK: What they say

    /// A peer said by a ping what it has.
    mutating func told(_ heights: ClosedRange<UInt64>?, by id: Bytes32) {
        guard all[id] != nil || (heights != nil && all.count < ChainNetworkLimits.peers) else { return }
        all[id, default: Peer()].heights = heights
    }

    /// A peer that keeps blocks offers one: it has the header of that, and soon the block.
    mutating func offered(_ number: UInt64, by id: Bytes32) {
        guard let heights = all[id]?.heights, heights.upperBound < number else { return }
        all[id]?.heights = heights.lowerBound...number
    }

    /// A peer that was asked for a block said that it has these, and not that one.
    mutating func lacks(_ number: UInt64, _ heights: ClosedRange<UInt64>?, _ id: Bytes32, at now: Instant) {
        switch heights {
        case let heights? where number < heights.lowerBound: all[id]?.lowest = heights.lowerBound
        case let heights? where number > heights.upperBound:
            all[id]?.highest = (heights.upperBound, now + ChainNetworkLimits.blockHeightsAge)
        // It has nothing, or says that it has just that: its next ping will promise the same again.
        default: pause(id, for: ChainNetworkLimits.longestPause, at: now)
        }
    }

    /// The lowest block that any keeps who has later ones than `number`; nil where one of them keeps that too, or
    /// nobody has later ones.
    func lowest(above number: UInt64) -> UInt64? {
        var lowest: UInt64?
        for case let kept? in all.values.lazy.map(\.kept) where kept.upperBound >= number {
            if kept.lowerBound <= number { return nil }
            lowest = min(lowest ?? kept.lowerBound, kept.lowerBound)
        }
        return lowest
    }

    /// Whether any can be asked for anything.
    func isAnyFree(at now: Instant) -> Bool { all.values.contains { $0.isFree(at: now) } }

    mutating func lost(_ id: Bytes32) { all[id] = nil }

    // MARK: Choosing

    /// Somebody to ask for blocks from `number` on, besides these: mostly the one who answers soonest, sometimes the
    /// second, now and then anybody.
    func choose(
        for number: UInt64, besides: Set<Bytes32>, at now: Instant, using generator: inout SeededGenerator
    ) -> Bytes32? {
        var able: [(id: Bytes32, time: Interval)] = []
        for (id, peer) in all where peer.serves(number, at: now) && peer.isFree(at: now) && !besides.contains(id) {
            able.append((id, peer.answerTime ?? .zero))
        }
        // By time and then by id, so that nothing depends on the map's order. One who was never asked comes first.
        able.sort { a, b in a.time == b.time ? a.id < b.id : a.time < b.time }
        guard let nearest = able.first else { return nil }
        if Int.random(in: 0..<ChainNetworkLimits.exploring, using: &generator) == 0 {
            return able.randomElement(using: &generator)?.id
        }
        let isSecond = Int.random(in: 0..<ChainNetworkLimits.secondNearest, using: &generator) == 0
        return isSecond && able.count > 1 ? able[1].id : nearest.id
    }

    /// Those who say that they have a block.
    func having(_ number: UInt64, at now: Instant) -> [Bytes32] {
        all.filter { $0.value.serves(number, at: now) }.keys.sorted()
    }

    // MARK: How it goes

    mutating func asked(_ id: Bytes32) { all[id]?.requests += 1 }

    /// The one end of every request.
    mutating func ended(_ id: Bytes32) {
        if let open = all[id]?.requests { all[id]?.requests = max(0, open - 1) }
    }

    /// An answer with blocks came.
    mutating func answered(_ id: Bytes32, after time: Interval, at now: Instant) {
        all[id]?.note(failed: false, at: now)
        all[id]?.note(time)
    }

    /// A request came to nothing: the peer rests.
    mutating func failed(_ id: Bytes32, at now: Instant) {
        all[id]?.note(failed: true, at: now)
        if let rest = all[id]?.rest { pause(id, for: rest, at: now) }
    }

    /// The peer is not asked for so long.
    mutating func pause(_ id: Bytes32, for interval: Interval, at now: Instant) {
        if let until = all[id]?.notBefore { all[id]?.notBefore = max(until, now + interval) }
    }

    /// When the first rest ends, or what a peer said of its height counts no more.
    func firstRestEnd(after now: Instant) -> Instant? {
        var first: Instant?
        for peer in all.values {
            for time in [peer.notBefore, peer.highest?.until ?? .zero] where time > now {
                first = min(first ?? time, time)
            }
        }
        return first
    }
}
