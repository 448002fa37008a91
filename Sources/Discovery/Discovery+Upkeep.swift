import Primitives

// What is done without being asked: reaching the network, keeping the table true and full, and lookups.

/// When the next of each is due.
struct Schedule: Sendable {
    var revalidation: Instant
    /// nil while the table is empty.
    var refresh: Instant?
    /// The next pause between refreshes, doubled from one to the next up to the configured one.
    var refreshPause: Interval
    /// nil while the table is not empty, or there is nobody to begin with.
    var bootstrap: Instant?

    var next: Instant { min(revalidation, refresh ?? revalidation, bootstrap ?? revalidation) }
}

extension Discovery {
    /// The first pause between refreshes: a young network changes by the second.
    private static let firstRefreshPause = Interval.seconds(2)
    /// Random keys looked up in a refresh, beside our own id.
    private static let refreshTargets = 3
    /// Boot nodes tried at once.
    private static let bootNodesAtOnce = 8
    /// Boot nodes remembered.
    private static let bootNodeLimit = 64
    /// Lookups waiting for one under way to end.
    private static let waitingLookupLimit = 256

    /// The first event tells the time.
    mutating func begin(at now: Instant) {
        guard schedule == nil else { return }
        schedule = Schedule(
            revalidation: now + configuration.revalidationInterval, refreshPause: Discovery.firstRefreshPause)
    }

    /// Nodes to begin from; they are pinged at once, and again while the table is empty.
    public mutating func addBootNodes(_ records: [NodeRecord], at now: Instant) {
        begin(at: now)
        for record in records where record.id != key.nodeID && bootNodes.count < Discovery.bootNodeLimit {
            guard endpoint(of: record) != nil, !bootNodes.contains(where: { $0.id == record.id }) else { continue }
            bootNodes.append(record)
            open(record)
        }
        if table.count == 0, schedule?.bootstrap == nil { bootstrap(at: now) }
    }

    /// Nodes of an earlier run. Each is pinged once, those named first before the others, and stands no higher than any
    /// other that would enter the table.
    public mutating func addKnownNodes(_ records: [NodeRecord], at now: Instant) {
        begin(at: now)
        for record in records where record.id != key.nodeID {
            guard let endpoint = endpoint(of: record) else { continue }
            remember(record, at: now)
            open(record)
            verify(record, at: NodeAddress(id: record.id, endpoint: endpoint), tries: 0, now: now)
        }
    }

    private mutating func bootstrap(at now: Instant) {
        guard !bootNodes.isEmpty else { return }
        schedule?.bootstrap = now + configuration.bootstrapInterval
        // Those tried now go to the end of the line.
        let tried = Array(bootNodes.prefix(Discovery.bootNodesAtOnce))
        bootNodes = bootNodes.dropFirst(tried.count) + tried
        for record in tried {
            guard let endpoint = endpoint(of: record) else { continue }
            open(record)
            verify(record, at: NodeAddress(id: record.id, endpoint: endpoint), tries: 0, now: now)
        }
    }

    /// The table has got a node more.
    mutating func noteGrowth(at now: Instant) {
        schedule?.bootstrap = nil
        if schedule?.refresh == nil { schedule?.refresh = now }
    }

    /// Does what is due.
    mutating func upkeep(at now: Instant) {
        begin(at: now)
        guard let due = schedule else { return }
        if due.revalidation <= now {
            schedule?.revalidation = now + configuration.revalidationInterval
            if let entry = table.randomEntry(using: random.next64()) { check(entry, at: now) }
        }
        if let refresh = due.refresh, refresh <= now { self.refresh(at: now) }
        if table.count == 0 {
            schedule?.refresh = nil
            schedule?.refreshPause = Discovery.firstRefreshPause
            if due.bootstrap ?? now <= now { bootstrap(at: now) }
        }
    }

    private mutating func refresh(at now: Instant) {
        let pause = schedule?.refreshPause ?? Discovery.firstRefreshPause
        schedule?.refresh = now + pause
        schedule?.refreshPause = min(pause * 2, configuration.refreshInterval)
        startLookup(key.nodeID, isPublic: false, at: now)
        for _ in 0..<Discovery.refreshTargets {
            let target = Bytes32(random.next64(), random.next64(), random.next64(), random.next64())
            startLookup(target, isPublic: false, at: now)
        }
    }

    // MARK: Lookups

    /// Looks for the nodes nearest to `target`; `lookupFinished` follows exactly once.
    public mutating func lookup(_ target: Bytes32, at now: Instant) -> LookupID {
        begin(at: now)
        return startLookup(target, isPublic: true, at: now)
    }

    @discardableResult
    private mutating func startLookup(_ target: Bytes32, isPublic: Bool, at now: Instant) -> LookupID {
        nextLookup += 1
        let id = LookupID(value: nextLookup)
        if lookups.count < configuration.lookupLimit {
            open(id, target, isPublic, at: now)
        } else if waitingLookups.count < Discovery.waitingLookupLimit {
            waitingLookups.append((id, target, isPublic))
        } else if isPublic {
            directives.append(.lookupFinished(id, []))
        }
        return id
    }

    private mutating func open(_ id: LookupID, _ target: Bytes32, _ isPublic: Bool, at now: Instant) {
        lookups[id] = Lookup(
            target: target, isPublic: isPublic, localID: key.nodeID,
            seeds: closest(to: target, limit: configuration.bucketSize),
            parallelism: configuration.lookupParallelism, resultSize: configuration.bucketSize)
        drive(id, at: now)
    }

    /// Sends what the lookup is ready to send, and ends it when nothing is left.
    mutating func drive(_ id: LookupID, at now: Instant) {
        while let record = lookups[id]?.next() {
            guard let target = lookups[id]?.target else { continue }
            guard let endpoint = endpoint(of: record) else {
                lookups[id]?.failed(record.id)
                continue
            }
            let distances = Lookup.distances(from: record.id, to: target)
            let address = NodeAddress(id: record.id, endpoint: endpoint)
            do throws(DiscoveryError) {
                try send(.lookup(id), to: address, record, distances: distances, at: now) {
                    .findNode($0, distances: distances)
                }
            } catch {
                lookups[id]?.failed(record.id)
            }
        }
        guard let lookup = lookups[id], !lookup.isBusy else { return }
        lookups[id] = nil
        if lookup.isPublic { directives.append(.lookupFinished(id, lookup.result)) }
        if !waitingLookups.isEmpty {
            let next = waitingLookups.removeFirst()
            open(next.id, next.target, next.isPublic, at: now)
        }
    }
}
