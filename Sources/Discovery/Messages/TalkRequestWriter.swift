import Primitives

/// Writes a TALKREQ straight into a packet, so that a uTP packet on its way out is copied once and nothing else is
/// allocated. The bytes are those of `Message.talkRequest`.
struct TalkRequestWriter {
    private let id: RequestID
    private let name: [UInt8]
    private let requestSize: Int
    private let first: UInt8?
    private let contentSize: Int

    /// A request of `requestSize` bytes that the caller writes. `first`: its first byte, needed only of a single one.
    init(id: RequestID, protocol name: [UInt8], requestSize: Int, first: UInt8?) {
        self.id = id
        self.name = name
        self.requestSize = requestSize
        self.first = first
        // Of a one-byte id the value is that byte; of longer ones the first byte does not matter.
        contentSize =
            TalkRequestWriter.size(of: id.count, first: UInt8(truncatingIfNeeded: id.value))
            + TalkRequestWriter.size(of: name.count, first: name.first)
            + TalkRequestWriter.size(of: requestSize, first: first)
    }

    /// Bytes of the whole message.
    var size: Int { 1 + TalkRequestWriter.headerSize(of: contentSize) + contentSize }

    /// Writes `size` bytes, the request's by `request`.
    func write(to base: UnsafeMutableRawPointer, request: (UnsafeMutableRawPointer) -> Void) {
        var target = base
        target.storeBytes(of: 5, as: UInt8.self)
        target += 1
        TalkRequestWriter.writeHeader(contentSize, short: 0xc0, to: &target)
        var big = id.value.bigEndian
        withUnsafeBytes(of: &big) { raw in
            TalkRequestWriter.writeString(UnsafeRawBufferPointer(rebasing: raw[(8 - id.count)...]), to: &target)
        }
        name.withUnsafeBytes { TalkRequestWriter.writeString($0, to: &target) }
        if TalkRequestWriter.size(of: requestSize, first: first) > requestSize {
            TalkRequestWriter.writeHeader(requestSize, short: 0x80, to: &target)
        }
        request(target)
    }

    private static func headerSize(of count: Int) -> Int { count <= 55 ? 1 : count <= 0xff ? 2 : 3 }

    private static func size(of count: Int, first: UInt8?) -> Int {
        if count == 1, let first, first < 0x80 { return 1 }
        return headerSize(of: count) + count
    }

    /// Lengths here are below 65,536: the caller holds the message to one packet.
    private static func writeHeader(_ count: Int, short: UInt8, to target: inout UnsafeMutableRawPointer) {
        func put(_ byte: UInt8) {
            target.storeBytes(of: byte, as: UInt8.self)
            target += 1
        }
        if count <= 55 {
            put(short + UInt8(count))
        } else if count <= 0xff {
            put(short + 56)
            put(UInt8(count))
        } else {
            put(short + 57)
            put(UInt8(truncatingIfNeeded: count >> 8))
            put(UInt8(truncatingIfNeeded: count))
        }
    }

    private static func writeString(_ bytes: UnsafeRawBufferPointer, to target: inout UnsafeMutableRawPointer) {
        if bytes.count != 1 || bytes[0] >= 0x80 { writeHeader(bytes.count, short: 0x80, to: &target) }
        guard let source = bytes.baseAddress else { return }
        target.copyMemory(from: source, byteCount: bytes.count)
        target += bytes.count
    }
}

/// Finds the request of a TALKREQ in place; the strictness is that of `Message`.
enum TalkRequestReader {
    /// Where the request lies in `message`; nil where it is no TALKREQ under `name`, or not well formed.
    static func request(in message: UnsafeRawBufferPointer, under name: [UInt8]) -> Range<Int>? {
        guard message.count > 1, message[0] == 5 else { return nil }
        // What does not decode here does not decode there either, where it is counted.
        guard let list = try? RLPItem(in: message, at: 1, limit: message.count), list.isList,
            list.end == message.count,
            let id = try? RLPItem(in: message, at: list.contentStart, limit: list.end), !id.isList,
            id.end - id.contentStart <= DiscoveryLimits.requestIDSize,
            let word = try? RLPItem(in: message, at: id.end, limit: list.end), !word.isList,
            word.end - word.contentStart == name.count,
            name.indices.allSatisfy({ name[$0] == message[word.contentStart + $0] }),
            let request = try? RLPItem(in: message, at: word.end, limit: list.end), !request.isList,
            request.end == list.end
        else { return nil }
        return request.contentStart..<request.end
    }
}
