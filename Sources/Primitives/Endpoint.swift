/// A UDP address: IPv4 (4 bytes) or IPv6 (16 bytes) and a port.
public struct Endpoint: Hashable, Sendable {
    /// 4 or 16 bytes, in network order.
    public let address: [UInt8]
    public let port: UInt16

    /// nil unless the address has 4 or 16 bytes. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) becomes IPv4.
    public init?(address: [UInt8], port: UInt16) {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        switch address.count {
        case 4: self.address = address
        case 16: self.address = address.starts(with: mapped) ? Array(address[12...]) : address
        default: return nil
        }
        self.port = port
    }

    /// 127.0.0.1 at `port`.
    public static func loopback(port: UInt16) -> Endpoint { Endpoint(ipv4: (127, 0, 0, 1), port: port) }

    /// a.b.c.d at `port`.
    public init(ipv4: (UInt8, UInt8, UInt8, UInt8), port: UInt16) {
        address = [ipv4.0, ipv4.1, ipv4.2, ipv4.3]
        self.port = port
    }

    /// Whether the address has 4 bytes.
    public var isIPv4: Bool { address.count == 4 }

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        isIPv4 ? address[0] == 127 : address.dropLast().allSatisfy { $0 == 0 } && address[15] == 1
    }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        if isIPv4 { return address.map(String.init).joined(separator: ".") + ":\(port)" }
        let groups = stride(from: 0, to: 16, by: 2).map {
            String(UInt16(address[$0]) << 8 | UInt16(address[$0 + 1]), radix: 16)
        }
        return "[" + groups.joined(separator: ":") + "]:\(port)"
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
}
