import Primitives

/// The five types of a packet. Source: BEP 29.
public enum PacketKind: UInt8, Sendable {
    case data = 0
    case fin = 1
    case state = 2
    case reset = 3
    case syn = 4
}

/// The fixed fields of a packet, in host order.
public struct PacketHeader: Hashable, Sendable {
    public var kind: PacketKind
    /// The receiving end's id of the stream; in a SYN the sender's own receive id.
    public var connectionID: UInt16
    /// The sender's clock in microseconds, modulo 2^32.
    public var timestamp: UInt32
    /// The sender's clock less the timestamp of the last packet it received, in microseconds modulo 2^32; 0 before one.
    public var timestampDifference: UInt32
    /// Bytes the sender can still take.
    public var window: UInt32
    /// Of DATA and FIN: this packet's number. Of STATE: the number of the next one.
    public var sequence: UInt16
    /// The last number received in order.
    public var acknowledgement: UInt16

    /// The fields in the order of the wire.
    public init(
        kind: PacketKind, connectionID: UInt16, timestamp: UInt32, timestampDifference: UInt32, window: UInt32,
        sequence: UInt16, acknowledgement: UInt16
    ) {
        self.kind = kind
        self.connectionID = connectionID
        self.timestamp = timestamp
        self.timestampDifference = timestampDifference
        self.window = window
        self.sequence = sequence
        self.acknowledgement = acknowledgement
    }
}

/// A packet read in place: its header, and where in its bytes the rest lies.
public struct Packet: Hashable, Sendable {
    public let header: PacketHeader
    /// The number of the first extension; 0 for none.
    public let firstExtension: UInt8
    /// Where the bits of the selective ack are; bit 0 (lowest of the first byte) stands for acknowledgement + 2.
    public let selectiveAck: Range<Int>?
    /// Where the payload is, to the end of the bytes.
    public let payload: Range<Int>

    /// Reads a whole packet. Unknown extensions are stepped over.
    public init(parsing bytes: [UInt8]) throws(PacketError) {
        guard bytes.count >= UTPLimits.headerBytes else { throw .tooShort }
        guard bytes[0] & 15 == 1 else { throw .unknownVersion(bytes[0] & 15) }
        guard let kind = PacketKind(rawValue: bytes[0] &>> 4) else { throw .unknownType(bytes[0] &>> 4) }
        func word(_ at: Int) -> UInt16 { UInt16(bytes[at]) &<< 8 | UInt16(bytes[at + 1]) }
        func long(_ at: Int) -> UInt32 { UInt32(word(at)) &<< 16 | UInt32(word(at + 2)) }
        header = PacketHeader(
            kind: kind, connectionID: word(2), timestamp: long(4), timestampDifference: long(8), window: long(12),
            sequence: word(16), acknowledgement: word(18))
        firstExtension = bytes[1]

        var position = UTPLimits.headerBytes
        var next = bytes[1]
        var bits: Range<Int>?
        while next != 0 {
            guard bytes.count - position >= 2 else { throw .extensionCut }
            let length = Int(bytes[position + 1])
            let content = position + 2..<position + 2 + length
            guard content.upperBound <= bytes.count else { throw .extensionCut }
            if next == 1 {
                guard length > 0, length.isMultiple(of: 4) else { throw .selectiveAckLength(length) }
                guard bits == nil else { throw .repeatedSelectiveAck }
                bits = content
            }
            next = bytes[position]
            position = content.upperBound
        }
        selectiveAck = bits
        payload = position..<bytes.count
        guard payload.isEmpty || kind == .data || kind == .fin else { throw .unexpectedPayload }
    }

    /// The bytes of a packet. `selectiveAck`: a multiple of 4 bytes, at most 252; none where empty. `payload`: a part
    /// of `source`.
    public static func encode(
        _ header: PacketHeader, selectiveAck: [UInt8] = [], payload: Range<Int> = 0..<0, of source: [UInt8] = []
    ) -> [UInt8] {
        let extensionBytes = selectiveAck.isEmpty ? 0 : 2 + selectiveAck.count
        let size = UTPLimits.headerBytes + extensionBytes + payload.count
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            raw[0] = header.kind.rawValue &<< 4 | 1
            raw[1] = selectiveAck.isEmpty ? 0 : 1
            raw.storeBytes(of: header.connectionID.bigEndian, toByteOffset: 2, as: UInt16.self)
            raw.storeBytes(of: header.timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
            raw.storeBytes(of: header.timestampDifference.bigEndian, toByteOffset: 8, as: UInt32.self)
            raw.storeBytes(of: header.window.bigEndian, toByteOffset: 12, as: UInt32.self)
            raw.storeBytes(of: header.sequence.bigEndian, toByteOffset: 16, as: UInt16.self)
            raw.storeBytes(of: header.acknowledgement.bigEndian, toByteOffset: 18, as: UInt16.self)
            var position = UTPLimits.headerBytes
            if extensionBytes > 0 {
                raw[position] = 0
                raw[position + 1] = UInt8(selectiveAck.count)
                selectiveAck.withUnsafeBytes { bits in
                    UnsafeMutableRawBufferPointer(rebasing: raw[(position + 2)...]).copyMemory(from: bits)
                }
                position += extensionBytes
            }
            if !payload.isEmpty {
                source.withUnsafeBytes { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: raw[position...])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[payload]))
                }
            }
            count = size
        }
    }
}
