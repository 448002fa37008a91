import Primitives

// What is known of nodes, of our own address, and of records.
extension Discovery {
    /// The newest record known of a node.
    public func record(of id: Bytes32) -> NodeRecord? {
        id == directory.table.localID ? localRecord : directory.record(of: id)
    }

    /// Where a node is reached by us: where it has answered, if it still says so and has not failed since; else at its
    /// IPv4 address if we speak that and it has one, else at the other, and at whichever has not failed; nil where we
    /// speak neither.
    public func endpoint(of record: NodeRecord) -> Endpoint? { directory.endpoint(of: record, requests.addresses) }

    /// Up to `limit` nodes of the table, nearest to `target` first.
    public func closest(to target: Bytes32, limit: Int) -> [NodeRecord] {
        directory.table.closest(to: target, limit: limit)
    }

    /// Up to `limit` nodes of the table with the time of their last answer, the newest first: what is worth keeping for
    /// the next start.
    public func knownNodes(limit: Int) -> [(record: NodeRecord, lastAnswer: Instant)] {
        directory.table.entries.prefix(max(0, limit)).map { ($0.record, $0.lastAnswer) }
    }

    /// Nodes in the table.
    public var tableCount: Int { directory.table.count }

    /// Sessions held.
    public var sessionCount: Int { requests.sessions.held.count }

    /// Whether a session with `address` is held.
    public func hasSession(with address: NodeAddress) -> Bool { requests.sessions.has(address) }

    /// Where others see us, and what has come of it.
    public var addressReport: AddressReport { ownAddress.report }

    /// How each family of addresses fared that the socket speaks.
    public var familyReport: [(family: AddressFamilies, tally: FamilyTally)] { requests.addresses.report }

    /// Reads and verifies a record that a peer at `teller` sent, of itself or in a message of a protocol above. What
    /// may be sent to the address in it before anybody answers from there is measured by what names it, and is nothing
    /// where the teller cannot know the address (`mayName`).
    public mutating func heard(_ bytes: [UInt8], from teller: Endpoint) throws(NodeRecordError) -> NodeRecord {
        try directory.heard(bytes, from: teller, &requests.addresses)
    }

    /// Whether a record may be named by or to a node at `endpoint`: it names an address, and none that only those
    /// further inside than `endpoint` (on this machine, in this network) can know and reach.
    public static func mayName(_ record: NodeRecord, with endpoint: Endpoint) -> Bool {
        AddressScope.mayRelay(record, with: endpoint)
    }

    /// Nodes to begin from; they are pinged at once, and again while the table is empty.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) { handle(.bootNodes(records), at: now) }

    /// Nodes of an earlier run; each is pinged once.
    public mutating func addKnownNodes(_ records: [NodeRecord], at now: Instant) {
        handle(.knownNodes(records), at: now)
    }

    /// The system would not send a datagram there.
    public mutating func unsent(to endpoint: Endpoint, at now: Instant) { handle(.unsent(to: endpoint), at: now) }
}
