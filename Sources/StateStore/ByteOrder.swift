/// The order of keys: byte by byte, a prefix before what it begins (as memcmp, then length).
public enum ByteOrder {
    /// Negative, zero or positive as `a` comes before, with or after `b`.
    public static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let shared = min(a.count, b.count)
        var offset = 0
        while offset &+ 8 <= shared {
            let x = UInt64(bigEndian: a.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let y = UInt64(bigEndian: b.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            if x != y { return x < y ? -1 : 1 }
            offset &+= 8
        }
        while offset < shared {
            if a[offset] != b[offset] { return a[offset] < b[offset] ? -1 : 1 }
            offset &+= 1
        }
        return a.count - b.count
    }

    /// As for buffers.
    public static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
        a.withUnsafeBytes { a in b.withUnsafeBytes { compare(a, $0) } }
    }

    /// Whether `a` comes before `b`.
    public static func isLess(_ a: UnsafeRawBufferPointer, _ b: [UInt8]) -> Bool {
        b.withUnsafeBytes { compare(a, $0) < 0 }
    }

    /// Whether `a` comes before `b`.
    public static func isLess(_ a: [UInt8], _ b: [UInt8]) -> Bool { compare(a, b) < 0 }

    /// Whether `bytes` begin with all of `prefix`.
    static func hasPrefix(_ bytes: UnsafeRawBufferPointer, _ prefix: [UInt8]) -> Bool {
        bytes.count >= prefix.count
            && prefix.withUnsafeBytes { compare(UnsafeRawBufferPointer(rebasing: bytes[..<prefix.count]), $0) == 0 }
    }

    /// As for an array.
    static func hasPrefix(_ bytes: UnsafeRawBufferPointer, _ prefix: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= prefix.count
            && compare(UnsafeRawBufferPointer(rebasing: bytes[..<prefix.count]), prefix) == 0
    }

    /// The first key after every key that begins with `prefix`, or nil where there is none: the end of its stretch.
    public static func end(ofPrefix prefix: [UInt8]) -> [UInt8]? {
        guard let last = prefix.lastIndex(where: { $0 != 0xff }) else { return nil }
        var end = Array(prefix[...last])
        end[last] += 1
        return end
    }
}
