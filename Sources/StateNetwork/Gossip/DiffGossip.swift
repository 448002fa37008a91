import Chain
import MerklePatricia
import Overlay
import Primitives
import StateContent

/// The way of block diffs and crowns from peer to peer: what is expected from accepted offers, what came lately, and
/// what is to be offered to whom.
///
/// A diff goes on to a few peers whose arc it lies in and who do not have its block yet. The keys for one peer are
/// gathered for a moment, so that the diffs of a block travel in one offer and one stream.
struct DiffGossip: Sendable {
    private let role: Role
    /// Of this node: it makes the order in which this one passes a block on different from every other node's.
    private let id: Bytes32
    private let sectionDepth: Int
    var expected = ExpectedOffers()
    var expectedDiffs = ExpectedDiffs()
    /// They are offered each section's diff by itself (0x43).
    private var former = FormerPeers()
    private let knows: KnownContents
    private var recent: RecentDiffs
    private var certificates = CheckedCertificates()
    /// Keys for each peer, in the order they came about.
    private var outgoing: [Bytes32: [BlockDiffKey]] = [:]
    /// When what was gathered is offered.
    private(set) var deadline: Instant?

    init(role: Role, id: Bytes32, sectionDepth: Int, arc: Range<Int>, knows: KnownContents = KnownContents()) {
        self.knows = knows
        self.role = role
        self.id = id
        self.sectionDepth = sectionDepth
        recent = RecentDiffs(limit: StateNetworkLimits.recentDiffs(sections: arc.count))
    }

    /// The arc has so many sections from now on.
    mutating func cover(sections: Int) { recent.limit = StateNetworkLimits.recentDiffs(sections: sections) }

    // MARK: In

    /// Whether a peer of that role may bring anything. A bridge has its state from its own chain. Who has not said yet
    /// what it is counts as a bridge for those that take nothing from one.
    func takesItems(from sender: Role?) -> Bool {
        role != .bridge && (sender.map { role.takesState(from: $0) } ?? (role == .holder))
    }

    /// A key as this node reads it; nil for one that it does not know.
    func read(_ key: [UInt8]) throws(StateContentError) -> StateContentKey {
        let read = try StateContentKey(decoding: key)
        guard knows.holds(read.selector) else { throw .unknownContent(key.first ?? 0) }
        return read
    }

    /// The stretches of the key's block that are on their way, or came a moment ago.
    func expectedStretches(for key: StateContentKey, at now: Instant) -> [ClosedRange<Int>] {
        switch key {
        case .blockDiff(let key): expectedDiffs.stretches(of: key.trie, at: key.point, now)
        case .blockDiffs(let key): expectedDiffs.stretches(of: key.trie, at: key.point, now)
        default: []
        }
    }

    /// An item was accepted from a peer.
    mutating func expect(_ key: StateContentKey, _ bytes: [UInt8], from peer: Bytes32, at now: Instant) {
        if case .blockDiffs(let key) = key { expectedDiffs.expect(key, from: peer, at: now) }
        expected.expect(bytes, from: peer, at: now)
    }

    /// The items of these keys will not come.
    mutating func broken(_ keys: [[UInt8]], by peer: Bytes32) {
        for key in keys {
            if case .success(.blockDiffs(let stretch)) = Result(catching: { try read(key) }) {
                expectedDiffs.ended(stretch, from: peer)
            }
            expected.ended(key, from: peer)
        }
    }

    /// Bytes that the accepted ones of these keys may bring in all.
    func bytes(of keys: [StateContentKey?], accepted codes: [AcceptCode]) -> Int {
        zip(keys, codes).reduce(0) { sum, item in
            switch item {
            case (.crown?, .accepted): sum + StateContentLimits.crownBytes(depth: sectionDepth)
            case (_, .accepted): sum + OverlayLimits.offerStreamBytes
            default: sum
            }
        }
    }

    // MARK: Out

    /// The value of a recent block diff, to be served.
    func recentDiff(_ key: BlockDiffKey) -> [UInt8]? { recent[key]?.encoded }

    /// The value of the recent diffs of a stretch, to be served; nil where the stretch does not begin and end with one,
    /// or they are more than one value may have.
    ///
    /// Without all storage, what there is between the bounds, as far as one value goes.
    func recentDiffs(_ key: BlockDiffsKey) -> [UInt8]? {
        guard key.kept.isAll else {
            let diffs = recent.diffs(in: key).map { ($0.section, $0.value.keeping(key.kept)) }
            return BlockDiffsServer.join(diffs, of: key.trie, at: key.point).first?.value
        }
        let joined = BlockDiffsServer.join(recent.diffs(in: key), of: key.trie, at: key.point)
        return joined.first { $0.key == key }?.value
    }

    /// Remembers a diff of our own making. `bytes`: what it adds to what is held, about.
    mutating func remember(_ key: BlockDiffKey, _ value: BlockDiffValue, bytes: Int) {
        recent.add(key, value, bytes: bytes)
    }

    /// Remembers a diff that a peer sent and that a job has checked, as it is passed on. The job has checked all of it
    /// but the certificate, and that may have come after the block was attested here, when nobody looks at it any more:
    /// it is made anew of claims that hold. Nothing is kept where the block is not on the attested line any more.
    mutating func remember(_ diff: PendingDiff, _ chain: some AttestedHeaders) {
        guard let known = chain.certifiedHeader(at: diff.key.point.number), known.point == diff.key.point else {
            return
        }
        let certificate = certificates.certificate(of: known, given: diff.value.certificate, in: chain)
        let value =
            certificate == diff.value.certificate ? diff.value : diff.value.certified(by: certificate)
        recent.add(diff.key, value, bytes: diff.byteCount)
    }

