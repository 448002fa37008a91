import Chain
import MerklePatricia
import Primitives
import StateStore

/// Answers range requests from what is stored: one walk over the leaves, which go from the store's own memory to the
/// columns of the answer, and one look down each edge. No trie is rebuilt, nothing is made a leaf.
public enum RangeServer {
    /// The value for `key`, status byte included, at most `key.maxBytes` and `servedRangeBytes` long; nil where the
    /// view does not hold the section of the origin. `view` and `crown` are at the key's anchor. Throws only where the
    /// store fails.
    public static func serve<Snapshot: StoreSnapshot>(
        _ key: RangeKey, view: inout StateView<Snapshot>, crown: Crown
    ) throws -> [UInt8]? {
        guard key.trie == .accounts else { return StateStatus.placementNotSupported.encoded }
        guard let limit = heldEnd(of: key, view: view) else { return nil }
        let maxBytes = min(Int(key.maxBytes), StateContentLimits.servedRangeBytes)
        // The proof of the right edge is known only when the end is: the left one's size is a fair guess for it.
        var accounts = view.accountTrie
        var edge = ProofNodes()
        var prover = TrieProver()
        try prover.prove(key.origin.account, upper: crown, source: &accounts, into: &edge)
        var gathering = RangeGathering(key: key, limit: limit)
        var budget = max(maxBytes - 2 * edge.byteCount - firstReserve, maxBytes / 4)
        // Nothing lies before the first key of all.
        if key.origin.account == .zero { edge = ProofNodes() }
        for _ in 0..<attempts {
            guard try gathering.gather(from: &view, budget: budget) else { break }
            let proofs = try gathering.prove(
                from: &view, accounts: &accounts, crown: crown, left: edge, with: &prover)
            let excess = gathering.encodedCount(proofs) - maxBytes
            if excess <= 0 { return gathering.encoded(proofs) }
            budget = min(budget, gathering.spent) - excess
            guard budget > 0 else { break }
        }
        return StateStatus.itemTooLarge.encoded
    }

    /// The same of a part of a storage trie: `view` has parts of it, and `crown` covers those at the key's anchor. nil
    /// where the part of the origin is not held, or the storage at that anchor is not the account's that is asked for.
    public static func serve<Snapshot: StoreSnapshot>(
        _ key: RangeKey, view: inout StateView<Snapshot>, crown: StorageCrown
    ) throws -> [UInt8]? {
        guard case .storage(let account, let placement) = key.trie, account == view.owner, placement == view.depth,
            crown.key.account == account, crown.key.placement == view.depth, key.origin.account == account,
            key.limit.account == account, let limit = heldEnd(of: key, view: view, within: crown.key)
        else { return nil }
        let maxBytes = min(Int(key.maxBytes), StateContentLimits.servedRangeBytes)
        let fixed = crown.accountNodes.reduce(0) { $0 + 4 + $1.count }
        var gathering = RangeGathering(key: key, limit: limit, part: crown)
        var budget = max(
            maxBytes - fixed - firstReserve - 2 * crown.key.placement * StateStoreLimits.branchBytes, maxBytes / 4)
        for _ in 0..<attempts {
            guard try gathering.gather(from: &view, budget: budget) else { break }
            let proofs = try gathering.prove(from: &view, crown: crown)
            let excess = gathering.encodedCount(proofs) - maxBytes
            if excess <= 0 { return gathering.encoded(proofs) }
            budget = min(budget, gathering.spent) - excess
            guard budget > 0 else { break }
        }
        return StateStatus.itemTooLarge.encoded
    }

    /// The end of the parts held without a gap from the origin's on, as far as the crown covers them.
    private static func heldEnd<Snapshot>(
        of key: RangeKey, view: StateView<Snapshot>, within crown: StorageCrownKey
    ) -> Cursor? {
        var part = Section(of: key.origin.slot, depth: view.depth, owner: view.owner)
        guard view.holds(part), (crown.first...crown.last).contains(part.index) else { return nil }
        while let next = part.next, next.firstKey <= key.limit.slot, view.holds(next), next.index <= crown.last {
            part = next
        }
        return min(key.limit, part.lastCursor)
    }

