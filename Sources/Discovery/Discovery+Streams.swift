import Primitives

// The way of a stream's packets through discv5: TALKREQ that nobody answers, thousands a second. They are decrypted
// into one buffer and read there, sealed in the buffer that they leave from, and allocate nothing on the way.

/// Who takes the requests of one protocol as they come, instead of by a directive.
public protocol TalkSink {
    /// A request from a proven peer. The bytes are lent for the call.
    mutating func take(_ request: UnsafeRawBufferPointer, from address: NodeAddress, at now: Instant)
}

extension Discovery {
    /// Handles a datagram that came from `source` and lies somewhere else; it is not kept. A TALKREQ under the protocol
    /// `name` goes to `sink` at once, everything else into directives.
    public mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from source: Endpoint, at now: Instant, streams name: [UInt8],
        to sink: inout some TalkSink
    ) {
        guard let header = readHeader(datagram, at: now) else { return }
        guard header.flag == .ordinary else {
            receive(header, from: source, at: now)
            return
        }
        guard let address = openOrdinary(header, from: source, at: now) else { return }
        guard let range = buffer.talkRequest(under: name) else {
            receiveMessage(from: address, at: now)
            return
        }
        buffer.plaintext.withUnsafeBytes { bytes in
            sink.take(UnsafeRawBufferPointer(rebasing: bytes[range]), from: address, at: now)
        }
    }

    /// Sends a TALKREQ of `count` bytes whose answer nobody waits for; `write` puts its content in place. `first`: its
    /// first byte, needed only where it is the only one. In a session it costs one packet and nothing is remembered;
    /// without one it waits behind a handshake. False when it was dropped: too large, no record known, queue or buffer
    /// full.
    @discardableResult
    public mutating func talkOneWay(
        to address: NodeAddress, protocol name: [UInt8], count: Int, first: UInt8? = nil, at now: Instant,
        write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        begin(at: now)
        let writer = TalkRequestWriter(id: newRequestID(), protocol: name, requestSize: count, first: first)
        guard writer.size <= DiscoveryLimits.messageSize else { return false }
        let attempting = peers[address]?.attempt != nil
        if !attempting, let slot = sessions.slot(of: address), sealInPlace(writer, slot, to: address, write) {
            return true
        }
        guard peers[address]?.queue.count ?? 0 < configuration.queueLimit, address.id != key.nodeID else {
            return false
        }
        let message = [UInt8](unsafeUninitializedCapacity: writer.size) { target, count in
            if let base = UnsafeMutableRawPointer(target.baseAddress) { writer.write(to: base, request: write) }
            count = writer.size
        }
        if !attempting {
            guard let record = record(of: address.id), peers.count < configuration.requestLimit,
                beginAttempt(address, record, at: now)
            else { return false }
        }
        peers[address, default: Peer()].queue.append(.oneWay(message))
        return true
    }

    private mutating func sealInPlace(
        _ writer: TalkRequestWriter, _ slot: Int, to address: NodeAddress, _ write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        sessions.touch(slot)
        return Discovery.seal(
            writer, in: &sessions, slot, from: key.nodeID, iv: random.next16(), to: address.endpoint, &outbox, write)
    }

    /// Apart from the machine, whose parts are changed here all at once.
    private static func seal(
        _ writer: TalkRequestWriter, in sessions: inout LRU<NodeAddress, Session>, _ slot: Int, from source: Bytes32,
        iv: Random16, to endpoint: Endpoint, _ outbox: inout DatagramBuffer,
        _ write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        let size = PacketWriter.size(authSize: PacketHeader.ordinaryAuthSize, messageSize: writer.size)
        return outbox.append(size, to: endpoint) { target in
            sessions.update(slot) { session in
                session.seal(at: target, from: source, iv: iv, size: writer.size) { place in
                    writer.write(to: place, request: write)
                }
            } ?? false
        }
    }

    /// The directives without the datagrams of streams, which `swapDatagrams` takes.
    public mutating func drainDirectives() -> [Directive] {
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }

    /// Gives the datagrams of streams away for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { swap(&outbox, &empty) }

    /// Whether datagrams of streams wait to be taken.
    public var hasDatagrams: Bool { !outbox.isEmpty }

    /// The datagrams of streams as values, for owners that want those.
    public mutating func drainDatagrams() -> [(bytes: [UInt8], to: Endpoint)] {
        guard !outbox.isEmpty else { return [] }
        defer { outbox.removeAll() }
        return outbox.entries.indices.map { (outbox.bytes(at: $0), outbox.entries[$0].endpoint) }
    }
}
