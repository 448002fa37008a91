import Primitives

// Directory: who the other nodes are. The table of those that have answered, records of others, lookups, and what is
// done to keep the table true and full. It sends by `Requests`, which is lent to it, and is told how each ended.
//
//      record ─▶ meet ─▶ PING ─▶ answered? ─ yes ─▶ table ─▶ checked from time to time ─▶ no answer: out
//                          └ waits at the entrance where too many are pinged already

/// The nodes we know, and the lookups that find others.
struct Directory: Sendable {
    /// Random keys looked up in a refresh, beside our own id.
    private static let refreshTargets = 3
    /// Boot nodes tried at once.
    private static let bootNodesAtOnce = 8
    /// Boot nodes remembered.
    private static let bootNodeLimit = 64

    private let configuration: Discovery.Configuration
    var table: RoutingTable
    /// Records of nodes outside the table.
    private var records: LRU<Bytes32, NodeRecord>
    /// Records by their bytes, so that the same one is verified once: every lookup brings most of them again.
    private var verified: LRU<[UInt8], NodeRecord>
    private(set) var bootNodes: [NodeRecord] = []
    var entrance = Entrance()
    /// Nodes of the table being pinged.
    private var checking: Set<Bytes32> = []
    /// Nodes being asked for their record.
    private var fetching: Set<Bytes32> = []
    private var lookups: Lookups
    /// nil until the first event tells the time.
    private var schedule: Schedule?

    init(localID: Bytes32, configuration: Discovery.Configuration) {
        self.configuration = configuration
        table = RoutingTable(localID: localID, configuration: configuration)
        records = LRU(limit: configuration.recordLimit)
        verified = LRU(limit: configuration.recordLimit)
        lookups = Lookups(limit: configuration.lookupLimit)
    }

    // MARK: What is known

    /// The newest record known of another node.
    func record(of id: Bytes32) -> NodeRecord? {
        guard let listed = table.record(of: id) else { return records.peek(id) }
        guard let other = records.peek(id), other.sequence > listed.sequence else { return listed }
        return other
    }

    /// Where a node is reached: see `Addresses.best`.
    func endpoint(of record: NodeRecord, _ addresses: Addresses) -> Endpoint? {
        addresses.best(of: record, answered: table.address(of: record.id)?.endpoint)
    }

    /// The way to a node at an address, by its newest record unless another is given.
    func route(to address: NodeAddress, by record: NodeRecord? = nil) -> Route {
        Route(
            address: address, record: record ?? self.record(of: address.id),
            isProven: table.address(of: address.id) == address)
    }

    /// Reads and verifies a record, or finds that it is one verified before.
    private mutating func verifiedRecord(_ bytes: [UInt8]) throws(NodeRecordError) -> NodeRecord {
        if let known = verified.use(bytes) { return known }
        let record = try NodeRecord(decoding: bytes)
        verified.insert(record.encoded, record)
        return record
    }

    /// Reads and verifies a record that a node at `teller` sent, and lets as much be sent to its address.
    mutating func heard(
        _ bytes: [UInt8], from teller: Endpoint, _ addresses: inout Addresses
    ) throws(NodeRecordError) -> NodeRecord {
        let record = try verifiedRecord(bytes)
        if AddressScope.mayRelay(record, with: teller) { noteNamed(record, &addresses) }
        return record
    }

    /// A record has come over the wire: its address may be sent as much.
    private func noteNamed(_ record: NodeRecord, _ addresses: inout Addresses) {
        // One address of the two: a record brings no more than its own bytes, wherever they go. Where that one fails,
        // the next time that the record is heard of is the other's.
        if let endpoint = endpoint(of: record, addresses) { addresses.name(endpoint, size: record.encoded.count) }
    }

