import Chain
import Primitives
import StateContent

/// What the ring answered to a question about the state.
public struct RingAnswer: Sendable {
    public let state: StateAnswer
    /// Who gave it, each once.
    public let peers: [Bytes32]
    /// From the question, or the first anchor after it, to the answer.
    public let took: Interval
    /// Requests for content that it took, those without an answer too.
    public let requests: Int

    public init(state: StateAnswer, peers: [Bytes32], took: Interval, requests: Int) {
        self.state = state
        self.peers = peers
        self.took = took
        self.requests = requests
    }
}

/// Why a question to the ring has no answer.
public enum RingFailure: Error, Equatable, Sendable {
    /// No peer of the network answers.
    case noPeers
    /// No anchor is attested here: headers are missing, or none that is final begins an epoch.
    case noAnchor(head: UInt64)
    /// The newest attestation is older than the network allows; seconds.
    case headTooOld(age: UInt64, limit: UInt64)
    /// The anchor that was asked for is none that is known here.
    case noSuchAnchor(block: UInt64, newest: UInt64)
    /// Of those who were asked nobody has it.
    case nobodyHasIt(asked: Int, Anchor)
}

extension RingFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noPeers:
            "no peer of this network answers: check --bootnodes, --network and that UDP is let through"
        case .noAnchor(let head):
            "no final anchor is attested here yet, at block \(head): try again, or give other --bootnodes"
        case .headTooOld(let age, let limit):
            "the newest attested block was attested \(age) s ago, and the network's limit is \(limit) s: are its "
                + "bridges up?"
        case .noSuchAnchor(let block, let newest):
            "block \(block) is none that is served: the newest that is begins an epoch, and is block \(newest)"
        case .nobodyHasIt(let asked, let anchor):
            "none of the \(asked) nodes that were asked has it at \(anchor): try again, or give other --bootnodes"
        }
    }
}
