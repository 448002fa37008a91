import Primitives

/// Where the stored part of a trie is read from: branch records by path, leaves by key. Not stored are extensions and
/// leaf nodes, which follow from these, nor the branches of a twig: of a part with few leaves, which is built from
/// them when it is needed.
public protocol TrieSource: BranchSource, ~Copyable {
    /// Leaves of its largest twigs: every branch with more is stored. A branch with fewer may be, where leaves were
    /// deleted or where it lay across the end of a range.
    var twigLeaves: Int { get }
    /// Appends the leaves under `prefix`, ascending, at most `limit` of them; the values as they stand in the trie.
    mutating func leaves(under prefix: Nibbles, limit: Int, into leaves: inout TwigLeaves) throws
}

/// Where the branches of a trie, or of the upper part of one, are read from.
public protocol BranchSource: ~Copyable {
    /// The shallowest branch whose path begins with `prefix` (in a store: the first record at or after it, if it begins
    /// with it), with its RLP. nil where there is none: of a `TrieSource` at most `twigLeaves` leaves are then under
    /// the prefix. Above a branch that is there every branch is.
    mutating func branch(atOrBelow prefix: Nibbles) throws -> StoredBranch?
}

/// A branch record.
public struct StoredBranch: Hashable, Sendable {
    /// Where it stands, from the root.
    public let path: Nibbles
    /// Its RLP.
    public let node: [UInt8]
    /// Whether no branch below it is stored, so that each of its children is a twig. False where that is not known.
    public let isLowest: Bool

    /// A record of a store.
    public init(path: Nibbles, node: [UInt8], isLowest: Bool = false) {
        self.path = path
        self.node = node
        self.isLowest = isLowest
    }
}

extension TrieSource where Self: ~Copyable {
    /// The limit that every store of ours has.
    public var twigLeaves: Int { MerklePatriciaLimits.twigLeaves }

    /// Appends the leaves of the twig under `prefix`, where there is no stored branch.
    mutating func twig(under prefix: Nibbles, into leaves: inout TwigLeaves) throws {
        let before = leaves.count
        try self.leaves(under: prefix, limit: max(1, twigLeaves) + 1, into: &leaves)
        // More would have a branch: its record is missing.
        guard leaves.count - before <= max(1, twigLeaves) else { throw TrieError.corruptRecord(prefix) }
    }

    /// What is under `prefix`.
    ///
    /// Errors: a `TrieError` where what is stored is no trie, or the source's own.
    public mutating func subtree(under prefix: Nibbles) throws -> Subtree {
        if let branch = try branch(atOrBelow: prefix) {
            guard branch.path.isBranchPath(under: prefix) else { throw TrieError.corruptRecord(branch.path) }
            return .branch(path: branch.path, node: NodeReference(encodedNode: branch.node))
        }
        return try twigSubtree(under: prefix)
    }

    /// The same where no branch is stored.
    private mutating func twigSubtree(under prefix: Nibbles) throws -> Subtree {
        var leaves = TwigLeaves()
        try twig(under: prefix, into: &leaves)
        return leaves.subtree
    }

    /// What is under `prefix`, all of it read: every stored branch is held against what is below it. Costs what
    /// building the part costs: for the day on which a result does not fit.
    ///
    /// Errors: `corruptRecord` for a branch that its leaves do not make or that is missing, or the source's own.
    @discardableResult
    mutating func checkedSubtree(under prefix: Nibbles) throws -> Subtree {
        guard let stored = try branch(atOrBelow: prefix) else { return try twigSubtree(under: prefix) }
        let (path, node) = (stored.path, stored.node)
        guard path.isBranchPath(under: prefix), let layout = BranchLayout(node) else {
            throw TrieError.corruptRecord(path)
        }
        for nibble in 0..<16 {
            let child = try checkedSubtree(under: path.appending(nibble))
            guard child.reference(at: path.count + 1) == layout.child(at: nibble, of: node) else {
                throw TrieError.corruptRecord(path)
            }
        }
        return .branch(path: path, node: NodeReference(encodedNode: node))
    }
}

/// A part of a trie built from its leaves, with all of its branches; one after the other may be put into it.
struct Twig: BranchSource, ~Copyable {
    private var batch = NodeBatch(emittingAbove: 0, leaves: MerklePatriciaLimits.twigLeaves)
    private var leaves = TwigLeaves()
    private var branches = BranchColumns()
    private var room = ByteArena(capacity: 256)

    /// Puts what a source has under `prefix`, where it stores no branch, in the place of all that was there. `isNamed`:
    /// whether the caller knows the reference of the node at the prefix.
    mutating func fill(under prefix: Nibbles, of source: inout some TrieSource, isNamed: Bool) throws {
        leaves.removeAll()
        branches.removeAll()
        try source.twig(under: prefix, into: &leaves)
        if isNamed && leaves.isEmpty { throw TrieError.missingChild(prefix) }
        guard leaves.count > 1 else { return }
        batch.begin()
        let root = batch.add(leaves.items, in: 0..<leaves.count, emitting: &branches)
        if isNamed && root.path == prefix { batch.leaveUnhashed(root) }
        batch.finish(emitting: &branches)
    }

    func branch(atOrBelow prefix: Nibbles) -> StoredBranch? {
        guard let index = branches.paths.firstIndex(where: { $0.hasPrefix(prefix) }) else { return nil }
        return StoredBranch(path: branches.paths[index], node: branches.node(at: index))
    }

    /// The node of the only leaf under `prefix`, as it stands there; nil where there is none.
    mutating func leafNode(at prefix: Nibbles) -> [UInt8]? {
        guard let index = leaves.first(under: prefix) else { return nil }
        room.removeAll()
        _ = LeafNode.write(leaves.items.key(index), leaves.items.value(index), at: prefix.count, to: &room)
        return Array(room.bytes)
    }
}

extension Nibbles {
    /// Whether a branch may stand here, as far as the place is concerned: under the prefix, and not where keys end.
    func isBranchPath(under prefix: Nibbles) -> Bool {
        hasPrefix(prefix) && count < MerklePatriciaLimits.keyNibbles
    }
}