    /// Queues a block diff for peers whose arc it lies in and who do not have the block yet, as far as is known.
    mutating func passOn(
        _ key: BlockDiffKey, to peers: HolderDirectory, except sender: Bytes32?, fanout: Int, at now: Instant
    ) {
        let interested = peers.covering(key.place(sectionDepth: sectionDepth)).filter { peer in
            guard peer.id != sender, let head = peer.head, head.number < key.point.number else { return false }
            return takesOffers(peer.role)
        }
        // Every node has an order of its own for each block. By one order for all, everybody would pass a diff on to
        // the same few, and the rest would have to ask for it. The sections of a block share the order, so that their
        // diffs travel in one offer.
        let seed = id.word1 ^ key.point.hash.word1
        let order = interested.map { peer in
            var generator = SeededGenerator(seed: seed ^ peer.id.word2)
            return (rank: generator.next(), id: peer.id)
        }.sorted { ($0.rank, $0.id) < ($1.rank, $1.id) }
        for peer in order.prefix(fanout) { outgoing[peer.id, default: []].append(key) }
        if deadline == nil, !order.isEmpty { deadline = now + StateNetworkLimits.gossipGather }
    }

    /// Takes what was gathered, all items for one peer together, once it is time.
    mutating func takeOutgoing(
        for peers: HolderDirectory, at now: Instant
    ) -> [(peer: Bytes32, items: [ContentItem])] {
        guard let deadline, deadline <= now else { return [] }
        self.deadline = nil
        defer { outgoing = [:] }
        var joined = JoinedDiffs()
        return outgoing.sorted { $0.key < $1.key }.compactMap { peer, keys in
            let isFormer = former.contains(peer, sequence: peers[peer]?.record.sequence, at: now)
            let joins = knows.stretches && !isFormer
            let isJoined = keys.map { key in
                joins && (recent[key].map { BlockDiffsServer.holds($0, of: key.trie) } ?? false)
            }
            let items =
                joined.items(of: zip(keys, isJoined).filter(\.1).map(\.0), recent)
                + zip(keys, isJoined).filter { !$1 }.compactMap { key, _ in
                    recent[key]?.encoded.map { ContentItem(key: StateContentKey.blockDiff(key).encoded, value: $0) }
                }
            return items.isEmpty ? nil : (peer, items)
        }
    }

    /// A peer declined what was offered. Who knows a stretch never does that, so it is offered the same by sections, at
    /// once, and whatever comes after that for a while.
    mutating func declined(_ keys: [[UInt8]], by peer: Bytes32, _ peers: HolderDirectory, at now: Instant) {
        for key in keys {
            guard case .success(.blockDiffs(let key)) = Result(catching: { try read(key) }) else { continue }
            former.add(peer, sequence: peers[peer]?.record.sequence, at: now)
            let arc = peers[peer]?.arc.sections ?? 0..<0
            for (section, _) in recent.diffs(in: key) {
                let key = BlockDiffKey(trie: key.trie, point: key.point, section: section)
                if arc.contains(key.place(sectionDepth: sectionDepth)) { outgoing[peer, default: []].append(key) }
            }
            deadline = now
        }
    }

    /// A node is no peer any more.
    mutating func lost(_ peer: Bytes32) {
        former.lost(peer)
        outgoing[peer] = nil
    }

    /// The peers that an anchor's crown is offered to: some of those that do not name the anchor among what they serve.
    func lacking(_ anchor: Anchor, _ peers: HolderDirectory) -> [Bytes32] {
        let lacking = peers.peers.values.filter { peer in
            takesOffers(peer.role) && !peer.served.contains { $0.anchor == anchor }
        }
        return Array(
            lacking.map(\.id).sorted { ($0 ^ anchor.hash) < ($1 ^ anchor.hash) }
                .prefix(StateNetworkLimits.gossipFanout))
    }

    /// Whether a peer of that role is offered anything: a bridge never is, and a bridge offers to holders alone.
    private func takesOffers(_ other: Role) -> Bool { role == .bridge ? other == .holder : other != .bridge }
}

/// Stretches as they go on the wire, while what was gathered is offered: peers whose arcs take the same sections of a
/// block get the same bytes.
private struct JoinedDiffs {
    private struct Part: Hashable {
        let change: TrieChange
        let sections: [Int]
    }

    private var known: [Part: [ContentItem]] = [:]

    /// The items of these keys, block by block and trie by trie.
    mutating func items(of keys: [BlockDiffKey], _ recent: RecentDiffs) -> [ContentItem] {
        var sections: [TrieChange: Set<Int>] = [:]
        for key in keys { sections[TrieChange(point: key.point, trie: key.trie), default: []].insert(key.section) }
        return sections.sorted { $0.key.rank < $1.key.rank }.flatMap { change, sections in
            let part = Part(change: change, sections: sections.sorted())
            if let items = known[part] { return items }
            let diffs = recent.diffs(at: change.point, of: part.sections, in: change.trie)
            let items = BlockDiffsServer.join(diffs, of: change.trie, at: change.point).map {
                ContentItem(key: StateContentKey.blockDiffs($0.key).encoded, value: $0.value)
            }
            known[part] = items
            return items
        }
    }
}

extension BlockDiffKey {
    /// In which section of the ring it lies.
    func place(sectionDepth: Int) -> Int {
        guard let owner = trie.owner else { return section }
        return Placement.section(
            of: section, depth: trie.depth(sectionDepth), account: owner, sectionDepth: sectionDepth)
    }
}
