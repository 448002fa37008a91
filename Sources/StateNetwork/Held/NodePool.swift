import MerklePatricia
import Primitives

/// Trie nodes above the sections, by hash, gathered from crowns and from the path proofs of block diffs.
///
/// A node that no block changed since is still part of every later state, so the pool of what was seen proves the hash
/// of most sections at most blocks, without anybody sending it again. Nodes are found only by their hash from a
/// header's state root: what does not belong there is never reached.
public struct NodePool: Sendable {
    private struct Entry: Sendable {
        let node: [UInt8]
        /// The newest block whose proof or crown had it.
        var seen: UInt64
    }

    private var entries: [Bytes32: Entry] = [:]
    /// Bytes of all nodes, with what an entry costs beside them.
    public private(set) var byteCount = 0

    /// A key, and the header of a node.
    private static let entryBytes = 96

    /// An empty pool.
    public init() {}

    /// How many nodes it has.
    public var count: Int { entries.count }

    /// Adds nodes of the state after block `number`.
    public mutating func add(_ nodes: [[UInt8]], at number: UInt64) {
        for node in nodes {
            let hash = Keccak.hash(node)
            if let seen = entries[hash]?.seen {
                entries[hash]?.seen = max(seen, number)
            } else {
                entries[hash] = Entry(node: node, seen: number)
                byteCount += node.count + NodePool.entryBytes
            }
        }
    }

    /// Drops nodes last seen before block `number`.
    public mutating func prune(before number: UInt64) { keep { $0.value.seen >= number } }

    private mutating func keep(_ isKept: ((key: Bytes32, value: Entry)) -> Bool) {
        entries = entries.filter(isKept)
        byteCount = entries.values.reduce(0) { $0 + $1.node.count + NodePool.entryBytes }
    }

    /// Makes it no larger than `limit` bytes: first goes what was last seen up to block `number` and belongs to the
    /// state of none of these roots, then what was seen longest ago, down to three quarters of the limit, so that
    /// this is not done for every node.
    public mutating func shrink(to limit: Int, keeping roots: [Bytes32], after number: UInt64) {
        let kept = reachable(from: roots)
        keep { $0.value.seen > number || kept.contains($0.key) }
        guard byteCount > limit else { return }
        // Of one block all or nothing: nodes are dropped by age alone, whatever their order in the dictionary.
        let ages = entries.values.map { (seen: $0.seen, bytes: $0.node.count + NodePool.entryBytes) }
            .sorted { $0.seen < $1.seen }
        var (rest, oldest) = (byteCount, UInt64(0))
        for age in ages where rest > limit / 4 * 3 {
            rest -= age.bytes
            oldest = age.seen
        }
        keep { $0.value.seen > oldest }
    }

    /// The nodes that these roots lead to, as far as the pool has them.
    private func reachable(from roots: [Bytes32]) -> Set<Bytes32> {
        var found: Set<Bytes32> = []
        var next = roots
        while let hash = next.popLast() {
            guard let node = entries[hash]?.node, found.insert(hash).inserted,
                let decoded = try? TrieNode(decoding: node)
            else { continue }
            switch decoded {
            case .branch(let branch):
                for case .hash(let child)? in branch.children { next.append(child) }
            case .extension(_, .hash(let child)): next.append(child)
            case .extension, .leaf: continue
            }
        }
        return found
    }

    /// The node of that hash.
    public subscript(hash: Bytes32) -> [UInt8]? { entries[hash]?.node }

    /// The nodes from `root` toward a section, as far as the pool has them: a path proof where it has all.
    public func path(to section: Nibbles, root: Bytes32) -> [[UInt8]] {
        var nodes: [[UInt8]] = []
        var next: Bytes32? = root
        var depth = 0
        while let hash = next, let node = entries[hash]?.node, depth < section.count {
            nodes.append(node)
            (next, depth) = NodePool.step(through: node, at: depth, toward: section)
        }
        return nodes
    }

    /// All nodes it has above the sections in the trie of this root, the root's first, each once.
    public func crown(root: Bytes32, depth: Int) -> [[UInt8]] {
        var nodes: [[UInt8]] = []
        var waiting = [(hash: root, depth: 0)]
        var next = 0
        while next < waiting.count {
            let place = waiting[next]
            next += 1
            guard place.depth < depth, let node = entries[place.hash]?.node,
                let decoded = try? TrieNode(decoding: node)
            else { continue }
            nodes.append(node)
            switch decoded {
            case .branch(let branch):
                for nibble in 0..<16 {
                    if case .hash(let hash)? = branch[nibble] { waiting.append((hash, place.depth + 1)) }
                }
            case .extension(let path, .hash(let hash)): waiting.append((hash, place.depth + path.count))
            case .extension, .leaf: break
            }
        }
        return nodes
    }

    /// The hash that `node`, which stands at `depth`, refers to on the way to `section`, and the depth of what it
    /// names; nil where the way ends. Embedded nodes end it: they travel inside their parent.
    private static func step(through node: [UInt8], at depth: Int, toward section: Nibbles) -> (Bytes32?, Int) {
        // Nodes enter the pool only out of verified crowns and proofs; one that does not decode ends the way.
        guard let decoded = try? TrieNode(decoding: node) else { return (nil, depth) }
        switch decoded {
        case .branch(let branch):
            guard case .hash(let hash)? = branch[section[depth]] else { return (nil, depth) }
            return (hash, depth + 1)
        case .extension(let path, let child):
            guard case .hash(let hash) = child, section.dropFirst(depth).hasPrefix(path) else { return (nil, depth) }
            return (hash, depth + path.count)
        case .leaf: return (nil, depth)
        }
    }
}
