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
public struct UTPHeader: Hashable, Sendable {
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
    public let header: UTPHeader
    /// The number of the first extension; 0 for none.
    public let firstExtension: UInt8
    /// Where the bits of the selective ack are; bit 0 (lowest of the first byte) stands for acknowledgement + 2.
    public let selectiveAck: Range<Int>?
    /// Where the payload is, to the end of the bytes.
    public let payload: Range<Int>

    /// Reads a whole packet. Unknown extensions are stepped over.
    public init(parsing bytes: [UInt8]) throws(UTPPacketError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Packet, UTPPacketError> in
            do throws(UTPPacketError) {
                return .success(try Packet(parsing: buffer))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    /// The same where the bytes lie.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(UTPPacketError) {
        guard bytes.count >= UTPLimits.headerBytes else { throw .tooShort }
        guard bytes[0] & 15 == 1 else { throw .unknownVersion(bytes[0] & 15) }
        guard let kind = PacketKind(rawValue: bytes[0] &>> 4) else { throw .unknownType(bytes[0] &>> 4) }
        func word(_ at: Int) -> UInt16 { UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)) }
        func long(_ at: Int) -> UInt32 { UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)) }
        header = UTPHeader(
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
        _ header: UTPHeader, selectiveAck: [UInt8] = [], payload: Range<Int> = 0..<0, of source: [UInt8] = []
    ) -> [UInt8] {
        let layout = PacketLayout(header, selectiveAckBytes: selectiveAck.count, payloadBytes: payload.count)
        return [UInt8](unsafeUninitializedCapacity: layout.size) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            layout.writeHeader(to: base)
            selectiveAck.withUnsafeBytes { layout.writeSelectiveAck($0, to: base) }
            source.withUnsafeBytes { layout.writePayload(UnsafeRawBufferPointer(rebasing: $0[payload]), to: base) }
            count = layout.size
        }
    }
}

/// A packet to be written in place, part by part.
struct PacketLayout {
    let header: UTPHeader
    /// Bytes of the selective ack's bits; 0 for none.
    let selectiveAckBytes: Int
    let payloadBytes: Int

    init(_ header: UTPHeader, selectiveAckBytes: Int = 0, payloadBytes: Int = 0) {
        self.header = header
        self.selectiveAckBytes = selectiveAckBytes
        self.payloadBytes = payloadBytes
    }

    private var payloadStart: Int {
        UTPLimits.headerBytes + (selectiveAckBytes > 0 ? 2 + selectiveAckBytes : 0)
    }

    /// Bytes of the packet.
    var size: Int { payloadStart + payloadBytes }

    func writeHeader(to raw: UnsafeMutableRawPointer) {
        raw.storeBytes(of: header.kind.rawValue &<< 4 | 1, as: UInt8.self)
        raw.storeBytes(of: selectiveAckBytes > 0 ? 1 : 0, toByteOffset: 1, as: UInt8.self)
        raw.storeBytes(of: header.connectionID.bigEndian, toByteOffset: 2, as: UInt16.self)
        raw.storeBytes(of: header.timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        raw.storeBytes(of: header.timestampDifference.bigEndian, toByteOffset: 8, as: UInt32.self)
        raw.storeBytes(of: header.window.bigEndian, toByteOffset: 12, as: UInt32.self)
        raw.storeBytes(of: header.sequence.bigEndian, toByteOffset: 16, as: UInt16.self)
        raw.storeBytes(of: header.acknowledgement.bigEndian, toByteOffset: 18, as: UInt16.self)
    }

    func writeSelectiveAck(_ bits: UnsafeRawBufferPointer, to raw: UnsafeMutableRawPointer) {
        guard selectiveAckBytes > 0, let source = bits.baseAddress else { return }
        raw.storeBytes(of: 0, toByteOffset: UTPLimits.headerBytes, as: UInt8.self)
        raw.storeBytes(of: UInt8(selectiveAckBytes), toByteOffset: UTPLimits.headerBytes + 1, as: UInt8.self)
        (raw + UTPLimits.headerBytes + 2).copyMemory(from: source, byteCount: selectiveAckBytes)
    }

    func writePayload(_ bytes: UnsafeRawBufferPointer, to raw: UnsafeMutableRawPointer) {
        guard let source = bytes.baseAddress else { return }
        (raw + payloadStart).copyMemory(from: source, byteCount: payloadBytes)
    }
}
