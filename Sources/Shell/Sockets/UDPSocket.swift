import CNet
import Foundation
import Primitives

/// A non-blocking UDP socket that moves many datagrams a system call. One thread owns it.
///
/// Where the system can (`Offload`), a run of datagrams of one size to one place leaves in one send and is split behind
/// the system call, and runs that arrive are read as one; otherwise 64 single ones go in a call. Either way nothing is
/// copied on this side: what arrives is lent where it was read, what leaves lies in one buffer.
public final class UDPSocket {
    /// What of the system's joining and splitting of datagrams is used.
    public struct Offload: Equatable, Sendable {
        /// UDP_SEGMENT: one send for a run. Given up at run time where a device refuses it.
        public var segments = true
        /// UDP_GRO: one read for a run.
        public var coalesces = true

        /// Both are used where the system has them.
        public init() {}

        /// Neither: sendmmsg and recvmmsg of single datagrams.
        public static var none: Offload {
            var none = Offload()
            (none.segments, none.coalesces) = (false, false)
            return none
        }
    }

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
    /// What is in use; less than was asked for where the system has less.
    public private(set) var offload = Offload()
    let descriptor: Int32
    private let inbox: OpaquePointer
    private let outbox: OpaquePointer
    private let isIPv6: Bool
    private var waiting = DatagramBuffer(limit: ShellLimits.waitingBytes)
    private var sentOfWaiting = 0
    /// Addresses that the system refused to send to, since they were last asked for.
    private var unsent: [Endpoint] = []

    /// Binds `address` (port 0: any free one).
    public init(binding address: Endpoint, offload wanted: Offload = Offload()) throws(ShellError) {
        let fd = cnet_udp_open(
            address.address, address.address.count, address.port, Int32(ShellLimits.socketBufferBytes))
        switch fd {
        case 0...: break
        case -EADDRINUSE: throw .portTaken(port: address.port)
        case -EACCES: throw .portForbidden(port: address.port)
        case -EADDRNOTAVAIL: throw .addressUnavailable(address.description)
        default: throw .system("bind \(address)", fd)
        }
        offload.segments = wanted.segments && cnet_udp_can_segment(fd) == 0
        offload.coalesces = wanted.coalesces && cnet_udp_coalesce(fd) == 0
        let port = cnet_udp_port(fd)
        guard port > 0, let inbox = cnet_inbox_create(offload.coalesces ? 1 : 0), let outbox = cnet_outbox_create(),
            let local = Endpoint(address: address.address, port: UInt16(truncatingIfNeeded: port))
        else {
            _ = cnet_close(fd)
            throw .system(call: "socket \(address)", reason: "no memory for its buffers")
        }
        descriptor = fd
        self.inbox = inbox
        self.outbox = outbox
        self.local = local
        isIPv6 = !address.isIPv4
    }

    deinit {
        _ = cnet_close(descriptor)
        cnet_inbox_destroy(inbox)
        cnet_outbox_destroy(outbox)
    }

    /// The receive buffer that the system gave, in bytes: less than asked for where its limit is lower.
    public var receiveBufferBytes: Int { Int(max(0, cnet_udp_receive_buffer(descriptor))) }

