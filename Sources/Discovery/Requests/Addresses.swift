import Primitives

/// Addresses of nodes: which of those that a record names leads there, and what may be sent to one that nobody has
/// answered from.
struct Addresses: Sendable {
    private let families: AddressFamilies
    private(set) var named: NamedAddresses
    private(set) var ways = WaysToNodes()

    init(_ configuration: Discovery.Configuration) {
        families = configuration.families
        named = NamedAddresses(configuration)
    }

    /// How each family of addresses fared that the socket speaks.
    var report: [(family: AddressFamilies, tally: FamilyTally)] {
        [(.ipv4, ways.ipv4), (.ipv6, ways.ipv6)].filter { families.contains($0.0) }
    }

    /// The two addresses in a record to which we have a way.
    private func reachable(of record: NodeRecord) -> (ipv4: Endpoint?, ipv6: Endpoint?) {
        (
            families.contains(.ipv4) ? record.endpointIPv4 : nil,
            families.contains(.ipv6) ? record.endpointIPv6 : nil
        )
    }

    /// Where a node is reached: where it has `answered`, if it still says so and has not failed since; else at its IPv4
    /// address if we speak that and it has one, else at the other, and at whichever has not failed; nil where we speak
    /// neither.
    func best(of record: NodeRecord, answered: Endpoint?) -> Endpoint? {
        if let answered, !ways.isSilent(answered),
            answered == record.endpointIPv4 || answered == record.endpointIPv6
        {
            return answered
        }
        let (ipv4, ipv6) = reachable(of: record)
        guard let ipv4, let ipv6 else { return ipv4 ?? ipv6 }
        return ways.better(ipv4, ipv6)
    }

    /// The other address of the node than this one, which failed; nil where there is none.
    func other(than endpoint: Endpoint, of record: NodeRecord) -> Endpoint? {
        let (ipv4, ipv6) = reachable(of: record)
        return ipv4 != endpoint ? ipv4 ?? (ipv6 != endpoint ? ipv6 : nil) : ipv6
    }

    /// Whoever gave the record vouches for every address in it.
    mutating func open(_ record: NodeRecord) {
        let (ipv4, ipv6) = reachable(of: record)
        if let ipv4 { named.open(ipv4) }
        if let ipv6 { named.open(ipv6) }
    }

    /// A record of `size` bytes has come over the wire and names `endpoint`: as much may be sent there.
    mutating func name(_ endpoint: Endpoint, size: Int) { named.name(endpoint, size: size) }

    /// Whether one more packet of `size` bytes may go there that nobody has asked for; it then counts as sent.
    mutating func admits(_ size: Int, to endpoint: Endpoint, at now: Instant) -> Bool {
        named.admits(size, to: endpoint, at: now)
    }

    /// Something came from there that only an owner of the address can send.
    mutating func proved(_ endpoint: Endpoint) {
        named.open(endpoint)
        ways.heard(endpoint)
    }

    /// Nothing came back from there, or nothing could be sent.
    mutating func failed(_ endpoint: Endpoint, at now: Instant) { ways.failed(endpoint, at: now) }

    /// Counts for the family of an address.
    mutating func count(_ figure: WritableKeyPath<FamilyTally, Int>, _ endpoint: Endpoint) {
        ways.count(figure, endpoint)
    }
}