    /// Room kept at first for the container and for edges of storage tries. Bytes.
    private static let firstReserve = 2_048
    /// How often an answer is gathered again, smaller, because its proofs did not fit.
    private static let attempts = 8

    /// The end of the sections held without a gap from the origin's on, or the key's limit where that comes first.
    private static func heldEnd<Snapshot>(of key: RangeKey, view: StateView<Snapshot>) -> Cursor? {
        var section = Section(of: key.origin.account, depth: view.depth)
        guard view.holds(section) else { return nil }
        while let next = section.next, next.firstKey <= key.limit.account, view.holds(next) { section = next }
        return min(key.limit, Cursor.end(of: section.lastKey))
    }
}

/// The proofs of one answer.
private struct RangeProofs {
    /// Nodes of the account trie at the two edges, each once.
    var accounts: [[UInt8]]
    /// Nodes of each partial account's storage trie, in the order of the accounts.
    var storage: [[[UInt8]]] = []
}

/// Leaves gathered for one answer, in the answer's columns.
struct RangeGathering: ~Copyable {
    private let key: RangeKey
    /// Of parts: what has the account, of which the view has slots only.
    private let part: StorageCrown?
    /// Last position that may be served.
    private let limit: Cursor
    /// Bytes of leaves, in the form of the columns, that may be spent.
    private var budget = 0
    private(set) var spent = 0
    /// Last position that is served.
    private var end: Cursor
    private var accounts = 0
    private var slots = 0
    private var lastAccount: Bytes32?
    /// Whether the last account has storage; the slots of it so far; the bytes of its body.
    private var hasStorage = false
    /// Whether its storage is left out.
    private var isLeftOut = false
    private var slotCount: UInt32 = 0
    private var lastBodyCount = 0
    /// Accounts whose storage is elsewhere, and what shows it.
    private var spread: [(index: Int, nodes: [[UInt8]])] = []

    private var accountKeys = ByteSink(capacity: 1 << 16)
    private var kinds = ByteSink(capacity: 1 << 12)
    private var bodies = ByteSink(capacity: 1 << 15)
    private var slotCounts = ByteSink(capacity: 1 << 10)
    private var slotKeys = ByteSink(capacity: 1 << 12)
    private var slotValues = ByteSink(capacity: 1 << 12)

    /// What an account costs beside its body: key and kind; and, where it has storage, its number of slots.
    private static let accountCost = 33
    private static let countCost = 4

    init(key: RangeKey, limit: Cursor, part: StorageCrown? = nil) {
        self.key = key
        self.part = part
        self.limit = limit
        end = limit
    }

    /// Walks as far as the budget goes. False where not even one leaf fits.
    mutating func gather<Snapshot: StoreSnapshot>(
        from view: inout StateView<Snapshot>, budget: Int
    ) throws(StoreError) -> Bool {
        start(budget: budget)
        // What runs point to belongs to the snapshot.
        defer { withExtendedLifetime(view.snapshot) {} }
        if let part {
            let isTaken = try part.account.map { (body) throws(StoreError) in
                try appendAccount(part.key.account, body.slim, in: view)
            }
            guard isTaken ?? true else { return false }
        } else if key.origin.slot != .zero {
            var walk = try view.walk(from: Cursor(account: key.origin.account))
            if let entry = try walk.nextRun()?.first, Bytes32(entry.key) == key.origin.account {
                guard try append(account: entry.key, entry.value, in: view) else { return false }
            }
        }
        var walk = try view.walk(from: key.origin)
        while let run = try walk.nextRun() {
            for entry in run {
                guard isCovered(entry.key) else { return try finish(in: view) }
                if isLeftOut, entry.key.count == 64 { continue }
                let fits =
                    entry.key.count == 32
                    ? try append(account: entry.key, entry.value, in: view) : try append(slot: entry.key, entry.value)
                if !fits { return try stop(before: entry.key, in: view) }
            }
            // A run that ends within slots that are left out may have many more of them behind it.
            if isLeftOut, run.last?.key.count == 64, let next = lastAccount?.successor {
                walk = try view.walk(from: Cursor(account: next))
            }
        }
        return try finish(in: view)
    }

