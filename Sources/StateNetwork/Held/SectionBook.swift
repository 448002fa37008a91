import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// The book of sections: one record for each section of the arc, read by the walk, by gossip, by whoever serves and by
/// whoever tells peers what is held.
///
/// The store is the truth: a record changes only after the transaction that says the same was committed. A section is
/// *locked* while an operation that will change it is under way; everything else that wants to change it waits its
/// turn. Beside the records the book keeps what follows from them (how many are complete, at which anchor, which miss
/// blocks), and which of them something happened to. All changes go through `change`, so nobody has to be told, and
/// nothing takes time in proportion to the arc but what is said to.
public struct SectionBook: Sendable {
    /// Leading nibbles of a section's path.
    public let depth: Int
    /// How blocks fall into epochs.
    public let epochs: Epochs
    /// Section indices of the arc: all that is held or is to be.
    public private(set) var arc: Range<Int>
    /// Those that the radius in PINGs covers. What lies beyond is being filled: it is carried from anchor to anchor,
    /// and block diffs come for it only after it was announced.
    public private(set) var announced: Range<Int>
    private var entries: [SectionEntry]
    /// Parts of spread storage that are held or wanted.
    private(set) var parts: PartTable
    /// Complete sections by the point of their base, and by the one before it, which the undo layer leads back to.
    private var byWorking: [StatePoint: SectionRuns] = [:]
    private var byPrevious: [StatePoint: SectionRuns] = [:]
    /// Sections of which every leaf is held.
    public private(set) var completeCount = 0
    /// Sections that are partly fetched.
    private(set) var begun: Set<Int> = []
    /// Sections with leaves of several anchors: they are being compared with the newest.
    private(set) var mixed: Set<Int> = []
    /// Complete sections that miss blocks, or may.
    private var missing: Set<Int> = []
    /// Sections with layers above their base.
    private var layered: Set<Int> = []
    /// Bytes of all layers and of what they are looked through by.
    public private(set) var layerBytes = 0
    /// What they may have; tests take less.
    var layerLimit = StateNetworkLimits.layerBytes
    /// Sections that are locked, and whether all are at once: a bridge applies a block.
    private var locks = (count: 0, isAll: false)
    /// Sections of which more or less is held, or at another anchor, since the walk last looked.
    private var moved: Set<Int> = []
    /// Sections whose state or lock changed since it was last looked for folds.
    private var foldable: Set<Int> = []
    /// Sections whose state changed since the head was last verified.
    private(set) var unverified: Set<Int> = []
    /// Grows with every change.
    private(set) var revision: UInt64 = 0

    /// What the store held at the start.
    init(depth: Int, epochLength: UInt64, arc: Range<Int>, records: [SectionRecord], layers: [BlockLayer]) {
        self.depth = depth
        epochs = Epochs(length: epochLength)
        self.arc = arc
        announced = arc
        entries = Array(repeating: SectionEntry(), count: arc.count)
        parts = PartTable(sectionDepth: depth)
        for record in records {
            change(parts.take(record.section)) { entry in
                entry.record = record
                // Blocks passed while the node was away: what follows the last layer is not known.
                entry.needsCatchUp = record.isComplete
            }
        }
        for layer in layers.sorted(by: { $0.point.number < $1.point.number }) {
            guard let id = parts.ids.id(of: layer.section) else { continue }
            change(id) { entry in
                // Those up to the working anchor are part of the base; the store keeps them for older askers. One that
                // does not go on from what is held was left by a crash before it could be dropped.
                guard let record = entry.record, layer.point.number > record.working.number,
                    layer.sectionHashBefore == (entry.layers.last?.sectionHashAfter ?? record.sectionHash)
                else { return }
                entry.layers.append(layer)
            }
        }
        moved = []
    }

    // MARK: Reading

    /// A section of the arc; nil outside it.
    public func held(_ index: Int) -> SectionEntry? {
        arc.contains(index) ? entries[index - arc.lowerBound] : parts.entries[index]
    }

    /// One value of a section or part, read in place; nil outside the arc.
    func read<Value>(_ index: Int, _ body: (SectionEntry) -> Value?) -> Value? {
        if arc.contains(index) { return body(entries[index - arc.lowerBound]) }
        return parts.entries.isEmpty ? nil : parts.entries[index].flatMap(body)
    }

    /// The number of a section, or of a part of a trie that has numbers.
    public func id(of section: Section) -> Int? { parts.ids.id(of: section) }

    /// The number of the section or part that a block diff is of; nil of one that has none.
    func id(of key: BlockDiffKey) -> Int? {
        guard let owner = key.trie.owner else { return arc.contains(key.section) ? key.section : nil }
        let placement = key.trie.depth(depth)
        guard (1...depth).contains(placement), (0..<Section.count(depth: placement)).contains(key.section) else {
            return nil
        }
        return id(of: Section(depth: placement, index: key.section, of: owner))
    }

