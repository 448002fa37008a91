/// The tables of the store. Keys within a table are ordered as their bytes (a prefix before what it begins).
public enum Table: UInt8, CaseIterable, Sendable {
    /// Format version and network: see `StoreMeta`.
    case meta = 0
    /// account(32) → slim body; account(32) ‖ slot(64) → value. One walk gives the flat order.
    case leaves = 1
    /// One byte a nibble of the branch's path → RLP of the branch.
    case accountBranches = 2
    /// account(32) ‖ one byte a nibble of the path → RLP of the branch.
    case storageBranches = 3
    /// Keys as `leaves`: what differs at the anchor before the working one. 0 = not there, 1 ‖ value.
    case undoLeaves = 4
    case undoAccountBranches = 5
    case undoStorageBranches = 6
    /// `Section.storeKey` → `SectionRecord`.
    case sections = 7
    /// `Section.storeKey` ‖ number(8) ‖ hash(32) of the point reached → `HistoryFold`.
    case history = 8
    /// `Section.storeKey` ‖ number(8) ‖ hash(32) → `BlockLayer`.
    case layers = 9
    /// code hash(32) → code.
    case codes = 10
    /// code hash(32) ‖ section(4) → nothing: code that leaves of the section name and that is not here yet.
    case wantedCodes = 11
    /// epoch(8) ‖ hash(32) → encoded crown.
    case crowns = 12
    /// number(8) ‖ hash(32) → header RLP.
    case headers = 13
    /// hash(32) → number(8).
    case headerNumbers = 14
    /// hash(32) → encoded certificate.
    case certificates = 15
    /// Name → value: small things of this node alone (radius, peers of the last run).
    case local = 16
    /// Storage that is spread round the ring. account(32) ‖ slot(64 in all) → value. Apart from `leaves`, where the
    /// slots of an account stand with it: a part may be held without its account, and lies elsewhere on the ring.
    case partLeaves = 17
    /// account(32) ‖ one byte a nibble of the path → RLP of the branch.
    case partBranches = 18
    /// Keys as in the two above; values as in the other undo tables.
    case undoPartLeaves = 19
    case undoPartBranches = 20
    /// account(32) → depth(1): accounts of held sections whose storage is spread, and how far.
    case spreadAccounts = 21
    /// epoch(8) ‖ hash(32) ‖ account(32) ‖ depth(1) ‖ first part(4) → encoded storage crown.
    case storageCrowns = 22
    /// keccak256(32) → the address or slot that it is the hash of.
    case preimages = 23
    /// number(8) ‖ hash(32) → length of the body(4) ‖ body RLP ‖ access list RLP: blocks kept for those who go block by
    /// block; their headers stand in `headers`.
    case blocks = 24
}

/// An entry of a snapshot in place: the bytes stay where they are, unchanged, as long as the snapshot lives, which
/// every cursor on it keeps alive.
public struct StoredEntry {
    /// The bytes it is found by.
    public let key: UnsafeRawBufferPointer
    /// What stands there.
    public let value: UnsafeRawBufferPointer

    /// An entry of these bytes.
    @inlinable
    public init(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        self.key = key
        self.value = value
    }
}

/// A place in one table of a snapshot. Not to be used by two threads at once.
public protocol StoreCursor {
    /// Goes to the first entry at or after `key` (an empty key: the first of all); false where there is none.
    mutating func seek(_ key: [UInt8]) throws(StoreError) -> Bool
    /// Goes to the next entry; false after the last. Only after a move that gave true.
    mutating func next() throws(StoreError) -> Bool
    /// Goes to the entry before; false before the first. Only after a move that gave true.
    mutating func previous() throws(StoreError) -> Bool
    /// Goes to the last entry of the table; false where it is empty.
    mutating func last() throws(StoreError) -> Bool
    /// Reads the entry without copying it; the buffers are valid inside `body` only, which never runs where the last
    /// move gave false: then the result is nil.
    func withEntry<R, E: Error>(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R?
    /// Writes the entry it is at and those after it to the places of `run`, as many as there are, and goes to the last
    /// of them. Stops behind the first whose key is above `bound` (none: no bound). Returns how many; only after a move
    /// that gave true, else none.
    mutating func read(
        into run: UnsafeMutableBufferPointer<StoredEntry>, upTo bound: UnsafeRawBufferPointer?
    ) throws(StoreError) -> Int
}

extension StoreCursor {
    /// The entry's key, copied; nil where the last move gave false.
    public var key: [UInt8]? { withEntry { key, _ in Array(key) } }
    /// The entry's value, copied; nil where the last move gave false.
    public var value: [UInt8]? { withEntry { _, value in Array(value) } }
}

/// The store as it stood after some commit; later commits do not change it. Any thread may use it.
public protocol StoreSnapshot: Sendable {
    associatedtype Cursor: StoreCursor
    /// The value under `key`; nil where there is none.
    func get(_ table: Table, _ key: [UInt8]) throws(StoreError) -> [UInt8]?
    /// A cursor, not placed yet.
    func cursor(_ table: Table) throws(StoreError) -> Cursor
    /// Entries in the table, without counting them one by one.
    func count(_ table: Table) throws(StoreError) -> Int
    /// Bytes that these tables take up, without reading them: of whole pages in a store that has pages.
    func liveBytes(of tables: [Table]) throws(StoreError) -> Int
}

extension StoreSnapshot {
    /// Calls `body` for every entry in [from, upTo) (nil: to the end of the table) in order until it gives false.
    public func forEach(
        _ table: Table, from: [UInt8], upTo: [UInt8]?,
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(StoreError) -> Bool
    ) throws(StoreError) {
        var cursor = try cursor(table)
        var found = try cursor.seek(from)
        while found {
            let goesOn = try cursor.withEntry { (key, value) throws(StoreError) -> Bool in
                if let upTo, !ByteOrder.isLess(key, upTo) { return false }
                return try body(key, value)
            }
            guard goesOn == true else { return }
            found = try cursor.next()
        }
    }
}

/// An ordered map of tables with atomic, durable commits: LMDB in the world, a map with faults in the simulation.
/// Reads run beside a commit and never see part of one.
public protocol OrderedStore: Sendable {
    associatedtype Snapshot: StoreSnapshot
    func snapshot() throws(StoreError) -> Snapshot
    /// All of the batch, in its order, or (on an error) nothing of it. Durable when it returns. One at a time.
    func commit(_ batch: WriteBatch) throws(StoreError)
}