    private mutating func appendAccount(
        _ account: Bytes32, _ body: [UInt8], in view: StateView<some StoreSnapshot>
    ) throws(StoreError) -> Bool {
        let key = account.bytes
        return try key.withUnsafeBufferPointer { (key) throws(StoreError) -> Bool in
            try body.withUnsafeBufferPointer { (body) throws(StoreError) -> Bool in
                try append(account: UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(body), in: view)
            }
        }
    }

    private mutating func start(budget: Int) {
        self.budget = budget
        (spent, accounts, slots, lastAccount, hasStorage, slotCount) = (0, 0, 0, nil, false, 0)
        isLeftOut = !key.kept.keeps(key.origin.account)
        spread = []
        end = limit
        accountKeys.truncate()
        kinds.truncate()
        bodies.truncate()
        slotCounts.truncate()
        slotKeys.truncate()
        slotValues.truncate()
    }

    /// Whether the limit is at this leaf or after it. The first word decides nearly always.
    @inline(__always)
    private func isCovered(_ key: UnsafeRawBufferPointer) -> Bool {
        guard key.count >= 32 else { return true }
        let first = UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
        if first < limit.account.word0 { return true }
        guard first == limit.account.word0, let leaf = FlatKey(loading: key) else { return false }
        return limit.covers(leaf)
    }

    @inline(__always)
    private mutating func append(
        account: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, in view: StateView<some StoreSnapshot>
    ) throws(StoreError) -> Bool {
        guard let hasRoot = RangeGathering.hasStorage(body), let base = account.baseAddress else {
            throw .corrupt(table: .leaves)
        }
        let isKept = key.kept.keeps(Bytes32(loading: base))
        let isStored = hasRoot && isKept
        let cost = Self.accountCost &+ body.count &+ (isStored ? Self.countCost : 0)
        guard cost <= budget &- spent, accounts &+ slots < StateContentLimits.leaves else { return false }
        try closeCount(in: view)
        spent &+= cost
        accountKeys.append(account)
        kinds.append(isStored ? StorageKind.complete.rawValue : StorageKind.none.rawValue)
        bodies.append(body)
        accounts &+= 1
        lastAccount = Bytes32(loading: base)
        lastBodyCount = body.count
        hasStorage = isStored
        isLeftOut = !isKept
        return true
    }

    private mutating func append(
        slot: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer
    ) throws(StoreError) -> Bool {
        guard let key = FlatKey(loading: slot), hasStorage, key.account == lastAccount, !bytes.isEmpty,
            bytes.count <= StateStoreLimits.slotValueBytes
        else { throw .corrupt(table: .leaves) }
        let isOneByte = bytes.count == 1 && bytes[0] < 0x80
        let cost = 32 &+ bytes.count &+ (isOneByte ? 0 : 1)
        guard cost <= budget &- spent, accounts &+ slots < StateContentLimits.leaves else { return false }
        spent &+= cost
        slotKeys.append(UnsafeRawBufferPointer(rebasing: slot[32...]))
        // As its RLP.
        if !isOneByte { slotValues.append(0x80 &+ UInt8(truncatingIfNeeded: bytes.count)) }
        slotValues.append(bytes)
        slotCount &+= 1
        slots &+= 1
        return true
    }

    /// Writes the number of the last account's slots, now that it is known. Where there is none the range may end
    /// before the first of them, or they are elsewhere.
    @inline(__always)
    private mutating func closeCount(in view: StateView<some StoreSnapshot>) throws(StoreError) {
        guard hasStorage else { return }
        if slotCount == 0, part == nil, try noteSpread(in: view) { return }
        slotCounts.append(littleEndian: slotCount)
        (hasStorage, slotCount) = (false, 0)
    }

