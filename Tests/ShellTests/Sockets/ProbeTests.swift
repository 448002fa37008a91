import Foundation
import Primitives
import Synchronization
import Testing

@testable import Discovery
@testable import Shell

/// A discv5 node on a thread of its own and a real socket of the loopback.
final class LoopbackNode: Sendable {
    let record: NodeRecord
    private let stops = Mutex(false)

    init(_ configuration: Discovery.Configuration = Discovery.Configuration(), boot: [NodeRecord] = []) throws {
        let socket = try PlainSocket(binding: .loopback(port: 0))
        let host = try DiscoveryHost(socket: socket, configuration: configuration)
        host.addBootNodes(boot)
        record = host.machine.localRecord
        nonisolated(unsafe) let owned = host
        Thread { [self] in
            while !stops.withLock({ $0 }) { owned.run(for: .milliseconds(50)) }
        }.start()
    }

    func stop() { stops.withLock { $0 = true } }
}

@Suite struct ProbeTests {
    private let first = Endpoint.loopback(port: 0)
    private let second = Endpoint(ipv4: (127, 0, 0, 2), port: 0)

    @Test func aNodeOnTheLoopbackPassesAllSeven() throws {
        let node = try LoopbackNode()
        defer { node.stop() }
        let outcomes = try DiscoveryProbe(record: node.record, from: first, and: second).run()
        for outcome in outcomes { #expect(outcome.failure == nil, "\(outcome.name)") }
        #expect(
            outcomes.map(\.name) == [
                "Ping", "PingLargeRequestID", "PingMultiIP", "HandshakeResend", "TalkRequest", "FindnodeZeroDistance",
                "FindnodeResults",
            ])
    }

    /// The suite can fail: nobody is there.
    @Test func nobodyPassesNone() throws {
        let absent = try PlainSocket(binding: first)
        var entropy = SystemEntropy.make()
        let key = IdentityKey(from: &entropy)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: absent.local)
        let probe = try DiscoveryProbe(record: try fields.signed(by: key), from: first, and: second)
        let failures = probe.run(only: ["Ping", "PingMultiIP", "HandshakeResend", "TalkRequest"]).map(\.failure)
        #expect(failures.count == 4)
        #expect(failures.allSatisfy { $0?.contains("nothing within 300 ms") == true })
    }

    @Test func aRecordWithoutAnEndpointOfTheFamilyIsRefused() throws {
        var entropy = SystemEntropy.make()
        let record = try NodeRecordFields(sequence: 1).signed(by: IdentityKey(from: &entropy))
        #expect(throws: ShellError.notAnAddress("the record names no UDP endpoint of the family of \(first)")) {
            _ = try DiscoveryProbe(record: record, from: first, and: second)
        }
    }

    @Test func oneSocketSpeaksBothFamilies() throws {
        guard let any = Endpoint(parsing: "::", port: 0), let both = try? PlainSocket(binding: any) else {
            print("this machine has no IPv6: skipped")
            return
        }
        #expect(both.families == [.ipv4, .ipv6])
        for text in ["127.0.0.1", "::1"] {
            let bound = try #require(Endpoint(parsing: text, port: 0))
            let socket = try PlainSocket(binding: bound)
            let target = try #require(Endpoint(parsing: text, port: both.local.port))
            #expect(socket.send([1, 2, 3], to: target))
            let received = try #require(both.receive(within: .seconds(5)))
            #expect(received.bytes == [1, 2, 3] && received.source == socket.local)
            #expect(both.send([4], to: received.source))
            #expect(socket.receive(within: .seconds(5))?.bytes == [4])
        }
        let four = try PlainSocket(binding: first)
        #expect(four.families == .ipv4)
        #expect(!four.send([1], to: any))
    }
}

