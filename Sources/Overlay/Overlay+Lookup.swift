import Discovery
import Primitives

/// A FIND_NODES of ours: for a lookup, or (nil) to see a peer's own new record.
struct Query: Sendable {
    let lookup: UInt64?
    /// What was asked for: ascending, unique.
    let distances: [UInt16]
}

/// The search for the nodes nearest to a position, asking ever nearer ones for those they know.
struct Lookup: Sendable {
    enum Progress { case unasked, asked, answered, failed }

    struct Candidate: Sendable {
        let contact: Contact
        let distance: Bytes32
        var progress = Progress.unasked
    }

    let network: Int
    let target: Bytes32
    /// False for the searches the machine makes by itself.
    let isReported: Bool
    /// Nearest first.
    private(set) var candidates: [Candidate] = []
    private(set) var queries = 0

    init(network: Int, target: Bytes32, isReported: Bool) {
        self.network = network
        self.target = target
        self.isReported = isReported
    }

    /// Adds a node, unless it is known or farther than all that can be held.
    mutating func add(_ contact: Contact) {
        let distance = contact.record.id ^ target
        let place = candidates.firstIndex { $0.distance >= distance } ?? candidates.endIndex
        guard place == candidates.endIndex || candidates[place].distance != distance else { return }
        candidates.insert(Candidate(contact: contact, distance: distance), at: place)
        guard candidates.count > OverlayLimits.lookupCandidates else { return }
        // The farthest that no answer is awaited from.
        if let last = candidates.lastIndex(where: { $0.progress != .asked }) { candidates.remove(at: last) }
    }

    mutating func mark(_ id: Bytes32, _ progress: Progress) {
        guard let place = candidates.firstIndex(where: { $0.contact.record.id == id }) else { return }
        candidates[place].progress = progress
    }

    /// Whom to ask now: the nearest not asked yet among the k nearest that have not failed.
    mutating func next() -> Contact? {
        guard queries < OverlayLimits.lookupQueries,
            candidates.count(where: { $0.progress == .asked }) < OverlayLimits.lookupParallelism
        else { return nil }
        var nearest = 0
        for (place, candidate) in candidates.enumerated() where candidate.progress != .failed {
            nearest += 1
            guard nearest <= OverlayLimits.bucketSize else { return nil }
            guard candidate.progress == .unasked else { continue }
            candidates[place].progress = .asked
            queries += 1
            return candidate.contact
        }
        return nil
    }

    var isOver: Bool { !candidates.contains { $0.progress == .asked } }

    /// The nearest that answered.
    var result: [NodeRecord] {
        candidates.filter { $0.progress == .answered }.prefix(OverlayLimits.bucketSize).map(\.contact.record)
    }

    /// The distances from `id` at which the nodes nearest to the target are: that of the target itself, then those
    /// beside.
    func distances(from id: Bytes32) -> [UInt16] {
        let own = RingDistance.logarithmic(id, target)
        var distances = [own]
        var step = 1
        while distances.count < OverlayLimits.askedDistances {
            distances += [own + step, own - step].filter { (1...256).contains($0) }
            step += 1
        }
        return distances.prefix(OverlayLimits.askedDistances).filter { $0 > 0 }.sorted().map { UInt16($0) }
    }
}

// FIND_NODES and NODES: answering, asking, and the lookups made of them.
extension Overlay {
    /// Looks for the nodes of the network nearest to `target`, a position of its content.
    public mutating func lookup(network id: NetworkID, target: Bytes32, at now: Instant) -> LookupID {
        clock = now
        let number = nextID()
        guard let network = index(of: id), lookups.count < OverlayLimits.lookups else {
            directives.append(.lookupFinished(LookupID(value: number), []))
            return LookupID(value: number)
        }
        begin(Lookup(network: network, target: target, isReported: true), number)
        return LookupID(value: number)
    }

    /// Looks for new nodes: of the network by a lookup of ourselves or of any place, of Discovery by its table.
    mutating func refresh(_ network: Int) {
        let random = Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        for record in discovery.closest(to: random, limit: OverlayLimits.bucketSize) {
            consider(record, seenAt: nil, network: network, atOnce: false)
        }
        let count = networks[network].table.count
        if count > 0, lookups.count < OverlayLimits.lookups {
            let target = generator.next() % 2 == 0 ? localRecord.id : random
            begin(Lookup(network: network, target: target, isReported: false), nextID())
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
        for peer in table.closest(to: lookup.target, limit: OverlayLimits.bucketSize) { lookup.add(peer.contact) }
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
        for record in records { consider(record, seenAt: nil, network: talk.network, atOnce: false) }
        guard let number = query.lookup, lookups[number] != nil else { return }
        lookups[number]?.mark(id, failure == nil ? .answered : .failed)
        for record in records where record.id != localRecord.id && !book.isBanned(record.id, at: clock) {
            if let endpoint = discovery.endpoint(of: record) {
                lookups[number]?.add(Contact(record, at: endpoint))
            }
        }
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
