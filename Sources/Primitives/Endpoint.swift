/// A UDP address: IPv4 (4 bytes) or IPv6 (16 bytes) and a port. Plain words without a heap object: it goes with every
/// packet and is part of every session's and stream's key.
public struct Endpoint: Hashable, Sendable {
    /// The address as big-endian numbers, left-aligned: an IPv4 address fills the upper half of `high`.
    @usableFromInline let high: UInt64
    @usableFromInline let low: UInt64
    public let port: UInt16
    /// Whether the address has 4 bytes.
    public let isIPv4: Bool

    @inlinable
    init(high: UInt64, low: UInt64, port: UInt16, isIPv4: Bool) {
        self.high = high
        self.low = low
        self.port = port
        self.isIPv4 = isIPv4
    }

    /// nil unless the address has 4 or 16 bytes. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) becomes IPv4.
    public init?(address: [UInt8], port: UInt16) {
        guard let endpoint = address.withUnsafeBytes({ Endpoint(address: $0, port: port) }) else { return nil }
        self = endpoint
    }

    /// The same from bytes in place.
    public init?(address: UnsafeRawBufferPointer, port: UInt16) {
        guard address.count == 4 || address.count == 16 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: address) }
        let (high, low) = (words.0.bigEndian, words.1.bigEndian)
        let isMapped = address.count == 16 && high == 0 && low &>> 32 == 0xffff
        self.init(
            high: isMapped ? low &<< 32 : high, low: isMapped ? 0 : low, port: port,
            isIPv4: address.count == 4 || isMapped)
    }

    /// 127.0.0.1 at `port`.
    public static func loopback(port: UInt16) -> Endpoint { Endpoint(ipv4: (127, 0, 0, 1), port: port) }

    /// a.b.c.d at `port`.
    public init(ipv4: (UInt8, UInt8, UInt8, UInt8), port: UInt16) {
        let upper = UInt64(ipv4.0) &<< 56 | UInt64(ipv4.1) &<< 48
        self.init(
            high: upper | UInt64(ipv4.2) &<< 40 | UInt64(ipv4.3) &<< 32, low: 0, port: port, isIPv4: true)
    }

    /// 4 or 16 bytes, in network order.
    public var address: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            count = storeAddress(to: UnsafeMutableRawPointer(buffer.baseAddress))
        }
    }

    /// Writes the address in network order; `target` has room for 16 bytes. How many are the address: 4 or 16.
    public func storeAddress(to target: UnsafeMutableRawPointer?) -> Int {
        target?.storeBytes(of: high.bigEndian, as: UInt64.self)
        target?.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        return isIPv4 ? 4 : 16
    }

    /// The first eight bytes of the address as a number; of IPv4 its four and then zeros. For who looks at prefixes: it
    /// costs no array.
    public var leadingBytes: UInt64 { high }

    /// All zeros: no address at all.
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool { isIPv4 ? high &>> 56 == 127 : high == 0 && low == 1 }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        let address = address
        if isIPv4 { return address.map(String.init).joined(separator: ".") + ":\(port)" }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(address[$0]) << 8 | UInt16(address[$0 + 1]) }
        return "[" + Endpoint.text(of: groups) + "]:\(port)"
    }

    /// As RFC 5952 writes it: the first of the longest runs of zeros, two groups at least, is `::`.
    private static func text(of groups: [UInt16]) -> String {
        var longest = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end + 1
        }
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard !longest.isEmpty else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}

/// Where a node is reached and who it must prove to be. Sessions and streams are keyed by all of it.
public struct NodeAddress: Hashable, Sendable {
    /// keccak256 of the public key.
    public let id: Bytes32
    public let endpoint: Endpoint

    public init(id: Bytes32, endpoint: Endpoint) {
        self.id = id
        self.endpoint = endpoint
    }

    /// By one word of the id, which is a hash already, and the endpoint: this is done twice for every packet.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(id.word0)
        hasher.combine(endpoint.high)
        hasher.combine(endpoint.low &+ UInt64(endpoint.port))
    }
}
