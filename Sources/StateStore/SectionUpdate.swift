import MerklePatricia
import Primitives

/// Where a branch of a storage trie is kept.
public struct StorageBranchKey: Hashable, Comparable, Sendable {
    /// keccak256 of the address.
    public let account: Bytes32
    /// The branch's path from the root of the account's storage trie.
    public let path: Nibbles

    /// The place of one branch.
    public init(account: Bytes32, path: Nibbles) {
        self.account = account
        self.path = path
    }

    /// By account, then by path.
    public static func < (a: StorageBranchKey, b: StorageBranchKey) -> Bool {
        a.account == b.account ? a.path < b.path : a.account < b.account
    }

    /// account ‖ one byte a nibble.
    public var bytes: [UInt8] {
        var bytes = account.bytes
        path.appendStoreKey(to: &bytes)
        return bytes
    }
}

/// A stored entry before and after; nil where there is none. Never the same on both sides.
public struct EntryChange<Key: Hashable & Comparable & Sendable>: Hashable, Sendable {
    /// What is changed.
    public let key: Key
    /// The value before; nil: not there.
    public let before: [UInt8]?
    /// The value after; nil: not there.
    public let after: [UInt8]?

    /// Of an entry that is not the same before and after.
    public init(key: Key, before: [UInt8]?, after: [UInt8]?) {
        self.key = key
        self.before = before
        self.after = after
    }
}

/// The exact effect on one section of going from one state point to another: ready to be looked through as a layer, or
/// folded into the base. Every list strictly ascends by key.
public struct SectionUpdate: Hashable, Sendable {
    /// Which section.
    public let section: Section
    /// The section afterwards; `hash(at: section.depth)` is its section hash.
    public let subtreeAfter: Subtree
    /// Slim bodies, and slot values without leading zeros. The slots of a deleted account are all listed.
    public let leaves: [EntryChange<FlatKey>]
    /// The account trie's branches, in RLP, by path from the root.
    public let accountBranches: [EntryChange<Nibbles>]
    /// Branches of storage tries, in RLP, by account and path.
    public let storageBranches: [EntryChange<StorageBranchKey>]
    /// Code hashes of accounts whose code changed (or that are new), not the one of no code; ascending, each once.
    public let newCodeHashes: [Bytes32]

    /// An update of these parts.
    public init(
        section: Section, subtreeAfter: Subtree, leaves: [EntryChange<FlatKey>],
        accountBranches: [EntryChange<Nibbles>], storageBranches: [EntryChange<StorageBranchKey>],
        newCodeHashes: [Bytes32]
    ) {
        self.section = section
        self.subtreeAfter = subtreeAfter
        self.leaves = leaves
        self.accountBranches = accountBranches
        self.storageBranches = storageBranches
        self.newCodeHashes = newCodeHashes
    }

    /// An update that changes nothing: a block that does not touch the section.
    public static func unchanged(_ section: Section, subtree: Subtree) -> SectionUpdate {
        SectionUpdate(
            section: section, subtreeAfter: subtree, leaves: [], accountBranches: [], storageBranches: [],
            newCodeHashes: [])
    }

    /// Whether it changes nothing.
    public var isEmpty: Bool { leaves.isEmpty && accountBranches.isEmpty && storageBranches.isEmpty }

    /// The changed leaves as they travel: the slots of an account that is gone are implied by it and left out.
    public var wireChanges: [LeafChange] { History.wireForm(of: leaves) }

    /// The net effect of consecutive updates of one section, oldest first; what ends as it began is dropped. nil for an
    /// empty list or for updates of different sections.
    public static func merged(_ updates: [SectionUpdate]) -> SectionUpdate? {
        guard let first = updates.first, let last = updates.last,
            updates.allSatisfy({ $0.section == first.section })
        else { return nil }
        guard updates.count > 1 else { return first }
        let leaves = EntryChange.merged(updates.map(\.leaves))
        // Code that is not kept is named by none of them.
        let named = Set(updates.lazy.flatMap(\.newCodeHashes))
        return SectionUpdate(
            section: first.section, subtreeAfter: last.subtreeAfter, leaves: leaves,
            accountBranches: EntryChange.merged(updates.map(\.accountBranches)),
            storageBranches: EntryChange.merged(updates.map(\.storageBranches)),
            newCodeHashes: CodeRecords.newHashes(in: leaves).filter { named.contains($0) })
    }
}

extension EntryChange {
    /// The net of consecutive lists of changes, oldest first: `before` of the oldest, `after` of the newest.
    static func merged(_ lists: [[EntryChange]]) -> [EntryChange] {
        guard lists.count > 1 else { return lists.first ?? [] }
        // Pairwise, as a tournament: n log k steps for n changes in k lists.
        let middle = lists.count / 2
        return merged(older: merged(Array(lists[..<middle])), newer: merged(Array(lists[middle...])))
    }

    private static func merged(older: [EntryChange], newer: [EntryChange]) -> [EntryChange] {
        var result: [EntryChange] = []
        result.reserveCapacity(older.count + newer.count)
        var (i, j) = (0, 0)
        while i < older.count, j < newer.count {
            if older[i].key < newer[j].key {
                result.append(older[i])
                i += 1
            } else if newer[j].key < older[i].key {
                result.append(newer[j])
                j += 1
            } else {
                if older[i].before != newer[j].after {
                    result.append(EntryChange(key: newer[j].key, before: older[i].before, after: newer[j].after))
                }
                i += 1
                j += 1
            }
        }
        result.append(contentsOf: older[i...])
        result.append(contentsOf: newer[j...])
        return result
    }
}
