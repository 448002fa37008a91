import Chain
import MerklePatricia
import Primitives
import StateStore

/// Why an answer is not the range that was asked for. Everything but `status` is the sender's fault.
public enum RangeError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    /// The columns do not split as they must.
    case malformed(SSZError)
    /// Longer than was asked for.
    case overMaxBytes(Int)
    /// The end lies before the origin or after the limit, or an answer that stops early does not end at its last leaf.
    case wrongEnd(Cursor)
    /// Accounts out of order, twice, or outside the range.
    case accountOrder(Bytes32)
    case malformedBody(Bytes32)
    /// The kind is not what the storage root and the cursors make it.
    case wrongKind(account: Bytes32, StorageKind)
    /// Slots out of order, twice, or outside the range.
    case slotOrder(account: Bytes32)
    /// The slots do not give the storage root of the account's body.
    case storageRootMismatch(account: Bytes32)
    /// The edges of a partial storage are not proven.
    case storageProof(account: Bytes32, ProofError)
    /// The accounts are not proven.
    case accountProof(ProofError)
}

/// A stretch of the state that is true under the root it was checked against.
public struct VerifiedStateRange: Sendable {
    /// First position that was asked for.
    public let origin: Cursor
    /// Last position that is covered; the next request begins at its successor.
    public let end: Cursor
    /// The accounts' keys and slim bodies, ascending. The account that the origin lies inside is among them.
    public internal(set) var accounts = LeafColumns()
    /// Number of slots of each account, in the order of `accounts`.
    public internal(set) var slotCounts: [Int] = []
    /// All slots: keys, and values as they stand in the trie (RLP strings), in flat order.
    public internal(set) var slots = LeafColumns()
    /// Branches of the account trie that are wholly or partly in the range.
    public internal(set) var accountBranches = BranchColumns()
    /// Branches of storage tries, of those accounts that have any.
    public internal(set) var storageBranches: [(account: Bytes32, branches: BranchColumns)] = []
    /// Code hashes named by the accounts, ascending, each once; that of no code is left out.
    public internal(set) var codeHashes: [Bytes32] = []

    /// Accounts and slots.
    public var leafCount: Int { accounts.count + slots.count }

    /// Every leaf in flat order, in the form of the store: slim body, slot value without leading zeros.
    public func forEachLeaf<E: Error>(_ body: (FlatKey, ArraySlice<UInt8>) throws(E) -> Void) throws(E) {
        var slot = 0
        for index in 0..<accounts.count {
            let account = accounts.keys[index]
            try body(FlatKey(account: account), accounts.valueBytes[accounts.valueRange(at: index)])
            for _ in 0..<slotCounts[index] {
                let value = slots.valueBytes[slots.valueRange(at: slot)]
                // A value below 0x80 is its own RLP; any other of at most 32 bytes has one byte before it.
                let key = FlatKey(account: account, slot: slots.keys[slot])
                try body(key, value.count == 1 ? value : value.dropFirst())
                slot += 1
            }
        }
    }

    /// The leaves of `forEachLeaf` as an array.
    public var leaves: [(key: FlatKey, value: [UInt8])] {
        var leaves: [(FlatKey, [UInt8])] = []
        leaves.reserveCapacity(leafCount)
        forEachLeaf { leaves.append(($0, Array($1))) }
        return leaves
    }
}

/// Checks range answers.
public enum RangeCheck {
    /// Checks that `value` (status byte included) answers `key` with exactly the leaves that the state of this root has
    /// in [origin, end].
    public static func verify(
        _ value: [UInt8], key: RangeKey, stateRoot: Bytes32
    ) throws(RangeError) -> VerifiedStateRange {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= Int(key.maxBytes) else { throw .overMaxBytes(value.count) }
        let range: RangeValue
        do throws(SSZError) { range = try RangeValue(decoding: value) } catch { throw .malformed(error) }
        var checker = RangeChecker(range, key: key)
        try checker.checkEnd()
        return try checker.verify(stateRoot: stateRoot)
    }
}

/// One check under way.
private struct RangeChecker {
    private let range: RangeValue
    private let key: RangeKey
    private var result: VerifiedStateRange
    private var codeHashes: Set<Bytes32> = []
    private var nextSlot = 0
    private var nextCount = 0
    private var nextProof = 0

    init(_ range: RangeValue, key: RangeKey) {
        self.range = range
        self.key = key
        result = VerifiedStateRange(origin: key.origin, end: range.end)
    }

