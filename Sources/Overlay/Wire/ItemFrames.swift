import Primitives

/// How items stand in a uTP stream: each after its length as unsigned LEB128, also when there is one only.
public enum ItemFrames {
    /// The stream's bytes.
    public static func encode(_ items: some Collection<[UInt8]>) -> [UInt8] {
        var out = ByteWriter(capacity: items.reduce(0) { $0 + $1.count + LEB128.byteLimit })
        for item in items { out.appendVarintPrefixed(item) }
        return out.bytes
    }

    /// Exactly `count` items, each of at most `limit` bytes.
    public static func decode(_ bytes: [UInt8], count: Int, limit: Int) throws(ByteError) -> [[UInt8]] {
        var reader = ByteReader(bytes)
        var items: [[UInt8]] = []
        for _ in 0..<count { items.append(try reader.varintPrefixed(limit: limit)) }
        try reader.finish()
        return items
    }
}