    /// Whether a number is a part's.
    func isPart(_ id: Int) -> Bool { parts.ids.isPart(id) }

    /// The section of the ring in which a section or part lies.
    public func place(of id: Int) -> Int { parts.ids.place(of: id) }

    /// Every section's entry, in order.
    var all: [SectionEntry] { entries }

    /// The section of that index.
    public func section(_ index: Int) -> Section { parts.ids.section(index) }

    /// The block at an anchor's boundary. An epoch beyond the last block number has none that anything stands at.
    public func point(of anchor: Anchor) -> StatePoint {
        epochs.point(of: anchor) ?? StatePoint(number: .max, hash: anchor.hash)
    }

    /// Whether every leaf of a section is held.
    public func isComplete(_ index: Int) -> Bool { read(index) { $0.isComplete } ?? false }

    /// Whether every section that is announced is complete, with the parts that lie there.
    var isAllComplete: Bool {
        completeCount >= announced.count && count(in: byWorking.values) == announced.count
            && !(isWidening ? parts.areMissing(in: announced) : parts.areMissing)
    }

    /// Whether every section of the arc is complete, at one anchor.
    var isWholeArcComplete: Bool { completeCount == arc.count && byWorking.count == 1 && !parts.areMissing }

    /// Whether more is being filled than is announced.
    var isWidening: Bool { announced.count < arc.count }

    /// Whether something of the arc is held and something is missing.
    var isMidway: Bool { completeCount + begun.count + mixed.count > 0 && completeCount < arc.count }

    /// How many of these sections are announced.
    private func count(in runs: some Sequence<SectionRuns>) -> Int {
        isWidening ? runs.reduce(0) { $0 + $1.count(in: announced) } : runs.reduce(0) { $0 + $1.count }
    }

    /// The anchor that a section is held at; nil where nothing is.
    func anchor(ofSection index: Int) -> Anchor? { read(index) { $0.record.map { epochs.anchor(at: $0.working) } } }

    /// The anchor at which everything announced is complete; nil where there is none.
    var completeAnchor: Anchor? {
        guard isWidening || byWorking.count == 1 else { return nil }
        let point = byWorking.first { count(in: CollectionOfOne($0.value)) == announced.count }?.key
        guard let point, isWidening ? parts.areComplete(at: point, in: announced) : parts.areComplete(at: point) else {
            return nil
        }
        return epochs.anchor(at: point)
    }

    /// Complete sections whose base is at another anchor than this one, by that, the oldest first.
    func behind(_ newest: Anchor) -> [(anchor: Anchor, sections: SectionRuns)] {
        let goal = point(of: newest)
        func areBehind(_ runs: [StatePoint: SectionRuns]) -> Bool { runs.count > (runs[goal] == nil ? 0 : 1) }
        guard areBehind(byWorking) || areBehind(parts.byWorking) else { return [] }
        let all = byWorking.map { ($0, $1) } + parts.byWorking.map { ($0, $1) }
        let others = all.filter { $0.0 != goal }.map { (anchor: epochs.anchor(at: $0.0), sections: $0.1) }
        return others.sorted { $0.anchor < $1.anchor }
    }

    /// The first section that is complete at another anchor than this one, and which; nil where there is none.
    public func firstBehind(_ newest: Anchor) -> (section: Int, anchor: Anchor)? {
        guard let (anchor, sections) = behind(newest).first, let first = sections.runs.first else { return nil }
        return (first.lowerBound, anchor)
    }

    /// How many complete sections have their base at an anchor.
    func completeCount(at anchor: Anchor) -> Int { byWorking[point(of: anchor)]?.count ?? 0 }

    /// The runs of complete sections that can be served at an anchor, as their base or as what the undo layer leads to.
    func served(at anchor: Anchor) -> [Range<Int>] {
        let point = point(of: anchor)
        let runs = (byWorking[point]?.runs ?? []) + (byPrevious[point]?.runs ?? [])
        // What lies in a section is all of it: its accounts, and the parts of storage.
        let lacking = parts.placesLacking(at: anchor, point)
        guard !lacking.isEmpty else { return runs }
        return runs.flatMap { run in
            let cuts = lacking.filter { run.contains($0) }
            let ends = [run.lowerBound - 1] + cuts + [run.upperBound]
            return zip(ends, ends.dropFirst()).map { ($0 + 1)..<$1 }.filter { !$0.isEmpty }
        }
    }

    /// Points that something held stands at or leads back to.
    var pointsNeeded: Set<StatePoint> {
        let partial = begun.union(mixed).compactMap { index in read(index) { $0.record?.working } }
        return Set(byWorking.keys).union(byPrevious.keys).union(partial).union(parts.byWorking.keys)
    }

