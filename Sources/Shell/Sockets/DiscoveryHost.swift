import Discovery
import Foundation
import Primitives

/// A discv5 node and nothing above it, on a socket: for tools and tests. One thread drives it.
final class DiscoveryHost {
    /// The machine; only this host changes it.
    private(set) var machine: Discovery
    private let socket: PlainSocket
    private let clock: SystemClock

    /// A node with an identity of its own at `socket`. Its record names the socket's address where that is a particular
    /// one.
    init(
        socket: PlainSocket, configuration: Discovery.Configuration = Discovery.Configuration(),
        entropy: Entropy = SystemEntropy.make(), clock: SystemClock = SystemClock()
    ) throws {
        var entropy = entropy
        let key = IdentityKey(from: &entropy)
        var fields = NodeRecordFields(sequence: 1)
        if !socket.local.isUnspecified { fields.set(endpoint: socket.local) }
        machine = try Discovery(
            key: key, record: try fields.signed(by: key), configuration: configuration,
            entropy: Entropy(seed: entropy.bytes32()))
        self.socket = socket
        self.clock = clock
    }

    /// Nodes to begin from.
    func addBootNodes(_ records: [NodeRecord]) { machine.addBootNodes(records, at: clock.instant()) }

    /// Runs for so long, or until `isDone`, which is asked after every event. Each directive but those that send is
    /// handed on.
    func run(
        for time: Interval, until isDone: (DiscoveryHost) -> Bool = { _ in false },
        each handle: (Discovery.Directive) -> Void = { _ in }
    ) {
        let end = clock.instant() + time
        perform(handle)
        while !isDone(self) {
            let now = clock.instant()
            guard now < end else { return }
            let deadline = min(machine.nextDeadline ?? end, end)
            if let (bytes, source) = socket.receive(within: deadline - now) {
                machine.receive(bytes, from: source, at: clock.instant())
            }
            machine.advance(to: clock.instant())
            perform(handle)
        }
    }

    private func perform(_ handle: (Discovery.Directive) -> Void) {
        var directives = machine.drain()
        // What cannot be sent brings about what is sent elsewhere.
        while !directives.isEmpty {
            for directive in directives {
                if case .send(let bytes, let target) = directive {
                    if !socket.send(bytes, to: target) { machine.unsent(to: target, at: clock.instant()) }
                } else {
                    handle(directive)
                }
            }
            directives = machine.drain()
        }
    }
}
