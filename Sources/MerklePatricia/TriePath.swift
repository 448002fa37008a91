import Primitives

/// What stands at one key of a trie, or that nothing does, with the nodes on the way there, the root's first: the form
/// in which EIP-1186 proves it. Nodes that are embedded in the one above them are inside that.
public struct TriePath: Hashable, Sendable {
    public let nodes: [[UInt8]]
    /// nil: nothing stands at the key.
    public let value: [UInt8]?

    /// Follows the hashes from `root` to `key` through `found`, which may hold other nodes too, in any order. `leaf`:
    /// the value that is said to stand there; the leaf's node need not be among those found then.
    ///
    /// Errors: `missingNode` where the way breaks off, `malformedNode` for a node that no trie has.
    public init(
        to key: Bytes32, under root: Bytes32, in found: [[UInt8]], leaf: [UInt8]? = nil
    ) throws(ProofError) {
        var way: [[UInt8]] = []
        guard root != Subtree.emptyRoot else {
            (nodes, value) = ([], nil)
            return
        }
        let pool = Dictionary(found.map { (Keccak.hash($0), $0) }) { first, _ in first }
        let path = Nibbles(key)
        var depth = 0
        var next: NodeReference? = .hash(root)
        while let reference = next {
            let rest = path.dropFirst(depth)
            let node: [UInt8]
            switch reference {
            case .embedded(let bytes): node = bytes
            case .hash(let hash):
                let claimed = leaf.map { TrieNode.leaf(suffix: rest, value: $0).encoded }
                guard let known = pool[hash] ?? claimed.flatMap({ Keccak.hash($0) == hash ? $0 : nil }) else {
                    throw .missingNode(path.prefix(depth))
                }
                node = known
                way.append(known)
            }
            switch try TriePath.read(node) {
            case .leaf(let suffix, let found):
                (nodes, value) = (way, suffix == rest ? found : nil)
                return
            case .extension(let shared, let child):
                next = rest.hasPrefix(shared) ? child : nil
                depth += shared.count
            case .branch(let branch):
                guard depth < path.count else { throw .depth(depth) }
                next = branch[path[depth]]
                depth += 1
            }
        }
        (nodes, value) = (way, nil)
    }

    private static func read(_ node: [UInt8]) throws(ProofError) -> TrieNode {
        do throws(TrieNodeError) { return try TrieNode(decoding: node) } catch { throw .malformedNode(error) }
    }
}
