import Primitives

/// A discv5 message in the clear: type byte ‖ RLP list beginning with the request id.
package enum Message: Hashable, Sendable {
    case ping(RequestID, sequence: UInt64)
    /// The address is 4 or 16 bytes.
    case pong(RequestID, sequence: UInt64, address: [UInt8], port: UInt16)
    case findNode(RequestID, distances: [Int])
    /// `total` packets make up the answer. The records are not decoded yet.
    case nodes(RequestID, total: Int, records: [[UInt8]])
    case talkRequest(RequestID, protocol: [UInt8], request: [UInt8])
    case talkResponse(RequestID, response: [UInt8])

    var type: UInt8 {
        switch self {
        case .ping: 1
        case .pong: 2
        case .findNode: 3
        case .nodes: 4
        case .talkRequest: 5
        case .talkResponse: 6
        }
    }

    /// Reads a whole message.
    init(decoding buffer: UnsafeRawBufferPointer) throws(MessageError) {
        guard let type = buffer.first else { throw .empty }
        guard (1...6).contains(type) else { throw .unknownType(type) }
        var reader = try ListCursor(buffer)
        self = try Message(type: type, &reader)
        try reader.finish()
    }

    /// Reads a whole message from an array.
    package init(decoding bytes: [UInt8]) throws(MessageError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Message, MessageError> in
            do throws(MessageError) {
                return .success(try Message(decoding: buffer))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    private init(type: UInt8, _ reader: inout ListCursor) throws(MessageError) {
        let id = try reader.requestID()
        switch type {
        case 1:
            self = .ping(id, sequence: try reader.integer())
        case 2:
            let sequence = try reader.integer()
            let address = try reader.bytes()
            guard address.count == 4 || address.count == 16 else { throw .addressSize }
            guard let port = UInt16(exactly: try reader.integer()) else { throw .portTooLarge }
            self = .pong(id, sequence: sequence, address: address, port: port)
        case 3:
            var inner = try reader.list()
            var distances: [Int] = []
            // What is no distance (above 256) is kept out of reach, not refused: the answer is then empty.
            while !inner.isAtEnd { distances.append(Int(min(try inner.integer(), 1 << 16))) }
            self = .findNode(id, distances: distances)
        case 4:
            let total = try reader.integer()
            guard total <= UInt64(DiscoveryLimits.nodesPackets) else { throw .total }
            var inner = try reader.list()
            var records: [[UInt8]] = []
            while !inner.isAtEnd { records.append(try inner.rawList()) }
            self = .nodes(id, total: Int(total), records: records)
        case 5:
            self = .talkRequest(id, protocol: try reader.bytes(), request: try reader.bytes())
        default:
            self = .talkResponse(id, response: try reader.bytes())
        }
    }

    /// The message's bytes.
    package var encoded: [UInt8] {
        var writer = RLPWriter()
        writer.appendList { list in
            switch self {
            case .ping(let id, let sequence):
                list.append(id.bytes)
                list.append(sequence)
            case .pong(let id, let sequence, let address, let port):
                list.append(id.bytes)
                list.append(sequence)
                list.append(address)
                list.append(UInt64(port))
            case .findNode(let id, let distances):
                list.append(id.bytes)
                list.appendList { inner in for distance in distances { inner.append(UInt64(distance)) } }
            case .nodes(let id, let total, let records):
                list.append(id.bytes)
                list.append(UInt64(total))
                list.appendList { inner in for record in records { inner.append(raw: record) } }
            case .talkRequest(let id, let name, let request):
                list.append(id.bytes)
                list.append(name)
                list.append(request)
            case .talkResponse(let id, let response):
                list.append(id.bytes)
                list.append(response)
            }
        }
        return [type] + writer.bytes
    }
}

/// Reads the items of one RLP list in a borrowed buffer; only what is asked for is copied.
private struct ListCursor {
    private let buffer: UnsafeRawBufferPointer
    private var position: Int
    private let limit: Int

    /// The list that must fill `buffer` after its first byte, the message type.
    init(_ buffer: UnsafeRawBufferPointer) throws(MessageError) {
        let item = try ListCursor.item(in: buffer, at: 1, limit: buffer.count)
        guard item.isList else { throw .malformed(.expectedList) }
        guard item.end == buffer.count else { throw .malformed(.trailingBytes) }
        self.init(buffer, item)
    }

    private init(_ buffer: UnsafeRawBufferPointer, _ item: RLPItem) {
        self.buffer = buffer
        position = item.contentStart
        limit = item.end
    }

    var isAtEnd: Bool { position == limit }

    func finish() throws(MessageError) {
        guard isAtEnd else { throw .malformed(.trailingBytes) }
    }

    private static func item(
        in buffer: UnsafeRawBufferPointer, at position: Int, limit: Int
    ) throws(MessageError) -> RLPItem {
        do throws(RLPError) {
            return try RLPItem(in: buffer, at: position, limit: limit)
        } catch {
            throw .malformed(error)
        }
    }

    private mutating func next(isList: Bool) throws(MessageError) -> RLPItem {
        let item = try ListCursor.item(in: buffer, at: position, limit: limit)
        guard item.isList == isList else { throw .malformed(isList ? .expectedList : .expectedString) }
        position = item.end
        return item
    }

    mutating func bytes() throws(MessageError) -> [UInt8] {
        let item = try next(isList: false)
        return Array(buffer[item.contentStart..<item.end])
    }

    mutating func requestID() throws(MessageError) -> RequestID {
        let item = try next(isList: false)
        guard let id = RequestID(buffer[item.contentStart..<item.end]) else { throw .requestIDTooLong }
        return id
    }

    mutating func integer() throws(MessageError) -> UInt64 {
        let item = try next(isList: false)
        let count = item.end - item.contentStart
        guard count <= 8 else { throw .malformed(.integerTooLarge) }
        guard count == 0 || buffer[item.contentStart] != 0 else { throw .malformed(.leadingZeros) }
        return buffer[item.contentStart..<item.end].reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func list() throws(MessageError) -> ListCursor { ListCursor(buffer, try next(isList: true)) }

    /// The next item, a list, its header included.
    mutating func rawList() throws(MessageError) -> [UInt8] {
        let item = try next(isList: true)
        return Array(buffer[item.start..<item.end])
    }
}
