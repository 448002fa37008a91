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
    /// Accounts whose storage is elsewhere, with the nodes that show it, the storage root's first.
    public internal(set) var spread: [(account: Bytes32, nodes: [[UInt8]])] = []
    /// Code hashes named by the accounts that keep theirs, ascending, each once; that of no code is left out.
    public internal(set) var codeHashes: [Bytes32] = []

    /// Nodes that lie across its ends: of the account trie, and of the storage trie of the account that the origin lies
    /// inside.
    public var accountProof: [[UInt8]] = []
    public var originStorageProof: [[UInt8]] = []
    /// All nodes of storage tries that came with it: those across its ends, and those that show that a storage is
    /// elsewhere.
    public internal(set) var storageProofs: [[[UInt8]]] = []

    /// Accounts and slots.
    public var leafCount: Int { accounts.count + slots.count }

    /// Bytes of their keys and values.
    public var leafBytes: Int { 32 * leafCount + accounts.valueBytes.count + slots.valueBytes.count }

    /// Every leaf in flat order, in the form of the store: slim body, slot value without leading zeros.
    private func forEachLeaf<E: Error>(_ body: (FlatKey, ArraySlice<UInt8>) throws(E) -> Void) throws(E) {
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

    /// Every leaf in flat order as an array, in the form of the store: slim body, slot value without leading zeros.
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
    ///
    /// - Parameter rule: how the network places storage; nil: with its account, whatever its size.
    public static func verify(
        _ value: [UInt8], key: RangeKey, stateRoot: Bytes32, placedBy rule: Placement? = nil
    ) throws(RangeError) -> VerifiedStateRange {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= Int(key.maxBytes) else { throw .overMaxBytes(value.count) }
        let range: RangeValue
        do throws(SSZError) { range = try RangeValue(decoding: value) } catch { throw .malformed(error) }
        var checker = RangeChecker(range, key: key, placedBy: key.trie == .accounts ? rule : nil)
        try checker.checkEnd()
        return try checker.verify(stateRoot: stateRoot)
    }
}

/// One check under way.
private struct RangeChecker {
    /// An account with storage: its place, and the root its body names.
    private typealias Storage = (index: Int, root: Bytes32)

    private let range: RangeValue
    private let key: RangeKey
    private var result: VerifiedStateRange
    private let slots: LeafColumns
    private let rule: Placement?
    private var nextSlot = 0
    private var nextCount = 0
    private var nextProof = 0

    init(_ range: RangeValue, key: RangeKey, placedBy rule: Placement?) {
        self.range = range
        self.rule = rule
        self.key = key
        result = VerifiedStateRange(origin: key.origin, end: range.end)
        slots = LeafColumns(
            keys: range.slotKeys, valueBytes: range.slotValues.bytes, valueEnds: range.slotValues.ends)
    }

    /// An answer that does not reach the limit ends at its last leaf, or with a section: its server holds no more.
    func checkEnd() throws(RangeError) {
        let end = range.end
        guard end >= key.origin, end <= key.limit else { throw .wrongEnd(end) }
        guard end < key.limit else { return }
        // Of parts, an answer may end with one.
        if case .storage(let account, let placement) = key.trie, end.account == account, placement <= 15,
            Section(of: end.slot, depth: Int(placement)).lastKey == end.slot
        {
            return
        }
        if end.slot == .max {
            guard range.accountKeys.last == end.account || end.account.endsSection else { throw .wrongEnd(end) }
        } else {
            guard range.accountKeys.last == end.account, range.kinds.last == .partial,
                (range.slotCounts.last ?? 0) > 0, range.slotKeys.last == end.slot
            else { throw .wrongEnd(end) }
        }
    }

    mutating func verify(stateRoot: Bytes32) throws(RangeError) -> VerifiedStateRange {
        let (full, storages, codeHashes) = try accounts()
        result.slotCounts = [Int](repeating: 0, count: full.count)
        for storage in storages { try check(storage) }
        do throws(ProofError) {
            result.accountBranches = try RangeVerifier.verify(
                root: stateRoot, proof: range.accountProof, leaves: full, first: key.origin.account,
                last: range.end.account
            ).branches
        } catch {
            throw .accountProof(error)
        }
        result.accounts = LeafColumns(
            keys: range.accountKeys, valueBytes: range.bodies.bytes, valueEnds: range.bodies.ends)
        result.slots = slots
        result.codeHashes = codeHashes
        result.accountProof = range.accountProof
        result.storageProofs = range.storageProofs
        if key.origin.slot != .zero, range.accountKeys.first == key.origin.account, range.kinds.first == .partial {
            result.originStorageProof = range.storageProofs.first ?? []
        }
        return result
    }