    /// Keeps the newest record of a node, in the table or beside it.
    mutating func remember(_ record: NodeRecord, at now: Instant, through requests: inout Requests) {
        guard record.id != table.localID, record.sequence >= self.record(of: record.id)?.sequence ?? 0 else { return }
        guard let listed = table.record(of: record.id) else {
            records.insert(record.id, record)
            return
        }
        guard listed.sequence < record.sequence, let held = table.address(of: record.id)?.endpoint else { return }
        if record.endpointIPv4 == held || record.endpointIPv6 == held {
            table.update(record)
            if table.entry(record.id) != nil { requests.sessions.directives.append(.nodeSeen(record)) }
        } else {
            // It has moved, or to where we cannot go: there is no PING from the new place yet.
            drop(record.id, at: now, through: &requests)
            records.insert(record.id, record)
            if let endpoint = endpoint(of: record, requests.addresses) {
                meet(record, at: endpoint, now: now, through: &requests)
            }
        }
    }

    // MARK: Into the table, and out of it

    /// A node has shown itself at `source`. If it is one for the table, its PING is due. A record that names another
    /// place than the one it speaks from is not pinged there: nobody shall send us where he likes.
    mutating func meet(_ record: NodeRecord, at source: Endpoint, now: Instant, through requests: inout Requests) {
        guard record.endpointIPv4 == source || record.endpointIPv6 == source else { return }
        verify(record, at: NodeAddress(id: record.id, endpoint: source), tries: 1, now: now, through: &requests)
    }

    /// Pings a node that would enter the table; `tries` more PINGs follow if that one is lost.
    private mutating func verify(
        _ record: NodeRecord, at address: NodeAddress, tries: Int, now: Instant, through requests: inout Requests
    ) {
        guard address.id != table.localID, !entrance.isPinged(address.id), table.record(of: address.id) == nil,
            AddressScope(address.endpoint) != .none, table.hasRoom(for: address)
        else { return }
        guard entrance.hasRoom else { return entrance.wait(record, at: address) }
        let isSent = send(
            .verify(record, tries: tries), to: route(to: address, by: record), at: now, through: &requests)
        if isSent { entrance.began(address.id) }
    }

    /// Pings those who wait, as far as there is room.
    mutating func verifyNext(at now: Instant, through requests: inout Requests) {
        while let next = entrance.next() {
            verify(next.record, at: next.address, tries: 1, now: now, through: &requests)
        }
    }

    /// Takes a node out of the table. Its record is kept beside it: the node may be asked for again, and then must be
    /// reached even where it has lost its keys. The replacement that moves up answered long ago, so it is pinged.
    private mutating func drop(_ id: Bytes32, at now: Instant, through requests: inout Requests) {
        let record = table.record(of: id)
        let (removed, promoted) = table.remove(id)
        if let record { records.insert(id, record) }
        if removed { requests.sessions.directives.append(.nodeLost(id)) }
        if removed, table.count == 0 { schedule?.noteEmptiness(hasBootNodes: !bootNodes.isEmpty, at: now) }
        guard let promoted else { return }
        requests.sessions.directives.append(.nodeSeen(promoted.record))
        check(promoted, at: now, through: &requests)
    }

    /// Pings a node of the table.
    private mutating func check(_ entry: TableEntry, at now: Instant, through requests: inout Requests) {
        guard !checking.contains(entry.address.id) else { return }
        let route = Route(address: entry.address, record: entry.record, isProven: true)
        if send(.check, to: route, at: now, through: &requests) { checking.insert(entry.address.id) }
    }

    /// A node says that its record has reached `sequence`; if ours of it is older, it is asked for the newer one.
    mutating func noteSequence(
        _ sequence: UInt64, of address: NodeAddress, at now: Instant, through requests: inout Requests
    ) {
        guard let known = record(of: address.id), known.sequence < sequence, !fetching.contains(address.id) else {
            return
        }
        if send(.record, to: route(to: address, by: known), distances: [0], at: now, through: &requests) {
            fetching.insert(address.id)
        }
    }

