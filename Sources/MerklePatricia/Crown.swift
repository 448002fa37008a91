import Primitives

/// The nodes of a trie above a depth.
public struct Crown: Sendable {
    /// The trie's root.
    public let root: Bytes32
    /// In nibbles: the sections are the 16^depth subtrees at this depth.
    public let depth: Int
    private(set) var proof = ProofNodes()

    /// Builds the crown of the trie that these sections, all 16^depth of them in order, make up.
    public init(sections: [Subtree], depth: Int) {
        root = Subtree.emptyRoot
        self.depth = depth
    }

    /// Reads a whole crown: every node above `depth` must be there, and no other.
    public init(decoding nodes: [[UInt8]], root: Bytes32, depth: Int) throws(ProofError) {
        self.root = root
        self.depth = depth
    }

    /// A crown that covers only `sections` (numbers): the union of their path proofs, nothing more.
    public init(pathProof nodes: [[UInt8]], root: Bytes32, depth: Int, sections: [Int]) throws(ProofError) {
        self.root = root
        self.depth = depth
    }

    /// All nodes, each parent before its children.
    public var nodes: [[UInt8]] { proof.nodes }

    /// The section hash of section `index`.
    public func sectionHash(_ index: Int) throws(ProofError) -> Bytes32 { Subtree.emptyRoot }

    /// The nodes above the crown's depth on the way to a section: its path proof.
    public func proofNodes(forSection index: Int) throws(ProofError) -> [[UInt8]] { [] }
}
