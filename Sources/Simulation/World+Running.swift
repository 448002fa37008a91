import Primitives

// Time goes by: stretch by stretch, each host's events together.
extension World {
    /// Fewer events than this are not worth handing out.
    private static let sharedEvents = 32

    /// Handles the next event; false where there is none.
    @discardableResult
    public mutating func step() -> Bool { runStretch(until: Instant(microseconds: .max), limit: 1) > 0 }

    /// Runs until `condition` holds or the clock reaches `deadline`; whether it held. It is looked at between two
    /// stretches, every 64 events or so.
    public mutating func run(until deadline: Instant, condition: (World) -> Bool = { _ in false }) -> Bool {
        var untilCheck = 64
        while let next = queue.earliest, next <= deadline {
            untilCheck -= runStretch(until: deadline, limit: .max)
            guard untilCheck <= 0 else { continue }
            if condition(self) { return true }
            untilCheck = 64
        }
        now = max(now, deadline)
        return condition(self)
    }

    /// Takes the events of the next stretch, at most `limit`, and runs their hosts; how many it took.
    private mutating func runStretch(until deadline: Instant, limit: Int) -> Int {
        guard let first = queue.earliest else { return 0 }
        // No datagram arrives in the stretch in which it was sent.
        let length = limit == 1 ? 1 : max(network.conditions.latency.microseconds, 1)
        var last = min(deadline, first + Interval(microseconds: length - 1))
        var active: [HostID] = []
        var taken = 0
        var start: (id: HostID, boot: HostID)?
        while taken < limit, start == nil, let due = queue.earliest, due <= last, let (time, event) = queue.next() {
            taken += 1
            switch event {
            case .of(let id, let event):
                if hosts[id.index].inbox.earliest == nil { active.append(id) }
                hosts[id.index].inbox.add(event, at: time)
            case .start(let id, let boot):
                // It looks at another host: that one has come as far, and no further.
                start = (id, boot)
                last = time
            }
        }
        run(active, taken, through: last)
        let told = reports.count
        for id in active {
            now = max(now, hosts[id.index].now)
            collect(id)
        }
        sortReports(from: told)
        if let start { self.start(start.id, knowing: start.boot, at: last) }
        return taken
    }

    private mutating func run(_ active: [HostID], _ events: Int, through last: Instant) {
        let committed = committed
        guard let executor, events >= World.sharedEvents, active.count > 1 else {
            for id in active { hosts[id.index].run(through: last, committed: committed) }
            return
        }
        hosts.withUnsafeMutableBufferPointer { hosts in
            guard let first = hosts.baseAddress else { return }
            let places = HostPlaces(first: first)
            executor(active.count) { places.first[active[$0].index].run(through: last, committed: committed) }
        }
    }

    private mutating func start(_ id: HostID, knowing boot: HostID, at time: Instant) {
        now = max(now, time)
        hosts[id.index].noteStart(knowing: boot, at: now)
        do {
            try start(id, bootNodes: record(of: boot).map { [$0] } ?? [])
        } catch {
            reports.append((now, id, .failed("\(error)")))
        }
    }

    /// Puts on the wire what a host has sent, and in the queue what it is to do later.
    mutating func collect(_ id: HostID) {
        // Its buffers are used again by the next one.
        swap(&outbox, &hosts[id.index].outbox)
        for datagram in outbox.datagrams { send(datagram, from: id) }
        for (event, time) in outbox.later { queue.add(.of(id, event), at: time) }
        for (time, report) in outbox.reports { reports.append((time, id, report)) }
        if outbox.isComplete { completeCount += 1 }
        outbox.empty()
    }

    private mutating func send(_ datagram: Host.Outbox.Datagram, from id: HostID) {
        let sentAt = datagram.time
        guard var arrival = network.arrival(sentAt: sentAt), let receiver = byEndpoint[datagram.target] else { return }
        if let partition, partition.parts(id, receiver, at: sentAt) { return }
        if hasLines {
            if let delay = hosts[receiver.index].line?.latency { arrival = arrival + delay }
            if hosts[id.index].line != nil {
                let wait = hosts[id.index].line?.delay(
                    of: datagram.bytes.count, isStream: datagram.isStream, at: sentAt)
                guard let wait else { return }
                arrival = arrival + wait
            }
        }
        queue.add(.of(receiver, .deliver(datagram.bytes, from: id, isStream: datagram.isStream)), at: arrival)
    }

    /// Brings the reports of a stretch, which came host by host, into the order of their times.
    private mutating func sortReports(from told: Int) {
        guard reports.count > told + 1 else { return }
        let sorted = reports[told...].enumerated().sorted { a, b in
            a.element.time == b.element.time ? a.offset < b.offset : a.element.time < b.element.time
        }
        reports.replaceSubrange(told..., with: sorted.map(\.element))
    }
}

/// Where the hosts lie while they run side by side. No two calls are for the same host.
private struct HostPlaces: @unchecked Sendable {
    let first: UnsafeMutablePointer<Host>
}