    /// Sends a PING, or FINDNODE where there are `distances`; false where it cannot be.
    private func send(
        _ purpose: RequestPurpose, to route: Route, distances: [Int] = [], at now: Instant,
        through requests: inout Requests
    ) -> Bool {
        let sequence = requests.sessions.local.record.sequence
        do throws(DiscoveryError) {
            try requests.send(purpose, to: route, distances: distances, at: now) {
                distances.isEmpty ? .ping($0, sequence: sequence) : .findNode($0, distances: distances)
            }
            return true
        } catch {
            return false
        }
    }

    // MARK: Answers

    /// The records that a FINDNODE is answered with, dealt to as few packets as hold them.
    func nodes(
        at distances: [Int], for address: NodeAddress, local: NodeRecord
    ) -> [[[UInt8]]] {
        var found: [[UInt8]] = []
        var asked: Set<Int> = []
        for distance in distances where asked.insert(distance).inserted {
            if distance == 0 { found.append(local.encoded) }
            for entry in table.entries(at: distance)
            where entry.address.id != address.id && AddressScope.mayRelay(entry.record, with: address.endpoint) {
                found.append(entry.record.encoded)
            }
            if found.count >= DiscoveryLimits.nodesPerAnswer { break }
        }
        return Directory.packed(found.prefix(DiscoveryLimits.nodesPerAnswer))
    }

    /// Records dealt to as few packets as hold them; at least one.
    static func packed(_ records: ArraySlice<[UInt8]>) -> [[[UInt8]]] {
        // Type 1, list 3, request id 9, total 1, inner list 3.
        let room = DiscoveryLimits.messageSize - 17
        var packets: [[[UInt8]]] = [[]]
        var used = 0
        for record in records {
            if used + record.count > room {
                packets.append([])
                used = 0
            }
            packets[packets.count - 1].append(record)
            used += record.count
        }
        return packets
    }

    /// One packet of NODES has come.
    mutating func takeNodes(
        _ number: UInt32, total: Int, _ encoded: [[UInt8]], from address: NodeAddress, at now: Instant,
        through requests: inout Requests
    ) {
        guard let distances = requests.pending[number]?.distances, !distances.isEmpty,
            requests.pending[number]?.packetsTaken.contains(encoded) == false
        else { return }
        var records = requests.pending[number]?.records ?? []
        for bytes in encoded where records.count < DiscoveryLimits.nodesPerAnswer {
            // One bad record says nothing about the others; what was not asked for is not taken.
            guard let record = try? verifiedRecord(bytes),
                distances.contains(RoutingTable.distance(address.id, record.id)),
                !records.contains(where: { $0.id == record.id })
            else {
                requests.sessions.statistics.recordsRefused += 1
                continue
            }
            records.append(record)
            if AddressScope.mayRelay(record, with: address.endpoint) { noteNamed(record, &requests.addresses) }
        }
        if requests.pending[number]?.note(encoded, total: total, records: records) == true,
            let request = requests.answered(number, at: now)
        {
            finishNodes(request, at: now, through: &requests)
        }
    }

    /// The last packet of NODES has come, or the time is over and some have.
    private mutating func finishNodes(_ request: PendingRequest, at now: Instant, through requests: inout Requests) {
        let address = request.address
        noteAnswer(address, at: now)
        let told = request.records.filter { AddressScope.mayRelay($0, with: address.endpoint) }
        for record in told { remember(record, at: now, through: &requests) }
        switch request.purpose {
        case .record:
            fetching.remove(address.id)
        case .lookup(let lookup):
            let useful = told.filter { endpoint(of: $0, requests.addresses) != nil }
            lookups.running[lookup]?.answered(address.id, with: useful)
            if let record = record(of: address.id) {
                meet(record, at: address.endpoint, now: now, through: &requests)
            }
            drive(lookup, at: now, through: &requests)
        case .verify, .check, .open, .talk:
            // These ask for no nodes.
            return
        }
    }

