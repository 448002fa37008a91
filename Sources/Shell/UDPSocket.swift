import CNet
import Foundation
import Primitives

/// A non-blocking UDP socket that moves datagrams in batches of up to 64 a system call. One thread owns it.
public final class UDPSocket {
    /// What the socket has moved and lost since it was opened.
    public struct Counters: Equatable, Sendable {
        /// Datagrams received and handed on, and their bytes.
        public var received = 0, receivedBytes = 0
        /// Datagrams handed to the system, and their bytes.
        public var sent = 0, sentBytes = 0
        /// Datagrams that the system or the waiting line refused.
        public var lost = 0
        /// Datagrams received that were longer than any packet may be.
        public var tooLong = 0
    }

    /// What the socket has moved and lost.
    public private(set) var counters = Counters()
    /// Where the socket is bound, with the port that the system chose for 0.
    public let local: Endpoint
    let descriptor: Int32
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private let isIPv6: Bool
    private var waiting: [(bytes: [UInt8], to: Endpoint)] = []
    private var sentOfWaiting = 0
    private var remembered: [PackedAddress: Endpoint] = [:]

    private struct PackedAddress: Hashable {
        var high: UInt64
        var low: UInt64
        var port: UInt16
        var length: Int32
    }

    /// Binds `address` (port 0: any free one).
    public init(binding address: Endpoint) throws(ShellError) {
        let fd = cnet_udp_open(
            address.address, address.address.count, address.port, Int32(ShellLimits.socketBufferBytes))
        switch fd {
        case 0...: break
        case -EADDRINUSE: throw .portTaken(port: address.port)
        case -EACCES: throw .portForbidden(port: address.port)
        case -EADDRNOTAVAIL: throw .addressUnavailable(address.description)
        default: throw .system("bind \(address)", fd)
        }
        let port = cnet_udp_port(fd)
        guard port > 0, let incoming = cnet_batch_create(), let outgoing = cnet_batch_create(),
            let local = Endpoint(address: address.address, port: UInt16(truncatingIfNeeded: port))
        else {
            _ = cnet_close(fd)
            throw .system(call: "socket \(address)", reason: "no memory for its buffers")
        }
        descriptor = fd
        self.incoming = incoming
        self.outgoing = outgoing
        self.local = local
        isIPv6 = !address.isIPv4
    }

    deinit {
        _ = cnet_close(descriptor)
        cnet_batch_destroy(incoming)
        cnet_batch_destroy(outgoing)
    }

    /// The receive buffer that the system gave, in bytes: less than asked for where its limit is lower.
    public var receiveBufferBytes: Int { Int(max(0, cnet_udp_receive_buffer(descriptor))) }

    /// Hands on what waits on the socket, at most one batch of 64. False where fewer than that were waiting.
    func receive(_ handler: ([UInt8], Endpoint) -> Void) throws(ShellError) -> Bool {
        let count = cnet_receive(descriptor, incoming)
        // An error about a datagram sent before (a peer's closed port) says nothing about this socket.
        if count < 0 && count != -ECONNREFUSED { throw .system("recvmmsg", count) }
        for index in 0..<max(0, count) {
            var length = 0
            guard let start = cnet_datagram(incoming, index, &length) else { continue }
            guard length > 0, length <= ShellLimits.datagramBytes, let source = source(of: index) else {
                counters.tooLong += 1
                continue
            }
            counters.received += 1
            counters.receivedBytes += length
            handler(Array(UnsafeBufferPointer(start: start, count: length)), source)
        }
        return count == CNET_BATCH
    }

    /// Puts a datagram in line; `flush` sends the line. A datagram too long or for a family that the socket does not
    /// speak, or one beyond the line's limit, is lost and counted.
    func send(_ bytes: [UInt8], to endpoint: Endpoint) {
        guard bytes.count <= ShellLimits.datagramBytes, endpoint.isIPv4 || isIPv6, endpoint.port != 0,
            waiting.count - sentOfWaiting < ShellLimits.waitingDatagrams
        else {
            counters.lost += 1
            return
        }
        waiting.append((bytes, endpoint))
    }

    /// Sends the line as far as the system takes it. True where all of it went; otherwise wait for room to write.
    func flush() -> Bool {
        while sentOfWaiting < waiting.count {
            let count = min(Int(CNET_BATCH), waiting.count - sentOfWaiting)
            for index in 0..<count {
                let (bytes, to) = waiting[sentOfWaiting + index]
                // Length and family were checked when it was put in line.
                _ = cnet_put(
                    outgoing, Int32(index), bytes, bytes.count, to.address, to.address.count, to.port, isIPv6 ? 1 : 0)
            }
            let sent = cnet_send(descriptor, outgoing, 0, Int32(count))
            if sent == -EAGAIN || sent == -ENOBUFS { return forgetSent() }
            if sent <= 0 {
                // The system refuses this one (no route, say): it is lost, the others go on.
                counters.lost += 1
                sentOfWaiting += 1
                continue
            }
            counters.sent += Int(sent)
            for index in 0..<Int(sent) { counters.sentBytes += waiting[sentOfWaiting + index].bytes.count }
            sentOfWaiting += Int(sent)
        }
        waiting.removeAll(keepingCapacity: true)
        sentOfWaiting = 0
        return true
    }

    private func forgetSent() -> Bool {
        waiting.removeFirst(sentOfWaiting)
        sentOfWaiting = 0
        return false
    }

    private func source(of index: Int32) -> Endpoint? {
        var packed = PackedAddress(high: 0, low: 0, port: 0, length: 0)
        var bytes: (UInt64, UInt64) = (0, 0)
        let length = withUnsafeMutableBytes(of: &bytes) { raw -> Int32 in
            guard let start = raw.bindMemory(to: UInt8.self).baseAddress else { return 0 }
            return cnet_source(incoming, index, start, &packed.port)
        }
        guard length > 0 else { return nil }
        packed.high = bytes.0
        packed.low = bytes.1
        packed.length = length
        if let known = remembered[packed] { return known }
        let address = withUnsafeBytes(of: bytes) { Array($0.prefix(Int(length))) }
        guard let endpoint = Endpoint(address: address, port: packed.port) else { return nil }
        if remembered.count >= ShellLimits.rememberedEndpoints { remembered.removeAll(keepingCapacity: true) }
        remembered[packed] = endpoint
        return endpoint
    }
}
