import Discovery
import Foundation
import Primitives

/// Looks at what this machine and the network make of a node that would run here: whether the port is free, whether the
/// boot nodes answer, where peers see us, and whether strangers get through.
///
/// It is a node of its own for as long as it looks, with a new identity, so nothing of a real one is touched.
public struct Doctor {
    /// What is to be looked at.
    public struct Settings: Sendable {
        /// Where the node would listen.
        public var listen: Endpoint
        /// Whether IPv4 alone will do.
        public var fallsBackToIPv4 = false
        /// What it would tell peers.
        public var addressPlan = AddressPlan.auto
        /// Who is asked.
        public var bootNodes: [NodeRecord]
        /// How long to look.
        public var seconds = 30

        public init(listen: Endpoint, bootNodes: [NodeRecord]) {
            self.listen = listen
            self.bootNodes = bootNodes
        }
    }

    /// How a thing stands.
    public enum Grade: String, Sendable {
        case good = "ok"
        case doubtful = "warn"
        case bad = "fail"
    }

    /// One thing looked at.
    public struct Finding: Equatable, Sendable {
        public let grade: Grade
        /// What was looked at, a word.
        public let subject: String
        /// What was found and, unless it is good, what helps.
        public let text: String

        /// The finding as a line.
        public var line: String { "\(grade.rawValue) \(subject): \(text)" }
    }

    /// What came about while it looked.
    struct Observations {
        var listening: Endpoint
        var answered: [Bytes32: NodeRecord] = [:]
        var tallies: [AddressTally] = []
        var inbound: Set<Endpoint> = []
        var families: [(family: AddressFamilies, tally: FamilyTally)] = []
    }

    private let settings: Settings

    public init(_ settings: Settings) { self.settings = settings }

    /// Looks; hands out each finding as soon as it is there. False where something is bad.
    public func run(_ tell: (Finding) -> Void) throws -> Bool {
        let (socket, first) = try open()
        var findings = [first]
        tell(first)
        var configuration = Discovery.Configuration()
        configuration.families = socket.families
        // It believes the first who sees it, so that others have an address to come to while it looks.
        configuration.addressVotes = 1
        configuration.adoptsVotedAddress = settings.addressPlan == .auto
        configuration.revalidationInterval = .seconds(1)
        let host = try DiscoveryHost(socket: socket, configuration: configuration)
        var seen = Observations(listening: socket.local)
        host.addBootNodes(settings.bootNodes)
        let note = { (directive: Discovery.Directive) in
            switch directive {
            case .nodeSeen(let record): seen.answered[record.id] = record
            case .addressChecked(let endpoint, isReachable: true): seen.inbound.insert(endpoint)
            case .send, .talkRequested, .talkAnswered, .lookupFinished, .sessionEstablished, .nodeLost, .addressVoted,
                .addressChecked:
                break
            }
        }
        host.run(for: .seconds(settings.seconds), each: note)
        seen.tallies = host.machine.addressReport.tallies
        seen.families = host.machine.familyReport
        for finding in diagnose(seen) {
            findings.append(finding)
            tell(finding)
        }
        return findings.allSatisfy { $0.grade != .bad }
    }

    /// Opens the port, or another one where a node has it: what peers see is nearly the same from there.
    private func open() throws(ShellError) -> (PlainSocket, Finding) {
        let failure: ShellError
        do throws(ShellError) {
            let socket = try PlainSocket(binding: settings.listen)
            return (socket, Doctor.listening(socket))
        } catch {
            failure = error
        }
        var listen = settings.listen
        if case .portTaken(let port) = failure {
            listen = Endpoint(address: listen.address, port: 0) ?? listen
            let socket = try PlainSocket(binding: listen)
            return (
                socket,
                Finding(
                    grade: .doubtful, subject: "socket",
                    text: "UDP port \(port) is taken (does the node run?); looking from \(socket.local) instead")
            )
        }
        guard settings.fallsBackToIPv4 else { throw failure }
        listen = Endpoint(ipv4: (0, 0, 0, 0), port: listen.port)
        let socket = try PlainSocket(binding: listen)
        return (socket, Doctor.listening(socket))
    }

