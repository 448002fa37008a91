import Primitives

/// How one family of addresses fared, since the start.
public struct FamilyTally: Hashable, Sendable {
    /// Handshakes begun at its addresses.
    public internal(set) var tried = 0
    /// Handshakes that were answered from there.
    public internal(set) var answered = 0
    /// Datagrams that the system would not send: it has no route there, or may not.
    public internal(set) var unsent = 0
}

extension AddressFamilies: CustomStringConvertible {
    /// "IPv4", "IPv6", or both.
    public var description: String {
        [contains(.ipv4) ? "IPv4" : nil, contains(.ipv6) ? "IPv6" : nil].compactMap { $0 }.joined(separator: " and ")
    }
}

extension FamilyTally: CustomStringConvertible {
    /// "3 tried, 1 answered", and what the system refused.
    public var description: String {
        "\(tried) tried, \(answered) answered" + (unsent > 0 ? ", \(unsent) not sent: no route from here" : "")
    }
}

/// Which of a node's addresses leads to it. A record may name one of IPv4 and one of IPv6, and either may be dead, or
/// of a family that does not lead out of this machine: then the other is taken until that fails too.
struct WaysToNodes: Sendable {
    /// Addresses that nothing came back from; when that was found.
    private var silent: LRU<Endpoint, Instant>
    private(set) var ipv4 = FamilyTally()
    private(set) var ipv6 = FamilyTally()

    init() { silent = LRU(limit: DiscoveryLimits.silentAddresses) }

    /// Something came from there.
    mutating func heard(_ endpoint: Endpoint) { silent.remove(endpoint) }

    /// Nothing came back from there, or nothing could be sent.
    mutating func failed(_ endpoint: Endpoint, at now: Instant) { silent.insert(endpoint, now) }

    /// Whether the last try there failed.
    func isSilent(_ endpoint: Endpoint) -> Bool { silent.peek(endpoint) != nil }

    /// The address to try: the first that is not known to be silent, else the one that has been so for longest.
    func best(of endpoints: [Endpoint]) -> Endpoint? {
        if let open = endpoints.first(where: { !isSilent($0) }) { return open }
        return endpoints.min { (silent.peek($0) ?? .zero) < (silent.peek($1) ?? .zero) }
    }

    /// Counts for the family of an address.
    mutating func count(_ figure: WritableKeyPath<FamilyTally, Int>, _ endpoint: Endpoint) {
        if endpoint.isIPv4 { ipv4[keyPath: figure] += 1 } else { ipv6[keyPath: figure] += 1 }
    }
}

extension Discovery {
    /// How each family of addresses fared that the socket speaks.
    public var familyReport: [(family: AddressFamilies, tally: FamilyTally)] {
        [(.ipv4, ways.ipv4), (.ipv6, ways.ipv6)].filter { configuration.families.contains($0.0) }
    }

    /// The addresses in a record to which we have a way, IPv4 first.
    func endpoints(of record: NodeRecord) -> [Endpoint] {
        record.endpoints.filter { configuration.families.contains($0.isIPv4 ? .ipv4 : .ipv6) }
    }

    /// The system would not send a datagram there: it has no route, say. What waits for an answer from there need not
    /// wait any longer.
    public mutating func unsent(to endpoint: Endpoint, at now: Instant) {
        ways.count(\.unsent, endpoint)
        ways.failed(endpoint, at: now)
        let waiting = peers.filter { $0.key.endpoint == endpoint && $0.value.attempt?.phase == .awaitingChallenge }
        for address in waiting.keys.sorted(by: { $0.id < $1.id }) { abandonAttempt(address, at: now) }
    }

    /// Another address of the node than this one, which failed; nil where there is none.
    func otherWay(to record: NodeRecord, than endpoint: Endpoint) -> Endpoint? {
        endpoints(of: record).first { $0 != endpoint }
    }

    /// Sends a request that waits behind a failed handshake to the node's other address, once. False where that cannot
    /// be, or was done. A check asks whether a node of the table is still where the table has it, so it goes nowhere
    /// else.
    mutating func move(_ id: UInt32, to endpoint: Endpoint, of record: NodeRecord, at now: Instant) -> Bool {
        guard var request = pending[id], request.address.id == record.id, !request.hasMoved else { return false }
        if case .check = request.purpose { return false }
        request.hasMoved = true
        let address = NodeAddress(id: record.id, endpoint: endpoint)
        guard peers[address]?.queue.count ?? 0 < configuration.queueLimit else { return false }
        if peers[address]?.attempt == nil, !hasSession(with: address) {
            guard beginAttempt(address, record, at: now) else { return false }
        }
        request.address = address
        pending[id] = request
        if peers[address]?.attempt == nil { return sendInSession(id, at: now) }
        peers[address, default: Peer()].queue.append(.request(id))
        return true
    }
}
