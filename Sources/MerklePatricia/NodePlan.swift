import Primitives

// What a batch knows of the nodes that it is going to write.
extension NodeBatch {
    /// A branch whose place and children are known: to be written anew, or a stored one to be rewritten.
    struct Plan {
        /// A key under it.
        var key: Bytes32
        /// Nibbles of its path.
        var depth: UInt8
        /// Nibbles that its parent has consumed: fewer than `depth` where an extension stands between.
        var seenAt: UInt8
        /// Bit n: there is a child at nibble n.
        var mask: UInt16
        /// Its first child in `children`; of a rewritten one the first of its `edits`.
        var firstChild: Int32
        /// Of a rewritten one: which of `originals` it is; −1 for one written anew.
        var original: Int32 = -1
        /// Where its reference goes.
        var cell: Int32
        /// The next branch of the same list; −1 for none.
        var next: Int32
        /// Its place in the columns; −1 where it is not emitted.
        var slot: Int
    }

    /// Branches of one height to be written, as lists through `Plan.next`: the first of each, −1 for none.
    struct Heads {
        var emitted: Int32 = -1
        var quiet: Int32 = -1

        var isEmpty: Bool { emitted < 0 && quiet < 0 }
    }

    /// A branch that more items may come under. Its children so far are at the end of `pending`.
    struct Open {
        var depth: Int
        var firstItem: Int
        var firstPending: Int
        /// Leaves left of it.
        var leavesBefore: Int
    }

    /// A node that waits for its parent.
    struct Pending {
        var cell: Int32
        var nibble: UInt8
        /// Over the items; an item has 0.
        var height: UInt8
    }

    /// A piece of a stored branch to be replaced.
    struct Edit {
        /// Where the child's reference begins in the old node, and how many bytes it has (1 for no child).
        var offset: Int
        var size: Int
        /// The new reference; −1 for no child.
        var cell: Int
    }

    /// What `add` found: where to read the result after `finish`.
    struct Root {
        let cell: Int
        /// The full path of the topmost branch.
        let path: Nibbles
        /// Heights of nodes to be hashed before it is.
        let height: UInt8
        /// Leaves under it, as far as that matters: see `TrieItems.leafCount`.
        let leafCount: Int
        let plan: Int
    }
}
