/// Reads values in place. The recursion is as deep as the type, which the input cannot change.
struct SSZDecoder {
    let bytes: [UInt8]

    func decode(_ type: SSZType, _ range: Range<Int>) throws(SSZError) -> SSZValue {
        switch type {
        case .uint(let size):
            guard range.count == size, size <= 32 else { throw .wrongSize }
            if size <= 8 { return .uint(UInt256(range.reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) })) }
            guard let value = UInt256(bigEndian: bytes[range].reversed()) else { throw .wrongSize }
            return .uint(value)
        case .boolean:
            guard range.count == 1 else { throw .wrongSize }
            guard bytes[range.lowerBound] <= 1 else { throw .notBoolean }
            return .boolean(bytes[range.lowerBound] == 1)
        case .byteVector(let count):
            guard range.count == count else { throw .wrongSize }
            return .bytes(Array(bytes[range]))
        case .byteList(let limit):
            guard range.count <= limit else { throw .overLimit }
            return .bytes(Array(bytes[range]))
        case .bitvector(let count): return .bits(try bitvector(count, range))
        case .bitlist(let limit): return .bits(try bitlist(limit, range))
        case .vector(let element, let count):
            return .elements(try elements(element, range, exactly: count, limit: count))
        case .list(let element, let limit):
            return .elements(try elements(element, range, exactly: nil, limit: limit))
        case .container(let fields): return .fields(try container(fields, range))
        case .union(let options):
            guard let selector = bytes[range].first else { throw .wrongSize }
            guard Int(selector) < options.count else { throw .unknownSelector }
            let content = (range.lowerBound + 1)..<range.upperBound
            guard let option = options[Int(selector)] else {
                guard content.isEmpty else { throw .wrongSize }
                return .union(selector: selector, nil)
            }
            return .union(selector: selector, try decode(option, content))
        }
    }

    private func bit(_ index: Int, from start: Int) -> Bool {
        bytes[start + index / 8] >> UInt8(index % 8) & 1 == 1
    }

    private func bitvector(_ count: Int, _ range: Range<Int>) throws(SSZError) -> [Bool] {
        guard range.count == SSZType.bitvector(count).fixedSize else { throw .wrongSize }
        let used = UInt8(count % 8)
        if used != 0, bytes[range.upperBound - 1] >> used != 0 { throw .badBits }
        return (0..<count).map { bit($0, from: range.lowerBound) }
    }

    private func bitlist(_ limit: Int, _ range: Range<Int>) throws(SSZError) -> [Bool] {
        guard let last = bytes[range].last, last != 0 else { throw .badBits }
        let count = (range.count - 1) * 8 + (7 - last.leadingZeroBitCount)
        guard count <= limit else { throw .overLimit }
        return (0..<count).map { bit($0, from: range.lowerBound) }
    }

    private func elements(
        _ type: SSZType, _ range: Range<Int>, exactly: Int?, limit: Int
    ) throws(SSZError) -> [SSZValue] {
        let ranges: [Range<Int>]
        if let size = type.fixedSize {
            guard size > 0, range.count % size == 0 else { throw .wrongSize }
            let count = range.count / size
            guard count <= limit else { throw .overLimit }
            ranges = (0..<count).map { index in
                let start = range.lowerBound + index * size
                return start..<(start + size)
            }
        } else {
            ranges = try variableElements(range, limit: limit)
        }
        if let exactly, ranges.count != exactly { throw .wrongSize }
        var values: [SSZValue] = []
        values.reserveCapacity(ranges.count)
        for part in ranges { values.append(try decode(type, part)) }
        return values
    }

    /// The table of offsets says how many elements there are: its first entry is its own length.
    private func variableElements(_ range: Range<Int>, limit: Int) throws(SSZError) -> [Range<Int>] {
        if range.isEmpty { return [] }
        let first = try offset(at: range.lowerBound, range)
        guard first > 0, first % 4 == 0 else { throw .badOffset }
        let count = first / 4
        guard count <= limit else { throw .overLimit }
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(count)
        var start = first
        for index in 1..<(count + 1) {
            let end = index < count ? try offset(at: range.lowerBound + 4 * index, range) : range.count
            guard end >= start else { throw .badOffset }
            ranges.append((range.lowerBound + start)..<(range.lowerBound + end))
            start = end
        }
        return ranges
    }

    private func container(_ fields: [SSZField], _ range: Range<Int>) throws(SSZError) -> [SSZValue] {
        // First the fixed parts: ranges of fixed fields, offsets of the others. Each other ends where the next begins.
        var ranges: [Range<Int>] = []
        var variable: [Int] = []
        var position = range.lowerBound
        for (index, field) in fields.enumerated() {
            let fixedSize = field.type.fixedSize
            let size = fixedSize ?? 4
            guard size <= range.upperBound - position else { throw .wrongSize }
            if fixedSize == nil {
                let start = try offset(at: position, range)
                ranges.append((range.lowerBound + start)..<range.upperBound)
                variable.append(index)
            } else {
                ranges.append(position..<(position + size))
            }
            position += size
        }
        var end = position
        for (order, index) in variable.enumerated() {
            guard order > 0 || ranges[index].lowerBound == position else { throw .badOffset }
            let next = order + 1 < variable.count ? ranges[variable[order + 1]].lowerBound : range.upperBound
            guard next >= ranges[index].lowerBound else { throw .badOffset }
            ranges[index] = ranges[index].lowerBound..<next
            end = next
        }
        guard end == range.upperBound else { throw .wrongSize }
        var values: [SSZValue] = []
        values.reserveCapacity(fields.count)
        for (field, part) in zip(fields, ranges) { values.append(try decode(field.type, part)) }
        return values
    }

    /// The offset written at `position`, relative to the start of `range` and inside it.
    private func offset(at position: Int, _ range: Range<Int>) throws(SSZError) -> Int {
        guard range.upperBound - position >= 4 else { throw .wrongSize }
        let value = (0..<4).reversed().reduce(0) { $0 << 8 | Int(bytes[position + $1]) }
        guard value <= range.count else { throw .badOffset }
        return value
    }
}

