import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Answers a request for several sections at one served anchor.
public struct ServeSections: Sendable {
    let key: SectionsKey
    /// Those of them that are complete here.
    let sections: [Section]
    /// The block at the anchor's boundary.
    let point: StatePoint
    let crown: Crown
    /// Those that were encoded ahead.
    let ready: [Int: SectionColumns]
    /// The answer where the store has moved on to other anchors meanwhile.
    let otherwise: StateStatus

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        do {
            // The records are read from the same snapshot as the leaves: see `ServedSection`.
            let records = try sections.compactMap { section throws(StoreError) in
                ready[section.index] == nil ? try SectionRecord.read(section, in: snapshot) : nil
            }
            var view = StateView(snapshot, depth: crown.depth, at: point, records: records)
            return try SectionsServer.serve(key, view: &view, crown: crown, ready: ready) ?? otherwise.encoded
        } catch {
            return StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded
        }
    }
}

/// Encodes sections ahead of requests for them.
public struct EncodeSections: Sendable {
    let sections: [Section]
    let depth: Int
    /// The block at the boundary of the anchor that they are encoded at.
    let point: StatePoint

    /// By index; one that fits no answer, or that the store has at that anchor no more, is not there.
    func run(on snapshot: some StoreSnapshot) throws -> [Int: SectionColumns] {
        let records = try sections.compactMap { section throws(StoreError) in
            try SectionRecord.read(section, in: snapshot)
        }
        var view = StateView(snapshot, depth: depth, at: point, records: records)
        var found: [Int: SectionColumns] = [:]
        for section in sections where view.holds(section) {
            found[section.index] = try SectionsServer.columns(
                of: section, from: &view, bytes: StateContentLimits.servedRangeBytes)
        }
        return found
    }
}

/// Checks an answer with several sections and makes the transaction that stores those of them that are still missing:
/// leaves, branches and records together.
public struct TakeSections: Sendable {
    let value: [UInt8]
    let key: SectionsKey
    /// Those that may be taken.
    let sections: [Int]
    let depth: Int
    /// The block at the anchor's boundary.
    let point: StatePoint
    /// Of that block, from its attested header.
    let stateRoot: Bytes32
    /// How the network places storage.
    let rule: Placement?

    public init(
        value: [UInt8], key: SectionsKey, sections: [Int], depth: Int, point: StatePoint, stateRoot: Bytes32,
        rule: Placement? = nil
    ) {
        self.rule = rule
        self.value = value
        self.key = key
        self.sections = sections
        self.depth = depth
        self.point = point
        self.stateRoot = stateRoot
    }

    func run(on snapshot: some StoreSnapshot) throws -> SectionsTaken {
        let found = try SectionsCheck.verify(
            value, key: key, depth: depth, stateRoot: stateRoot, placedBy: rule)
        let wanted = Set(sections)
        let parts = try found.parts.filter { part in
            guard wanted.contains(part.section.index) else { return false }
            // Nothing of it is held: what was begun goes on by ranges.
            return try SectionRecord.read(part.section, in: snapshot) == nil
        }
        guard !parts.isEmpty else { throw StateJobError.outdated }
        let missing = Set(
            try CodeRecords.missing(of: Set(parts.flatMap(\.codeHashes)).sorted(), in: snapshot))
        var writer = RangeWriter(depth: depth)
        writer.reserve(
            leaves: found.accounts.count + found.slots.count + parts.reduce(0) { $0 + $1.branches.count },
            bytes: value.count + 32 * found.slots.count + parts.reduce(0) { $0 + $1.branches.byteCount * 5 / 4 })
        var records: [SectionRecord] = []
        var codes: [WantedCode] = []
        for part in parts {
            writer.leaves(
                accounts: found.accounts, slotCounts: found.slotCounts, slots: found.slots, of: part.accounts,
                firstSlot: part.slots.lowerBound)
            writer.accountBranches(part.branches)
            for (account, branches) in part.storageBranches { writer.storageBranches(of: account, branches) }
            let record = SectionRecord(section: part.section, working: point, coverage: .complete(part.subtree))
            let lacking = part.codeHashes.filter { missing.contains($0) }
            writer.section(record, missingCodes: lacking)
            records.append(record)
            codes += lacking.map { WantedCode(hash: $0, section: part.section.index) }
        }
        return SectionsTaken(
            records: records, given: found.parts.map(\.section.index), batch: writer.finished, wantedCodes: codes,
            leafBytes: parts.reduce(0) { $0 + found.leafBytes(of: $1) })
    }
}

/// Whole sections that hold.
public struct SectionsTaken: Sendable {
    /// The records of those that are taken.
    public let records: [SectionRecord]
    /// All that the answer had.
    public let given: [Int]
    public let batch: WriteBatch
    /// Code that their accounts name and the store lacks.
    public let wantedCodes: [WantedCode]
    /// Bytes of the keys and values of those that are taken.
    public let leafBytes: Int
}
