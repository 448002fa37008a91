import StateStore
import Synchronization

/// Keeps a store under its capacity: looks after commits how much of it is taken, and gives up history where that is
/// too much. Where there is no more history, a holder's arc is to be made smaller: sections go whole, between two lives
/// of the node.
final class StoreCapacity: Sendable {
    private struct State {
        /// Written since the last look.
        var bytes = 0
        var hasAskedForSections = false
    }

    private let store: LMDBStore
    private let capacity: Int
    /// What is told of each thing given up.
    private let tell: @Sendable (String) -> Void
    /// Asks for a smaller arc; nil where there can be none.
    private let shrink: (@Sendable () -> Void)?
    private let state = Mutex(State())

    /// Of the capacity, how much is written between two looks: well below what is left when something is given up. One
    /// costs a snapshot and a glance at each table, some microseconds.
    private static let partBetweenLooks = 64

    init(
        _ store: LMDBStore, capacity: Int, tell: @escaping @Sendable (String) -> Void,
        shrink: (@Sendable () -> Void)? = nil
    ) {
        self.store = store
        self.capacity = capacity
        self.tell = tell
        self.shrink = shrink
    }

    /// Whether a smaller arc was asked for: then what is left of the room is for dropping sections.
    var isShort: Bool { state.withLock { $0.hasAskedForSections } && shrink != nil }

    /// After a commit of so many bytes.
    func wrote(_ bytes: Int) throws(StoreError) {
        let isDue = state.withLock { state in
            state.bytes += bytes
            guard state.bytes > capacity / StoreCapacity.partBetweenLooks else { return false }
            state.bytes = 0
            return true
        }
        if isDue { try look() }
    }

    /// Gives something up where too much is taken, or where a commit found no room (`isFull`). True where room was
    /// made.
    @discardableResult
    func look(isFull: Bool = false) throws(StoreError) -> Bool {
        let snapshot = try store.snapshot()
        let used = try snapshot.liveBytes()
        // Pages that are free but read by somebody, or scattered, cannot be had: where a commit found no room, all
        // counts as taken.
        switch try StorageRelief.step(used: isFull ? capacity : used, capacity: capacity, in: snapshot) {
        case .none: return false
        case .dropHistory(let number):
            let batches = try StorageRelief.dropHistory(upTo: number, in: snapshot)
            for batch in batches { try store.commit(batch) }
            tell(
                "the store has \(ByteCount(bytes: UInt64(used))) of \(ByteCount(bytes: UInt64(capacity))): changes "
                    + "\(number == .max ? "of all epochs" : "up to block \(number)") are kept no longer")
            return !batches.isEmpty
        case .shrinkArc:
            let isFirst = state.withLock { state in
                defer { state.hasAskedForSections = true }
                return !state.hasAskedForSections
            }
            guard isFirst else { return false }
            let cure = shrink == nil ? "raise --storage-capacity" : "a smaller arc will be kept"
            tell(
                "the store has \(ByteCount(bytes: UInt64(used))) of \(ByteCount(bytes: UInt64(capacity))) and no "
                    + "history to give up: \(cure)")
            shrink?()
            return false
        }
    }

    /// Leaves that one transaction takes back of a section that is given up; fewer where the store has no room for the
    /// pages that it changes on the way, down to these: a few dozen pages.
    private static let leavesOfAStep = 65_536
    private static let leavesOfASmallStep = 64

    /// Before a node begins: the radius exponent whose arc fits, at most `exponent`; what lies outside the arc is
    /// dropped if there is too little room, section by section and each in bounded steps. `arc` gives the sections of
    /// an exponent.
    ///
    /// - Parameter isShort: a node with a larger arc has just found that there is too little room.
    func fit(
        exponent: Int, depth: Int, isShort: Bool, arc: (Int) -> Range<Int>
    ) throws(StoreError) -> Int {
        let snapshot = try store.snapshot()
        let records = try SectionRecord.all(in: snapshot)
        let all = try snapshot.liveBytes()
        // Sections are about equally large. History is not counted: it goes before they do.
        let held = try snapshot.liveBytes(of: Table.allCases.filter { $0 != .history })
        let places = Set(records.map { $0.section.place(sectionDepth: depth) }).count
        let used = places == 0 ? 0 : held / places * arc(exponent).count
        let fitting = StorageRelief.radiusExponent(fitting: capacity, used: used, from: exponent, depth: depth)
        guard isShort || fitting < exponent || StorageRelief.isShort(used: all, capacity: capacity) else {
            return exponent
        }
        if isShort || fitting < exponent {
            tell(
                "the store has \(ByteCount(bytes: UInt64(all))) of "
                    + "\(ByteCount(bytes: UInt64(capacity))): the arc kept and announced is 2^\(fitting) keys; raise "
                    + "--storage-capacity for a larger one")
        }
        for record in records where !arc(fitting).contains(record.section.place(sectionDepth: depth)) {
            try drop(record)
            tell("section \(record.section) is kept no longer: it lies outside the arc")
        }
        return fitting
    }

    private func drop(_ record: SectionRecord) throws(StoreError) {
        var rest: SectionRecord? = record
        var leaves = StoreCapacity.leavesOfAStep
        while let held = rest {
            let step = try StateWrites.takeBack(held, leaves: leaves, in: try store.snapshot())
            do throws(StoreError) {
                try store.commit(step.batch)
                rest = step.record
            } catch {
                guard error == .full, leaves > StoreCapacity.leavesOfASmallStep else { throw error }
                leaves /= 4
            }
        }
    }
}
