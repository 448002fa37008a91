import Primitives

/// What a proven range shows.
public struct VerifiedRange: Hashable, Sendable {
    /// Every branch of the trie that is wholly or partly inside the range, by path, ready to be stored.
    public internal(set) var branches = BranchColumns()
    /// Whether the trie has a leaf after the last key of the range.
    public internal(set) var moreAfter = false
}

/// Checks that a run of leaves is complete.
public enum RangeVerifier {
    /// Checks that every leaf of the trie of this `root` with first ≤ key ≤ last is exactly in `leaves`.
    public static func verify(
        root: Bytes32, proof: [[UInt8]], leaves: LeafColumns, first: Bytes32, last: Bytes32
    ) throws(ProofError) -> VerifiedRange {
        VerifiedRange()
    }
}
