import Primitives

// Who gets into the table, and who leaves it.

extension Discovery {
    /// PINGs under way at once to nodes that would enter the table.
    private static let verificationLimit = 16
    /// Nodes waiting for theirs. Those beyond are met again if they matter.
    private static let candidateLimit = 128

    /// Reads and verifies a record, or finds that it is one verified before.
    mutating func verifiedRecord(_ bytes: [UInt8]) throws(NodeRecordError) -> NodeRecord {
        if let known = verified.use(bytes) { return known }
        let record = try NodeRecord(decoding: bytes)
        verified.insert(record.encoded, record)
        return record
    }

    /// Reads and verifies a record that a peer at `teller` sent, of itself or in a message of a protocol above. What
    /// may be sent to the address in it before anybody answers from there is measured by what names it, and is nothing
    /// where the teller cannot know the address (`mayName`).
    public mutating func heard(_ bytes: [UInt8], from teller: Endpoint) throws(NodeRecordError) -> NodeRecord {
        let record = try verifiedRecord(bytes)
        if Discovery.mayName(record, with: teller) { noteNamed(record) }
        return record
    }

    /// Whether a record may be named by or to a node at `endpoint`: it names an address, and none that only those
    /// further inside than `endpoint` (on this machine, in this network) can know and reach.
    public static func mayName(_ record: NodeRecord, with endpoint: Endpoint) -> Bool {
        AddressScope.mayRelay(record, with: endpoint)
    }

    /// A record has come over the wire: its address may be sent as much.
    mutating func noteNamed(_ record: NodeRecord) {
        // One address of the two: a record brings no more than its own bytes, wherever they go. Where that one fails,
        // the next time that the record is heard of is the other's.
        if let endpoint = endpoint(of: record) { named.name(endpoint, size: record.encoded.count) }
    }

    /// Keeps the newest record of a node, in the table or beside it.
    mutating func remember(_ record: NodeRecord, at now: Instant) {
        guard record.id != key.nodeID, record.sequence >= self.record(of: record.id)?.sequence ?? 0 else { return }
        guard let listed = table.record(of: record.id) else {
            records.insert(record.id, record)
            return
        }
        guard listed.sequence < record.sequence, let held = table.held(record.id) else { return }
        if record.endpoints.contains(held.address.endpoint) {
            table.update(record)
            if table.entry(record.id) != nil { directives.append(.nodeSeen(record)) }
        } else {
            // It has moved, or to where we cannot go: there is no PING from the new place yet.
            drop(record.id, at: now)
            records.insert(record.id, record)
            if let endpoint = endpoint(of: record) { meet(record, at: endpoint, now: now) }
        }
    }

    /// A node has shown itself at `source`. If it is one for the table, its PING is due. A record that names another
    /// place than the one it speaks from is not pinged there: nobody shall send us where he likes.
    mutating func meet(_ record: NodeRecord, at source: Endpoint, now: Instant) {
        guard record.endpointIPv4 == source || record.endpointIPv6 == source else { return }
        verify(record, at: NodeAddress(id: record.id, endpoint: source), tries: 1, now: now)
    }

    /// Pings a node that would enter the table.
    mutating func verify(_ record: NodeRecord, at address: NodeAddress, tries: Int, now: Instant) {
        guard address.id != key.nodeID, !verifying.contains(address.id), table.record(of: address.id) == nil,
            AddressScope(address.endpoint) != .none, table.hasRoom(for: address)
        else { return }
        guard verifying.count < Discovery.verificationLimit else {
            let waits = candidates.contains { $0.address.id == address.id }
            if !waits, candidates.count < Discovery.candidateLimit { candidates.append((record, address)) }
            return
        }
        let sequence = localRecord.sequence
        let sent: Void? = try? send(.verify(record, tries: tries), to: address, record, at: now) {
            .ping($0, sequence: sequence)
        }
        if sent != nil { verifying.insert(address.id) }
    }

    /// Pings those who wait, as far as there is room.
    mutating func verifyNext(at now: Instant) {
        while verifying.count < Discovery.verificationLimit, !candidates.isEmpty {
            let next = candidates.removeFirst()
            verify(next.record, at: next.address, tries: 1, now: now)
        }
    }

    /// A node has answered its PING.
    mutating func enter(_ record: NodeRecord, at address: NodeAddress, now: Instant) {
        guard table.insert(record, at: address, now: now) == .added else { return }
        records.remove(address.id)
        directives.append(.nodeSeen(record))
        noteGrowth(at: now)
    }

    /// Takes a node out of the table. Its record is kept beside it: the node may be asked for again, and then must be
    /// reached even where it has lost its keys. The replacement that moves up answered long ago, so it is pinged.
    mutating func drop(_ id: Bytes32, at now: Instant) {
        let record = table.record(of: id)
        let (removed, promoted) = table.remove(id)
        if let record { records.insert(id, record) }
        if removed { directives.append(.nodeLost(id)) }
        guard let promoted else { return }
        directives.append(.nodeSeen(promoted.record))
        check(promoted, at: now)
    }

    mutating func noteAnswer(_ address: NodeAddress, at now: Instant) { table.noteAnswer(address.id, at: now) }

    /// A request to a node of the table went unanswered: it is pinged at once. After so many PINGs in a row without an
    /// answer it leaves. Only they count: a lost handshake fails a whole queue of other requests in one instant.
    mutating func noteFailure(_ address: NodeAddress, ofCheck: Bool, at now: Instant) {
        guard let entry = table.entry(address.id), entry.address == address else { return }
        if ofCheck, table.noteFailure(address.id) ?? 0 >= configuration.failuresBeforeRemoval {
            drop(address.id, at: now)
        } else {
            check(entry, at: now)
        }
    }

    /// Pings a node of the table.
    mutating func check(_ entry: TableEntry, at now: Instant) {
        guard !checking.contains(entry.address.id) else { return }
        let sequence = localRecord.sequence
        let sent: Void? = try? send(.check, to: entry.address, entry.record, at: now) {
            .ping($0, sequence: sequence)
        }
        if sent != nil { checking.insert(entry.address.id) }
    }

    /// A node says that its record has reached `sequence`; if ours of it is older, it is asked for the newer one.
    mutating func noteSequence(_ sequence: UInt64, of address: NodeAddress, at now: Instant) {
        guard let known = record(of: address.id), known.sequence < sequence, !fetching.contains(address.id) else {
            return
        }
        let sent: Void? = try? send(.record, to: address, known, distances: [0], at: now) {
            .findNode($0, distances: [0])
        }
        if sent != nil { fetching.insert(address.id) }
    }
}
