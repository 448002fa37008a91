import Chain
import ChainNetwork
import Overlay
import Primitives
import StateContent

/// Offers of blocks on their way from the two networks to the wire: for each peer they are gathered a while, where that
/// costs it nothing.
///
/// Everybody passes a block on, and nobody knows who has it: where all hear of it in the same moment, each offers it to
/// all the others for nothing. So a peer that had all that was last offered to it gets what follows later, several
/// blocks in one offer: by then its own offer of them may have come, and ours need not go. Of two such peers the one
/// with the lesser id goes first. As soon as a peer takes something, it gets all at once again.
///
/// A new block (0x52) waits for a moment in any case: where a diff of it goes to the same peer, that brings the header.
/// But where one key's word is not enough, a block is news to everybody as long as words of other keys come: then none
/// is left out.
struct OfferGathering: Sendable {
    /// What goes to one peer on one network.
    private struct Lane: Hashable {
        let network: NetworkID
        let peer: Bytes32
    }

    private struct Stack {
        var items: [ContentItem] = []
        var bytes = 0
        var due: Instant

        mutating func add(_ item: ContentItem) {
            items.append(item)
            bytes += item.key.count + item.value.count
        }

        mutating func remove(where isGone: ([UInt8]) -> Bool) {
            items.removeAll { isGone($0.key) }
            bytes = items.reduce(0) { $0 + $1.key.count + $1.value.count }
        }
    }

    /// The newest keys that a peer has offered, so many at most.
    private struct HeardKeys {
        /// In the order in which they came, from `oldest` on and round.
        private var order: [[UInt8]] = []
        private var oldest = 0
        private var known: Set<[UInt8]> = []

        func contains(_ key: [UInt8]) -> Bool { known.contains(key) }

        mutating func insert(_ key: [UInt8]) {
            guard known.insert(key).inserted else { return }
            guard order.count == NodeLimits.heardKeys else { return order.append(key) }
            known.remove(order[oldest])
            order[oldest] = key
            oldest = (oldest + 1) % NodeLimits.heardKeys
        }
    }

    /// One offer that is made now.
    struct Ready: Sendable {
        let network: NetworkID
        let peer: Bytes32
        let items: [ContentItem]
        /// New blocks that are not offered because these items bring their headers, by their place among the items.
        fileprivate(set) var spared: [Int: ContentItem] = [:]
    }

    /// Of this node.
    private let id: Bytes32
    /// Whether who has a block has all that there is to hear of it.
    private let isOneWordEnough: Bool
    private var stacks: [Lane: Stack] = [:]
    /// Those that had all that was last offered to them.
    private var supplied: Set<Lane> = []
    /// What peers have offered here lately: it need not be offered to them.
    private var heard: [Lane: HeardKeys] = [:]
    private var underway: [Overlay.OfferID: Ready] = [:]

    /// `threshold`: of the network's rule.
    init(id: Bytes32, threshold: Int) {
        self.id = id
        isOneWordEnough = threshold == 1
    }

    /// When the next offer is due.
    var deadline: Instant? { stacks.values.lazy.map(\.due).min() }

    // MARK: In

    /// Something is to be offered to a peer. What is no block goes at once.
    mutating func add(_ items: [ContentItem], to peer: Bytes32, on network: NetworkID, at now: Instant) {
        let lane = Lane(network: network, peer: peer)
        let known = heard[lane]
        let due = now + delay(of: lane)
        for item in items where known?.contains(item.key) != true {
            let isUrgent = network == .state && OfferGathering.block(of: item.key) == nil
            stacks[lane, default: Stack(due: due)].add(item)
            if isUrgent { stacks[lane]?.due = now }
        }
        guard let stack = stacks[lane] else { return }
        if stack.items.count >= NodeLimits.gatheredItems || stack.bytes >= NodeLimits.gatheredBytes {
            stacks[lane]?.due = now
        }
    }

