import Primitives

/// The headers above the final one: a tree whose root is the final block. Every node's ancestors down to the root are
/// in it, so what is in it is linked by verified parent hashes.
///
/// Who vouches for a header is kept with it, and changed along the way from a voter's old place to its new one: what a
/// new block costs does not grow with the number of headers above the final one.
struct HeaderTree: Sendable {
    /// The headers right above one.
    struct Children: Sendable {
        /// Rising by hash, so that nothing depends on the order of arrival.
        fileprivate(set) var all: [Bytes32] = []
        /// The children that some voter vouches for, in the same order.
        fileprivate(set) var vouchedFor: [Bytes32] = []
    }

    struct Node: Sendable {
        fileprivate(set) var entry: CertifiedHeader
        /// What the rule hands on to its children.
        let standing: HeaderStanding
        fileprivate(set) var children = Children()
        /// The voters whose newest head claim stands on this header or on a descendant.
        fileprivate(set) var headVoters = VoterSet()
        /// The voters who have called this header, or a descendant, final.
        fileprivate(set) var finalVoters = VoterSet()
        /// The voters who have called this very header final.
        fileprivate var ownFinalVoters = VoterSet()
        /// The voters whose deepest final claim came with this header or with a descendant.
        fileprivate(set) var carriedVoters = VoterSet()
        /// Whether the header was given out to be kept on disk.
        var isStored = false
        /// Whether the header is on the attested line.
        var isAttested = false

        /// The voters whose claims vouch for the header.
        var voters: VoterSet {
            var all = headVoters
            all.formUnion(finalVoters)
            return all
        }

        /// Whether the header, or one above it, has a claim with it that still matters: it is worth keeping.
        var isWanted: Bool { !voters.isEmpty || !carriedVoters.isEmpty }
    }

    /// What votes changed since it was last taken.
    struct Changes: Sendable {
        /// Headers that gained or lost a voter.
        fileprivate(set) var gained: [Bytes32] = []
        fileprivate(set) var lost: [Bytes32] = []
    }

    /// The final block. Not one of `nodes`.
    private(set) var root: StatePoint
    private(set) var rootChildren = Children()
    /// The voters whose claims stand on the root or above it.
    private(set) var rootVoters = VoterSet()
    private(set) var nodes: [Bytes32: Node] = [:]
    /// Headers, the root among them, that voters have more than one child of.
    private(set) var forks: Set<Bytes32> = []
    private var changes = Changes()

    init(root: StatePoint) { self.root = root }

    var count: Int { nodes.count }

    func contains(_ hash: Bytes32) -> Bool { hash == root.hash || nodes[hash] != nil }

    func children(of hash: Bytes32) -> Children {
        hash == root.hash ? rootChildren : nodes[hash]?.children ?? Children()
    }

    /// Says what became of a header outside; nothing happens where it is not here.
    mutating func mark(_ hash: Bytes32, stored: Bool? = nil, attested: Bool? = nil) {
        if let stored { nodes[hash]?.isStored = stored }
        if let attested { nodes[hash]?.isAttested = attested }
    }

    /// What votes have changed since the last call.
    mutating func takeChanges() -> Changes {
        defer { changes = Changes() }
        return changes
    }

    // MARK: Headers

    /// The header's parent must be in the tree. A header that is there keeps its place; its certificate is merged.
    mutating func insert(_ entry: CertifiedHeader, standing: HeaderStanding = .open) {
        let hash = entry.header.hash
        if let known = nodes[hash]?.entry {
            guard let added = entry.certificate else { return }
            let merged = known.certificate.map { $0.merged(with: added) ?? $0 } ?? added
            nodes[hash]?.entry = CertifiedHeader(header: known.header, certificate: merged)
            return
        }
        nodes[hash] = Node(entry: entry, standing: standing)
        changeChildren(of: entry.header.parentHash) { HeaderTree.insert(hash, into: &$0.all) }
    }

