import Discovery
import Primitives
import UTP

// How the packets of streams pass between discv5 and uTP: lent in place both ways, without directives.

extension UTP: TalkSink {
    /// A uTP packet. There is no TALKRESP for it: nobody waits for one, and it would double the packets.
    public mutating func take(_ request: UnsafeRawBufferPointer, from address: NodeAddress, at now: Instant) {
        receive(request, from: address, at: now)
    }
}

extension Discovery: PacketSink {
    /// Sends a uTP packet. One that cannot be sent is one lost: the stream sends it again or ends.
    public mutating func send(
        _ count: Int, to peer: NodeAddress, at now: Instant, write: (UnsafeMutableRawPointer) -> Void
    ) {
        talkOneWay(to: peer, protocol: Overlay.utpProtocol, count: count, at: now, write: write)
    }
}

extension Overlay {
    /// The exchange whose stream carries least, of those that had their time and carry too little; nil where none is
    /// that slow.
    func slowest(of exchanges: some Sequence<(UInt64, StreamID, since: Instant)>) -> UInt64? {
        var slowest: (number: UInt64, rate: Double)?
        for (number, stream, since) in exchanges where clock - since >= OverlayLimits.slowPatience {
            let rate = Double(utp.progress(of: stream)) / (clock - since).seconds
            guard rate < OverlayLimits.slowRate else { continue }
            if slowest.map({ (rate, number) < ($0.rate, $0.number) }) ?? true { slowest = (number, rate) }
        }
        return slowest?.number
    }

    /// What requests to the node took: a stream's first losses are found out by it.
    func roundTrip(to address: NodeAddress) -> Interval? { book.standing(of: address.id)?.roundTrip }

    /// Handles a datagram that came from `source` and lies somewhere else; it is not kept.
    public mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at now: Instant) {
        clock = now
        discovery.receive(datagram, from: source, at: now, streams: Overlay.utpProtocol, to: &utp)
    }

    /// The same with the datagram as a value.
    public mutating func receive(_ datagram: [UInt8], from source: Endpoint, at now: Instant) {
        datagram.withUnsafeBytes { receive($0, from: source, at: now) }
    }

    /// Works off what came in and takes the directives that have come about.
    public mutating func drain() -> [Directive] {
        let others = drainDirectives()
        return others + discovery.drainDatagrams().map { .send($0.bytes, to: $0.to) }
    }

    /// The same without the datagrams of streams, which `swapDatagrams` takes.
    public mutating func drainDirectives() -> [Directive] {
        pump()
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }

    /// Gives the datagrams of streams away for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { discovery.swapDatagrams(&empty) }

    /// The datagrams of streams as values, for owners that want those.
    public mutating func drainDatagrams() -> [(bytes: [UInt8], to: Endpoint)] { discovery.drainDatagrams() }
}