/// Writes values, refusing those that are not of their type.
enum SSZEncoder {
    static func append(_ value: SSZValue, _ type: SSZType, to bytes: inout [UInt8]) throws(SSZError) {
        switch (type, value) {
        case (.uint(let size), .uint(let number)) where size <= 8:
            let limit = size < 8 ? UInt256(1 << UInt64(8 * size) - 1) : UInt256(.max)
            guard number <= limit else { throw .overLimit }
            withUnsafeBytes(of: number.big.word3.littleEndian) { bytes.append(contentsOf: $0[..<size]) }
        case (.uint(let size), .uint(let number)):
            let all = number.littleEndianBytes
            guard size <= 32, all[size...].allSatisfy({ $0 == 0 }) else { throw .overLimit }
            bytes.append(contentsOf: all[..<size])
        case (.boolean, .boolean(let flag)): bytes.append(flag ? 1 : 0)
        case (.byteVector(let count), .bytes(let content)):
            guard content.count == count else { throw .wrongSize }
            bytes.append(contentsOf: content)
        case (.byteList(let limit), .bytes(let content)):
            guard content.count <= limit else { throw .overLimit }
            bytes.append(contentsOf: content)
        case (.bitvector(let count), .bits(let bits)):
            guard bits.count == count else { throw .wrongSize }
            bytes.append(contentsOf: packed(bits))
        case (.bitlist(let limit), .bits(let bits)):
            guard bits.count <= limit else { throw .overLimit }
            bytes.append(contentsOf: packed(bits + [true]))
        case (.vector(let element, let count), .elements(let values)):
            guard values.count == count else { throw .wrongSize }
            try append(values.count, { (values[$0], element) }, to: &bytes)
        case (.list(let element, let limit), .elements(let values)):
            guard values.count <= limit else { throw .overLimit }
            try append(values.count, { (values[$0], element) }, to: &bytes)
        case (.container(let fields), .fields(let values)):
            guard values.count == fields.count else { throw .wrongShape }
            try append(values.count, { (values[$0], fields[$0].type) }, to: &bytes)
        case (.union(let options), .union(let selector, let content)):
            guard Int(selector) < options.count else { throw .unknownSelector }
            bytes.append(selector)
            switch (options[Int(selector)], content) {
            case (nil, nil): break
            case (let option?, let content?): try append(content, option, to: &bytes)
            default: throw .wrongShape
            }
        default: throw .wrongShape
        }
    }

    /// Bits from the least significant of the first byte on.
    static func packed(_ bits: [Bool]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (bits.count + 7) / 8)
        for (index, bit) in bits.enumerated() where bit { bytes[index / 8] |= 1 << UInt8(index % 8) }
        return bytes
    }

    /// Fixed parts with offsets, then the variable parts, of `count` parts in all.
    private static func append(
        _ count: Int, _ part: (Int) -> (SSZValue, SSZType), to bytes: inout [UInt8]
    ) throws(SSZError) {
        var fixedLength = 0
        for index in 0..<count { fixedLength += part(index).1.fixedSize ?? 4 }
        var tail: [UInt8] = []
        for index in 0..<count {
            let (value, type) = part(index)
            if type.fixedSize != nil {
                try append(value, type, to: &bytes)
            } else {
                guard let offset = UInt32(exactly: fixedLength + tail.count) else { throw .overLimit }
                withUnsafeBytes(of: offset.littleEndian) { bytes.append(contentsOf: $0) }
                try append(value, type, to: &tail)
            }
        }
        bytes.append(contentsOf: tail)
    }
}

