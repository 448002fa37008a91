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

/// The lookups under way, of all networks: each asks ever nearer nodes by FIND_NODES.
struct NetworkLookups: Sendable {
    private var running: [UInt64: NetworkLookup] = [:]

    /// Lookups under way.
    var count: Int { running.count }

    /// Begins a lookup with the nearest peers of its network; false where there are too many already.
    mutating func begin(
        _ lookup: NetworkLookup, _ number: UInt64, on network: Subnetwork, through wire: inout PortalWire
    ) -> Bool {
        guard running.count < OverlayLimits.lookups else { return false }
        var lookup = lookup
        let nearest = network.table.closest(to: lookup.target, limit: OverlayLimits.bucketSize)
        lookup.begin(with: nearest.compactMap { network.table.contact(of: $0) })
        running[number] = lookup
        proceed(number, as: network.profile, through: &wire)
        return true
    }

    private mutating func proceed(_ number: UInt64, as profile: LocalProfile, through wire: inout PortalWire) {
        while let contact = running[number]?.next() {
            let distances = running[number]?.distances(from: contact.record.id) ?? []
            send(Query(lookup: number, distances: distances), to: contact, as: profile, through: &wire)
        }
        guard running[number]?.isOver == true, let lookup = running.removeValue(forKey: number) else { return }
        if lookup.isReported {
            wire.directives.append(.lookupFinished(Overlay.LookupID(value: number), lookup.result))
        }
    }

    private mutating func send(
        _ query: Query, to contact: Contact, as profile: LocalProfile, through wire: inout PortalWire
    ) {
        do throws(PortalMessageError) {
            try wire.ask(.findNodes(distances: query.distances), as: profile, contact, .findNodes(query))
        } catch {
            // Never: the distances are few.
            if let number = query.lookup { running[number]?.mark(contact.record.id, .failed) }
        }
    }

    /// A FIND_NODES of ours was answered, or was not. False where it is sent once more.
    mutating func answered(
        _ talk: Talk, _ query: Query, _ answer: Result<PortalMessage, OverlayError>, as profile: LocalProfile,
        through wire: inout PortalWire
    ) -> Bool {
        let id = talk.contact.record.id
        if case .failure(.unanswered(.timeout)) = answer, query.attemptsLeft > 1 {
            // Packets get lost, and FIND_NODES may be asked twice.
            wire.note(.unanswered(.timeout), of: id)
            var again = query
            again.attemptsLeft -= 1
            send(again, to: talk.contact, as: profile, through: &wire)
            return false
        }
        var failure: OverlayError?
        var records: [NodeRecord] = []
        switch answer {
        case .success(.nodes(_, let encoded)):
            do throws(OverlayError) {
                records = try wire.read(encoded, from: talk.contact.address, distances: query.distances)
            } catch {
                failure = error
            }
        case .success(let other): failure = .unexpectedAnswer(selector: other.selector)
        case .failure(let error): failure = error
        }
        wire.note(failure, of: id)
        for record in records { wire.noticed(record, .named, network: talk.network) }
        guard let number = query.lookup, running[number] != nil else { return true }
        running[number]?.mark(id, failure == nil ? .answered : .failed)
        let contacts = records.compactMap { record -> Contact? in
            guard record.id != wire.localRecord.id, !wire.book.isBanned(record.id, at: wire.clock) else { return nil }
            return wire.discovery.endpoint(of: record).map { Contact(record, at: $0) }
        }
        running[number]?.add(contacts, namedBy: id)
        proceed(number, as: profile, through: &wire)
        return true
    }
}