    /// Reads the bodies in place: the accounts as they stand in the trie, those that have storage, and the code they
    /// name.
    private func accounts() throws(RangeError) -> (LeafColumns, [Storage], [Bytes32]) {
        let keys = range.accountKeys
        var ends: [Int] = []
        ends.reserveCapacity(keys.count)
        var storages: [Storage] = []
        var codeHashes: [Bytes32] = []
        var failure: RangeError?
        let values = [UInt8](unsafeUninitializedCapacity: keys.count * SlimBody.fullBytes) { buffer, size in
            guard let target = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            range.bodies.bytes.withUnsafeBytes { bytes in
                for index in keys.indices {
                    let slim = UnsafeRawBufferPointer(rebasing: bytes[range.bodies.range(at: index)])
                    guard let body = SlimBody(slim) else {
                        failure = .malformedBody(keys[index])
                        return
                    }
                    let isKept = key.kept.keeps(keys[index])
                    let root = isKept ? body.storageRoot : nil
                    failure = order(at: index) ?? kind(at: index, root: root)
                    if failure != nil { return }
                    if let root { storages.append((index, root)) }
                    if isKept, let hash = body.codeHash, hash != codeHashes.last { codeHashes.append(hash) }
                    size += body.writeFull(slim, to: target + size)
                    ends.append(size)
                }
            }
        }
        if let failure { throw failure }
        codeHashes.sort()
        var unique: [Bytes32] = []
        for hash in codeHashes where hash != unique.last { unique.append(hash) }
        return (LeafColumns(keys: keys, valueBytes: values, valueEnds: ends), storages, unique)
    }

    private func order(at index: Int) -> RangeError? {
        let account = range.accountKeys[index]
        let follows = index == 0 ? account >= key.origin.account : account > range.accountKeys[index - 1]
        return follows && account <= range.end.account ? nil : .accountOrder(account)
    }

    /// `root`: of the storage that was asked for; nil where there is none.
    private func kind(at index: Int, root: Bytes32?) -> RangeError? {
        let account = range.accountKeys[index]
        let expected: StorageKind
        if root == nil {
            expected = .none
        } else {
            let (first, last) = slotBounds(of: account)
            expected = first == .zero && last == .max ? .complete : .partial
        }
        let kind = range.kinds[index]
        if kind == .elsewhere, rule != nil, root != nil { return nil }
        return kind == expected ? nil : .wrongKind(account: account, kind)
    }

    private func slotBounds(of account: Bytes32) -> (first: Bytes32, last: Bytes32) {
        (
            account == key.origin.account ? key.origin.slot : .zero,
            account == range.end.account ? range.end.slot : .max
        )
    }

    private mutating func check(_ storage: Storage) throws(RangeError) {
        let account = range.accountKeys[storage.index]
        if range.kinds[storage.index] == .elsewhere { return try elsewhere(account, root: storage.root) }
        let (first, last) = slotBounds(of: account)
        let places = nextSlot..<(nextSlot + range.slotCounts[nextCount])
        result.slotCounts[storage.index] = places.count
        nextCount += 1
        nextSlot = places.upperBound
        for slot in places {
            let key = range.slotKeys[slot]
            guard key >= first, key <= last, slot == places.lowerBound || range.slotKeys[slot - 1] < key else {
                throw .slotOrder(account: account)
            }
        }
        let branches =
            first == .zero && last == .max
            ? try complete(account, places, root: storage.root)
            : try partial(account, places, root: storage.root, first: first, last: last)
        if !branches.isEmpty { result.storageBranches.append((account, branches)) }
    }

    private func complete(
        _ account: Bytes32, _ places: Range<Int>, root: Bytes32
    ) throws(RangeError) -> BranchColumns {
        var branches = BranchColumns()
        let built = TrieBuilder.build(slots, in: places, under: .root, emitting: &branches)
        guard built.hash(at: 0) == root else { throw .storageRootMismatch(account: account) }
        if let rule, rule.depth(of: slots.keys[places]) > 0 { throw .wrongKind(account: account, .complete) }
        return branches
    }

    /// Takes up what shows that an account's storage is elsewhere.
    private mutating func elsewhere(_ account: Bytes32, root: Bytes32) throws(RangeError) {
        let nodes = range.storageProofs[nextProof]
        nextProof += 1
        let depth: Int
        do throws(ProofError) {
            depth = try rule?.depth(root: root, shownBy: nodes) ?? 0
        } catch {
            throw .storageProof(account: account, error)
        }
        guard depth > 0 else { throw .wrongKind(account: account, .elsewhere) }
        result.spread.append((account, nodes))
    }

    private mutating func partial(
        _ account: Bytes32, _ places: Range<Int>, root: Bytes32, first: Bytes32, last: Bytes32
    ) throws(RangeError) -> BranchColumns {
        defer { nextProof += 1 }
        var columns = LeafColumns()
        for place in places {
            columns.append(key: slots.keys[place], value: slots.valueBytes[slots.valueRange(at: place)])
        }
        let branches: BranchColumns
        do throws(ProofError) {
            branches = try RangeVerifier.verify(
                root: root, proof: range.storageProofs[nextProof], leaves: columns, first: first, last: last
            ).branches
        } catch {
            throw .storageProof(account: account, error)
        }
        // Whoever begins a storage has every branch along zeros, which show how it is placed.
        if let rule, first == .zero {
            let depth = rule.depth { path in
                branches.paths.firstIndex(of: path).flatMap { try? TrieNode(decoding: Array(branches.node(at: $0))) }
            }
            guard depth == 0 else { throw .wrongKind(account: account, .partial) }
        }
        return branches
    }
}

extension Bytes32 {
    /// Whether this is the last key of a section, whatever the network's depth.
    fileprivate var endsSection: Bool {
        let low = UInt64.max >> UInt64(4 * ChainLimits.sectionDepth)
        return word0 & low == low && word1 == .max && word2 == .max && word3 == .max
    }
}
