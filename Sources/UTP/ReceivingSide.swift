import Primitives

/// The payload's way in: appended when in order, otherwise kept as the packet it came in until the gap is filled.
struct ReceivingSide: Sendable {
    enum Outcome: Equatable {
        /// New payload or a new end was taken.
        case progress
        /// Known already, or there is no room: the ack says where we are.
        case nothing
        /// All is here.
        case complete
        case failed(UTPError)
    }

    private struct Early {
        var packet: [UInt8]
        var payload: Range<Int>
        /// A place in the ring that holds nothing; a packet that came is never without bytes.
        static let none = Early(packet: [], payload: 0..<0)
    }

    /// Payload bytes taken at most.
    let limit: Int
    /// Payload bytes of early packets kept at most.
    let capacity: Int
    private(set) var payload: [UInt8] = []
    /// The number of the next packet in order.
    private(set) var expected: UInt16
    /// The FIN's number, once it came.
    private var end: UInt16?
    /// Early packets at (number mod size); the size is a power of two.
    private var ring: [Early] = []
    private var earlyCount = 0
    /// Payload bytes of the early packets kept, what the window counts; and all their bytes, what they cost.
    private var earlyPayload = 0
    private(set) var earlyBytes = 0
    /// How far ahead of `expected` the farthest early packet was; an upper bound once packets were taken in order.
    private var reach = 0

    init(limit: Int, capacity: Int, expected: UInt16) {
        self.limit = limit
        self.capacity = capacity
        self.expected = expected
    }

    /// Bytes still free, as advertised. The gathered payload does not count: it has its own limit.
    var window: Int { max(0, capacity - earlyPayload) }

    /// Takes a DATA or FIN packet. `mayKeep`: whether there is room for early packets among all streams.
    mutating func take(_ packet: Packet, _ bytes: [UInt8], mayKeep: Bool) -> Outcome {
        let sequence = packet.header.sequence
        let ahead = Int(Int16(bitPattern: sequence &- expected))
        guard ahead >= 0, ahead < UTPLimits.windowPackets else { return .nothing }
        guard agrees(packet.header.kind, ahead: ahead, sequence) else { return .failed(.conflictingEnd) }
        guard payload.count + packet.payload.count <= limit else { return .failed(.payloadTooLarge(limit: limit)) }

        if ahead > 0 {
            guard mayKeep, keep(packet, bytes, ahead: ahead) else { return .nothing }
            if packet.header.kind == .fin { end = sequence }
            return .progress
        }
        if packet.header.kind == .fin { end = sequence }
        append(bytes, packet.payload)
        expected &+= 1
        reach = max(0, reach - 1)
        while earlyCount > 0 {
            let place = Int(expected) & (ring.count - 1)
            guard !ring[place].packet.isEmpty else { break }
            let early = ring[place]
            ring[place] = .none
            earlyCount -= 1
            earlyBytes -= early.packet.count
            earlyPayload -= early.payload.count
            guard payload.count + early.payload.count <= limit else { return .failed(.payloadTooLarge(limit: limit)) }
            append(early.packet, early.payload)
            expected &+= 1
            reach = max(0, reach - 1)
        }
        if let end, expected == end &+ 1 { return .complete }
        return .progress
    }

    /// Whether the packet fits what is known of the payload's end.
    private func agrees(_ kind: PacketKind, ahead: Int, _ sequence: UInt16) -> Bool {
        guard let end else { return kind != .fin || earlyCount == 0 || !hasEarly(beyond: ahead) }
        return kind == .fin ? sequence == end : Int16(bitPattern: end &- sequence) > 0
    }

    private func hasEarly(beyond ahead: Int) -> Bool {
        guard ahead < reach else { return false }
        return (ahead + 1...reach).contains { isKept($0) }
    }

    private func isKept(_ ahead: Int) -> Bool {
        ahead < ring.count && !ring[Int(expected &+ UInt16(ahead)) & (ring.count - 1)].packet.isEmpty
    }

    private mutating func append(_ bytes: [UInt8], _ range: Range<Int>) {
        bytes.withUnsafeBufferPointer { payload.append(contentsOf: UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// False when it is kept already or does not fit.
    private mutating func keep(_ packet: Packet, _ bytes: [UInt8], ahead: Int) -> Bool {
        guard earlyPayload + packet.payload.count <= capacity else { return false }
        reserve(ahead + 1)
        let place = Int(packet.header.sequence) & (ring.count - 1)
        guard ring[place].packet.isEmpty else { return false }
        ring[place] = Early(packet: bytes, payload: packet.payload)
        earlyCount += 1
        earlyBytes += bytes.count
        earlyPayload += packet.payload.count
        reach = max(reach, ahead)
        return true
    }

    private mutating func reserve(_ count: Int) {
        guard count > ring.count else { return }
        var size = max(ring.count, 32)
        while size < count { size *= 2 }
        var larger = [Early](repeating: .none, count: size)
        if earlyCount > 0 {
            for ahead in 1...max(reach, 1) where isKept(ahead) {
                let sequence = expected &+ UInt16(ahead)
                larger[Int(sequence) & (size - 1)] = ring[Int(sequence) & (ring.count - 1)]
            }
        }
        ring = larger
    }

    /// The bits of the selective ack: bit 0 stands for `expected` + 1; empty when nothing came early.
    var selectiveAck: [UInt8] {
        guard earlyCount > 0, reach > 0 else { return [] }
        let size = min((reach + 31) / 32 * 4, UTPLimits.selectiveAckBytes)
        var bits = [UInt8](repeating: 0, count: size)
        var found = 0
        for ahead in 1...min(reach, size * 8) where isKept(ahead) {
            bits[(ahead - 1) >> 3] |= 1 &<< UInt8((ahead - 1) & 7)
            found += 1
            if found == earlyCount { break }
        }
        return bits
    }
}
