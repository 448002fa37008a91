import Chain
import MerklePatricia
import Primitives

/// Hashes the leaves of one section as they come in the flat order, and finds where they contradict each other: the
/// slots of every account are hashed and compared with the storage root in its body. Nothing but leaves is read, so no
/// stored hash is believed. Memory does not grow with the section. Of a part the leaves are slots.
public struct LeafHasher: Sendable {
    private let section: Section
    /// Whether the slots of an account stand in parts, of which this hashes each by itself, or are not kept.
    var isElsewhere: @Sendable (Bytes32) -> Bool
    private var trie: StreamedTrie
    private var storage: StreamedTrie
    /// Branches of storage tries that are complete, where branches are wanted.
    private var storageBranches: [(account: Bytes32, branches: BranchColumns)] = []
    private var hasSlots = false
    /// The account that came last.
    private(set) var account: Bytes32?
    private var storageRoot: Bytes32?
    private var room = [UInt8](repeating: 0, count: SlimBody.fullBytes)
    /// How many came.
    public private(set) var accounts = 0
    public private(set) var slots = 0
    /// The code hash of the account that came last; nil where it has no code.
    public private(set) var codeHash: Bytes32?

    /// Before the section's first leaf. `keepingBranches`: `takeBranches` gives what a store keeps beside the leaves.
    public init(
        of section: Section, keepingBranches: Bool = false,
        isElsewhere: @escaping @Sendable (_ account: Bytes32) -> Bool = { _ in false }
    ) {
        self.section = section
        self.isElsewhere = isElsewhere
        trie = StreamedTrie(keepingBranches: keepingBranches)
        storage = StreamedTrie(keepingBranches: keepingBranches)
    }

    /// The branches that a store keeps over the leaves that were hashed since this was last asked: of the account trie,
    /// and of storage tries by their accounts.
    mutating func takeBranches() -> (accounts: BranchColumns?, storage: [(account: Bytes32, branches: BranchColumns)]) {
        noteStorageBranches()
        defer { storageBranches = [] }
        return (trie.takeBranches(), storageBranches)
    }

    private mutating func noteStorageBranches() {
        guard let account, let branches = storage.takeBranches() else { return }
        storageBranches.append((account, branches))
    }

    /// Takes the next leaf as it is stored: 32 bytes and a slim body, or 64 bytes and a value without leading zeros.
    public mutating func add(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StateFault) {
        guard let key = FlatKey(loading: key), section.contains(key) else {
            throw .notALeaf(section: section.index)
        }
        if let slot = key.slot { try add(slot, of: key.account, value) } else { try add(key.account, value) }
    }

    private mutating func add(_ key: Bytes32, _ value: UnsafeRawBufferPointer) throws(StateFault) {
        try closeAccount()
        guard let body = SlimBody(value) else { throw .malformedAccount(key) }
        let isTaken = room.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            let count = body.writeFull(value, to: base)
            return trie.append(key: key, value: UnsafeRawBufferPointer(start: base, count: count))
        }
        guard isTaken else { throw .notALeaf(section: section.index) }
        (account, storageRoot, codeHash) = (key, body.storageRoot, body.codeHash)
        accounts += 1
    }

    private mutating func add(
        _ slot: Bytes32, of key: Bytes32, _ value: UnsafeRawBufferPointer
    ) throws(StateFault) {
        guard section.owner != nil || key == account, (1...StateStoreLimits.slotValueBytes).contains(value.count),
            value.first != 0
        else {
            throw .malformedSlot(account: key, slot: slot)
        }
        hasSlots = true
        slots += 1
        guard value.count > 1 || (value.first ?? 0) >= 0x80 else {
            guard storage.append(key: slot, value: value) else { throw .malformedSlot(account: key, slot: slot) }
            return
        }
        room[0] = 0x80 &+ UInt8(truncatingIfNeeded: value.count)
        for (place, byte) in value.enumerated() { room[1 + place] = byte }
        guard storage.append(key: slot, value: room[..<(1 + value.count)]) else {
            throw .malformedSlot(account: key, slot: slot)
        }
    }

    /// Compares the slots of the last account with what its body says.
    private mutating func closeAccount() throws(StateFault) {
        guard let account else { return }
        let found = hasSlots ? storage.finish().hash(at: 0) : StateAccount.emptyRoot
        let expected = storageRoot ?? StateAccount.emptyRoot
        if hasSlots { noteStorageBranches() }
        if !hasSlots, found != expected, isElsewhere(account) { return }
        hasSlots = false
        guard found == expected else { throw .storageRoot(account: account, expected: expected, found: found) }
    }

    /// What all leaves hash to; `hash(at: depth)` is the section hash.
    public mutating func finish() throws(StateFault) -> Subtree {
        if section.owner != nil { return storage.finish() }
        try closeAccount()
        account = nil
        return trie.finish()
    }
}
