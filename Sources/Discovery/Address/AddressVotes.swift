import Primitives

/// How many see us at an address.
public struct AddressTally: Hashable, Sendable {
    /// The address that PONGs named.
    public let endpoint: Endpoint
    /// Voters, each prefix (/24 of IPv4, /48 of IPv6) counted once.
    public let prefixes: Int

    /// So many voters for an address.
    public init(endpoint: Endpoint, prefixes: Int) {
        self.endpoint = endpoint
        self.prefixes = prefixes
    }
}

/// Counts what PONGs say our address is.
///
/// A prefix has one vote, its newest, so that one operator cannot outvote the rest however many ids it makes up. Only a
/// voter of the same scope counts: what a host in our own house sees is not what the world sees, and no stranger can
/// know an address inside. IPv4 and IPv6 are two elections.
struct AddressVotes: Sendable {
    /// Who has one vote: a prefix; of voters on this machine, which share one, each endpoint.
    private enum Voter: Hashable, Sendable {
        case subnet(Subnet)
        case loopback(Endpoint)

        init(_ endpoint: Endpoint) {
            self = endpoint.isLoopback ? .loopback(endpoint) : .subnet(Subnet(endpoint))
        }
    }

    private struct Vote: Sendable {
        let voter: Voter
        let endpoint: Endpoint
        let at: Instant
    }

    private let configuration: Discovery.Configuration
    /// Oldest first.
    private var votes: [Vote] = []

    init(_ configuration: Discovery.Configuration) { self.configuration = configuration }

    /// Votes that are remembered.
    var count: Int { votes.count }

    /// Counts a vote. Gives the address if it now has enough voters, and by the margin more than any other.
    mutating func cast(_ endpoint: Endpoint, by address: NodeAddress, at now: Instant) -> Endpoint? {
        guard AddressScope(endpoint) != .none, AddressScope(endpoint) == AddressScope(address.endpoint),
            endpoint.isIPv4 == address.endpoint.isIPv4
        else { return nil }
        let voter = Voter(address.endpoint)
        forget(before: now)
        votes.removeAll { $0.voter == voter && $0.endpoint.isIPv4 == endpoint.isIPv4 }
        if votes.count >= DiscoveryLimits.addressVotesKept { votes.removeFirst() }
        votes.append(Vote(voter: voter, endpoint: endpoint, at: now))
        let ranking = tallies.filter { $0.endpoint.isIPv4 == endpoint.isIPv4 }
        guard let first = ranking.first, first.endpoint == endpoint, first.prefixes >= configuration.addressVotes else {
            return nil
        }
        let second = ranking.dropFirst().first?.prefixes ?? 0
        let margin = 100 + configuration.addressVoteMarginPercent
        return first.prefixes * 100 >= second * margin ? endpoint : nil
    }

    /// Forgets votes that are too old to count.
    mutating func forget(before now: Instant) {
        votes.removeAll { $0.at + configuration.addressVoteLifetime < now }
    }

    /// The addresses voted for, most votes first; of equal ones the one voted for last.
    var tallies: [AddressTally] {
        var counts: [Endpoint: (prefixes: Int, last: Int)] = [:]
        for (index, vote) in votes.enumerated() {
            counts[vote.endpoint] = (counts[vote.endpoint, default: (0, 0)].prefixes + 1, index)
        }
        return counts.sorted { ($0.value.prefixes, $0.value.last) > ($1.value.prefixes, $1.value.last) }
            .map { AddressTally(endpoint: $0.key, prefixes: $0.value.prefixes) }
    }
}
