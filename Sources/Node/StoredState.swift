import Chain
import MerklePatricia
import Primitives
import StateStore

/// What a store held when the node was started: all that memory needs to go on.
public struct StoredState: Sendable {
    public var records: [SectionRecord] = []
    public var layers: [BlockLayer] = []
    public var crowns: [(anchor: Anchor, crown: Crown)] = []
    /// Attested headers, rising.
    public var headers: [CertifiedHeader] = []
    public var wantedCodes: [Bytes32] = []
    /// The newest block a bridge has applied.
    public var replayedHead: StatePoint?

    public init() {}
}
