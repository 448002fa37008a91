import Primitives

/// The lookups under way, and those that wait for one of them to end.
struct Lookups: Sendable {
    /// Lookups waiting.
    private static let queueLimit = 256

    private let limit: Int
    var running: [LookupID: NodeLookup] = [:]
    private var waiting: [(id: LookupID, target: Bytes32, isPublic: Bool)] = []
    private var lastID: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    /// What becomes of a new lookup.
    enum Beginning {
        case begins
        case waits
        /// Too many wait already.
        case refused
    }

    mutating func add(_ target: Bytes32, isPublic: Bool) -> (id: LookupID, Beginning) {
        lastID += 1
        let id = LookupID(value: lastID)
        if running.count < limit { return (id, .begins) }
        guard waiting.count < Lookups.queueLimit else { return (id, .refused) }
        waiting.append((id, target, isPublic))
        return (id, .waits)
    }

    /// The one that waits longest and may begin now.
    mutating func next() -> (id: LookupID, target: Bytes32, isPublic: Bool)? {
        waiting.isEmpty ? nil : waiting.removeFirst()
    }
}
