import Chain
import Primitives
import StateContent

/// The sections of a block whose diffs are on their way, or came a moment ago: other offers of the same block and
/// sections are put off meanwhile. A stretch does not say which of its sections the block has changed, so one that came
/// counts for all of them, until it is so old that what is missing of the block may come from another.
struct ExpectedDiffs: Sendable {
    private struct Entry: Sendable {
        let key: BlockDiffsKey
        let peer: Bytes32
        var until: Instant
        var hasCome = false

        func isOf(_ other: BlockDiffsKey, _ sender: Bytes32) -> Bool { key == other && peer == sender }
    }

    private var entries: [Entry] = []

    /// How many are remembered.
    var count: Int { entries.count }

    /// The stretch was accepted from a peer.
    mutating func expect(_ key: BlockDiffsKey, from peer: Bytes32, at now: Instant) {
        entries.removeAll { $0.until <= now }
        guard entries.count < StateNetworkLimits.expectedStretches else { return }
        let until = now + StateNetworkLimits.expectedWait
        entries.append(Entry(key: key, peer: peer, until: until))
    }

    /// It came, and is whole.
    mutating func came(_ key: BlockDiffsKey, from peer: Bytes32, at now: Instant) {
        for index in entries.indices where entries[index].isOf(key, peer) {
            entries[index].until = now + StateNetworkLimits.cameWait
            entries[index].hasCome = true
        }
    }

    /// It will not come, or is of no use.
    mutating func ended(_ key: BlockDiffsKey, from peer: Bytes32) { entries.removeAll { $0.isOf(key, peer) } }

    /// What came from that peer is false in that section, so another may bring the stretch.
    mutating func failed(_ key: BlockDiffKey, from peer: Bytes32) {
        entries.removeAll {
            $0.key.point == key.point && $0.key.trie == key.trie && $0.peer == peer
                && $0.key.stretch.contains(key.section)
        }
    }

    /// Whether something is on its way that may bring what a section misses after block `top`, before that of `key`.
    func brings(_ key: BlockDiffKey, after top: UInt64, _ now: Instant) -> Bool {
        entries.contains {
            !$0.hasCome && $0.until > now && $0.key.trie == key.trie && $0.key.stretch.contains(key.section)
                && $0.key.point.number > top && $0.key.point.number < key.point.number
        }
    }

    /// The sections of a trie whose changes by a block are expected or came: the stretches, in no order.
    func stretches(of trie: StateTrie, at point: StatePoint, _ now: Instant) -> [ClosedRange<Int>] {
        entries.filter { $0.key.point == point && $0.key.trie == trie && $0.until > now }.map(\.key.stretch)
    }
}