    /// Whether the last account's storage is elsewhere; if so that is noted.
    private mutating func noteSpread(in view: StateView<some StoreSnapshot>) throws(StoreError) -> Bool {
        guard let lastAccount, try view.isSpread(lastAccount) else { return false }
        spread.append((accounts - 1, try view.placementNodes(of: lastAccount)))
        kinds.set(StorageKind.elsewhere.rawValue, at: accounts - 1)
        hasStorage = false
        return true
    }

    /// Whether a slim body names a storage root; nil where it is none. It was checked before it was stored, so only
    /// headers are looked at.
    @inline(__always)
    private static func hasStorage(_ body: UnsafeRawBufferPointer) -> Bool? {
        guard body.count >= 5 else { return nil }
        var place = body[0] < 0xf8 ? 1 : 2
        for _ in 0..<2 {
            guard place < body.count else { return nil }
            let first = body[place]
            place &+= first < 0x80 ? 1 : 1 &+ Int(first & 0x7f)
        }
        return place < body.count ? body[place] != 0x80 : nil
    }

    /// Ends the answer before a leaf that does not fit. False where that leaves nothing.
    private mutating func stop(
        before leaf: UnsafeRawBufferPointer, in view: StateView<some StoreSnapshot>
    ) throws(StoreError) -> Bool {
        if leaf.count == 64 {
            if slotCount > 0, let account = lastAccount, let slot = Bytes32(slotKeys.bytes.suffix(32)) {
                end = Cursor(account: account, slot: slot)
                return try finish(in: view)
            }
            guard part == nil else { return false }
            // Its account alone would be an answer that ends nowhere.
            accounts -= 1
            accountKeys.truncate(to: 32 * accounts)
            kinds.truncate(to: accounts)
            bodies.truncate(to: bodies.count - lastBodyCount)
            hasStorage = false
            lastAccount = Bytes32(accountKeys.bytes.suffix(32))
        }
        guard let last = lastAccount else { return false }
        end = Cursor.end(of: last)
        return try finish(in: view)
    }

    /// Sets what the ends make of the first and of the last account.
    private mutating func finish(in view: StateView<some StoreSnapshot>) throws(StoreError) -> Bool {
        try closeCount(in: view)
        for index in edgeAccounts where kinds.bytes[index] == StorageKind.complete.rawValue {
            let (first, last) = slotBounds(of: account(at: index))
            if first != .zero || last != .max { kinds.set(StorageKind.partial.rawValue, at: index) }
        }
        return true
    }

    /// The accounts in which the range may begin or end.
    private var edgeAccounts: [Int] { accounts == 0 ? [] : accounts == 1 ? [0] : [0, accounts - 1] }

    private func account(at index: Int) -> Bytes32 {
        Bytes32(accountKeys.bytes[(32 * index)..<(32 * index + 32)]) ?? .zero
    }

    private func slotBounds(of account: Bytes32) -> (first: Bytes32, last: Bytes32) {
        (account == key.origin.account ? key.origin.slot : .zero, account == end.account ? end.slot : .max)
    }

    /// The proofs of the edges; `left` are the account trie's nodes at the origin.
    fileprivate func prove<Snapshot: StoreSnapshot>(
        from view: inout StateView<Snapshot>, accounts trie: inout AccountTrie, crown: Crown, left: ProofNodes,
        with prover: inout TrieProver
    ) throws -> RangeProofs {
        var proof = left
        // Nothing lies after the last key of all.
        if end.account != .max { try prover.prove(end.account, upper: crown, source: &trie, into: &proof) }
        var proofs = RangeProofs(accounts: proof.nodes)
        var storage = spread
        for index in edgeAccounts where kinds.bytes[index] == StorageKind.partial.rawValue {
            storage.append((index, try proveStorage(at: index, from: &view, upper: nil, with: &prover)))
        }
        proofs.storage = storage.sorted { $0.index < $1.index }.map(\.nodes)
        return proofs
    }