    private mutating func changeChildren(of hash: Bytes32, _ body: (inout Children) -> Void) {
        if hash == root.hash {
            body(&rootChildren)
        } else if let place = nodes.index(forKey: hash) {
            body(&nodes.values[place].children)
        }
    }

    private static func insert(_ hash: Bytes32, into hashes: inout [Bytes32]) {
        let place = hashes.partitionPoint { $0 < hash }
        if place == hashes.count || hashes[place] != hash { hashes.insert(hash, at: place) }
    }

    private static func remove(_ hash: Bytes32, from hashes: inout [Bytes32]) {
        let place = hashes.partitionPoint { $0 < hash }
        if place < hashes.count, hashes[place] == hash { hashes.remove(at: place) }
    }

    /// The hashes from the root (left out) to `hash`; empty for the root and for a stranger.
    func path(to hash: Bytes32) -> [Bytes32] {
        var path: [Bytes32] = []
        var current = hash
        while let node = nodes[current] {
            path.append(current)
            current = node.entry.header.parentHash
        }
        return path.reversed()
    }

    // MARK: Votes

    /// A voter's newest head claim stands on `new` now, and no more on `old`. Either may be a stranger here.
    mutating func moveHead(of voter: Int, from old: Bytes32?, to new: Bytes32) {
        move(\.headVoters, of: voter, from: old, to: new)
        if contains(new) { rootVoters.insert(voter) }
    }

    /// A voter's deepest final claim came with the header `new`, and no more with `old`; nil: with none that matters.
    mutating func moveCarrier(of voter: Int, from old: Bytes32?, to new: Bytes32?) {
        move(\.carriedVoters, of: voter, from: old, to: new)
    }

    /// A voter's mark stands on one header and on all below it, down to the root. The two paths go on together where
    /// the new one meets the old one: only what lies above is changed.
    private mutating func move(
        _ mark: WritableKeyPath<Node, VoterSet>, of voter: Int, from old: Bytes32?, to new: Bytes32?
    ) {
        guard old != new else { return }
        var meeting = new ?? root.hash
        while let place = nodes.index(forKey: meeting), !nodes.values[place][keyPath: mark].contains(voter) {
            nodes.values[place][keyPath: mark].insert(voter)
            changed(place, isGain: true)
            meeting = nodes.values[place].entry.header.parentHash
        }
        guard var current = old else { return }
        while current != meeting, let place = nodes.index(forKey: current),
            nodes.values[place][keyPath: mark].contains(voter)
        {
            nodes.values[place][keyPath: mark].remove(voter)
            changed(place, isGain: false)
            current = nodes.values[place].entry.header.parentHash
        }
    }

    /// A voter has called `hash` final. Such a vote never moves.
    mutating func addFinal(of voter: Int, at hash: Bytes32) {
        if let place = nodes.index(forKey: hash) { nodes.values[place].ownFinalVoters.insert(voter) }
        var current = hash
        while let place = nodes.index(forKey: current), !nodes.values[place].finalVoters.contains(voter) {
            nodes.values[place].finalVoters.insert(voter)
            changed(place, isGain: true)
            current = nodes.values[place].entry.header.parentHash
        }
        if current == root.hash { rootVoters.insert(voter) }
    }

    /// Takes down that a header has one voter more or less, also with its parent.
    private mutating func changed(_ place: Dictionary<Bytes32, Node>.Index, isGain: Bool) {
        let hash = nodes.keys[place]
        let parent = nodes.values[place].entry.header.parentHash
        let isVouchedFor = !nodes.values[place].voters.isEmpty
        if isGain { changes.gained.append(hash) } else { changes.lost.append(hash) }
        changeChildren(of: parent) { children in
            if isVouchedFor {
                HeaderTree.insert(hash, into: &children.vouchedFor)
            } else {
                HeaderTree.remove(hash, from: &children.vouchedFor)
            }
        }
        if children(of: parent).vouchedFor.count > 1 { forks.insert(parent) } else { forks.remove(parent) }
    }

