import Primitives

/// What is known of one's own address.
public struct AddressReport: Hashable, Sendable {
    /// Where others see us, most votes first.
    public let tallies: [AddressTally]
    /// Addresses in the record on which strangers have still to be heard from.
    public let testing: [Endpoint]
    /// Addresses in the record at which strangers reach us.
    public let proven: [Endpoint]
}

/// Our own address: what others see, what our record says of it, and whether strangers reach us there.
struct OwnAddress: Sendable {
    private let isAdopted: Bool
    private var votes: AddressVotes
    private(set) var reachability: Reachability
    /// The winner that was told but not taken into the record.
    private var toldVote: Endpoint?

    init(_ configuration: Discovery.Configuration) {
        isAdopted = configuration.adoptsVotedAddress
        votes = AddressVotes(configuration)
        reachability = Reachability(configuration)
    }

    /// Where others see us, and what has come of it.
    var report: AddressReport {
        AddressReport(tallies: votes.tallies, testing: reachability.testing, proven: reachability.proven)
    }

    /// Counts where `voter` sees us, and takes the winner into our record.
    mutating func seen(
        at endpoint: Endpoint, by voter: NodeAddress, _ local: inout LocalNode, at now: Instant
    ) -> Discovery.Directive? {
        guard let winner = votes.cast(endpoint, by: voter, at: now), winner != local.endpoint(like: winner) else {
            return nil
        }
        guard isAdopted else {
            defer { toldVote = winner }
            return toldVote != winner ? .addressVoted(winner) : nil
        }
        guard reachability.mayAdopt(winner, at: now) else { return nil }
        do throws(DiscoveryError) {
            try local.update { $0.set(endpoint: winner) }
        } catch {
            // A full record has no room for an address and keeps the old one.
            return nil
        }
        reachability.begin(winner, at: now)
        return .addressVoted(winner)
    }

    /// We send something to a host of our own accord.
    mutating func noteSent(to endpoint: Endpoint, at now: Instant) { reachability.noteSent(to: endpoint, at: now) }

    /// Somebody began a handshake with us of his own accord.
    mutating func noteInbound(
        from source: Endpoint, _ local: inout LocalNode, at now: Instant
    ) -> Discovery.Directive? {
        reachability.noteInbound(from: source, at: now).map { settle($0, &local) }
    }

    /// When `advance` is due.
    var nextDeadline: Instant? { reachability.deadline }

    /// Ends a probation whose time is over; nil where there is none, or no other.
    mutating func advance(to now: Instant, _ local: inout LocalNode) -> Discovery.Directive? {
        reachability.expire(at: now).map { settle($0, &local) }
    }

    private func settle(_ verdict: Reachability.Verdict, _ local: inout LocalNode) -> Discovery.Directive {
        switch verdict {
        case .proven(let endpoint):
            return .addressChecked(endpoint, isReachable: true)
        case .unreachable(let endpoint):
            // The record may have been changed from outside meanwhile; a record that loses a field always fits.
            if local.endpoint(like: endpoint) == endpoint {
                _ = try? local.update { $0.removeEndpoint(isIPv4: endpoint.isIPv4) }
            }
            return .addressChecked(endpoint, isReachable: false)
        }
    }
}
