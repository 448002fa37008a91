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

    /// The one of two addresses to try: the first that is not known to be silent, else the one that has been so for
    /// longer.
    func better(_ first: Endpoint, _ second: Endpoint) -> Endpoint {
        guard let firstFailed = silent.peek(first) else { return first }
        guard let secondFailed = silent.peek(second) else { return second }
        return secondFailed < firstFailed ? second : first
    }

    /// Counts for the family of an address.
    mutating func count(_ figure: WritableKeyPath<FamilyTally, Int>, _ endpoint: Endpoint) {
        if endpoint.isIPv4 { ipv4[keyPath: figure] += 1 } else { ipv6[keyPath: figure] += 1 }
    }
}