    /// Those of parts.
    fileprivate func prove<Snapshot: StoreSnapshot>(
        from view: inout StateView<Snapshot>, crown: StorageCrown
    ) throws -> RangeProofs {
        var proofs = RangeProofs(accounts: crown.accountNodes)
        guard accounts > 0 else { return proofs }
        var prover = TrieProver()
        proofs.storage = [try proveStorage(at: 0, from: &view, upper: crown.crown, with: &prover)]
        return proofs
    }

    private func proveStorage<Snapshot: StoreSnapshot>(
        at index: Int, from view: inout StateView<Snapshot>, upper: Crown?, with prover: inout TrieProver
    ) throws -> [[UInt8]] {
        let account = account(at: index)
        let (first, last) = slotBounds(of: account)
        var storage = view.storageTrie(of: account)
        var proof = ProofNodes()
        if first != .zero { try prover.prove(first, upper: upper, source: &storage, into: &proof) }
        if last != .max { try prover.prove(last, upper: upper, source: &storage, into: &proof) }
        return proof.nodes
    }

    /// The columns of all that was asked for; nil where the answer stopped before its limit.
    var wholeColumns: SectionColumns? {
        guard end == limit, spread.isEmpty else { return nil }
        return SectionColumns(
            accounts: accounts, slots: slots, accountKeys: Array(accountKeys.bytes), bodies: Array(bodies.bytes),
            slotCounts: Array(slotCounts.bytes), slotKeys: Array(slotKeys.bytes), slotValues: Array(slotValues.bytes))
    }

    /// Bytes that `encoded` will have.
    fileprivate func encodedCount(_ proofs: RangeProofs) -> Int {
        1 + RangeValue.headBytes + accountKeys.count + kinds.count + bodies.count + slotCounts.count + slotKeys.count
            + slotValues.count + proofs.accounts.reduce(0) { $0 + 4 + $1.count }
            + proofs.storage.reduce(0) { sum, nodes in nodes.reduce(sum + 4) { $0 + 4 + $1.count } }
    }

    /// The answer: the container's bytes after a status byte of 0, as `RangeValue.schema` says.
    fileprivate func encoded(_ proofs: RangeProofs) -> [UInt8] {
        let accountProof = ColumnWriter.items(proofs.accounts)
        let storageProofs = ColumnWriter.items(proofs.storage.map { ColumnWriter.items($0) })
        return [UInt8](unsafeUninitializedCapacity: encodedCount(proofs)) { buffer, count in
            var writer = ContainerWriter(UnsafeMutableRawBufferPointer(buffer), columns: RangeValue.columnCount)
            writer.begin(status: 0, fixed: end.bytes)
            writer.column(accountKeys.bytes)
            writer.column(kinds.bytes)
            writer.column(bodies.bytes)
            writer.column(slotCounts.bytes)
            writer.column(slotKeys.bytes)
            writer.column(slotValues.bytes)
            accountProof.withUnsafeBytes { writer.column($0) }
            storageProofs.withUnsafeBytes { writer.column($0) }
            count = writer.count
        }
    }
}

/// Writes a container of some bytes in place and then columns, behind a status byte, into room that is known to
/// suffice.
private struct ContainerWriter {
    private let room: UnsafeMutableRawBufferPointer
    private var nextOffset = 0
    private(set) var count = 0
    private let columns: Int

    init(_ room: UnsafeMutableRawBufferPointer, columns: Int) {
        self.room = room
        self.columns = columns
    }

    mutating func begin(status: UInt8, fixed: [UInt8]) {
        room[0] = status
        UnsafeMutableRawBufferPointer(rebasing: room[1..<(1 + fixed.count)]).copyBytes(from: fixed)
        nextOffset = 1 + fixed.count
        count = nextOffset + 4 * columns
    }

    mutating func column(_ bytes: UnsafeRawBufferPointer) {
        // Offsets count from the container's first byte, which is the one after the status.
        let offset = UInt32(truncatingIfNeeded: count - 1).littleEndian
        room.storeBytes(of: offset, toByteOffset: nextOffset, as: UInt32.self)
        nextOffset += 4
        UnsafeMutableRawBufferPointer(rebasing: room[count..<(count + bytes.count)]).copyMemory(from: bytes)
        count += bytes.count
    }
}