    /// An answer that does not reach the limit ends at its last leaf, or with a section: its server holds no more.
    func checkEnd() throws(RangeError) {
        let end = range.end
        guard end >= key.origin, end <= key.limit else { throw .wrongEnd(end) }
        guard end < key.limit else { return }
        if end.slot == .max {
            guard range.accountKeys.last == end.account || end.account.endsSection else { throw .wrongEnd(end) }
        } else {
            guard range.accountKeys.last == end.account, range.kinds.last == .partial,
                (range.slotCounts.last ?? 0) > 0, range.slotKeys.last == end.slot
            else { throw .wrongEnd(end) }
        }
    }

    mutating func verify(stateRoot: Bytes32) throws(RangeError) -> VerifiedStateRange {
        let keys = range.accountKeys
        var full = LeafColumns()
        full.reserveCapacity(keys.count, valueBytes: keys.count * StateNetworkLimits.bodyBytes)
        result.accounts.reserveCapacity(keys.count, valueBytes: range.bodies.bytes.count)
        for (index, account) in keys.enumerated() {
            guard index == 0 ? account >= key.origin.account : account > keys[index - 1], account <= range.end.account
            else { throw .accountOrder(account) }
            let slim = range.bodies.value(at: index)
            guard let body = try? StateAccount(slim: slim) else { throw .malformedBody(account) }
            full.append(key: account, value: body.rlp)
            result.accounts.append(key: account, value: slim)
            if body.codeHash != StateAccount.emptyCodeHash { codeHashes.insert(body.codeHash) }
            try storage(of: account, index: index, root: body.storageRoot)
        }
        do throws(ProofError) {
            result.accountBranches = try RangeVerifier.verify(
                root: stateRoot, proof: range.accountProof, leaves: full, first: key.origin.account,
                last: range.end.account
            ).branches
        } catch {
            throw .accountProof(error)
        }
        result.codeHashes = codeHashes.sorted()
        return result
    }

    private mutating func storage(of account: Bytes32, index: Int, root: Bytes32) throws(RangeError) {
        let first = account == key.origin.account ? key.origin.slot : .zero
        let last = account == range.end.account ? range.end.slot : .max
        let kind = range.kinds[index]
        guard kind == .storage(root: root, first: first, last: last) else { throw .wrongKind(account: account, kind) }
        guard kind != .none else {
            result.slotCounts.append(0)
            return
        }
        let count = range.slotCounts[nextCount]
        nextCount += 1
        result.slotCounts.append(count)
        var slots = LeafColumns()
        for slot in nextSlot..<(nextSlot + count) {
            let key = range.slotKeys[slot]
            guard key >= first, key <= last, slots.keys.last.map({ $0 < key }) ?? true else {
                throw .slotOrder(account: account)
            }
            let value = range.slotValues.bytes[range.slotValues.range(at: slot)]
            slots.append(key: key, value: value)
            result.slots.append(key: key, value: value)
        }
        nextSlot += count
        let branches = try kind == .complete
            ? complete(account, slots, root: root) : partial(account, slots, root: root, first: first, last: last)
        if !branches.isEmpty { result.storageBranches.append((account, branches)) }
    }

    private func complete(_ account: Bytes32, _ slots: LeafColumns, root: Bytes32) throws(RangeError) -> BranchColumns {
        var branches = BranchColumns()
        let built = TrieBuilder.build(slots, in: 0..<slots.count, under: .root, emitting: &branches)
        guard built.hash(at: 0) == root else { throw .storageRootMismatch(account: account) }
        return branches
    }

    private mutating func partial(
        _ account: Bytes32, _ slots: LeafColumns, root: Bytes32, first: Bytes32, last: Bytes32
    ) throws(RangeError) -> BranchColumns {
        defer { nextProof += 1 }
        do throws(ProofError) {
            return try RangeVerifier.verify(
                root: root, proof: range.storageProofs[nextProof], leaves: slots, first: first, last: last
            ).branches
        } catch {
            throw .storageProof(account: account, error)
        }
    }
}

extension Bytes32 {
    /// Whether this is the last key of a section, whatever the network's depth.
    fileprivate var endsSection: Bool {
        let low = UInt64.max >> UInt64(4 * ChainLimits.sectionDepth)
        return word0 & low == low && word1 == .max && word2 == .max && word3 == .max
    }
}

extension StorageKind {
    /// The kind that an account of this storage root has where the range covers its slots from `first` to `last`.
    static func storage(root: Bytes32, first: Bytes32, last: Bytes32) -> StorageKind {
        if root == StateAccount.emptyRoot { return .none }
        return first == .zero && last == .max ? .complete : .partial
    }
}
