import Primitives

/// Where a machine's packets go. They are written where they will lie, so that payload is copied once on its way out.
public protocol PacketSink {
    /// Sends a packet of `count` bytes to `peer`, as TALKREQ "utp"; no answer is waited for. `write` puts the bytes in
    /// place. A packet that cannot be sent is a packet lost: the stream sends it again or ends.
    mutating func send(
        _ count: Int, to peer: NodeAddress, at now: Instant, write: (UnsafeMutableRawPointer) -> Void)
}

/// Packets without payload that came about while others were received: they leave with the next `drain`.
struct PacketQueue: PacketSink, Sendable {
    private struct Entry: Sendable {
        let start: Int
        let count: Int
        let peer: NodeAddress
    }

    private var bytes: [UInt8] = []
    private var entries: [Entry] = []

    var isEmpty: Bool { entries.isEmpty }

    mutating func send(
        _ count: Int, to peer: NodeAddress, at now: Instant, write: (UnsafeMutableRawPointer) -> Void
    ) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: count))
        bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { write(base + start) }
        }
        entries.append(Entry(start: start, count: count, peer: peer))
    }

    /// Hands all packets on, in order; their memory is kept for the next ones.
    mutating func flush(into sink: inout some PacketSink, at now: Instant) {
        guard !entries.isEmpty else { return }
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            for entry in entries {
                sink.send(entry.count, to: entry.peer, at: now) { target in
                    target.copyMemory(from: base + entry.start, byteCount: entry.count)
                }
            }
        }
        bytes.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }
}

/// Gathers packets as directives, for owners that want values.
struct DirectiveSink: PacketSink {
    var directives: [UTP.Directive] = []

    mutating func send(
        _ count: Int, to peer: NodeAddress, at now: Instant, write: (UnsafeMutableRawPointer) -> Void
    ) {
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            if let base = UnsafeMutableRawPointer(buffer.baseAddress) { write(base) }
            written = count
        }
        directives.append(.send(bytes, to: peer))
    }
}
