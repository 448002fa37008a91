import Primitives

// Our own address: what others see, what the record says of it, and whether strangers reach us there.

/// What is known of one's own address.
public struct AddressReport: Hashable, Sendable {
    /// Where others see us, most votes first.
    public let tallies: [AddressTally]
    /// Addresses in the record on which strangers have still to be heard from.
    public let testing: [Endpoint]
    /// Addresses in the record at which strangers reach us.
    public let proven: [Endpoint]
}

extension Discovery {
    /// Where others see us, and what has come of it.
    public var addressReport: AddressReport {
        AddressReport(tallies: votes.tallies, testing: reachability.testing, proven: reachability.proven)
    }

    /// Counts where a peer sees us, and takes the winner into our record.
    mutating func noteVote(_ endpoint: Endpoint, by voter: NodeAddress, at now: Instant) {
        guard let winner = votes.cast(endpoint, by: voter, at: now),
            winner != (winner.isIPv4 ? localRecord.endpointIPv4 : localRecord.endpointIPv6)
        else { return }
        guard configuration.adoptsVotedAddress else {
            if toldVote != winner { directives.append(.addressVoted(winner)) }
            toldVote = winner
            return
        }
        guard reachability.mayAdopt(winner, at: now) else { return }
        // An address always fits where the record has room; a full record keeps the old one.
        guard (try? updateLocalRecord { $0.set(endpoint: winner) }) != nil else { return }
        reachability.begin(winner, at: now)
        directives.append(.addressVoted(winner))
    }

    /// Somebody began a handshake with us of his own accord.
    mutating func noteInbound(from source: Endpoint, at now: Instant) {
        if let verdict = reachability.noteInbound(from: source, at: now) { settle(verdict) }
    }

    /// Ends the probations whose time is over.
    mutating func endProbations(at now: Instant) {
        while let verdict = reachability.expire(at: now) { settle(verdict) }
    }

    private mutating func settle(_ verdict: Reachability.Verdict) {
        switch verdict {
        case .proven(let endpoint):
            directives.append(.addressChecked(endpoint, isReachable: true))
        case .unreachable(let endpoint):
            let current = endpoint.isIPv4 ? localRecord.endpointIPv4 : localRecord.endpointIPv6
            // The record may have been changed from outside meanwhile; a record that loses a field always fits.
            if current == endpoint { _ = try? updateLocalRecord { $0.removeEndpoint(isIPv4: endpoint.isIPv4) } }
            directives.append(.addressChecked(endpoint, isReachable: false))
        }
    }

    /// Where a node is reached by us: where it has answered, if it still says so and has not failed since; else at its
    /// IPv4 address if we speak that and it has one, else at the other, and at whichever has not failed; nil where we
    /// speak neither.
    public func endpoint(of record: NodeRecord) -> Endpoint? {
        if let proven = table.address(of: record.id)?.endpoint, !ways.isSilent(proven),
            proven == record.endpointIPv4 || proven == record.endpointIPv6
        {
            return proven
        }
        return ways.best(of: endpoints(of: record))
    }
}
