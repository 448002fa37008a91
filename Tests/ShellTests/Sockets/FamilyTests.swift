import Discovery
import Primitives
import Testing

@testable import Shell

/// Discovery over real sockets of one family.
@Suite struct FamilyTests {
    private let talkProtocol = Array("test".utf8)

    private struct End {
        let socket: UDPSocket
        var node: Discovery

        /// Takes what has arrived and sends what comes of it. Requests are answered with their own bytes.
        mutating func turn(at now: Instant) throws -> [Discovery.Directive] {
            var (arrived, told): ([([UInt8], Endpoint)], [Discovery.Directive]) = ([], [])
            if socket.wait(milliseconds: 20) { _ = try socket.receive { arrived.append((Array($0), $1)) } }
            for (bytes, source) in arrived { node.receive(bytes, from: source, at: now) }
            for directive in node.drain() {
                switch directive {
                case .send(let bytes, let target): socket.send(bytes, to: target)
                case .talkRequested(_, _, let request, let token): node.respond(to: token, response: request, at: now)
                default: told.append(directive)
                }
            }
            for case .send(let bytes, let target) in node.drain() { socket.send(bytes, to: target) }
            _ = socket.flush()
            return told
        }
    }

    private func end(at place: Endpoint, alsoNaming other: Endpoint?) throws -> End {
        let socket = try UDPSocket(binding: place)
        var entropy = SystemEntropy.make()
        let key = IdentityKey(from: &entropy)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: socket.local)
        if let other { fields.set(endpoint: other) }
        var configuration = Discovery.Configuration()
        configuration.talkProtocols = [talkProtocol]
        configuration.families = AddressFamilies(listeningAt: socket.local)
        let node = try Discovery(
            key: key, record: try fields.signed(by: key), configuration: configuration, entropy: entropy)
        return End(socket: socket, node: node)
    }

    /// A node that has only an IPv6 socket asks one whose record names an IPv4 address, too, where nobody listens.
    @Test func anIPv6SocketReachesTheIPv6EndpointOfADualRecord() throws {
        guard let place = Endpoint(parsing: "::1", port: 0), (try? UDPSocket(binding: place)) != nil else {
            print("this machine has no IPv6: skipped")
            return
        }
        var far = try end(at: place, alsoNaming: .loopback(port: 9))
        var near = try end(at: place, alsoNaming: nil)
        #expect(near.node.configuration.families == .ipv6)
        let id = near.node.talk(
            to: far.node.localRecord, protocol: talkProtocol, request: [1, 2], at: Instant(microseconds: 1))
        var answer: Result<[UInt8], DiscoveryError>?
        for turn in 0..<200 where answer == nil {
            let now = Instant(microseconds: UInt64(turn))
            for case .talkAnswered(id, let result, _) in try near.turn(at: now) { answer = result }
            _ = try far.turn(at: now)
        }
        #expect(answer == .success([1, 2]))
        #expect(near.node.hasSession(with: NodeAddress(id: far.node.key.nodeID, endpoint: far.socket.local)))
    }
}
