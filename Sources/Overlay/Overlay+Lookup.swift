import Discovery
import Primitives

/// A FIND_NODES of ours: for a lookup, or (nil) to see a peer's own new record.
struct Query: Sendable {
    let lookup: UInt64?
    /// What was asked for, without repeats.
    let distances: [UInt16]
    /// How often it is sent in all where no answer comes.
    var attemptsLeft = OverlayLimits.requestAttempts
}

// FIND_NODES and NODES: answering, asking, and the lookups made of them.
extension Overlay {
    /// Looks for the nodes of the network nearest to `target`, a position of its content: asks the `width` nearest for
    /// those they know, and none of `avoided`. Ends in one `lookupFinished`.
    public mutating func lookup(
        network id: NetworkID, target: Bytes32, width: Int = OverlayLimits.bucketSize,
        avoiding avoided: Set<Bytes32> = [], at now: Instant
    ) -> LookupID {
        clock = now
        let number = nextID()
        guard let network = index(of: id), lookups.count < OverlayLimits.lookups else {
            directives.append(.lookupFinished(LookupID(value: number), LookupResult(nodes: [], queries: 0)))
            return LookupID(value: number)
        }
        begin(
            Lookup(
                network: network, target: target, isReported: true, width: width, avoided: avoided,
                limitsSubnets: configuration.limitsSubnets),
            number)
        return LookupID(value: number)
    }

    /// Looks for new nodes: of the network by a lookup of ourselves or of any place, of Discovery by its table.
    mutating func refresh(_ network: Int) {
        let random = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        for record in discovery.closest(to: random, limit: OverlayLimits.bucketSize) {
            consider(record, .named, network: network)
        }
        let count = networks[network].table.routedCount
        if networks[network].table.count > 0, lookups.count < OverlayLimits.lookups {
            let target = generator.next() % 2 == 0 ? localRecord.id : random
            let limits = configuration.limitsSubnets
            begin(Lookup(network: network, target: target, isReported: false, limitsSubnets: limits), nextID())
        }
        let interval = configuration.refreshInterval.microseconds
        let wait = count < OverlayLimits.bucketSize ? interval / 4 : interval
        nextRefresh(network, at: clock + Interval(microseconds: max(wait, 1)))
    }

    private mutating func nextRefresh(_ network: Int, at instant: Instant) {
        networks[network].nextRefresh = instant
        timers.add(.refresh(network: network), at: instant)
    }

    /// Of several timers only the right one acts.
    mutating func refreshDue(_ network: Int) {
        if networks[network].nextRefresh <= clock { refresh(network) }
    }

    /// Refreshes now instead of later.
    mutating func refreshSoon(_ network: Int) { nextRefresh(network, at: clock) }

    private mutating func begin(_ lookup: Lookup, _ number: UInt64) {
        var lookup = lookup
        let table = networks[lookup.network].table
        lookup.begin(with: table.closest(to: lookup.target, limit: OverlayLimits.bucketSize).map(\.contact))
        lookups[number] = lookup
        proceed(number)
    }

    private mutating func proceed(_ number: UInt64) {
        while let contact = lookups[number]?.next(), let lookup = lookups[number] {
            let query = Query(lookup: number, distances: lookup.distances(from: contact.record.id))
            sendQuery(query, to: contact, network: lookup.network)
        }
        guard let lookup = lookups[number], lookup.isOver else { return }
        lookups[number] = nil
        if lookup.isReported { directives.append(.lookupFinished(LookupID(value: number), lookup.result)) }
    }

    mutating func sendQuery(_ query: Query, to contact: Contact, network: Int) {
        do throws(PortalMessageError) {
            _ = try ask(.findNodes(distances: query.distances), network: network, contact, .findNodes(query))
        } catch {
            // Never: the distances are few.
            if let number = query.lookup { lookups[number]?.mark(contact.record.id, .failed) }
        }
    }