    /// Whether a voter has called this very header final.
    func isCalledFinal(_ hash: Bytes32, by voter: Int) -> Bool {
        nodes[hash]?.ownFinalVoters.contains(voter) ?? false
    }

    // MARK: What goes

    /// Makes `hash` the root. What does not descend from it is dropped.
    /// Returns the nodes from the old root (left out) to the new one, and the stored headers that were dropped.
    mutating func advance(to hash: Bytes32) -> (passed: [Node], dropped: [StatePoint]) {
        var passed: [Node] = []
        var dropped: [StatePoint] = []
        for next in path(to: hash) {
            for sibling in children(of: root.hash).all where sibling != next { remove(sibling, &dropped) }
            forks.remove(root.hash)
            guard let node = nodes.removeValue(forKey: next) else { break }
            root = node.entry.point
            rootChildren = node.children
            rootVoters = node.voters
            passed.append(node)
        }
        return (passed, dropped)
    }

    /// Removes a header and its descendants; its parent does not hear of it.
    private mutating func remove(_ hash: Bytes32, _ dropped: inout [StatePoint]) {
        var queue = [hash]
        while let next = queue.popLast() {
            guard let node = nodes.removeValue(forKey: next) else { continue }
            if node.isStored { dropped.append(node.entry.point) }
            forks.remove(next)
            queue += node.children.all
        }
    }

    /// Drops all nodes but the ones on the paths to `hashes`, where nobody votes.
    mutating func keepOnly(pathsTo hashes: [Bytes32]) {
        let wanted = Set(hashes.flatMap { path(to: $0) })
        nodes = nodes.filter { wanted.contains($0.key) }
        rootChildren.all.removeAll { !wanted.contains($0) }
        for hash in wanted { nodes[hash]?.children.all.removeAll { !wanted.contains($0) } }
    }

    /// Drops all nodes but the ones on the paths to `hashes`, and finds out anew who vouches for those: `heads` are the
    /// voters' newest head claims, `carriers` what their deepest final claims came with. Returns the stored headers
    /// that were dropped, or that nobody vouches for any more.
    mutating func keepOnly(
        pathsTo hashes: [Bytes32], heads: [Bytes32?], carriers: [Bytes32?]
    ) -> [CertifiedHeader] {
        let wanted = Set(hashes.flatMap { path(to: $0) })
        var dropped = nodes.filter { !wanted.contains($0.key) && $0.value.isStored }.map(\.value.entry)
        nodes = nodes.filter { wanted.contains($0.key) }
        rootChildren.all.removeAll { !wanted.contains($0) }
        rootChildren.vouchedFor = []
        rootVoters = VoterSet()
        forks = []
        changes = Changes()
        for hash in wanted {
            nodes[hash]?.children.all.removeAll { !wanted.contains($0) }
            nodes[hash]?.children.vouchedFor = []
            nodes[hash]?.headVoters = VoterSet()
            nodes[hash]?.finalVoters = VoterSet()
            nodes[hash]?.carriedVoters = VoterSet()
        }
        for hash in wanted {
            guard let own = nodes[hash]?.ownFinalVoters else { continue }
            for voter in 0..<ChainLimits.voters where own.contains(voter) { addFinal(of: voter, at: hash) }
        }
        for (voter, hash) in heads.enumerated() { if let hash { moveHead(of: voter, from: nil, to: hash) } }
        for (voter, hash) in carriers.enumerated() where hash != nil { moveCarrier(of: voter, from: nil, to: hash) }
        for hash in wanted {
            guard let node = nodes[hash], node.isStored, !node.isWanted else { continue }
            nodes[hash]?.isStored = false
            dropped.append(node.entry)
        }
        return dropped.sorted { $0.point < $1.point }
    }
}
