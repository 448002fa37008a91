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

    private var entries: [UInt64: Entry] = [:]
    private var used: [Bytes32: (slots: Int, bytes: Int)] = [:]
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
    func count(of peer: Bytes32) -> Int { used[peer]?.slots ?? 0 }

    /// Bytes promised to `peer`.
    func bytes(of peer: Bytes32) -> Int { used[peer]?.bytes ?? 0 }

    var isFull: Bool { entries.count >= limit }

    func hasRoom(for peer: Bytes32) -> Bool { entries.count < limit && count(of: peer) < limitPerPeer }

    /// False where there is no room, or where `id` is taken.
    mutating func insert(_ value: Value, id: UInt64, peer: Bytes32) -> Bool {
        guard hasRoom(for: peer), entries[id] == nil else { return false }
        entries[id] = Entry(peer: peer, value: value)
        used[peer, default: (0, 0)].slots += 1
        return true
    }

    /// Promises `count` bytes to the entry; false where the whole or its peer's share has not as many left, or where
    /// there is no such entry.
    mutating func promise(_ count: Int, to id: UInt64) -> Bool {
        guard count >= 0, let peer = entries[id]?.peer, count <= byteLimit - bytes,
            count <= byteLimitPerPeer - bytes(of: peer)
        else { return false }
        entries[id]?.bytes += count
        used[peer]?.bytes += count
        bytes += count
        return true
    }

    /// Takes back what was promised to an entry, as far as it was.
    mutating func giveBack(_ count: Int, of id: UInt64) {
        guard let entry = entries[id] else { return }
        let less = min(max(count, 0), entry.bytes)
        entries[id]?.bytes -= less
        used[entry.peer]?.bytes -= less
        bytes -= less
    }

    /// Whether so many bytes more are too much for all, whoever they are for.
    func isTooMuch(_ count: Int) -> Bool { count > byteLimit - bytes }

    @discardableResult
    mutating func remove(_ id: UInt64) -> Value? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        bytes -= entry.bytes
        let left = used[entry.peer].map { (slots: $0.slots - 1, bytes: $0.bytes - entry.bytes) }
        used[entry.peer] = left.flatMap { $0.slots > 0 ? $0 : nil }
        return entry.value
    }

    /// Reading gives nil for an unknown id; writing changes an entry that exists and nothing else.
    subscript(id: UInt64) -> Value? {
        get { entries[id]?.value }
        set {
            guard let newValue else { return }
            entries[id]?.value = newValue
        }
    }

    /// All ids with their values, in no order.
    var all: some Sequence<(UInt64, Value)> { entries.lazy.map { ($0.key, $0.value.value) } }

    /// Who holds most slots, and how many; nil where nobody holds any.
    var mostSlots: (peer: Bytes32, slots: Int)? {
        used.max { ($0.value.slots, $0.key) < ($1.value.slots, $1.key) }.map { ($0.key, $0.value.slots) }
    }

    /// The ids of a peer's entries, oldest first.
    func ids(of peer: Bytes32) -> [UInt64] {
        guard used[peer] != nil else { return [] }
        return entries.filter { $0.value.peer == peer }.keys.sorted()
    }
}
