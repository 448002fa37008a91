import Overlay
import Primitives
import StateContent
import StateNetwork
import Synchronization
import Testing

@testable import Node
@testable import Simulation
@testable import StateNetwork

/// What liars told one client in answers, liar by liar, and what of it the client looked at. A client need not look at
/// all that it gets: what somebody else has brought meanwhile is thrown away unread.
final class LieLedger: Sendable {
    /// One liar, as the client has met it.
    struct Account {
        /// Requests to it.
        var asked = 0
        /// Answers of it that were not what it holds.
        var lies = 0
        /// Those of them that were read in full: from then on the client can know.
        var looked = 0
        /// Whether it was charged with a lie, and requests to it after that.
        var isCharged = false
        var askedSince = 0
    }

    private struct State {
        /// What a liar said in place of what it holds.
        var said: [Bytes32: Set<[UInt8]>] = [:]
        var accounts: [Bytes32: Account] = [:]
    }

    private let state = Mutex(State())

    subscript(_ id: Bytes32) -> Account { state.withLock { $0.accounts[id] ?? Account() } }

    fileprivate func change(_ id: Bytes32, _ change: (inout Account) -> Void) {
        state.withLock { change(&$0.accounts[id, default: Account()]) }
    }

    fileprivate func isLie(_ value: [UInt8], of id: Bytes32) -> Bool {
        state.withLock { $0.said[id]?.contains(value) ?? false }
    }

    fileprivate func isLiar(_ id: Bytes32) -> Bool { state.withLock { $0.said[id] != nil } }

    /// The same liar, whose answers are written down under its id.
    func noting(_ liar: LiarKind, as id: Bytes32) -> LiarKind {
        var liar = liar
        state.withLock { $0.said[id] = [] }
        if let answers = liar.answers {
            liar.answers = { key, value in
                let said = answers(key, value)
                if let said, said != value { self.state.withLock { _ = $0.said[id]?.insert(said) } }
                return said
            }
        }
        return liar
    }

    /// Hears what a client asks, gets and has checked, and changes nothing of it.
    struct Listener: StateVoice {
        let ledger: LieLedger
        private var asked: [OperationID: Bytes32] = [:]
        /// Lies that came and were not looked at yet.
        private var came: [OperationID: Bytes32] = [:]

        init(_ ledger: LieLedger) { self.ledger = ledger }

        mutating func hears(_ key: StateContentKey, _ token: Overlay.ContentToken) {}

        mutating func says(_ directive: StateSync.Directive) -> [StateSync.Directive] {
            switch directive {
            case .request(let id, let peer, _, _, _):
                guard ledger.isLiar(peer) else { break }
                asked[id] = peer
                ledger.change(peer) {
                    $0.asked += 1
                    if $0.isCharged { $0.askedSince += 1 }
                }
            case .judge(let peer, .lie): ledger.change(peer) { $0.isCharged = true }
            case .run(let id, let job):
                guard let peer = came.removeValue(forKey: id), Listener.looksAtAll(job) else { break }
                ledger.change(peer) { $0.looked += 1 }
            default: break
            }
            return [directive]
        }

        mutating func gets(_ result: Result<ContentAnswer, OverlayError>, for operation: OperationID) {
            guard let peer = asked.removeValue(forKey: operation) else { return }
            switch result {
            case .success(.content(let value)):
                guard ledger.isLie(value, of: peer) else { return }
                ledger.change(peer) { $0.lies += 1 }
                // Whether it is data at all is looked at without a job.
                if value.first == 0 { came[operation] = peer } else { ledger.change(peer) { $0.looked += 1 } }
            case .failure(let error) where error.isFalseContent:
                ledger.change(peer) {
                    $0.lies += 1
                    $0.looked += 1
                }
            case .success, .failure: break
            }
        }

        /// Of an answer with diffs of several sections those are applied that are still of use; another may have the
        /// lie in it.
        private static func looksAtAll(_ job: StateJob) -> Bool {
            guard case .takeDiffs(let job) = job else { return true }
            return job.sections.count == job.key.sections.count
        }
    }
}

extension Scenario {
    /// Adds a client; what it gets of the liars, and what those say, is written down from now on.
    mutating func addWalker(among liars: [HostID]) throws -> (client: HostID, ledger: LieLedger) {
        let ledger = LieLedger()
        for host in liars {
            guard let liar = world.liar(host) else { continue }
            world.corrupt(host, as: ledger.noting(liar, as: world.id(of: host)))
        }
        let client = try addWalker()
        world.hosts[client.index].node?.voice = LieLedger.Listener(ledger)
        return (client, ledger)
    }
}

extension World {
    /// A host's node id.
    func id(of host: HostID) -> Bytes32 { hosts[host.index].configuration.key.nodeID }
}
