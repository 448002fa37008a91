import Chain
import Primitives
import StateStore

/// The part of the book that has parts of spread storage: an entry for each that is held or wanted. Which are wanted
/// follows from the arc and from how far tries are spread; a part that is wanted no more is served for a while, because
/// those who want it may not have it yet.
struct PartTable: Sendable {
    private(set) var ids: PartIDs
    /// By number.
    private(set) var entries: [Int: SectionEntry] = [:]
    /// How many there are of each trie and placement.
    private var counts: [PartIDs.Trie: Int] = [:]
    /// Those that are wanted, by the section of the ring in which they lie.
    private var wantedByPlace: [Int: Set<Int>] = [:]
    private(set) var wantedCount = 0
    /// How many of these are not complete, by the section of the ring; those of which all are have none.
    private var missingByPlace: [Int: Int] = [:]
    /// Counts how often a part came to be wanted, or is so no more.
    private(set) var wantedRevision = 0
    /// Wanted parts that are complete, by the point of their base.
    private(set) var byWorking: [StatePoint: SectionRuns] = [:]
    /// Parts of which something is held and that are not wanted.
    private var left: Set<Int> = []

    init(sectionDepth: Int) { ids = PartIDs(sectionDepth: sectionDepth) }

    // MARK: Reading

    /// Wanted parts, in order.
    var wanted: [Int] { wantedByPlace.values.flatMap { $0 }.sorted() }

    /// Parts of which something is held.
    var held: [Section] { entries.filter { $0.value.record != nil }.keys.sorted().map { ids.section($0) } }

    /// Whether a part that is wanted is not complete.
    var areMissing: Bool { completeCount < wantedCount }

    /// The same of those that lie in some sections of the ring.
    func areMissing(in places: Range<Int>) -> Bool { missingByPlace.keys.contains { places.contains($0) } }

    /// Wanted parts that are complete.
    var completeCount: Int { byWorking.values.reduce(0) { $0 + $1.count } }

    /// The same, at one point.
    func completeCount(at point: StatePoint) -> Int { byWorking[point]?.count ?? 0 }

    /// Whether all that are wanted are complete at a point.
    func areComplete(at point: StatePoint) -> Bool { wantedCount == 0 || byWorking[point]?.count == wantedCount }

    /// The same of those that lie in some sections of the ring.
    func areComplete(at point: StatePoint, in places: Range<Int>) -> Bool {
        wantedByPlace.allSatisfy { place, ids in
            !places.contains(place)
                || ids.allSatisfy { entries[$0].map { $0.isComplete && $0.record?.working == point } ?? false }
        }
    }

    /// The sections of the ring of whose parts some are not complete at an anchor, in order.
    func placesLacking(at anchor: Anchor, _ point: StatePoint) -> [Int] {
        wantedByPlace.filter { _, ids in
            ids.contains { id in
                // At an older anchor it was no part yet.
                guard let entry = entries[id], entry.wantedSince ?? 0 <= anchor.epoch else { return false }
                return !entry.isComplete || (entry.record?.working != point && entry.record?.previous != point)
            }
        }.keys.sorted()
    }

    /// The numbers of all parts of a trie that is spread so far.
    mutating func ids(of account: Bytes32, depth: Int) -> Range<Int> {
        ids.ids(of: PartIDs.Trie(account: account, depth: depth))
    }

    /// Whether there is an entry of any part of a trie.
    func hasEntries(of account: Bytes32) -> Bool {
        (1...ChainLimits.sectionDepth).contains { counts[PartIDs.Trie(account: account, depth: $0)] != nil }
    }

    /// Entries of parts of a trie that are of other placements than this one.
    func others(than depth: Int, of account: Bytes32) -> [Int] {
        let depths = 1...ChainLimits.sectionDepth
        guard depths.contains(where: { $0 != depth && counts[PartIDs.Trie(account: account, depth: $0)] != nil }) else {
            return []
        }
        return entries.keys.filter { id in
            let part = ids.section(id)
            return part.owner == account && part.depth != depth
        }.sorted()
    }

    /// Parts that nobody here wants, whose base is at a point for which `isOld` says yes.
    func left(where isOld: (StatePoint) -> Bool) -> [Int] {
        left.filter { id in entries[id]?.record.map { isOld($0.working) } ?? false }.sorted()
    }

    // MARK: Changing

    /// The number of a section, or of a part, which it has from now on.
    mutating func take(_ section: Section) -> Int {
        guard let owner = section.owner else { return section.index }
        let id = ids(of: owner, depth: section.depth).lowerBound + section.index
        enter(id)
        return id
    }

    /// There is an entry of this number from now on.
    mutating func enter(_ id: Int) {
        guard entries[id] == nil else { return }
        entries[id] = SectionEntry()
        if let trie = ids.trie(of: id) { counts[trie, default: 0] += 1 }
    }

    /// Changes an entry in place; see `SectionEntry.changed`.
    mutating func change(
        _ id: Int, _ body: (inout SectionEntry) -> Void
    ) -> (before: SectionEntry.Facts, after: SectionEntry.Facts, grown: Int) {
        entries[id, default: SectionEntry()].changed(by: body)
    }

    /// Takes up what follows from a change.
    mutating func count(_ id: Int, _ before: SectionEntry.Facts, _ after: SectionEntry.Facts) {
        SectionBook.list(
            id, in: &byWorking, from: before.isComplete && before.isWanted ? before.working : nil,
            to: after.isComplete && after.isWanted ? after.working : nil)
        SectionBook.set(&left, id, !after.isWanted && after.working != nil)
        let place = ids.place(of: id)
        let missing = (after.isWanted && !after.isComplete ? 1 : 0) - (before.isWanted && !before.isComplete ? 1 : 0)
        if missing != 0 {
            let count = missingByPlace[place, default: 0] + missing
            missingByPlace[place] = count > 0 ? count : nil
        }
        guard before.isWanted != after.isWanted else { return }
        wantedCount += after.isWanted ? 1 : -1
        wantedRevision += 1
        SectionBook.set(&wantedByPlace[place, default: []], id, after.isWanted)
        if wantedByPlace[place]?.isEmpty == true { wantedByPlace[place] = nil }
    }

    /// A part that is neither wanted nor held is nothing; whether it was.
    mutating func forget(_ id: Int) -> Bool {
        guard let entry = entries[id], entry.wantedSince == nil, entry.record == nil, !entry.isLocked else {
            return false
        }
        entries[id] = nil
        if let trie = ids.trie(of: id), let count = counts[trie] { counts[trie] = count == 1 ? nil : count - 1 }
        return true
    }
}
