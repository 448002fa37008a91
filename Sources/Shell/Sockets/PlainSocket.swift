import Discovery
import Foundation
import Primitives

/// A UDP socket that is waited on for one datagram at a time: for tools, not for a node, which has `UDPSocket`.
public final class PlainSocket: Sendable {
    private let descriptor: Int32
    /// Where the socket is bound, with the port that the system chose.
    public let local: Endpoint
    /// The families it speaks: `::` and 0.0.0.0 are every address of the machine.
    private let isIPv6: Bool

    /// Binds `address` (port 0: any free one).
    public init(binding address: Endpoint) throws(ShellError) {
        let family = address.isIPv4 ? AF_INET : AF_INET6
        let fd = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw .system("socket", -errno) }
        isIPv6 = !address.isIPv4
        var off: Int32 = 0
        if isIPv6 {
            _ = setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, socklen_t(MemoryLayout<Int32>.size))
        }
        let bound = PlainSocket.withAddress(address, asIPv6: isIPv6) { bind(fd, $0, $1) }
        var name = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let named = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
        }
        guard bound == 0, named == 0, let port = PlainSocket.endpoint(name)?.port,
            let local = Endpoint(address: address.address, port: port)
        else {
            let reason = errno
            close(fd)
            switch reason {
            case EADDRINUSE: throw .portTaken(port: address.port)
            case EACCES: throw .portForbidden(port: address.port)
            case EADDRNOTAVAIL: throw .addressUnavailable(address.description)
            default: throw .system("bind \(address)", -reason)
            }
        }
        descriptor = fd
        self.local = local
    }

    deinit { close(descriptor) }

    /// The families that the socket speaks.
    public var families: AddressFamilies { AddressFamilies(listeningAt: local) }

    /// Sends a datagram. What the system refuses is lost, as any network may lose it; false then.
    @discardableResult
    public func send(_ bytes: [UInt8], to endpoint: Endpoint) -> Bool {
        guard endpoint.isIPv4 || isIPv6 else { return false }
        return PlainSocket.withAddress(endpoint, asIPv6: isIPv6) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
            == bytes.count
    }

    /// The next datagram, waited for at most so long; nil where none came.
    public func receive(within wait: Interval) -> (bytes: [UInt8], source: Endpoint)? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, Int32(clamping: wait.microseconds.dividedRoundingUp(by: 1_000))) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: ShellLimits.datagramBytes + 1)
        var name = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &size)
            }
        }
        guard count >= 0, count <= ShellLimits.datagramBytes, let source = PlainSocket.endpoint(name) else {
            return nil
        }
        return (Array(bytes.prefix(count)), source)
    }

    private static func withAddress<Result>(
        _ endpoint: Endpoint, asIPv6: Bool, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        let bytes = endpoint.address
        func call<Address>(_ address: inout Address) -> Result {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        if asIPv6 {
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = endpoint.port.bigEndian
            let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + bytes
            withUnsafeMutableBytes(of: &six.sin6_addr) { $0.copyBytes(from: endpoint.isIPv4 ? mapped : bytes) }
            return call(&six)
        }
        var four = sockaddr_in()
        four.sin_family = sa_family_t(AF_INET)
        four.sin_port = endpoint.port.bigEndian
        withUnsafeMutableBytes(of: &four.sin_addr) { $0.copyBytes(from: bytes.prefix(4)) }
        return call(&four)
    }

    private static func endpoint(_ name: sockaddr_storage) -> Endpoint? {
        let isIPv6 = Int32(name.ss_family) == AF_INET6
        return withUnsafePointer(to: name) { pointer in
            if isIPv6 {
                return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { six in
                    Endpoint(
                        address: withUnsafeBytes(of: six.pointee.sin6_addr) { Array($0) },
                        port: UInt16(bigEndian: six.pointee.sin6_port))
                }
            }
            return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { four in
                Endpoint(
                    address: withUnsafeBytes(of: four.pointee.sin_addr) { Array($0) },
                    port: UInt16(bigEndian: four.pointee.sin_port))
            }
        }
    }
}

extension UInt64 {
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 { (self + divisor - 1) / divisor }
}