@Suite struct AddressPlanTests {
    @Test func formsAreRead() throws {
        #expect(AddressPlan("auto") == .auto)
        #expect(AddressPlan("none") == AddressPlan.none)
        let endpoint = Endpoint(ipv4: (192, 0, 2, 7), port: 0)
        #expect(AddressPlan("extip:192.0.2.7") == .external(endpoint))
        #expect(AddressPlan("extip:192.0.2.7:30") == .external(Endpoint(ipv4: (192, 0, 2, 7), port: 30)))
        for text in ["", "extip:", "extip:0.0.0.0", "extip:x", "extip:1.2.3.4:0", "upnp"] {
            #expect(AddressPlan(text) == nil)
        }
        let any = Endpoint(ipv4: (0, 0, 0, 0), port: 9_009)
        #expect(AddressPlan.auto.endpoint(listeningAt: any) == nil)
        #expect(AddressPlan.none.endpoint(listeningAt: .loopback(port: 5)) == .loopback(port: 5))
        #expect(
            AddressPlan.external(endpoint).endpoint(listeningAt: any)
                == Endpoint(ipv4: (192, 0, 2, 7), port: 9_009))
    }
}

@Suite struct DoctorTests {
    private let seenAt = Endpoint(ipv4: (192, 0, 2, 7), port: 9_009)

    private func grades(
        _ tallies: [AddressTally], plan: AddressPlan = .auto, inbound: Bool = false, answered: Bool = true
    ) throws -> [String: Doctor.Grade] {
        var entropy = SystemEntropy.make()
        let record = try NodeRecordFields(sequence: 1).signed(by: IdentityKey(from: &entropy))
        var settings = Doctor.Settings(listen: Endpoint(ipv4: (0, 0, 0, 0), port: 9_009), bootNodes: [record])
        settings.addressPlan = plan
        var seen = Doctor.Observations(listening: settings.listen)
        if answered { seen.answered[record.id] = record }
        seen.tallies = tallies
        if inbound { seen.inbound = [seenAt] }
        let findings = Doctor(settings).diagnose(seen)
        return Dictionary(uniqueKeysWithValues: findings.map { ($0.subject, $0.grade) })
    }

    @Test func findingsFollowFromWhatWasSeen() throws {
        let other = Endpoint(ipv4: (192, 0, 2, 7), port: 4_000)
        let one = [AddressTally(endpoint: seenAt, prefixes: 5)]
        #expect(
            try grades(one, inbound: true) == [
                "boot nodes": .good, "peers": .doubtful, "address IPv4": .good, "inbound": .good,
            ])
        #expect(try grades([], answered: false) == ["boot nodes": .bad, "peers": .bad])
        // A router that gives every peer another port.
        let many = one + [AddressTally(endpoint: other, prefixes: 4)]
        #expect(try grades(many)["address IPv4"] == .bad)
        // --nat extip that is not what peers see, and one that is.
        #expect(try grades(one, plan: .external(other))["address IPv4"] == .bad)
        let told = Endpoint(ipv4: (192, 0, 2, 7), port: 0)
        #expect(try grades(one, plan: .external(told))["address IPv4"] == .good)
        let split = one + [AddressTally(endpoint: Endpoint(ipv4: (192, 0, 2, 8), port: 9_009), prefixes: 5)]
        #expect(try grades(split)["address IPv4"] == .doubtful)
        #expect(try grades([])["address"] == .doubtful)
        #expect(try grades(one)["inbound"] == .doubtful)
    }

    @Test func theLoopbackIsLookedAtFromItself() throws {
        let boot = try LoopbackNode()
        let nodes = try (0..<3).map { _ in try LoopbackNode(boot: [boot.record]) }
        defer { (nodes + [boot]).forEach { $0.stop() } }
        var settings = Doctor.Settings(listen: .loopback(port: 0), bootNodes: [boot.record])
        settings.seconds = 3
        var findings: [Doctor.Finding] = []
        let isWell = try Doctor(settings).run { findings.append($0) }
        #expect(isWell)
        #expect(findings.map(\.subject) == ["socket", "boot nodes", "peers", "IPv4", "address IPv4", "inbound"])
        #expect(findings[1].text == "1 of 1 answered")
        #expect(findings[4].text.contains("peers see us at 127.0.0.1:"))
    }
}