    /// Sleeps until something can be read; false where the time was over first. For owners without a loop.
    public func wait(milliseconds: Int32) -> Bool {
        var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&question, 1, milliseconds) > 0
    }

    // MARK: In

    /// Lends what waits on the socket, at most one call's reads. False where fewer than that were waiting.
    public func receive(_ handler: (UnsafeRawBufferPointer, Endpoint) -> Void) throws(ShellError) -> Bool {
        let count = cnet_receive(descriptor, inbox)
        // An error about a datagram sent before (a peer's closed port) says nothing about this socket.
        if count < 0 && count != -ECONNREFUSED { throw .system("recvmmsg", count) }
        for index in 0..<max(0, count) {
            var (length, segment) = (0, 0)
            guard let start = cnet_read(inbox, index, &length, &segment) else { continue }
            guard length > 0, let source = source(of: index) else {
                counters.tooLong += 1
                continue
            }
            var position = 0
            while position < length {
                let size = min(segment, length - position)
                hand(UnsafeRawBufferPointer(start: start + position, count: size), source, handler)
                position += size
            }
        }
        return count == cnet_inbox_reads(inbox)
    }

    private func hand(
        _ datagram: UnsafeRawBufferPointer, _ source: Endpoint, _ handler: (UnsafeRawBufferPointer, Endpoint) -> Void
    ) {
        guard datagram.count <= ShellLimits.datagramBytes else {
            counters.tooLong += 1
            return
        }
        counters.received += 1
        counters.receivedBytes += datagram.count
        handler(datagram, source)
    }

    private func source(of index: Int32) -> Endpoint? {
        var port: UInt16 = 0
        var words: (UInt64, UInt64) = (0, 0)
        return withUnsafeMutableBytes(of: &words) { raw -> Endpoint? in
            guard let start = raw.baseAddress else { return nil }
            let length = cnet_source(inbox, index, start.assumingMemoryBound(to: UInt8.self), &port)
            return Endpoint(address: UnsafeRawBufferPointer(start: start, count: Int(length)), port: port)
        }
    }

    // MARK: Out

    /// Refusals that are about an address and not about this moment or this datagram.
    private static let lastingRefusals: Set<Int> = Set(
        [ENETUNREACH, EHOSTUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT, EACCES, EPERM, EINVAL].map { Int($0) })

    private func noteUnsent(_ endpoint: Endpoint, errno reason: Int) {
        guard UDPSocket.lastingRefusals.contains(reason), unsent.count < ShellLimits.unsentAddresses else { return }
        if !unsent.contains(endpoint) { unsent.append(endpoint) }
    }

    /// The addresses to which the system would send nothing since the last call, each once.
    func takeUnsent() -> [Endpoint] {
        guard !unsent.isEmpty else { return [] }
        defer { unsent = [] }
        return unsent
    }

    /// Puts a datagram in line; `flush` sends the line. A datagram too long or for a family that the socket does not
    /// speak, or one beyond the line's limit, is lost and counted.
    public func send(_ bytes: [UInt8], to endpoint: Endpoint) {
        let isTaken =
            canSend(bytes.count, to: endpoint) && bytes.withUnsafeBytes { waiting.append($0, to: endpoint) }
        if !isTaken { counters.lost += 1 }
    }

    /// Puts all datagrams of `buffer` in line and leaves it empty. Where nothing else waits, the buffers change places.
    public func send(_ buffer: inout DatagramBuffer) {
        guard !buffer.isEmpty else { return }
        if waiting.isEmpty {
            swap(&waiting, &buffer)
            return
        }
        buffer.withBytes { bytes in
            for entry in buffer.entries {
                let datagram = UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.start + entry.count])
                if !waiting.append(datagram, to: entry.endpoint) { counters.lost += 1 }
            }
        }
        buffer.removeAll()
    }

    private func canSend(_ count: Int, to endpoint: Endpoint) -> Bool {
        count <= ShellLimits.datagramBytes && count > 0 && (endpoint.isIPv4 || isIPv6) && endpoint.port != 0
    }

    /// Sends the line as far as the system takes it. True where all of it went; otherwise wait for room to write.
    public func flush() -> Bool {
        let isEmpty = waiting.withBytes { bytes in
            while sentOfWaiting < waiting.count {
                if !sendSome(bytes) { return false }
            }
            return true
        }
        // What was sent goes when all was, or when it is the larger part: the line's limit is for what waits.
        if isEmpty || sentOfWaiting * 2 > waiting.count {
            waiting.removeFirst(sentOfWaiting)
            sentOfWaiting = 0
        }
        return isEmpty
    }

    /// One system call. False where the system has no room.
    private func sendSome(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var ends: InlineArray<64, Int> = .init(repeating: 0)
        var sends = 0
        var next = sentOfWaiting
        while sends < min(Int(CNET_SENDS), ends.count), next < waiting.count {
            guard canSend(waiting.entries[next].count, to: waiting.entries[next].endpoint) else {
                // Only at the front it can be dropped: the sends of a call stand for neighbours.
                if sends > 0 { break }
                counters.lost += 1
                sentOfWaiting += 1
                next += 1
                continue
            }
            next = put(sends, from: next, bytes)
            ends[sends] = next
            sends += 1
        }
        guard sends > 0 else { return true }
        let sent = Int(cnet_send(descriptor, outbox, Int32(sends)))
        if sent == -Int(EAGAIN) || sent == -Int(ENOBUFS) { return false }
        if sent <= 0 {
            if offload.segments, ends[0] - sentOfWaiting > 1 {
                // A device that cannot split them (EIO, EINVAL): single ones from now on.
                offload.segments = false
                return true
            }
            // The system refuses this one (no route, say): it is lost, the others go on.
            counters.lost += ends[0] - sentOfWaiting
            noteUnsent(waiting.entries[sentOfWaiting].endpoint, errno: -sent)
            sentOfWaiting = ends[0]
            return true
        }
        let end = ends[sent - 1]
        let (first, last) = (waiting.entries[sentOfWaiting], waiting.entries[end - 1])
        counters.sent += end - sentOfWaiting
        counters.sentBytes += last.start + last.count - first.start
        sentOfWaiting = end
        return true
    }

    /// Describes the send number `index` to the system: the datagram at `first` and those behind it of the same size
    /// and destination. Returns the place of the datagram after them.
    private func put(_ index: Int, from first: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
        let entry = waiting.entries[first]
        var end = first + 1
        var size = entry.count
        while offload.segments, end < waiting.count, end - first < Int(CNET_SEGMENTS) {
            let next = waiting.entries[end]
            guard next.endpoint == entry.endpoint, next.count <= entry.count,
                size + next.count <= Int(CNET_SEND_BYTES)
            else { break }
            size += next.count
            end += 1
            // A shorter one ends the run.
            if next.count < entry.count { break }
        }
        var words: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &words) { address in
            let length = entry.endpoint.storeAddress(to: address.baseAddress)
            cnet_put(
                outbox, Int32(index), bytes.baseAddress?.advanced(by: entry.start).assumingMemoryBound(to: UInt8.self),
                size, entry.count, address.baseAddress?.assumingMemoryBound(to: UInt8.self), length,
                entry.endpoint.port, isIPv6 ? 1 : 0)
        }
        return end
    }
}

extension UDPSocket {
    /// The socket at an address; at 0.0.0.0 instead where the machine has nothing else and that will do.
    static func opened(at listen: Endpoint, orIPv4 fallsBack: Bool) throws(ShellError) -> UDPSocket {
        do throws(ShellError) {
            return try UDPSocket(binding: listen)
        } catch {
            switch error {
            case .addressUnavailable, .system:
                guard fallsBack else { throw error }
                return try UDPSocket(binding: Endpoint(ipv4: (0, 0, 0, 0), port: listen.port))
            default: throw error
            }
        }
    }
}
