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
    /// Early packets by number, and a bit for each: the numbers that can be kept at once differ in their low bits.
    /// Allocated with the first of them, of a fixed size: a packet far ahead costs what any other does.
    private var early: [UInt16: Early] = [:]
    private var bits: [UInt64] = []
    /// Payload bytes of the early packets kept, what the window counts; and all their bytes, what they cost.
    private var earlyPayload = 0
    private(set) var earlyBytes = 0
    /// How far ahead of `expected` the farthest early packet is, where there is one.
    private var reach = 0

    init(limit: Int, capacity: Int, expected: UInt16) {
        self.limit = limit
        self.capacity = capacity
        self.expected = expected
    }

    /// Whether a packet is missing that later ones have overtaken; and whether one ever was.
    var hasGap: Bool { !early.isEmpty }
    private(set) var hadGap = false

    /// Bytes still free, as advertised. The gathered payload does not count: it has its own limit.
    var window: Int { max(0, capacity - earlyPayload) }

    /// Takes a DATA or FIN packet. `mayKeep`: whether there is room for early packets among all streams.
    mutating func take(_ packet: Packet, _ bytes: UnsafeRawBufferPointer, mayKeep: Bool) -> Outcome {
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
        while !early.isEmpty, isKept(expected), let next = early.removeValue(forKey: expected) {
            setBit(expected, false)
            earlyBytes -= next.packet.count
            earlyPayload -= next.payload.count
            guard payload.count + next.payload.count <= limit else { return .failed(.payloadTooLarge(limit: limit)) }
            next.packet.withUnsafeBytes { append($0, next.payload) }
            expected &+= 1
            reach = max(0, reach - 1)
        }
        if let end, expected == end &+ 1 { return .complete }
        return .progress
    }

    /// Whether the packet fits what is known of the payload's end.
    private func agrees(_ kind: PacketKind, ahead: Int, _ sequence: UInt16) -> Bool {
        guard let end else { return kind != .fin || early.isEmpty || reach <= ahead }
        return kind == .fin ? sequence == end : Int16(bitPattern: end &- sequence) > 0
    }

    private static func place(_ sequence: UInt16) -> (word: Int, bit: UInt64) {
        let place = Int(sequence) & (UTPLimits.windowPackets - 1)
        return (place >> 6, 1 &<< UInt64(place & 63))
    }

    private func isKept(_ sequence: UInt16) -> Bool {
        let (word, bit) = ReceivingSide.place(sequence)
        return word < bits.count && bits[word] & bit != 0
    }

    private mutating func setBit(_ sequence: UInt16, _ value: Bool) {
        let (word, bit) = ReceivingSide.place(sequence)
        if bits.isEmpty { bits = [UInt64](repeating: 0, count: UTPLimits.windowPackets / 64) }
        if value { bits[word] |= bit } else { bits[word] &= ~bit }
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        if payload.capacity < payload.count + range.count {
            // In large steps, but never beyond the limit: little is copied, and room not yet written to costs no
            // memory.
            let wanted = max(payload.count * UTPLimits.gatherGrowth, UTPLimits.gatherBytes)
            payload.reserveCapacity(max(min(wanted, limit), payload.count + range.count))
        }
        // As typed bytes the standard library copies a block, as raw ones it goes byte by byte.
        UnsafeRawBufferPointer(rebasing: bytes[range]).withMemoryRebound(to: UInt8.self) {
            payload.append(contentsOf: $0)
        }
    }

    /// False when it is kept already or does not fit.
    private mutating func keep(_ packet: Packet, _ bytes: UnsafeRawBufferPointer, ahead: Int) -> Bool {
        let sequence = packet.header.sequence
        guard earlyPayload + packet.payload.count <= capacity, !isKept(sequence) else { return false }
        early[sequence] = Early(packet: Array(bytes), payload: packet.payload)
        setBit(sequence, true)
        hadGap = true
        earlyBytes += bytes.count
        earlyPayload += packet.payload.count
        reach = max(reach, ahead)
        return true
    }

    /// The bits of the selective ack: bit 0 stands for `expected` + 1; empty when nothing came early.
    var selectiveAck: [UInt8] {
        guard !early.isEmpty, reach > 0 else { return [] }
        let size = min((reach + 31) / 32 * 4, UTPLimits.selectiveAckBytes)
        var found = [UInt8](repeating: 0, count: size)
        let first = Int(expected &+ 1) & (UTPLimits.windowPackets - 1)
        let (word, shift) = (first >> 6, UInt64(first & 63))
        for index in 0..<size {
            // Eight bits from place `first` + 8 · index on, which may straddle two words.
            let offset = shift + UInt64(index * 8)
            let low = (word + Int(offset >> 6)) % bits.count
            var eight = bits[low] &>> (offset & 63)
            if offset & 63 > 56 { eight |= bits[(low + 1) % bits.count] &<< (64 - (offset & 63)) }
            found[index] = UInt8(truncatingIfNeeded: eight)
        }
        return found
    }
}