    /// A peer has offered these itself.
    mutating func heard(_ keys: [[UInt8]], by peer: Bytes32, on network: NetworkID) {
        switch network {
        case .state:
            note(keys, in: Lane(network: .state, peer: peer))
            guard isOneWordEnough else { return }
            let blocks = keys.compactMap { OfferGathering.block(of: $0) }.map { ChainContentKey.newBlock($0).encoded }
            note(blocks, in: Lane(network: .chain, peer: peer))
        default: if isOneWordEnough { note(keys, in: Lane(network: network, peer: peer)) }
        }
    }

    private mutating func note(_ keys: [[UInt8]], in lane: Lane) {
        guard !keys.isEmpty else { return }
        for key in keys { heard[lane, default: HeardKeys()].insert(key) }
        remove(from: lane) { keys.contains($0) }
    }

    /// An offer has ended, with these codes or without an answer.
    mutating func ended(_ offer: Overlay.OfferID, _ codes: [AcceptCode]?, at now: Instant) {
        guard let ready = underway.removeValue(forKey: offer), let codes else { return }
        let lane = Lane(network: ready.network, peer: ready.peer)
        if codes.contains(.accepted) {
            supplied.remove(lane)
            if let due = stacks[lane]?.due { stacks[lane]?.due = min(due, now) }
        } else if !codes.isEmpty, codes.allSatisfy({ $0 == .alreadyStored || $0 == .inProgress }) {
            supplied.insert(lane)
        }
        // Who does not want a diff may want the header all the same.
        let refused = codes.indices.filter { [.outsideRadius, .rateLimited, .notVerifiable].contains(codes[$0]) }
        add(refused.compactMap { ready.spared[$0] }, to: ready.peer, on: .chain, at: now)
    }

    /// A node is no peer any more.
    mutating func lost(_ peer: Bytes32, on network: NetworkID) {
        let lane = Lane(network: network, peer: peer)
        stacks[lane] = nil
        heard[lane] = nil
        supplied.remove(lane)
    }

    // MARK: Out

    /// Takes what is due. What is made of it is told by `began`.
    mutating func takeDue(at now: Instant) -> [Ready] {
        guard let deadline, deadline <= now else { return [] }
        let due = stacks.filter { $0.value.due <= now }.keys.sorted { a, b in
            (a.peer, a.network == .chain ? 1 : 0) < (b.peer, b.network == .chain ? 1 : 0)
        }
        return due.compactMap { lane in
            guard let stack = stacks.removeValue(forKey: lane) else { return nil }
            var ready = Ready(network: lane.network, peer: lane.peer, items: stack.items)
            if lane.network == .state, isOneWordEnough { spareHeaders(&ready) }
            return ready
        }
    }

    /// What was taken is offered under this name.
    mutating func began(_ offer: Overlay.OfferID, _ ready: Ready) { underway[offer] = ready }

    private mutating func spareHeaders(_ ready: inout Ready) {
        let lane = Lane(network: .chain, peer: ready.peer)
        guard let waiting = stacks[lane]?.items, !waiting.isEmpty else { return }
        for (place, item) in ready.items.enumerated() {
            guard let point = OfferGathering.block(of: item.key) else { continue }
            let key = ChainContentKey.newBlock(point).encoded
            if let block = waiting.first(where: { $0.key == key }) { ready.spared[place] = block }
        }
        let keys = ready.spared.values.map(\.key)
        remove(from: lane) { keys.contains($0) }
    }

    private mutating func remove(from lane: Lane, where isGone: ([UInt8]) -> Bool) {
        stacks[lane]?.remove(where: isGone)
        if stacks[lane]?.items.isEmpty == true { stacks[lane] = nil }
    }

    private func delay(of lane: Lane) -> Interval {
        guard supplied.contains(lane) else { return lane.network == .chain ? NodeLimits.newBlockGather : .zero }
        return id < lane.peer ? NodeLimits.suppliedGather : NodeLimits.suppliedGather * 2
    }

    /// The block whose diffs a key names; nil for other content.
    private static func block(of key: [UInt8]) -> StatePoint? {
        switch try? StateContentKey(decoding: key) {
        case .blockDiff(let key): key.point
        case .blockDiffs(let key): key.point
        default: nil
        }
    }
}
