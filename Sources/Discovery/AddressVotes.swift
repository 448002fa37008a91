import Primitives

/// Counts what PONGs say our address is. Voters of one subnet count once, so that one operator cannot outvote the rest.
struct AddressVotes: Sendable {
    private struct Vote: Sendable {
        let voter: Bytes32
        let subnet: Subnet
        let endpoint: Endpoint
        let at: Instant
    }

    /// Votes kept; the oldest goes first.
    private static let limit = 64
    /// A vote counts this long.
    private static let lifetime = Interval.seconds(300)

    private let threshold: Int
    private var votes: [Vote] = []

    init(threshold: Int) { self.threshold = max(1, threshold) }

    /// Counts a vote. Gives the address if it now has enough voters, and a third more than any other.
    mutating func cast(_ endpoint: Endpoint, by voter: NodeAddress, at now: Instant) -> Endpoint? {
        votes.removeAll { $0.voter == voter.id || $0.at + AddressVotes.lifetime < now }
        if votes.count >= AddressVotes.limit { votes.removeFirst() }
        votes.append(Vote(voter: voter.id, subnet: Subnet(voter.endpoint), endpoint: endpoint, at: now))
        let count = subnets(for: endpoint)
        guard count >= threshold else { return nil }
        let rivals = Set(votes.map(\.endpoint)).subtracting([endpoint]).map { subnets(for: $0) }
        return rivals.allSatisfy { count * 3 > $0 * 4 } ? endpoint : nil
    }

    private func subnets(for endpoint: Endpoint) -> Int {
        Set(votes.lazy.filter { $0.endpoint == endpoint }.map(\.subnet)).count
    }
}
