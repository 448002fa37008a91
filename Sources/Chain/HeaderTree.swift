import Primitives

/// The headers above the final one: a tree whose root is the final block. Every node's ancestors down to the root are
/// in it, so what is in it is linked by verified parent hashes.
struct HeaderTree: Sendable {
    struct Node: Sendable {
        var entry: CertifiedHeader
        /// Rising by hash, so that nothing depends on the order of arrival.
        var children: [Bytes32] = []
    }

    /// The final block. Not one of `nodes`.
    private(set) var root: StatePoint
    private(set) var rootChildren: [Bytes32] = []
    private(set) var nodes: [Bytes32: Node] = [:]

    init(root: StatePoint) { self.root = root }

    var count: Int { nodes.count }

    func contains(_ hash: Bytes32) -> Bool { hash == root.hash || nodes[hash] != nil }

    func children(of hash: Bytes32) -> [Bytes32] {
        hash == root.hash ? rootChildren : nodes[hash]?.children ?? []
    }

    /// The header's parent must be in the tree. A header that is there keeps its place; its certificate is merged.
    mutating func insert(_ entry: CertifiedHeader) {
        let hash = entry.header.hash
        if let known = nodes[hash]?.entry {
            guard let added = entry.certificate else { return }
            let merged = known.certificate.map { $0.merged(with: added) ?? $0 } ?? added
            nodes[hash]?.entry = CertifiedHeader(header: known.header, certificate: merged)
            return
        }
        nodes[hash] = Node(entry: entry)
        let parent = entry.header.parentHash
        if parent == root.hash {
            rootChildren = (rootChildren + [hash]).sorted()
        } else {
            nodes[parent]?.children.append(hash)
            nodes[parent]?.children.sort()
        }
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

    /// For every node, whose votes stand on it or on a descendant. `own` says whose stand on a node itself.
    func tallies(_ own: [Bytes32: VoterSet]) -> [Bytes32: VoterSet] {
        var tallies = own
        let downwards = nodes.values.sorted {
            ($0.entry.header.number, $0.entry.header.hash) > ($1.entry.header.number, $1.entry.header.hash)
        }
        for node in downwards {
            guard let voters = tallies[node.entry.header.hash], !voters.isEmpty else { continue }
            tallies[node.entry.header.parentHash, default: VoterSet()].formUnion(voters)
        }
        return tallies
    }

    /// Makes `hash` the root. What does not descend from it is dropped.
    /// Returns the headers from the old root (left out) to the new one.
    mutating func advance(to hash: Bytes32) -> [CertifiedHeader] {
        let passed = path(to: hash).compactMap { nodes[$0]?.entry }
        guard let last = passed.last else { return [] }
        var kept: [Bytes32: Node] = [:]
        var queue = children(of: hash)
        while let next = queue.popLast() {
            guard let node = nodes[next] else { continue }
            kept[next] = node
            queue.append(contentsOf: node.children)
        }
        rootChildren = children(of: hash)
        root = last.point
        nodes = kept
        return passed
    }

    /// Drops all nodes but the ones on the paths to `hashes`.
    mutating func keepOnly(pathsTo hashes: [Bytes32]) {
        let wanted = Set(hashes.flatMap { path(to: $0) })
        nodes = nodes.filter { wanted.contains($0.key) }
        for hash in wanted { nodes[hash]?.children.removeAll { !wanted.contains($0) } }
        rootChildren.removeAll { !wanted.contains($0) }
    }
}
