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
        talkOneWay(to: peer, protocol: PortalWire.utpProtocol, count: count, at: now, write: write)
    }
}

extension PortalWire {
    /// Takes a datagram in, which is not kept.
    mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at now: Instant) {
        clock = now
        discovery.receive(datagram, from: source, at: now, streams: PortalWire.utpProtocol, to: &utp)
    }
}