    private static func listening(_ socket: PlainSocket) -> Finding {
        let families = socket.families
        let only = families == [.ipv4, .ipv6] ? "" : " only"
        return Finding(grade: .good, subject: "socket", text: "listening on \(socket.local), \(families)\(only)")
    }

    /// What the observations mean.
    func diagnose(_ seen: Observations) -> [Finding] {
        var findings = [bootNodes(seen), peers(seen)] + seen.families.compactMap { family($0, $1) }
        guard !seen.answered.isEmpty else { return findings }
        for isIPv4 in [true, false] {
            let tallies = seen.tallies.filter { $0.endpoint.isIPv4 == isIPv4 }
            if let finding = address(tallies, seen) { findings.append(finding) }
        }
        if seen.tallies.isEmpty {
            findings.append(
                Finding(grade: .doubtful, subject: "address", text: "no peer said where it sees us; try --seconds 120"))
        }
        findings.append(inbound(seen))
        return findings
    }

    private func bootNodes(_ seen: Observations) -> Finding {
        let total = settings.bootNodes.count
        let answered = settings.bootNodes.count { seen.answered[$0.id] != nil }
        let text = "\(answered) of \(total) answered"
        if answered == total { return Finding(grade: .good, subject: "boot nodes", text: text) }
        return Finding(
            grade: answered > 0 ? .doubtful : .bad, subject: "boot nodes",
            text: text + ": check that their records are current and that UDP to them is let out")
    }

    /// How the addresses of one family fared; nil where none was tried.
    private func family(_ family: AddressFamilies, _ tally: FamilyTally) -> Finding? {
        guard tally.tried > 0 else { return nil }
        let cure =
            if tally.answered > 0 {
                ""
            } else if tally.unsent > 0 {
                ": this machine has no way out over \(family), so nodes that have no other address cannot be reached"
            } else {
                ": the nodes' \(family) addresses are dead, or \(family) is not let out"
            }
        return Finding(
            grade: cure.isEmpty ? .good : .doubtful, subject: "\(family)", text: "\(tally)\(cure)")
    }

    private func peers(_ seen: Observations) -> Finding {
        let count = seen.answered.count
        let grade: Grade = count > 1 ? .good : .doubtful
        return Finding(
            grade: count == 0 ? .bad : grade, subject: "peers", text: "\(count) answered in \(settings.seconds) s")
    }

    /// Where peers of one family see us; nil where none of that family said so.
    private func address(_ tallies: [AddressTally], _ seen: Observations) -> Finding? {
        guard let first = tallies.first else { return nil }
        let family = first.endpoint.isIPv4 ? "IPv4" : "IPv6"
        let list = tallies.prefix(5).map { "\($0.endpoint) by \($0.prefixes)" }.joined(separator: ", ")
        let text = "peers see us at \(list) (networks, each counted once)"
        func finding(_ grade: Grade, _ cure: String) -> Finding {
            Finding(grade: grade, subject: "address \(family)", text: cure.isEmpty ? text : "\(text); \(cure)")
        }
        if case .external(let told) = settings.addressPlan, told.isIPv4 == first.endpoint.isIPv4 {
            let port = told.port == 0 ? seen.listening.port : told.port
            let isRight = told.address == first.endpoint.address && port == first.endpoint.port
            return finding(isRight ? .good : .bad, isRight ? "" : "--nat names \(told): correct it")
        }
        let ports = Set(tallies.filter { $0.endpoint.address == first.endpoint.address }.map(\.endpoint.port))
        if ports.count > 1 {
            return finding(
                .bad,
                "every peer sees another port, so no address can be told: forward UDP port "
                    + "\(seen.listening.port) in the router and give --nat extip:IP")
        }
        if Set(tallies.map(\.endpoint.address)).count > 1, first.prefixes * 10 < tallies[1].prefixes * 13 {
            return finding(.doubtful, "they do not agree: give --nat extip:IP")
        }
        return finding(.good, "")
    }

    private func inbound(_ seen: Observations) -> Finding {
        guard seen.inbound.isEmpty else {
            return Finding(grade: .good, subject: "inbound", text: "strangers reached us")
        }
        let text = "no stranger reached us in \(settings.seconds) s"
        return Finding(
            grade: .doubtful, subject: "inbound",
            text: text + ": in a small network that says little; else open or forward UDP port \(seen.listening.port)")
    }
}
