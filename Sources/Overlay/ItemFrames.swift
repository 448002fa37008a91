/// Why the bytes of a stream are not the items they should be.
public enum ItemFrameError: Error, Equatable, Sendable {
    /// The stream ends inside a length or an item.
    case truncated
    /// Bytes after the last item.
    case trailingBytes
    /// A length with superfluous zero groups, or over 32 bits.
    case badLength
    /// An item over the receiver's limit (bytes).
    case tooLarge(Int)
}

/// How items stand in a uTP stream: each after its length as unsigned LEB128, also when there is one only.
public enum ItemFrames {
    /// The stream's bytes.
    public static func encode(_ items: some Collection<[UInt8]>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(items.reduce(0) { $0 + $1.count + OverlayLimits.lengthPrefixBytes })
        for item in items {
            appendLength(item.count, to: &out)
            out.append(contentsOf: item)
        }
        return out
    }

    /// Exactly `count` items, each of at most `limit` bytes.
    public static func decode(_ bytes: [UInt8], count: Int, limit: Int) throws(ItemFrameError) -> [[UInt8]] {
        var items: [[UInt8]] = []
        var position = 0
        for _ in 0..<count {
            let length = try readLength(bytes, at: &position)
            guard length <= limit else { throw .tooLarge(length) }
            guard length <= bytes.count - position else { throw .truncated }
            items.append(Array(bytes[position..<position + length]))
            position += length
        }
        guard position == bytes.count else { throw .trailingBytes }
        return items
    }

    /// Appends `length` (0…2³² − 1) in unsigned LEB128.
    public static func appendLength(_ length: Int, to out: inout [UInt8]) {
        var rest = UInt32(truncatingIfNeeded: length)
        while rest >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        out.append(UInt8(rest))
    }

    /// Reads a length and moves `position` behind it.
    public static func readLength(_ bytes: [UInt8], at position: inout Int) throws(ItemFrameError) -> Int {
        var value: UInt64 = 0
        for group in 0..<OverlayLimits.lengthPrefixBytes {
            guard position < bytes.count else { throw .truncated }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << UInt64(7 * group)
            guard byte < 0x80 else { continue }
            // The shortest form has no zero group at its end; 32 bits end inside the fifth group.
            guard byte != 0 || group == 0, value <= UInt32.max else { throw .badLength }
            return Int(value)
        }
        throw .badLength
    }
}
