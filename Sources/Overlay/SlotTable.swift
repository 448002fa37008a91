import Primitives

/// A bounded set of exchanges, each of which holds one slot of the whole and one of its peer's share. A slot is held
/// exactly as long as the entry is in the table, so that no path can forget to give it back.
struct SlotTable<Value: Sendable>: Sendable {
    private var entries: [UInt64: (peer: Bytes32, value: Value)] = [:]
    private var used: [Bytes32: Int] = [:]
    private let limit: Int
    private let limitPerPeer: Int

    init(limit: Int, perPeer: Int) {
        self.limit = limit
        limitPerPeer = perPeer
    }

    var count: Int { entries.count }

    /// Slots that `peer` holds.
    func count(of peer: Bytes32) -> Int { used[peer] ?? 0 }

    func hasRoom(for peer: Bytes32) -> Bool { entries.count < limit && count(of: peer) < limitPerPeer }

    /// False where there is no room, or where `id` is taken.
    mutating func insert(_ value: Value, id: UInt64, peer: Bytes32) -> Bool {
        guard hasRoom(for: peer), entries[id] == nil else { return false }
        entries[id] = (peer, value)
        used[peer, default: 0] += 1
        return true
    }

    @discardableResult
    mutating func remove(_ id: UInt64) -> Value? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        let left = count(of: entry.peer) - 1
        used[entry.peer] = left > 0 ? left : nil
        return entry.value
    }

    /// Reading gives nil for an unknown id; writing changes an entry that exists and nothing else.
    subscript(id: UInt64) -> Value? {
        get { entries[id]?.value }
        set {
            guard let newValue, let entry = entries[id] else { return }
            entries[id] = (entry.peer, newValue)
        }
    }

    /// The ids of a peer's entries, oldest first.
    func ids(of peer: Bytes32) -> [UInt64] {
        guard used[peer] != nil else { return [] }
        return entries.filter { $0.value.peer == peer }.keys.sorted()
    }
}
