import Primitives

/// A list of the RLP of nodes in the order in which they were added, each once.
public struct ProofNodes: Sendable {
    /// The nodes, in order.
    public private(set) var nodes: [[UInt8]] = []
    private var hashes: [Bytes32] = []
    // Only asked, never walked: its order does not reach the outside. Empty while there are few nodes: looking at each
    // costs less than the table.
    private var positions: [Bytes32: Int] = [:]
    private static let fewNodes = 32

    /// No nodes.
    public init() {}

    /// How many nodes.
    public var count: Int { nodes.count }

    /// Bytes of all nodes together.
    public private(set) var byteCount = 0

    /// Adds a node unless it is there already. Returns whether it was added.
    @discardableResult
    public mutating func insert(_ node: [UInt8]) -> Bool {
        insert(node, hash: Keccak.hash(node))
    }

    /// As `insert`, where the hash is known.
    @discardableResult
    mutating func insert(_ node: [UInt8], hash: Bytes32) -> Bool {
        guard position(of: hash) == nil else { return false }
        hashes.append(hash)
        if hashes.count > ProofNodes.fewNodes {
            for index in positions.count..<hashes.count { positions[hashes[index]] = index }
        }
        nodes.append(node)
        byteCount += node.count
        return true
    }

    /// Where the node of this hash stands in `nodes`.
    func position(of hash: Bytes32) -> Int? {
        hashes.count > ProofNodes.fewNodes ? positions[hash] : hashes.firstIndex(of: hash)
    }

    /// The hash of the node that stands there in `nodes`.
    func hash(at index: Int) -> Bytes32 { hashes[index] }

    /// The node of this hash.
    public func node(_ hash: Bytes32) -> [UInt8]? { position(of: hash).map { nodes[$0] } }
}
