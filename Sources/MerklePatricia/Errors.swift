import Primitives

/// What is wrong with the bytes of one node.
public enum TrieNodeError: Error, Equatable, Sendable {
    /// More than `MerklePatriciaLimits.nodeBytes`.
    case tooLarge
    /// Not one canonical item.
    case rlp(RLPError)
    /// Not a list of 2 or 17 items.
    case itemCount
    /// A path that is not a canonical hex-prefix encoding, or longer than a key.
    case hexPrefix
    /// An extension of no nibbles.
    case emptyExtension
    /// A leaf without a value: absence is written by leaving the leaf out.
    case emptyValue
    /// A child that is neither 32 bytes, nor a list under 32 bytes, nor (in a branch) empty.
    case childReference
    /// An extension whose child is no branch.
    case extensionChild
    /// A branch with a value: no key is a prefix of another here.
    case branchValue
    /// A branch of fewer than two children: it would have been a leaf or an extension.
    case tooFewChildren
    /// A node under 32 bytes that its parent names by hash: it would have been embedded.
    case shortNode
    /// A leaf that does not end after 64 nibbles, or another node that does.
    case pathLength
}

/// Why a proof does not show what it is meant to.
public enum ProofError: Error, Equatable, Sendable {
    /// A proof node of the right hash, reached at a path, that is no valid node there.
    case malformedNode(TrieNodeError)
    /// A node that is needed at this path is not in the proof.
    case missingNode(Nibbles)
    /// A proof node that no trusted reference leads to, or that the claim does not need.
    case unusedNode
    /// The same proof node twice.
    case repeatedNode
    /// The first key of the range is after the last.
    case boundsReversed
    /// Keys that do not strictly ascend.
    case unsortedLeaves
    /// A leaf before the first or after the last key of the range.
    case leafOutsideRange
    /// A leaf with an empty value.
    case emptyValue
    /// The leaves under this path are not the ones the root commits to: left out, added, moved or changed.
    case leavesDiffer(Nibbles)
    /// A section whose nodes this crown does not have, or a number that is no section of it.
    case unknownSection(Int)
    /// A depth that is no crown's.
    case depth(Int)
}

/// What makes a change impossible to apply: a caller's mistake or a store that is not what it claims.
public enum TrieError: Error, Equatable, Sendable {
    /// The changed keys do not strictly ascend.
    case unsortedChanges
    /// A changed key that is not under the prefix.
    case keyOutsidePrefix(Bytes32)
    /// A change to an empty value: deletion is written as nil.
    case emptyValue(Bytes32)
    /// A branch of the store names a child that the store does not have.
    case missingChild(Nibbles)
    /// A stored branch record that is no branch node, or that stands elsewhere than was asked.
    case corruptRecord(Nibbles)
    /// A stored subtree that does not decode.
    case corruptSubtree
}