    mutating func nodesAnswered(_ talk: Talk, _ query: Query, _ answer: Result<PortalMessage, OverlayError>) {
        let id = talk.contact.record.id
        if case .failure(.unanswered(.timeout)) = answer, query.attemptsLeft > 1 {
            // Packets get lost, and FIND_NODES may be asked twice.
            note(.unanswered(.timeout), of: id)
            var again = query
            again.attemptsLeft -= 1
            return sendQuery(again, to: talk.contact, network: talk.network)
        }
        networks[talk.network].table[id]?.fetchingRecord = false
        var failure: OverlayError?
        var records: [NodeRecord] = []
        switch answer {
        case .success(.nodes(_, let encoded)):
            do throws(OverlayError) {
                records = try read(encoded, from: talk.contact.address, distances: query.distances)
            } catch {
                failure = error
            }
        case .success(let other): failure = .unexpectedAnswer(selector: other.selector)
        case .failure(let error): failure = error
        }
        note(failure, of: id)
        for record in records { consider(record, .named, network: talk.network) }
        guard let number = query.lookup, lookups[number] != nil else { return }
        lookups[number]?.mark(id, failure == nil ? .answered : .failed)
        let named = records.filter { $0.id != localRecord.id && !book.isBanned($0.id, at: clock) }
        let contacts = named.compactMap { record in
            discovery.endpoint(of: record).map { Contact(record, at: $0) }
        }
        lookups[number]?.add(contacts, namedBy: id)
        proceed(number)
    }

    /// Verifies the records of an answer. Those of another chain, without an address we can reach, or with one that the
    /// answerer cannot know, are left out; a record that does not verify, or (with `distances`) is not where it was
    /// asked for, spoils the answer.
    mutating func read(
        _ encoded: [[UInt8]], from answerer: NodeAddress, distances: [UInt16]?
    ) throws(OverlayError) -> [NodeRecord] {
        var records: [NodeRecord] = []
        for bytes in encoded {
            let record: NodeRecord
            do throws(NodeRecordError) {
                record = try discovery.heard(bytes, from: answerer.endpoint)
            } catch {
                throw .badRecord
            }
            let distance = UInt16(RingDistance.logarithmic(record.id, answerer.id))
            if let distances, !distances.contains(distance) { throw .badRecord }
            let isReachable = discovery.endpoint(of: record) != nil
            if isCompatible(record), isReachable, Discovery.mayName(record, with: answerer.endpoint) {
                records.append(record)
            }
        }
        return records
    }

    mutating func answerNodes(_ network: Int, to address: NodeAddress, distances: [UInt16], _ token: TalkToken) {
        guard distances.allSatisfy({ $0 <= 256 }) else {
            discovery.respond(to: token, response: [], at: clock)
            breach(address.id)
            return
        }
        var asked: Set<UInt16> = []
        var records: [[UInt8]] = []
        for distance in distances where asked.insert(distance).inserted {
            if distance == 0 { records.append(localRecord.encoded) }
            // Not all fit one packet: another choice each time, so that all are found by asking again.
            let peers = networks[network].table.peers(at: Int(distance)).shuffled(using: &generator)
            records += told(peers.map(\.contact.record), to: address)
        }
        // Selector, total and offset go before the list.
        respond(.nodes(total: 1, records: fitting(records, reserved: 6)), to: token)
    }

    /// Those of the records that `asker` is told of: not its own, and none with an address that it cannot reach.
    func told(_ records: [NodeRecord], to asker: NodeAddress) -> [[UInt8]] {
        records.filter { $0.id != asker.id && Discovery.mayName($0, with: asker.endpoint) }.map(\.encoded)
    }

    /// As many records as fit an answer.
    func fitting(_ records: [[UInt8]], reserved: Int) -> [[UInt8]] {
        let count = PortalMessage.fitting(
            records, bytes: OverlayLimits.responseBytes - reserved, count: OverlayLimits.records)
        return Array(records.prefix(count))
    }
}
