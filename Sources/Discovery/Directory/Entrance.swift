import Primitives

/// Nodes on their way into the table: those that are being pinged, and those that wait for it.
struct Entrance: Sendable {
    /// PINGs under way at once to nodes that would enter the table.
    private static let limit = 16
    /// Nodes waiting for theirs. Those beyond are met again if they matter.
    private static let queueLimit = 128

    private(set) var pinged: Set<Bytes32> = []
    private var waiting: [(record: NodeRecord, address: NodeAddress)] = []

    /// Whether the node is being pinged.
    func isPinged(_ id: Bytes32) -> Bool { pinged.contains(id) }

    /// Whether one more may be pinged now.
    var hasRoom: Bool { pinged.count < Entrance.limit }

    /// Nobody is being pinged, and nobody waits.
    var isEmpty: Bool { pinged.isEmpty && waiting.isEmpty }

    /// A PING to the node has left.
    mutating func began(_ id: Bytes32) { pinged.insert(id) }

    /// The PING was answered, or failed.
    mutating func ended(_ id: Bytes32) { pinged.remove(id) }

    /// Keeps a node for later, if it does not wait already and there is room.
    mutating func wait(_ record: NodeRecord, at address: NodeAddress) {
        guard waiting.count < Entrance.queueLimit, !waiting.contains(where: { $0.address.id == address.id }) else {
            return
        }
        waiting.append((record, address))
    }

    /// The one that waits longest, if it may be pinged now.
    mutating func next() -> (record: NodeRecord, address: NodeAddress)? {
        hasRoom && !waiting.isEmpty ? waiting.removeFirst() : nil
    }
}
