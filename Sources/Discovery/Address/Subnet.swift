import Primitives

/// The /24 of an IPv4 or the /48 of an IPv6 address: what one operator is likely to own.
public struct Subnet: Hashable, Comparable, Sendable {
    private let prefix: UInt64
    private let isIPv4: Bool

    public static func < (a: Subnet, b: Subnet) -> Bool {
        a.isIPv4 == b.isIPv4 ? a.prefix < b.prefix : b.isIPv4
    }

    /// What hosts of one operator are limited by; nil for loopback, where all are one host and nothing is limited.
    public init?(limiting endpoint: Endpoint) {
        guard !endpoint.isLoopback else { return nil }
        self.init(endpoint)
    }

    /// Of any address, loopback too.
    init(_ endpoint: Endpoint) {
        isIPv4 = endpoint.isIPv4
        prefix = endpoint.leadingBytes >> (endpoint.isIPv4 ? 40 : 16)
    }
}

/// How far an address may be spoken of.
enum AddressScope: Int, Comparable, Sendable {
    /// Unspecified, multicast, broadcast, port 0: nobody can be reached there.
    case none
    case loopback
    /// Private, link-local, carrier-grade; what was once called site-local.
    case local
    case global

    static func < (a: AddressScope, b: AddressScope) -> Bool { a.rawValue < b.rawValue }

    init(_ endpoint: Endpoint) {
        let bytes = (UInt8(endpoint.leadingBytes >> 56), UInt8(truncatingIfNeeded: endpoint.leadingBytes >> 48))
        guard endpoint.port != 0, !endpoint.isUnspecified else {
            self = .none
            return
        }
        if endpoint.isLoopback {
            self = .loopback
            return
        }
        if endpoint.isIPv4 {
            switch bytes {
            case (0, _), (224..., _): self = .none
            case (10, _), (172, 16...31), (192, 168), (169, 254), (100, 64...127): self = .local
            default: self = .global
            }
        } else {
            switch bytes {
            case (0xff, _): self = .none
            case (0xfc...0xfd, _), (0xfe, 0x80...0xff): self = .local
            default: self = .global
            }
        }
    }

    /// Whether a node at `endpoint` may be named by or to a node at `other`: nobody outside learns of addresses inside,
    /// and nobody outside sends us to them.
    static func mayRelay(_ endpoint: Endpoint, with other: Endpoint) -> Bool {
        let scope = AddressScope(endpoint)
        return scope != .none && scope >= AddressScope(other)
    }

    /// The same of a record: it names an endpoint, and none that the other cannot know or reach.
    static func mayRelay(_ record: NodeRecord, with other: Endpoint) -> Bool {
        // Asked of every record that is named: without an array.
        let (first, second) = (record.endpointIPv4, record.endpointIPv6)
        guard first != nil || second != nil else { return false }
        return (first.map { mayRelay($0, with: other) } ?? true) && (second.map { mayRelay($0, with: other) } ?? true)
    }
}