/// Hash tree roots: chunks of 32 bytes, padded with zero subtrees to a power of two, SHA-256 of pairs.
enum SSZMerkle {
    static func root(_ value: SSZValue, _ type: SSZType) throws(SSZError) -> Bytes32 {
        switch (type, value) {
        case (.uint, _), (.boolean, _), (.byteVector, _), (.bitvector, _):
            return merkleize(chunks(of: try SSZ.encode(value, as: type)), limit: 0)
        case (.byteList(let limit), .bytes(let content)):
            guard content.count <= limit else { throw .overLimit }
            return mixed(merkleize(chunks(of: content), limit: chunkCount(limit, size: 1)), content.count)
        case (.bitlist(let limit), .bits(let bits)):
            guard bits.count <= limit else { throw .overLimit }
            let width = chunkCount(limit / 8 + (limit % 8 == 0 ? 0 : 1), size: 1)
            return mixed(merkleize(chunks(of: SSZEncoder.packed(bits)), limit: width), bits.count)
        case (.vector(let element, let count), .elements(let values)):
            guard values.count == count else { throw .wrongSize }
            return try sequence(values, element, limit: count)
        case (.list(let element, let limit), .elements(let values)):
            guard values.count <= limit else { throw .overLimit }
            return mixed(try sequence(values, element, limit: limit), values.count)
        case (.container(let fields), .fields(let values)):
            guard values.count == fields.count else { throw .wrongShape }
            var roots: [Bytes32] = []
            for (field, value) in zip(fields, values) { roots.append(try root(value, field.type)) }
            return merkleize(roots, limit: 0)
        case (.union(let options), .union(let selector, let content)):
            guard Int(selector) < options.count else { throw .unknownSelector }
            switch (options[Int(selector)], content) {
            case (nil, nil): return mixed(.zero, Int(selector))
            case (let option?, let content?): return mixed(try root(content, option), Int(selector))
            default: throw .wrongShape
            }
        default: throw .wrongShape
        }
    }

    /// The elements of a vector or list: basic ones packed, others by their roots.
    private static func sequence(_ values: [SSZValue], _ element: SSZType, limit: Int) throws(SSZError) -> Bytes32 {
        switch element {
        case .uint, .boolean:
            var bytes: [UInt8] = []
            for value in values { try SSZEncoder.append(value, element, to: &bytes) }
            return merkleize(chunks(of: bytes), limit: chunkCount(limit, size: element.fixedSize ?? 1))
        default:
            var roots: [Bytes32] = []
            for value in values { roots.append(try root(value, element)) }
            return merkleize(roots, limit: limit)
        }
    }

    private static func chunkCount(_ count: Int, size: Int) -> Int {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
        return overflow ? Int.max : bytes / 32 + (bytes % 32 == 0 ? 0 : 1)
    }

    private static func chunks(of bytes: [UInt8]) -> [Bytes32] {
        stride(from: 0, to: bytes.count, by: 32).map { start in
            let part = bytes[start..<min(start + 32, bytes.count)]
            return Bytes32(part + [UInt8](repeating: 0, count: 32 - part.count)) ?? .zero
        }
    }

    private static func mixed(_ root: Bytes32, _ length: Int) -> Bytes32 {
        SHA256.hash(root, Bytes32(UInt256(UInt64(length)).littleEndianBytes) ?? .zero)
    }

    /// The root over `leaves` and as many zero chunks as make at least `limit` of them, rounded up to a power of two.
    private static func merkleize(_ leaves: [Bytes32], limit: Int) -> Bytes32 {
        let width = max(limit, leaves.count, 1)
        let depth = Int.bitWidth - (width - 1).leadingZeroBitCount
        var layer = leaves.isEmpty ? [.zero] : leaves
        var padding = Bytes32.zero
        for _ in 0..<depth {
            if !layer.count.isMultiple(of: 2) { layer.append(padding) }
            layer = stride(from: 0, to: layer.count, by: 2).map { SHA256.hash(layer[$0], layer[$0 + 1]) }
            padding = SHA256.hash(padding, padding)
        }
        return layer[0]
    }
}
