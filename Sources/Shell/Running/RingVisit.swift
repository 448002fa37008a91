import Chain
import Discovery
import Foundation
import Node
import Primitives
import StateContent
import StateNetwork
import StateStore

/// A visit to a network: a node with a key for the occasion, that keeps and writes nothing, asks one question and goes.
public struct RingVisit {
    /// Everything that is needed for one.
    public struct Settings: Sendable {
        public var networkFile: String
        public var bootNodes: [NodeRecord]
        public var listen: Endpoint
        /// Whether 0.0.0.0 will do where `listen` is :: and the machine has no IPv6.
        public var fallsBackToIPv4 = false

        public init(networkFile: String, bootNodes: [NodeRecord], listen: Endpoint) {
            self.networkFile = networkFile
            self.bootNodes = bootNodes
            self.listen = listen
        }
    }

    private let settings: Settings

    /// A visit that has not begun.
    public init(_ settings: Settings) { self.settings = settings }

    /// Asks, of the newest anchor that is served or of `block`; what the ring answered, proven. Throws `RingFailure`
    /// where it did not, and what the machine refused.
    public func ask(_ question: StateQuestion, block: UInt64?) throws -> RingAnswer {
        let signals = try Signals()
        let clock = SystemClock()
        let network = try NetworkConfigurationFile.read(settings.networkFile)
        let socket = try UDPSocket.opened(at: settings.listen, orIPv4: settings.fallsBackToIPv4)
        var entropy = SystemEntropy.make()
        var configuration = NodeConfiguration(
            network: network, role: .walker, key: IdentityKey(from: &entropy), clientInfo: ProgramVersion.clientInfo)
        (configuration.lanes, configuration.arcPlan) = (0, .fixed(0))
        configuration.families = AddressFamilies(listeningAt: socket.local)
        configuration.bootNodes = settings.bootNodes
        configuration.recordSequence = clock.now().unixSeconds
        var node = try CarouselNode(
            configuration: configuration, stored: StoredState(), entropy: entropy, at: clock.now())
        node.handle(.question(question, block: block), at: clock.now())
        var outcome: Result<RingAnswer, RingFailure>?
        let mailbox = try Mailbox<MachineEvent<RunningNode>>()
        let hands = EventLoop<RunningNode>.Hands(
            // Nothing is stored: what would be written is let go, and what would be read is not there.
            pool: WorkerPool<JobID, StateJob>(count: 1) { id, job in
                mailbox.post(.jobFinished(id, job.failed(.missing)))
            },
            writer: StoreWriter<CommitID, WriteBatch, StoreError>(
                commit: { (_) throws(StoreError) in }, size: { $0.byteCount },
                done: { id, _ in mailbox.post(.committed(id)) }),
            report: { report, _ in
                switch report {
                case .answered(let answer): outcome = .success(answer)
                case .unanswered(let failure): outcome = .failure(failure)
                default: return .goOn
                }
                return .stop(0)
            })
        let loop = try EventLoop(
            machine: RunningNode(node), socket: socket, mailbox: mailbox, signals: signals, clock: clock, hands: hands)
        _ = try loop.run()
        guard let outcome else { throw ShellError.system(call: "get", reason: "it was ended before an answer came") }
        return try outcome.get()
    }
}
