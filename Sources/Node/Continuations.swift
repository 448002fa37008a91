import Chain
import ChainNetwork
import MerklePatricia
import Overlay
import Primitives
import StateNetwork
import StateStore
import Sync

/// Names one job until its result comes back.
public struct JobID: Hashable, Sendable {
    /// Counted from 1.
    public let value: UInt64
}

/// Names one transaction until it is committed.
public struct CommitID: Hashable, Sendable {
    /// Counted from 1.
    public let value: UInt64
}

/// What to do with a job's result or after a commit. Each holds what must be given back: a section's lock, an
/// assignment, an asker's token.
enum Continuation: Sendable {
    /// A value for a peer that asked.
    case answer(Overlay.ContentToken)
    /// A range: verified, then committed.
    case range(assignment: UInt64, section: Int, peer: Bytes32, bytes: Int)
    case rangeCommitted(assignment: UInt64, section: Int, peer: Bytes32, bytes: Int, RangeTaken)
    /// Section diffs: applied, then committed.
    case diffs(assignment: UInt64, sections: [Int], peer: Bytes32, bytes: Int, goal: StatePoint)
    case diffsCommitted(
        assignment: UInt64, sections: [Int], peer: Bytes32, bytes: Int, goal: StatePoint, DiffsTaken)
    /// A block diff of one section: verified, then committed as a layer.
    case blockDiff(Holdings.PendingDiff)
    case layerCommitted(Holdings.PendingDiff, BlockLayer, codes: [Bytes32], wanted: [WantedCode])
    /// A section's layers folded into its base.
    case fold(section: Int)
    case foldCommitted(section: Int, SectionRecord, wanted: [WantedCode])
    /// A section dropped, to be begun again.
    case dropCommitted(section: Int)
    /// Codes, already checked against their hashes.
    case codesCommitted(assignment: UInt64, peer: Bytes32, hashes: [Bytes32], bytes: Int)
    /// A verified crown; `assignment` is nil where it was offered or is our own.
    case crownCommitted(Anchor, Crown, assignment: UInt64?)
    /// Headers and other writes that nothing waits for.
    case written
    /// Old headers: found, then forgotten.
    case pruneHeaders
    case headersPruned
    /// A bridge's genesis or block.
    case genesis(ReplayedBlock)
    case genesisCommitted(ReplayedBlock, GenesisTaken, BridgeState.Word)
    case replay(ReplayedBlock)
    case replayCommitted(ReplayedBlock, ReplayTaken, BridgeState.Word)
}

/// What a request for content was for.
enum RequestPurpose: Sendable {
    /// With the key that was asked for: what it says (whether a proof is wanted) may have changed when the answer
    /// comes.
    case assignment(Assignment, StateContentKey)
    case chain(ChainSync.RequestTag)
    /// Asked of a node that does not have a section, for the names of those who cover it.
    case holders(HolderDirectory.SearchID)
}
