import Chain
import MerklePatricia
import Primitives

/// A whole small state in memory, built plainly from its leaves: what vectors, fuzzing and tests serve from and compare
/// with.
public struct MemoryState: Sendable {
    /// One leaf: slim body, or slot value without leading zeros.
    public struct Leaf: Hashable, Sendable {
        /// The account, or the account's slot, that the leaf is of.
        public let key: FlatKey
        /// In the store's form.
        public let value: [UInt8]

        /// A leaf.
        public init(key: FlatKey, value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    /// Why some leaves are no state.
    public enum Failure: Error, Equatable, Sendable {
        /// A body that is no slim account.
        case malformedBody(Bytes32)
        /// A body names another storage root than its slots give.
        case storageRoot(Bytes32)
        /// Slots of an account that is not there.
        case slotsWithoutAccount(Bytes32)
    }

    /// Leading nibbles of a section.
    public let depth: Int
    /// In flat order.
    public let leaves: [Leaf]
    /// One a section.
    public let sections: [Subtree]
    /// Above the sections.
    public let crown: Crown
    /// Leaves and branches, as a store has them.
    public let snapshot: MemorySnapshot

    /// The state root.
    public var root: Bytes32 { crown.root }
    /// The state as it is read.
    public var view: StateView<MemorySnapshot> { StateView(snapshot, depth: depth) }

    /// A state without leaves.
    public init(emptyOf depth: Int) {
        self.depth = depth
        leaves = []
        sections = Section.all(depth: depth).map { _ in .empty }
        crown = Crown(sections: sections, depth: depth)
        snapshot = MemorySnapshot()
    }

    /// Leaves in any order, each once.
    public init(_ given: [Leaf], depth: Int) throws(Failure) {
        self.depth = depth
        leaves = given.sorted { $0.key < $1.key }
        var accounts = LeafColumns()
        var storage: [MemorySnapshot.Entry] = []
        var start = 0
        while start < leaves.count {
            let account = leaves[start].key.account
            guard leaves[start].key.slot == nil else { throw .slotsWithoutAccount(account) }
            guard
                case .success(let body) = Result(catching: { [leaves] in
                    try StateAccount(slim: leaves[start].value)
                })
            else { throw .malformedBody(account) }
            var slots = LeafColumns()
            start += 1
            while start < leaves.count, let slot = leaves[start].key.slot, leaves[start].key.account == account {
                slots.append(key: slot, value: SlotValue.rlp(leaves[start].value))
                start += 1
            }
            let trie = MemoryTrie(slots)
            guard trie.root == body.storageRoot else { throw .storageRoot(account) }
            storage += trie.branches.map { (StorageBranchKey(account: account, path: $0.path).bytes, $0.node) }
            accounts.append(key: account, value: body.rlp)
        }
        var branches = BranchColumns()
        sections = MemoryState.sections(of: accounts, depth: depth, emitting: &branches)
        crown = Crown(sections: sections, depth: depth)
        var snapshot = MemorySnapshot()
        snapshot.set(.leaves, leaves.map { ($0.key.bytes, $0.value) })
        snapshot.set(
            .accountBranches, (0..<branches.count).map { (branches.paths[$0].storeKey, branches.node(at: $0)) })
        snapshot.set(.storageBranches, storage)
        self.snapshot = snapshot
    }

    private static func sections(
        of accounts: LeafColumns, depth: Int, emitting branches: inout BranchColumns
    ) -> [Subtree] {
        var start = 0
        return Section.all(depth: depth).map { section in
            let end = accounts.keys[start...].firstIndex { !section.contains($0) } ?? accounts.count
            defer { start = end }
            return TrieBuilder.build(accounts, in: start..<end, under: section.path, emitting: &branches)
        }
    }

    /// The leaves that a range from `origin` to `end` consists of, the account that the origin lies inside included.
    public func leaves(from origin: Cursor, through end: Cursor) -> [Leaf] {
        leaves.filter { leaf in
            end.covers(leaf.key)
                && (leaf.key >= origin.firstKey || leaf.key == FlatKey(account: origin.account))
        }
    }

    /// The difference to another state in its wire form, found plainly: the slots of an account that is gone are
    /// implied.
    public func changes(to other: MemoryState) -> [LeafChange] {
        let old = Dictionary(uniqueKeysWithValues: leaves.map { ($0.key, $0.value) })
        let new = Dictionary(uniqueKeysWithValues: other.leaves.map { ($0.key, $0.value) })
        return Set(old.keys).union(new.keys).sorted().compactMap { key in
            guard old[key] != new[key] else { return nil }
            if key.slot != nil, new[FlatKey(account: key.account)] == nil { return nil }
            return LeafChange(key: key, value: new[key])
        }
    }
}