    /// A PONG has come; false where it answers no PING.
    mutating func takePong(
        _ number: UInt32, sequence: UInt64, from address: NodeAddress, at now: Instant,
        through requests: inout Requests
    ) -> Bool {
        switch requests.pending[number]?.purpose {
        case .verify(let record, _):
            entrance.ended(address.id)
            enter(self.record(of: address.id) ?? record, at: address, now: now, through: &requests)
        case .check:
            checking.remove(address.id)
        case .open:
            break
        case .record, .lookup, .talk, nil:
            return false
        }
        requests.answered(number, at: now)
        noteAnswer(address, at: now)
        noteSequence(sequence, of: address, at: now, through: &requests)
        verifyNext(at: now, through: &requests)
        return true
    }

    /// A node has answered its PING.
    private mutating func enter(
        _ record: NodeRecord, at address: NodeAddress, now: Instant, through requests: inout Requests
    ) {
        guard table.insert(record, at: address, now: now) == .added else { return }
        records.remove(address.id)
        requests.sessions.directives.append(.nodeSeen(record))
        schedule?.noteGrowth(at: now)
    }

    /// A node has answered a request.
    mutating func noteAnswer(_ address: NodeAddress, at now: Instant) { table.noteAnswer(address.id, at: now) }

    /// A request has ended without an answer, or without the whole of it.
    mutating func failed(_ request: PendingRequest, at now: Instant, through requests: inout Requests) {
        // What has come of NODES counts: packets are lost one by one.
        if !request.records.isEmpty { return finishNodes(request, at: now, through: &requests) }
        requests.sessions.statistics.requestsFailed += 1
        let address = request.address
        var isCheck = false
        switch request.purpose {
        case .verify(let record, let tries):
            entrance.ended(address.id)
            if tries > 0 { verify(record, at: address, tries: tries - 1, now: now, through: &requests) }
            verifyNext(at: now, through: &requests)
        case .check:
            checking.remove(address.id)
            isCheck = true
        case .record:
            fetching.remove(address.id)
        case .lookup(let lookup):
            lookups.running[lookup]?.failed(address.id)
            drive(lookup, at: now, through: &requests)
        case .open, .talk:
            break
        }
        noteFailure(address, ofCheck: isCheck, at: now, through: &requests)
    }

    /// A request to a node of the table went unanswered: it is pinged at once. After so many PINGs in a row without an
    /// answer it leaves. Only they count: a lost handshake fails a whole queue of other requests in one instant.
    private mutating func noteFailure(
        _ address: NodeAddress, ofCheck: Bool, at now: Instant, through requests: inout Requests
    ) {
        guard let entry = table.entry(address.id), entry.address == address else { return }
        if ofCheck, table.noteFailure(address.id) ?? 0 >= configuration.failuresBeforeRemoval {
            drop(address.id, at: now, through: &requests)
        } else {
            check(entry, at: now, through: &requests)
        }
    }

    // MARK: Upkeep

    /// The first event tells the time.
    mutating func begin(at now: Instant) {
        if schedule == nil { schedule = Schedule(revalidation: now + configuration.revalidationInterval) }
    }

    /// When `advance` is next due. Before the first event: at once.
    var nextDeadline: Instant { schedule?.next ?? .zero }

    /// Does what is due.
    mutating func advance(to now: Instant, through requests: inout Requests) {
        begin(at: now)
        guard let due = schedule, due.next <= now else { return }
        if due.revalidation <= now {
            schedule?.revalidation = now + configuration.revalidationInterval
            if let entry = table.randomEntry(using: requests.sessions.random.next64()) {
                check(entry, at: now, through: &requests)
            }
        }
        if let refresh = due.refresh, refresh <= now { self.refresh(at: now, through: &requests) }
        if let bootstrap = due.bootstrap, bootstrap <= now { self.bootstrap(at: now, through: &requests) }
    }

    private mutating func refresh(at now: Instant, through requests: inout Requests) {
        schedule?.beginRefresh(longest: configuration.refreshInterval, at: now)
        _ = lookup(table.localID, isPublic: false, at: now, through: &requests)
        for _ in 0..<Directory.refreshTargets {
            let words = (0..<4).map { _ in requests.sessions.random.next64() }
            let target = Bytes32(words[0], words[1], words[2], words[3])
            _ = lookup(target, isPublic: false, at: now, through: &requests)
        }
    }

