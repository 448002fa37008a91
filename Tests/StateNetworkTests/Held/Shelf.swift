import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

@testable import StateNetwork

/// What is held and the diffs that wait for it, together as the machine has them.
struct Shelf {
    var holdings: Holdings
    var pending = PendingDiffs()
    /// What is on its way.
    var expected = ExpectedDiffs()

    // MARK: Diffs

    func admission(of key: BlockDiffKey, from sender: Bytes32, isCanonical: Bool?) -> BlockDiffAdmission {
        pending.admission(of: key, from: sender, isCanonical: isCanonical, holdings.book)
    }

    /// Whether a diff is wanted of one sender.
    func admission(_ key: BlockDiffKey, _ isCanonical: Bool?) -> BlockDiffAdmission {
        admission(of: key, from: Ring.sender, isCanonical: isCanonical)
    }

    mutating func enqueue(_ diff: PendingDiff) { pending.enqueue(diff, holdings.book) }

    mutating func nextDiff(of index: Int, at now: Instant, isCanonical: (StatePoint) -> Bool?) -> PendingDiff? {
        pending.next(of: index, &holdings.book, expected: expected, at: now, isCanonical: isCanonical)
    }

    func blockingDiffs(of index: Int) -> [PendingDiff] { pending.blocking(index, holdings.book) }
    func rivals(of diff: PendingDiff) -> [PendingDiff] { pending.rivals(of: diff) }
    mutating func discard(_ diff: PendingDiff) { pending.discard(diff, &holdings.book) }
    mutating func takeDue(at now: Instant) -> [Int] { pending.takeDue(at: now) }
    mutating func takeSendersInVain() -> [Bytes32] { pending.takeSendersInVain() }
    var waiting: [Int] { pending.sections }
    var pendingBytes: Int { pending.room.bytes }

    // MARK: The book

    func held(_ index: Int) -> SectionEntry? { holdings.held(index) }
    func hasGap(_ index: Int, at now: Instant) -> Bool { holdings.book.hasGap(index, at: now) }
    func stateHash(of index: Int, at number: UInt64) -> Bytes32? { holdings.book.stateHash(of: index, at: number) }
    mutating func lock(_ indices: [Int]) -> Bool { holdings.book.lock(indices) }
    mutating func lock(_ index: Int) -> Bool { holdings.book.lock([index]) }
    mutating func lockAll() -> Bool { holdings.book.lockAll() }
    mutating func unlockAll() { holdings.book.unlockAll() }

    mutating func unlock(_ index: Int) {
        holdings.book.unlock([index])
        pending.review([index])
    }

    var layerBytes: Int { holdings.book.layerBytes }

    var layerLimit: Int {
        get { holdings.book.layerLimit }
        set { holdings.book.layerLimit = newValue }
    }

    var isFullOfLayers: Bool { holdings.book.isFullOfLayers }

    // MARK: What was committed

    mutating func committed(_ layer: BlockLayer, replacing: Bool) -> Bool {
        holdings.committed(layer, replacing: replacing)
    }

    @discardableResult
    mutating func committed(_ record: SectionRecord?, section index: Int) -> [BlockLayer] {
        holdings.committed(record, section: index)
    }

    mutating func caughtUp(_ index: Int, layersStand: Bool = true) {
        holdings.caughtUp(index, layersStand: layersStand)
    }

    // MARK: The head

    mutating func verify(at point: StatePoint, root: Bytes32, isHead: Bool) -> Bool {
        holdings.verify(at: point, root: root, isHead: isHead)
    }

    mutating func markBehind(at point: StatePoint, root: Bytes32) -> [Int] {
        holdings.markBehind(at: point, root: root)
        return holdings.verifier.behind(at: point, root: root, holdings.book, holdings.crowns)
    }
}
