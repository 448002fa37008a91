import Chain
import MerklePatricia
import Primitives
import StateStore

/// One section of the arc: everything that is known of what this node holds of it.
public struct SectionEntry: Sendable {
    /// The committed record of its base; nil: nothing is held.
    public internal(set) var record: SectionRecord?
    /// Verified block diffs above the working anchor, rising.
    public internal(set) var layers: [BlockLayer] = [] {
        didSet { index.follow(layers) }
    }
    /// The same, as they are looked through.
    public private(set) var index = LayerIndex()
    /// Whether an operation that will change it is under way.
    public internal(set) var isLocked = false
    /// Of a partly fetched section whose anchor nobody serves any more: the diff to one that is served.
    public internal(set) var carrying: CarryingDiff?
    /// Of a section that no diff leads on: how far it was compared with the state at another anchor. What that found is
    /// in the store.
    var comparison: SectionComparison?
    /// Blocks are missing between what is held and what is offered: how long they are waited for before the section is
    /// led on by a diff.
    var gapUntil: Instant?
    /// To be caught up whatever is offered: it was just completed, or it crossed without its layers.
    var needsCatchUp = false

    /// Of a part that is to be kept: the epoch from which on; nil where it is only served for a while. Sections of the
    /// arc have none.
    var wantedSince: UInt64?
    /// A block whose changes are there, and those of some before it are not: somebody has the section after it.
    var knownAt: StatePoint?

    /// Whether it was found to be other than its record says: it is served no more, and begun again.
    public internal(set) var isDamaged = false

    /// Whether every leaf of the section is held.
    public var isComplete: Bool {
        if !isDamaged, case .complete? = record?.coverage { true } else { false }
    }

    /// Whether all of it is held as it was at this point: by its base, or by what leads back from there.
    func isWhole(at point: StatePoint) -> Bool {
        isComplete && (record?.working == point || record?.previous == point)
    }

    /// Whether it has leaves of several anchors, on their way to one.
    var isMixed: Bool {
        if let record, case .mixed = record.coverage { true } else { false }
    }

    /// Where a partly fetched section stopped; nil for one that is not begun, is complete, or is mixed.
    var begunUpTo: Cursor? {
        guard let record, case .partial(let next) = record.coverage else { return nil }
        return next
    }

    /// The newest block whose changes it has; its working point where there is none since.
    public var top: UInt64 { layers.last?.point.number ?? record?.working.number ?? 0 }

    /// How it stands to the changes of a block.
    enum Standing {
        case incomplete
        /// It has them, or they are part of what it has.
        case passed
        /// They, or some before them, are what it takes next.
        case ready
    }

    /// How it stands to what block `number` changed.
    func standing(before number: UInt64) -> Standing { !isComplete ? .incomplete : number <= top ? .passed : .ready }

    /// The hash of its state after block `number`; nil where it is not known or lies below its base.
    func stateHash(at number: UInt64) -> Bytes32? {
        guard let record, number >= record.working.number else { return nil }
        if let layer = layers.last(where: { $0.point.number <= number }) { return layer.sectionHashAfter }
        return record.sectionHash
    }

    /// What it hashes to after block `number`; nil where it is incomplete, or its base is above that.
    func subtree(at number: UInt64) -> Subtree? {
        guard isComplete, let record, record.working.number <= number else { return nil }
        return layers.last { $0.point.number <= number }?.update.subtreeAfter ?? record.subtree
    }

    /// How it is read as it was after block `number`; nil where that is not held.
    func layering(at number: UInt64) -> SectionLayering? {
        guard isComplete, let record else { return nil }
        guard record.working.number <= number else { return record.previous?.number == number ? .previous : nil }
        let below = layers.prefix { $0.point.number <= number }
        if below.isEmpty { return .base }
        return (below.count == layers.count ? index : LayerIndex(Array(below))).layering(over: record)
    }

    // MARK: Sums

    /// What the sums over all entries are made of.
    struct Facts: Equatable {
        var working: StatePoint?
        var previous: StatePoint?
        var begunUpTo: Cursor?
        var isMixed: Bool
        var isComplete: Bool
        var isMissing: Bool
        var isLocked: Bool
        var top: StatePoint?
        var layers: Int
        var isWanted: Bool

        init(_ entry: SectionEntry) {
            working = entry.record?.working
            previous = entry.record?.previous
            begunUpTo = entry.begunUpTo
            isMixed = entry.isMixed
            isComplete = entry.isComplete
            isMissing = isComplete && (entry.needsCatchUp || entry.gapUntil != nil)
            isLocked = entry.isLocked
            top = entry.layers.last?.point
            layers = entry.layers.count
            isWanted = entry.wantedSince != nil
        }

        /// Whether the walk has to look at it anew.
        func hasMoved(from before: Facts) -> Bool {
            (working, begunUpTo, isMixed, isComplete)
                != (before.working, before.begunUpTo, before.isMixed, before.isComplete)
        }
    }

    /// Changes it in place. Gives the facts before and after, and by how many bytes its layers have grown.
    mutating func changed(by body: (inout SectionEntry) -> Void) -> (before: Facts, after: Facts, grown: Int) {
        let (before, bytes) = (Facts(self), index.byteCount)
        body(&self)
        return (before, Facts(self), index.byteCount - bytes)
    }

    // MARK: What was committed

    /// The record is this now (nil: nothing is held). Layers at or below the working anchor are part of the base; those
    /// above it stay only where they still fit onto it. Gives the layers that do not. Where that state was known
    /// before, as it is where layers are folded, no block is missing that was not missing then.
    mutating func take(_ newRecord: SectionRecord?) -> [BlockLayer] {
        let wasComplete = isComplete
        let known = newRecord.flatMap { stateHash(at: $0.working.number) }
        record = newRecord
        if newRecord == nil { isDamaged = false }
        carrying = nil
        comparison = nil
        guard let record, let hash = record.sectionHash else {
            layers = []
            return []
        }
        let above = layers.filter { $0.point.number > record.working.number }
        let fits = above.first.map { $0.sectionHashBefore == hash } ?? true
        if !fits || !wasComplete || known != hash { needsCatchUp = true }
        layers = fits ? above : []
        return fits ? [] : above
    }

    /// A layer is on top of the others, or, after a catch-up, in place of all of them. False where it does not go on
    /// from what is held any more: then it is not taken, and the section is to be caught up.
    mutating func take(_ layer: BlockLayer, replacing: Bool) -> Bool {
        guard let record else { return false }
        let base = replacing ? record.sectionHash : layers.last?.sectionHashAfter ?? record.sectionHash
        guard layer.sectionHashBefore == base, layer.point.number > record.working.number else {
            needsCatchUp = true
            return false
        }
        if replacing { layers.removeAll() }
        layers.append(layer)
        gapUntil = nil
        needsCatchUp = false
        return true
    }
}
