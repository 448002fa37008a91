import Primitives

/// A bounded set of exchanges, each of which holds one slot of the whole and one of its peer's share, and of the bytes
/// promised to all and to its peer as many as it takes. Slot and bytes are held exactly as long as the entry is in the
/// table, so that no path can forget to give them back.
struct SlotTable<Value: Sendable>: Sendable {
    private struct Entry {
        let peer: Bytes32
        var value: Value
        var bytes = 0
    }

    /// What one peer holds.
    private struct Share {
        /// Ascending.
        var ids: [UInt64] = []
        var bytes = 0
    }

    private var entries: [UInt64: Entry] = [:]
    private var shares: [Bytes32: Share] = [:]
    private let limit: Int
    private let limitPerPeer: Int
    private let byteLimit: Int
    private let byteLimitPerPeer: Int
    /// Promised to all.
    private(set) var bytes = 0

    init(limit: Int, perPeer: Int, bytes: Int = .max, bytesPerPeer: Int = .max) {
        self.limit = limit
        limitPerPeer = perPeer
        byteLimit = bytes
        byteLimitPerPeer = bytesPerPeer
    }

    var count: Int { entries.count }

    /// Slots that `peer` holds.
    func count(of peer: Bytes32) -> Int { shares[peer]?.ids.count ?? 0 }

    /// Bytes promised to `peer`.
    func bytes(of peer: Bytes32) -> Int { shares[peer]?.bytes ?? 0 }

    var isFull: Bool { entries.count >= limit }

    func hasRoom(for peer: Bytes32) -> Bool { entries.count < limit && count(of: peer) < limitPerPeer }

    /// False where there is no room, or where `id` is taken.
    mutating func insert(_ value: Value, id: UInt64, peer: Bytes32) -> Bool {
        guard hasRoom(for: peer), entries[id] == nil else { return false }
        entries[id] = Entry(peer: peer, value: value)
        // Numbers of new exchanges ascend; only one that rested comes back with an older one.
        let place = shares[peer]?.ids.lastIndex { $0 < id }.map { $0 + 1 } ?? 0
        shares[peer, default: Share()].ids.insert(id, at: place)
        return true
    }

    /// Promises `count` bytes to the entry; false where the whole or its peer's share has not as many left, or where
    /// there is no such entry.
    mutating func promise(_ count: Int, to id: UInt64) -> Bool {
        guard count >= 0, let peer = entries[id]?.peer, count <= byteLimit - bytes,
            count <= byteLimitPerPeer - bytes(of: peer)
        else { return false }
        entries[id]?.bytes += count
        shares[peer]?.bytes += count
        bytes += count
        return true
    }

    /// Takes back what was promised to an entry, as far as it was.
    mutating func giveBack(_ count: Int, of id: UInt64) {
        guard let entry = entries[id] else { return }
        let less = min(max(count, 0), entry.bytes)
        entries[id]?.bytes -= less
        shares[entry.peer]?.bytes -= less
        bytes -= less
    }

    /// Whether so many bytes more are too much for all, whoever they are for.
    func isTooMuch(_ count: Int) -> Bool { count > byteLimit - bytes }

    @discardableResult
    mutating func remove(_ id: UInt64) -> Value? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        bytes -= entry.bytes
        shares[entry.peer]?.bytes -= entry.bytes
        shares[entry.peer]?.ids.removeAll { $0 == id }
        if shares[entry.peer]?.ids.isEmpty == true { shares[entry.peer] = nil }
        return entry.value
    }

    /// nil for an unknown id.
    subscript(id: UInt64) -> Value? { entries[id]?.value }

    /// Changes an entry in place, if there is one.
    mutating func update(_ id: UInt64, _ change: (inout Value) -> Void) {
        if let place = entries.index(forKey: id) { change(&entries.values[place].value) }
    }

    /// All ids with their values, in no order.
    var all: some Sequence<(UInt64, Value)> { entries.lazy.map { ($0.key, $0.value.value) } }

    /// Who holds most slots, and how many; nil where nobody holds any.
    var mostSlots: (peer: Bytes32, slots: Int)? {
        shares.max { ($0.value.ids.count, $0.key) < ($1.value.ids.count, $1.key) }.map { ($0.key, $0.value.ids.count) }
    }

    /// The ids of a peer's entries, oldest first.
    func ids(of peer: Bytes32) -> [UInt64] { shares[peer]?.ids ?? [] }
}
