import Chain
import MerklePatricia
import Primitives

/// Keeps the stored values of some leaves as they come by: whoever changes leaves needs them, and the trie reads them
/// anyway.
struct LeafWatch {
    /// Ascending.
    private let keys: [Bytes32]
    /// What is stored of each key, as it is stored; nil for what has not come by, which is not there.
    private(set) var values: [[UInt8]?]
    /// All keys before this are below those that come.
    private var next = 0

    init(_ keys: [Bytes32]) {
        self.keys = keys
        values = Array(repeating: nil, count: keys.count)
    }

    /// Leaves from `key` on come, ascending.
    mutating func begin(at key: Bytes32) {
        if next > 0, key <= keys[next - 1] { next = 0 }
        while next < keys.count, keys[next] < key { next += 1 }
    }

    @inline(__always)
    mutating func see(_ key: Bytes32, _ value: UnsafeRawBufferPointer) {
        guard next < keys.count, keys[next] <= key else { return }
        take(key, value)
    }

    private mutating func take(_ key: Bytes32, _ value: UnsafeRawBufferPointer) {
        while next < keys.count, keys[next] < key { next += 1 }
        guard next < keys.count, keys[next] == key else { return }
        values[next] = Array(value)
        next += 1
    }
}

/// The account trie of a view below the crown: branches at the sections' depth and deeper, leaves as full RLP.
public struct AccountTrie: TrieSource {
    private var reader: StateReader
    private(set) var watch: LeafWatch
    /// Where reading begins and ends: kept, since a thousand twigs are read one after the other.
    private var (from, through): ([UInt8], [UInt8]) = ([], [])

    init(_ reader: StateReader, watching keys: [Bytes32] = []) {
        self.reader = reader
        watch = LeafWatch(keys)
    }

    /// `prefix` has the sections' depth or more, so that it lies in one; above it the nodes are in the crown.
    public mutating func branch(atOrBelow prefix: Nibbles) throws -> StoredBranch? {
        let section = Section(of: prefix.lowestKey, depth: reader.depth)
        from.removeAll(keepingCapacity: true)
        prefix.appendStoreKey(to: &from)
        guard let found = try reader.firstInPlace(.accountBranches, atOrAfter: from, in: section),
            ByteOrder.hasPrefix(found.key, from)
        else { return nil }
        guard let path = Nibbles(storeKey: found.key) else { throw StoreError.corrupt(table: .accountBranches) }
        return StoredBranch(
            path: path, node: Array(found.value), isLowest: !reader.continues(.accountBranches, with: found.key))
    }

    /// See `TrieSource`.
    public mutating func leaves(under prefix: Nibbles, limit: Int, into leaves: inout TwigLeaves) throws {
        let (first, last) = (prefix.lowestKey, prefix.highestKey)
        let section = Section(of: first, depth: reader.depth)
        FlatKey(account: first).write(over: &from)
        FlatKey(account: last).write(over: &through)
        watch.begin(at: first)
        let end = leaves.count + limit
        try reader.forEachRun(
            .leaves, from: from, through: through, of: section, accountsOnly: true
        ) { run throws(StoreError) in
            for entry in run {
                // Slots that are at hand are stepped over: a seek costs more.
                guard entry.key.count == 32, let base = entry.key.baseAddress else { continue }
                let key = Bytes32(loading: base)
                guard key <= last, leaves.count < end else { return .stop }
                guard let account = SlimBody(entry.value) else { throw .corrupt(table: .leaves) }
                watch.see(key, entry.value)
                leaves.append(key: key, room: SlimBody.fullBytes) { account.writeFull(entry.value, to: $0) }
            }
            if let last = run.last, last.key.count > 32 { return .jumpOver(last.key) }
            return .goOn
        }
    }
}

/// The storage trie of one account of a view, or what a view of parts has of it; leaves are the RLP of their value.
public struct StorageTrie: TrieSource {
    private var reader: StateReader
    /// Whose storage it is.
    public let account: Bytes32
    /// The section that it stands in with its account; nil where the view has parts of it.
    private let whole: Section?
    private let leafTable: StateTable
    private let branchTable: StateTable
    private(set) var watch: LeafWatch
    private var (from, through): ([UInt8], [UInt8]) = ([], [])

    init(_ reader: StateReader, account: Bytes32, watching keys: [Bytes32] = []) {
        self.reader = reader
        watch = LeafWatch(keys)
        self.account = account
        let isPart = reader.sections.owner != nil
        whole = isPart ? nil : Section(of: account, depth: reader.depth)
        leafTable = .leaves(ofPart: isPart)
        branchTable = .storageBranches(ofPart: isPart)
    }

    /// Where what is under a path is read: of parts it must lie in one.
    private func section(of prefix: Nibbles) -> Section {
        whole ?? Section(of: prefix.lowestKey, depth: reader.depth, owner: account)
    }

    /// See `TrieSource`; the path is from the root of the storage trie.
    public mutating func branch(atOrBelow prefix: Nibbles) throws -> StoredBranch? {
        FlatKey(account: account).write(over: &from)
        prefix.appendStoreKey(to: &from)
        guard let found = try reader.firstInPlace(branchTable, atOrAfter: from, in: section(of: prefix)),
            ByteOrder.hasPrefix(found.key, from)
        else { return nil }
        guard let path = Nibbles(storeKey: UnsafeRawBufferPointer(rebasing: found.key[32...])) else {
            throw StoreError.corrupt(table: branchTable.base)
        }
        return StoredBranch(
            path: path, node: Array(found.value), isLowest: !reader.continues(branchTable, with: found.key))
    }

    /// See `TrieSource`.
    public mutating func leaves(under prefix: Nibbles, limit: Int, into leaves: inout TwigLeaves) throws {
        watch.begin(at: prefix.lowestKey)
        FlatKey(account: account, slot: prefix.lowestKey).write(over: &from)
        FlatKey(account: account, slot: prefix.highestKey).write(over: &through)
        let (account, table) = (account, leafTable)
        let end = leaves.count + limit
        try reader.forEachRun(
            table, from: from, through: through, of: section(of: prefix), accountsOnly: false
        ) { run throws(StoreError) in
            for entry in run {
                guard let key = FlatKey(loading: entry.key) else { throw .corrupt(table: table.base) }
                guard leaves.count < end, key.account == account, let slot = key.slot, prefix.contains(slot) else {
                    return .stop
                }
                watch.see(slot, entry.value)
                try SlotValue.append(entry.value, of: slot, to: &leaves)
            }
            return .goOn
        }
    }
}

extension StateView {
    /// The account trie below the crown.
    public var accountTrie: AccountTrie { AccountTrie(reader) }

    /// The storage trie of an account (empty where it has none).
    public func storageTrie(of account: Bytes32) -> StorageTrie { StorageTrie(reader, account: account) }
}