    /// The lowest block that a complete section's base is at, or a wanted part's.
    var lowestPoint: StatePoint? {
        (Array(byWorking.keys) + parts.byWorking.keys).min { $0.number < $1.number }
    }

    /// The hash of a held section's state after block `number`; nil where it is not known or lies below its base.
    public func stateHash(of index: Int, at number: UInt64) -> Bytes32? { read(index) { $0.stateHash(at: number) } }

    /// Where the next range of a section begins; nil for a complete one.
    func next(of index: Int) -> Cursor? {
        guard !isComplete(index) else { return nil }
        return read(index) { $0.begunUpTo }.flatMap { $0 } ?? section(index).firstCursor
    }

    /// The newest block whose changes a held section has.
    public func top(of index: Int) -> UInt64 { read(index) { $0.top } ?? 0 }

    /// Whether no more layers are kept: no anchor has become final for so long that those above the last one fill their
    /// room.
    public var isFullOfLayers: Bool { layerBytes >= layerLimit }

    /// Whether blocks are known to be missing: just completed, or a diff has waited for its predecessor too long.
    public func hasGap(_ index: Int, at now: Instant) -> Bool {
        guard missing.contains(index), announced.contains(place(of: index)) else { return false }
        return read(index) { entry in
            // One layer in place of many makes room; one in place of one or none would only take more.
            if isFullOfLayers && entry.layers.count < 2 { return false }
            return entry.needsCatchUp || entry.gapUntil.map { $0 < now } ?? false
        } ?? false
    }

    /// Sections with a gap, in order.
    public func gaps(at now: Instant) -> [Int] { missing.filter { hasGap($0, at: now) }.sorted() }

    /// When the patience with the next gap ends; nil where none is waited for.
    func nextGap(after now: Instant) -> Instant? {
        let until = missing.compactMap { index in
            announced.contains(place(of: index)) ? read(index) { $0.gapUntil } ?? nil : nil
        }
        return until.map { $0 + .milliseconds(1) }.filter { $0 > now }.min()
    }

    // MARK: Changing

    /// Changes a section of the arc or a part, and all that follows from it; nothing happens to any other.
    mutating func change(_ index: Int, _ body: (inout SectionEntry) -> Void) {
        let isSection = arc.contains(index)
        guard isSection || parts.entries[index] != nil else { return }
        let (before, after, grown) =
            isSection ? entries[index - arc.lowerBound].changed(by: body) : parts.change(index, body)
        revision &+= 1
        guard before != after else { return }
        layerBytes += grown
        locks.count += (after.isLocked ? 1 : 0) - (before.isLocked ? 1 : 0)
        if isSection { count(index, before, after) } else { parts.count(index, before, after) }
        SectionBook.set(&begun, index, after.begunUpTo != nil)
        SectionBook.set(&mixed, index, after.isMixed)
        SectionBook.set(&missing, index, after.isMissing)
        SectionBook.set(&layered, index, after.layers > 0)
        foldable.insert(index)
        if after.hasMoved(from: before) || after.isWanted != before.isWanted { moved.insert(index) }
        if isSection, after.hasMoved(from: before) || after.top != before.top || after.layers != before.layers {
            unverified.insert(index)
        }
        // A part that is neither wanted nor held is forgotten.
        guard !isSection, parts.forget(index) else { return }
        moved.remove(index)
        foldable.remove(index)
    }

    private mutating func count(_ index: Int, _ before: SectionEntry.Facts, _ after: SectionEntry.Facts) {
        completeCount += (after.isComplete ? 1 : 0) - (before.isComplete ? 1 : 0)
        SectionBook.list(
            index, in: &byWorking, from: before.isComplete ? before.working : nil,
            to: after.isComplete ? after.working : nil)
        SectionBook.list(
            index, in: &byPrevious, from: before.isComplete ? before.previous : nil,
            to: after.isComplete ? after.previous : nil)
    }

    // MARK: Parts

    /// The number of a part, which it has from now on, whether it is wanted or not.
    mutating func take(_ part: Section) -> Int { parts.take(part) }

    /// The storage trie of an account is spread so far from an anchor on: its parts that lie in the arc are wanted, and
    /// those of other placements no more. 0: its storage is with the account. Parts of two placements share what they
    /// are stored in, so those of the next are wanted only when those of the last are gone.
    mutating func want(partsOf account: Bytes32, depth wanted: Int, from anchor: Anchor) {
        for id in parts.others(than: wanted, of: account) { unwant(id) }
        guard wanted > 0, parts.others(than: wanted, of: account).isEmpty else { return }
        for id in parts.ids(of: account, depth: wanted) where arc.contains(place(of: id)) {
            parts.enter(id)
            change(id) { entry in entry.wantedSince = entry.wantedSince ?? anchor.epoch }
        }
    }

