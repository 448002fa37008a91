import Primitives

/// How a parent names a child: by the hash of its RLP, or, where that has fewer than 32 bytes, by the RLP itself.
public enum NodeReference: Hashable, Sendable {
    /// keccak256 of a node of 32 bytes or more.
    case hash(Bytes32)
    /// The RLP of a node of fewer than 32 bytes.
    case embedded([UInt8])

    /// The reference to a node from its RLP.
    public init(encodedNode: [UInt8]) {
        self = encodedNode.count < 32 ? .embedded(encodedNode) : .hash(Keccak.hash(encodedNode))
    }

    /// The hash of the node, whether its parent names it by that or not.
    public var hash: Bytes32 {
        switch self {
        case .hash(let hash): hash
        case .embedded(let node): Keccak.hash(node)
        }
    }
}

/// Everything under some prefix, without its position: what a parent has to know of it. A parent further up sees a leaf
/// with a longer suffix, a branch behind a longer extension.
public enum Subtree: Hashable, Sendable {
    /// No leaf.
    case empty
    /// One leaf; the value as it stands in the trie.
    case leaf(key: Bytes32, value: [UInt8])
    /// Two leaves or more: the shallowest branch, by its full path from the root.
    case branch(path: Nibbles, node: NodeReference)

    /// How a parent that has consumed `depth` nibbles names this subtree; nil for an empty one. A branch must not lie
    /// above `depth`.
    public func reference(at depth: Int) -> NodeReference? {
        switch self {
        case .empty: return nil
        case .branch(let path, let node) where path.count == depth: return node
        default: return encodedNode(at: depth).map { NodeReference(encodedNode: $0) }
        }
    }

    /// The RLP of the leaf or extension that stands at `depth`; nil for an empty subtree, and for a branch that stands
    /// there itself (its RLP is in its record).
    public func encodedNode(at depth: Int) -> [UInt8]? {
        switch self {
        case .empty: return nil
        case .leaf(let key, let value):
            return TrieNode.leaf(suffix: Nibbles(key).dropFirst(depth), value: value).encoded
        case .branch(let path, let node):
            precondition(path.count >= depth, "a subtree is seen from above")
            guard path.count > depth else { return nil }
            return TrieNode.extension(path: path.dropFirst(depth), child: node).encoded
        }
    }

    /// The root of these leaves with their first `depth` nibbles stripped: at 0 the trie's root, at a section's depth
    /// the section hash. An empty subtree gives the root of the empty trie; nodes under 32 bytes are hashed here too.
    public func hash(at depth: Int) -> Bytes32 { reference(at: depth)?.hash ?? Subtree.emptyRoot }

    /// The root of a trie without leaves: keccak256 of the RLP of an empty string.
    public static let emptyRoot = Bytes32(
        0x56e8_1f17_1bcc_55a6, 0xff83_45e6_92c0_f86e, 0x5b48_e01b_996c_adc0, 0x0162_2fb5_e363_b421)

    /// The lowest key that may be in it; nil for none.
    var lowestKey: Bytes32? {
        switch self {
        case .empty: nil
        case .leaf(let key, _): key
        case .branch(let path, _): path.lowestKey
        }
    }

    /// See `TrieItems.leafCount`.
    var leafCount: Int {
        switch self {
        case .empty: 0
        case .leaf: 1
        case .branch: NodeBatch.many
        }
    }

    /// For a store: 0 | 1, key, value | 2, number of nibbles, nibbles one a byte, then 0 and a hash or 1 and a node.
    public var encoded: [UInt8] {
        switch self {
        case .empty: [0]
        case .leaf(let key, let value): [1] + key.bytes + value
        case .branch(let path, .hash(let hash)): [2, UInt8(path.count)] + path.storeKey + [0] + hash.bytes
        case .branch(let path, .embedded(let node)): [2, UInt8(path.count)] + path.storeKey + [1] + node
        }
    }

    /// Reads what `encoded` gives.
    public init(decoding bytes: [UInt8]) throws(TrieError) {
        guard let kind = bytes.first else { throw .corruptSubtree }
        let rest = bytes.dropFirst()
        switch kind {
        case 0 where rest.isEmpty: self = .empty
        case 1:
            guard let key = Bytes32(rest.prefix(32)), rest.count > 32 else { throw .corruptSubtree }
            self = .leaf(key: key, value: Array(rest.dropFirst(32)))
        case 2:
            guard let length = rest.first.map(Int.init), rest.count > length + 2,
                let path = Nibbles(storeKey: rest.dropFirst().prefix(length)), path.isBranchPath(under: .root)
            else { throw .corruptSubtree }
            let node = rest.dropFirst(length + 2)
            switch rest[rest.startIndex + 1 + length] {
            case 0:
                guard let hash = Bytes32(node) else { throw .corruptSubtree }
                self = .branch(path: path, node: .hash(hash))
            case 1 where node.count < 32: self = .branch(path: path, node: .embedded(Array(node)))
            default: throw .corruptSubtree
            }
        default: throw .corruptSubtree
        }
    }
}
