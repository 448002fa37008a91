import Chain
import MerklePatricia
import Primitives

/// What the store holds of a section, and at which point. No record: nothing of it.
public struct SectionRecord: Hashable, Sendable {
    /// How much of the section the base has.
    public enum Coverage: Hashable, Sendable {
        /// Every leaf before `next` (and none after) is here and verified; `next` lies in the section.
        case partial(next: Cursor)
        /// Every leaf is here and `subtree` is what they hash to.
        case complete(Subtree)
        /// Leaves of several anchors, on their way to the working point: what is here (before `next`; nil: the whole
        /// section) is being compared with the state there. It is no block's state and is not served.
        case mixed(next: Cursor?)
    }

    /// Which section.
    public let section: Section
    /// The anchor (or, on the way to the head of a chain without anchors, the block) that the base is at.
    public var working: StatePoint
    /// The point before it, which the undo layer leads back to; nil before the first fold.
    public var previous: StatePoint?
    /// How much of it is here.
    public var coverage: Coverage
    /// The oldest point that history leads on from; nil where no fold is kept.
    public var historyStart: StatePoint?

    /// A record of these parts.
    public init(
        section: Section, working: StatePoint, previous: StatePoint? = nil, coverage: Coverage,
        historyStart: StatePoint? = nil
    ) {
        self.section = section
        self.working = working
        self.previous = previous
        self.coverage = coverage
        self.historyStart = historyStart
    }

    /// Nothing fetched yet: the walk begins at the section's first key.
    public init(starting section: Section, at working: StatePoint) {
        self.init(section: section, working: working, coverage: .partial(next: section.firstCursor))
    }

    /// What the complete section hashes to; nil for a partial one.
    public var subtree: Subtree? {
        if case .complete(let subtree) = coverage { return subtree }
        return nil
    }

    /// Whether every leaf is here, all of one point.
    public var isComplete: Bool { subtree != nil }

    /// Where what is here of the section ends; nil where it has leaves from its first key to its last.
    public var heldBelow: Cursor? {
        switch coverage {
        case .partial(let next): next
        case .mixed(let next): next
        case .complete: nil
        }
    }

    /// The section hash at the working point; nil for a partial one.
    public var sectionHash: Bytes32? { subtree?.hash(at: section.depth) }

    /// The record as it is stored.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.append(section: section)
        writer.append(point: working)
        writer.append(optionalPoint: previous)
        writer.append(optionalPoint: historyStart)
        switch coverage {
        case .partial(let next):
            writer.append(uint8: 0)
            writer.append(next.account)
            writer.append(next.slot)
        case .complete(let subtree):
            writer.append(uint8: 1)
            writer.append(subtree.encoded)
        case .mixed(nil): writer.append(uint8: 2)
        case .mixed(let next?):
            writer.append(uint8: 3)
            writer.append(next.account)
            writer.append(next.slot)
        }
        return writer.bytes
    }

    /// Reads what `encoded` gives.
    public init(decoding bytes: [UInt8]) throws(StoreError) {
        do {
            var reader = ByteReader(bytes)
            section = try reader.section()
            working = try reader.point()
            previous = try reader.optionalPoint()
            historyStart = try reader.optionalPoint()
            switch try reader.uint8() {
            case 0:
                coverage = .partial(next: Cursor(account: try reader.bytes32(), slot: try reader.bytes32()))
                try reader.finish()
            case 2:
                coverage = .mixed(next: nil)
                try reader.finish()
            case 3:
                coverage = .mixed(next: Cursor(account: try reader.bytes32(), slot: try reader.bytes32()))
                try reader.finish()
            case 1:
                let subtree = try Subtree(decoding: reader.rest())
                guard section.mayHave(subtree) else { throw StoreError.corrupt(table: .sections) }
                coverage = .complete(subtree)
            default: throw StoreError.corrupt(table: .sections)
            }
        } catch {
            throw .corrupt(table: .sections)
        }
    }

    /// The record of `section`; nil where nothing of it is held.
    public static func read(_ section: Section, in snapshot: some StoreSnapshot) throws(StoreError) -> SectionRecord? {
        guard let bytes = try snapshot.get(.sections, section.storeKey) else { return nil }
        return try SectionRecord(decoding: bytes)
    }

    /// The records of all sections of which anything is held, in order.
    public static func all(in snapshot: some StoreSnapshot) throws(StoreError) -> [SectionRecord] {
        var records: [SectionRecord] = []
        try snapshot.forEach(.sections, from: [], upTo: nil) { (_, value) throws(StoreError) in
            records.append(try SectionRecord(decoding: Array(value)))
            return true
        }
        return records
    }
}
