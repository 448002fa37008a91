import Chain
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateStore

/// Names one thing that is under way, from its first moment to its last: the request, the job and the transaction that
/// belong to it bear the same name.
public struct OperationID: Hashable, Comparable, Sendable {
    /// Counted from 1.
    public let value: UInt64

    public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
}

/// One thing that is under way, and all that must be given back when it ends.
struct Operation: Sendable {
    /// What it is for.
    enum Purpose: Sendable {
        /// State that was asked of a peer. `key` is what was asked for: what it says (whether a proof is wanted) may
        /// have changed by the time the answer comes.
        case ask(WalkTask, key: StateContentKey)
        /// The names of those who cover a section, asked of a peer that does not have it.
        case names(HolderDirectory.SearchID)
        /// A crown that was offered, or our own.
        case crown(Anchor)
        /// Storage crowns of our own making, of an account's storage.
        case storageCrowns(Bytes32)
        /// Diffs of one block that came by gossip from one peer, one a section.
        case blockDiffs([PendingDiff])
        /// A section's layers become part of its base.
        case fold
        /// A section is dropped, to be begun again.
        case drop
        /// Something that the node does for itself.
        case upkeep(Upkeep.Chore)
        /// A bridge's genesis or block.
        case replay(ReplayedBlock)
        /// A bridge's state leaves blocks that a heavier line has replaced.
        case goBack
        /// A value for a peer that asked.
        case serve(Overlay.ContentToken)
        /// Sections are encoded ahead of requests at this anchor.
        case encode(Anchor)
        /// Writes that nothing waits for.
        case note
    }

    /// How far it is. What is asked becomes what is checked, and that what is written; some begin later than others.
    enum Stage: Sendable {
        /// Whether nothing has come yet.
        var isAsked: Bool { if case .asked = self { true } else { false } }

        case asked
        case checking
        /// In one transaction; `Change` is what memory follows with.
        case writing(Change)
    }

    /// What is true once the transaction is committed.
    enum Change: Sendable {
        case range(RangeTaken)
        case sections(SectionsTaken)
        case diffs(DiffsTaken, goal: StatePoint)
        case compared(SectionCompared)
        case layers([CheckedDiff])
        case fold(SectionFolded)
        case resplit(PartsResplit)
        case drop
        case upkeep(UpkeepDone)
        case codes([Bytes32])
        case crown(Anchor, Crown)
        case storageCrowns([StorageCrown])
        case genesis(GenesisTaken, Attestation)
        case block(ReplayTaken, Attestation)
        case wentBack(StatePoint)
        case nothing
    }

    let id: OperationID
    let purpose: Purpose
    /// Locked until it ends.
    var sections: [Int]
    /// Who was asked.
    let peer: Bytes32?
    let startedAt: Instant
    /// Bytes of the download limit that were set aside for the answer.
    let budgeted: UInt32
    var stage: Stage
    /// Of the answer.
    var bytes = 0

    /// What was asked of a peer; nil for everything else.
    var task: WalkTask? { if case .ask(let task, _) = purpose { task } else { nil } }
}

/// Everything that is under way: one entry each, from the first moment to the last.
public struct OperationTable: Sendable {
    /// What is asked of peers, which is few and often looked through, and everything else.
    private var asking: [OperationID: Operation] = [:]
    private var others: [OperationID: Operation] = [:]
    private var next: UInt64 = 1
    /// What peers were asked for and have not given yet, by peer.
    private(set) var loads: [Bytes32: Int] = [:]
    /// Jobs that serve peers under way.
    private(set) var servingCount = 0
    /// Grows with every beginning and every end.
    private(set) var revision: UInt64 = 0

    var count: Int { asking.count + others.count }

    subscript(id: OperationID) -> Operation? { asking[id] ?? others[id] }

    /// What peers were asked for and have not given yet, in all.
    var askCount: Int { asking.count }

    /// What a peer was asked for and has not given yet.
    func load(of peer: Bytes32) -> Int { loads[peer] ?? 0 }

    /// What is asked of peers, in no order.
    var asks: some Sequence<Operation> { asking.values }

    /// Whether anything that is under way has this section.
    func isUnderWay(_ section: Int) -> Bool {
        [asking.values, others.values].contains { $0.contains { $0.sections.contains(section) } }
    }

    /// Accounts whose storage crowns are being made.
    var storageCrowns: Set<Bytes32> {
        Set(others.values.compactMap { if case .storageCrowns(let account) = $0.purpose { account } else { nil } })
    }

    /// What has been under way at one peer for longest, if that is long, with the section it is about (none for a
    /// crown); nil where nothing is slow.
    public func slowest(at now: Instant) -> (section: Int?, peer: Bytes32, since: Interval)? {
        let slow = asks.filter { now - $0.startedAt >= WalkLimits.slowAfter }
        guard let oldest = slow.min(by: { ($0.startedAt, $0.id) < ($1.startedAt, $1.id) }), let peer = oldest.peer
        else { return nil }
        return (oldest.task?.subject, peer, now - oldest.startedAt)
    }

    /// Begins one. Its sections are locked by the caller.
    mutating func begin(
        _ purpose: Operation.Purpose, stage: Operation.Stage, sections: [Int] = [], peer: Bytes32? = nil,
        budgeted: UInt32 = 0, at now: Instant
    ) -> OperationID {
        let id = OperationID(value: next)
        next += 1
        let operation = Operation(
            id: id, purpose: purpose, sections: sections, peer: peer, startedAt: now, budgeted: budgeted, stage: stage)
        if operation.task != nil { asking[id] = operation } else { others[id] = operation }
        count(operation, 1)
        return id
    }

    /// The answer came and is checked; these sections are locked by the caller.
    mutating func checks(_ id: OperationID, sections: [Int], bytes: Int) {
        asking[id]?.stage = .checking
        asking[id]?.sections = sections
        asking[id]?.bytes = bytes
    }

    /// What was checked is written.
    mutating func writes(_ id: OperationID, _ change: Operation.Change) {
        asking[id]?.stage = .writing(change)
        others[id]?.stage = .writing(change)
    }

    /// Ends one; nil where it has ended before. The caller gives back what it held.
    mutating func end(_ id: OperationID) -> Operation? {
        guard let operation = asking.removeValue(forKey: id) ?? others.removeValue(forKey: id) else { return nil }
        count(operation, -1)
        return operation
    }

    private mutating func count(_ operation: Operation, _ change: Int) {
        revision &+= 1
        switch operation.purpose {
        case .serve: servingCount += change
        case .ask:
            guard let peer = operation.peer else { return }
            let sum = load(of: peer) + change
            loads[peer] = sum == 0 ? nil : sum
        case .names, .crown, .storageCrowns, .blockDiffs, .fold, .drop, .upkeep, .replay, .goBack, .encode, .note:
            return
        }
    }
}