    /// A part is not to be kept any more.
    private mutating func unwant(_ id: Int) { change(id) { $0.wantedSince = nil } }

    static func list(
        _ index: Int, in runs: inout [StatePoint: SectionRuns], from before: StatePoint?, to after: StatePoint?
    ) {
        guard before != after else { return }
        if let before {
            runs[before]?.remove(index)
            if runs[before]?.isEmpty == true { runs[before] = nil }
        }
        if let after { runs[after, default: SectionRuns()].insert(index) }
    }

    static func set(_ set: inout Set<Int>, _ index: Int, _ isIn: Bool) {
        if isIn { set.insert(index) } else { set.remove(index) }
    }

    /// Takes the sections of which more or less is held, or at another anchor, since this was last asked.
    mutating func takeMoved() -> [Int] {
        guard !moved.isEmpty else { return [] }
        defer { moved = [] }
        return moved.sorted()
    }

    /// Takes the sections that may be ready for a fold now and were not before; none while all are locked.
    mutating func takeFoldable() -> [Int] {
        guard !foldable.isEmpty, !locks.isAll else { return [] }
        defer { foldable = [] }
        return foldable.sorted()
    }

    /// The arc and the announced part of it are these from now on. What leaves the arc is forgotten; what is announced
    /// newly has to be compared with the head as if it had come just now.
    mutating func move(to newArc: Range<Int>, announced newAnnounced: Range<Int>) {
        for index in arc where !newArc.contains(index) { change(index) { $0 = SectionEntry() } }
        entries = newArc.map { arc.contains($0) ? entries[$0 - arc.lowerBound] : SectionEntry() }
        for index in newAnnounced where !announced.contains(index) { unverified.insert(index) }
        (arc, announced) = (newArc, newAnnounced)
        for id in parts.wanted where !newArc.contains(place(of: id)) { unwant(id) }
        moved = moved.filter { newArc.contains($0) || parts.entries[$0] != nil }
        foldable = foldable.filter { newArc.contains($0) || parts.entries[$0] != nil }
        unverified = unverified.filter { newArc.contains($0) }
        revision &+= 1
    }

    /// The head was verified at block `number`: what changed up to there was compared with it.
    mutating func verified(at number: UInt64) { unverified = unverified.filter { top(of: $0) > number } }

    // MARK: Locks

    /// Whether an operation has the section, or all of them.
    func isLocked(_ index: Int) -> Bool { locks.isAll || read(index) { $0.isLocked } ?? false }

    /// Takes all of these sections, or none; false where another operation has one of them.
    public mutating func lock(_ indices: [Int]) -> Bool {
        guard indices.allSatisfy({ held($0) != nil && !isLocked($0) }) else { return false }
        for index in indices { change(index) { $0.isLocked = true } }
        return true
    }

    /// Gives sections back.
    public mutating func unlock(_ indices: [Int]) { for index in indices { change(index) { $0.isLocked = false } } }

    /// Takes every section of the arc, or none.
    public mutating func lockAll() -> Bool {
        guard locks.count == 0, !locks.isAll else { return false }
        locks.isAll = true
        return true
    }

    /// Gives every section of the arc back.
    public mutating func unlockAll() { locks.isAll = false }

    // MARK: A bridge's whole ring

    /// What each section's state hashes to after block `number`, in order; nil where one is incomplete or its base is
    /// above that.
    func subtrees(at number: UInt64) -> [Subtree]? {
        guard completeCount == arc.count else { return nil }
        var subtrees: [Subtree] = []
        for entry in entries {
            guard let subtree = entry.subtree(at: number) else { return nil }
            subtrees.append(subtree)
        }
        return subtrees
    }

    /// What each section's base hashes to, in order; nil where one is incomplete.
    var baseSubtrees: [Subtree]? {
        let subtrees = entries.compactMap { $0.record?.subtree }
        return subtrees.count == arc.count ? subtrees : nil
    }

    /// A reorganisation: layers of blocks that are not on the chain go, and what stood on them. Gives them: the store
    /// has to forget them too.
    mutating func rewind(isCanonical: (StatePoint) -> Bool) -> [BlockLayer] {
        var dropped: [BlockLayer] = []
        for index in layered.sorted() {
            let first = read(index) { entry in entry.layers.firstIndex { !isCanonical($0.point) } }
            guard let first else { continue }
            change(index) { entry in
                dropped += entry.layers[first...]
                entry.layers.removeSubrange(first...)
                entry.needsCatchUp = true
            }
        }
        return dropped
    }

    /// At the attested head nothing can be missing any more.
    mutating func nothingIsMissing() {
        for index in missing where announced.contains(place(of: index)) {
            change(index) { entry in
                entry.needsCatchUp = false
                entry.gapUntil = nil
            }
        }
    }
}
