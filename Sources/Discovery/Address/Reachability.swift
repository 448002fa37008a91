import Primitives

/// Whether strangers reach us at the address in our record.
///
/// An address that others see us at need not be one where others find us: behind most routers only those get through
/// whom we wrote to first. So an address taken from votes is on probation: within its time enough hosts must make
/// contact to whom we had sent nothing. If they do not, it leaves the record, and for long is not taken again.
struct Reachability: Sendable {
    private struct Probation: Sendable {
        let endpoint: Endpoint
        let until: Instant
        var contacts: Set<Subnet> = []
        /// On loopback every endpoint is a host of its own.
        var localContacts: Set<Endpoint> = []

        var count: Int { contacts.count + localContacts.count }
    }

    /// What has become of a probation.
    enum Verdict: Equatable, Sendable {
        case proven(Endpoint)
        case unreachable(Endpoint)
    }

    private let configuration: Discovery.Configuration
    /// At most one of each family.
    private var probations: [Probation] = []
    private(set) var proven: [Endpoint] = []
    private var withdrawn: LRU<Endpoint, Instant>
    /// Hosts that we wrote to: what comes from them proves nothing.
    private var contacted: LRU<Endpoint, Instant>

    init(_ configuration: Discovery.Configuration) {
        self.configuration = configuration
        withdrawn = LRU(limit: DiscoveryLimits.withdrawnAddresses)
        contacted = LRU(limit: DiscoveryLimits.contactedHosts)
    }

    /// When the first probation ends.
    var deadline: Instant? { probations.lazy.map(\.until).min() }

    /// Addresses on probation.
    var testing: [Endpoint] { probations.map(\.endpoint) }

    /// Whether an address may go into the record: not one that has just failed.
    func mayAdopt(_ endpoint: Endpoint, at now: Instant) -> Bool { withdrawn.peek(endpoint).map { $0 <= now } ?? true }

    /// Begins the probation of an address that has gone into the record.
    mutating func begin(_ endpoint: Endpoint, at now: Instant) {
        forget(endpoint.isIPv4)
        probations.append(Probation(endpoint: endpoint, until: now + configuration.inboundProofTime))
    }

    /// The record's address of this family has changed.
    private mutating func forget(_ isIPv4: Bool) {
        probations.removeAll { $0.endpoint.isIPv4 == isIPv4 }
        proven.removeAll { $0.isIPv4 == isIPv4 }
    }

    /// The host, whatever its port: the address with port 0.
    private static func host(_ endpoint: Endpoint) -> Endpoint {
        endpoint.isLoopback ? endpoint : Endpoint(address: endpoint.address, port: 0) ?? endpoint
    }

    /// We send something to a host of our own accord.
    mutating func noteSent(to endpoint: Endpoint, at now: Instant) {
        contacted.insert(Reachability.host(endpoint), now)
    }

    /// A node at `endpoint` has begun a handshake and proven its address. Gives the verdict if that decides it.
    mutating func noteInbound(from endpoint: Endpoint, at now: Instant) -> Verdict? {
        guard let index = probations.firstIndex(where: { $0.endpoint.isIPv4 == endpoint.isIPv4 }) else { return nil }
        // A router forgets that we wrote to a host; we forget it later.
        if let at = contacted.peek(Reachability.host(endpoint)), now < at + configuration.contactMemory { return nil }
        if endpoint.isLoopback {
            probations[index].localContacts.insert(endpoint)
        } else {
            probations[index].contacts.insert(Subnet(endpoint))
        }
        guard probations[index].count >= configuration.inboundProofs else { return nil }
        let address = probations.remove(at: index).endpoint
        proven.append(address)
        return .proven(address)
    }

    /// The first probation whose time is over.
    mutating func expire(at now: Instant) -> Verdict? {
        guard let index = probations.firstIndex(where: { $0.until <= now }) else { return nil }
        let address = probations.remove(at: index).endpoint
        withdrawn.insert(address, now + configuration.withdrawalTime)
        return .unreachable(address)
    }
}
