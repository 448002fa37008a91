import Discovery
import Foundation
import Primitives

extension Endpoint {
    /// An IPv4 or IPv6 address as people write it, and a port; nil for anything else.
    public init?(parsing text: String, port: UInt16) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.init(address: withUnsafeBytes(of: four) { Array($0) }, port: port)
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.init(address: withUnsafeBytes(of: six) { Array($0) }, port: port)
        } else {
            return nil
        }
    }

    /// An address with or without a port: 192.0.2.1, 192.0.2.1:9009, 2001:db8::1, [2001:db8::1]:9009. Without one the
    /// port is 0; a port that is written must not be.
    public init?(parsingWithPort text: String) {
        if let plain = Endpoint(parsing: text, port: 0) {
            self = plain
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port != 0
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("[") && host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self.init(parsing: host, port: port)
    }

    /// 0.0.0.0 or ::, which is every address of the machine and none that a peer could be told.
    public var isUnspecified: Bool { address.allSatisfy { $0 == 0 } }
}

extension AddressFamilies {
    /// What a socket speaks that listens at `local`: one that listens at :: speaks both.
    public init(listeningAt local: Endpoint) {
        self = local.isIPv4 ? .ipv4 : local.isUnspecified ? [.ipv4, .ipv6] : .ipv6
    }
}

/// What peers are told of where a node is.
public enum AddressPlan: Equatable, Sendable {
    /// The listen address, where it is a particular one, until enough peers see the node somewhere else.
    case auto
    /// The listen address, where it is a particular one, whatever peers see.
    case none
    /// This address; port 0 means the port listened on.
    case external(Endpoint)

    /// Reads `auto`, `none` or `extip:IP[:PORT]`; nil for anything else.
    public init?(_ text: String) {
        switch text {
        case "auto": self = .auto
        case "none": self = .none
        default:
            guard text.hasPrefix("extip:"), let endpoint = Endpoint(parsingWithPort: String(text.dropFirst(6))),
                !endpoint.isUnspecified
            else { return nil }
            self = .external(endpoint)
        }
    }

    /// What the node record names at the start; nil where that is not known.
    public func endpoint(listeningAt local: Endpoint) -> Endpoint? {
        guard case .external(let told) = self else { return local.isUnspecified ? nil : local }
        return told.port == 0 ? Endpoint(address: told.address, port: local.port) : told
    }
}