    /// Nodes to begin from; they are pinged at once, and again while the table is empty.
    mutating func addBootNodes(_ added: [NodeRecord], at now: Instant, through requests: inout Requests) {
        for record in added where record.id != table.localID && bootNodes.count < Directory.bootNodeLimit {
            guard endpoint(of: record, requests.addresses) != nil, !bootNodes.contains(where: { $0.id == record.id })
            else { continue }
            bootNodes.append(record)
            requests.addresses.open(record)
        }
        if table.count == 0, schedule?.bootstrap == nil { bootstrap(at: now, through: &requests) }
    }

    private mutating func bootstrap(at now: Instant, through requests: inout Requests) {
        guard !bootNodes.isEmpty else { return }
        schedule?.bootstrap = now + configuration.bootstrapInterval
        // Those tried now go to the end of the line.
        let tried = Array(bootNodes.prefix(Directory.bootNodesAtOnce))
        bootNodes = bootNodes.dropFirst(tried.count) + tried
        for record in tried { tryOnce(record, at: now, through: &requests) }
    }

    /// Nodes of an earlier run. Each is pinged once, those named first before the others, and stands no higher than any
    /// other that would enter the table.
    mutating func addKnownNodes(_ known: [NodeRecord], at now: Instant, through requests: inout Requests) {
        for record in known where record.id != table.localID {
            guard endpoint(of: record, requests.addresses) != nil else { continue }
            remember(record, at: now, through: &requests)
            tryOnce(record, at: now, through: &requests)
        }
    }

    /// Pings a node that the owner of this one vouches for.
    private mutating func tryOnce(_ record: NodeRecord, at now: Instant, through requests: inout Requests) {
        guard let endpoint = endpoint(of: record, requests.addresses) else { return }
        requests.addresses.open(record)
        verify(record, at: NodeAddress(id: record.id, endpoint: endpoint), tries: 0, now: now, through: &requests)
    }

    // MARK: Lookups

    /// Looks for the nodes nearest to `target`. Where it `isPublic`, a directive tells of its end.
    mutating func lookup(
        _ target: Bytes32, isPublic: Bool, at now: Instant, through requests: inout Requests
    ) -> LookupID {
        let (id, beginning) = lookups.add(target, isPublic: isPublic)
        switch beginning {
        case .begins: open(id, target, isPublic: isPublic, at: now, through: &requests)
        case .waits: break
        case .refused: if isPublic { requests.sessions.directives.append(.lookupFinished(id, [])) }
        }
        return id
    }

    private mutating func open(
        _ id: LookupID, _ target: Bytes32, isPublic: Bool, at now: Instant, through requests: inout Requests
    ) {
        lookups.running[id] = NodeLookup(
            target: target, isPublic: isPublic, localID: table.localID,
            seeds: table.closest(to: target, limit: configuration.bucketSize),
            parallelism: configuration.lookupParallelism, resultSize: configuration.bucketSize)
        drive(id, at: now, through: &requests)
    }

    /// Sends what the lookup is ready to send, and ends it when nothing is left.
    private mutating func drive(_ id: LookupID, at now: Instant, through requests: inout Requests) {
        while let record = lookups.running[id]?.next(), let target = lookups.running[id]?.target {
            let route = endpoint(of: record, requests.addresses).map {
                self.route(to: NodeAddress(id: record.id, endpoint: $0), by: record)
            }
            let distances = NodeLookup.distances(from: record.id, to: target)
            let isSent = route.map {
                send(.lookup(id), to: $0, distances: distances, at: now, through: &requests)
            }
            if isSent != true { lookups.running[id]?.failed(record.id) }
        }
        guard lookups.running[id]?.isBusy == false, let lookup = lookups.running.removeValue(forKey: id) else { return }
        if lookup.isPublic { requests.sessions.directives.append(.lookupFinished(id, lookup.result)) }
        if let next = lookups.next() {
            open(next.id, next.target, isPublic: next.isPublic, at: now, through: &requests)
        }
    }
}
