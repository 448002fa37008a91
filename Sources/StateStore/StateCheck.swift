import Chain
import MerklePatricia
import Primitives

/// Reads back what a store holds and hashes it: every leaf, every slot, every code, and what comes out is compared with
/// what the sections' records say. Not the other way round, as where a node works: there a stored hash stands for what
/// is below it. One section at a time, each by itself, so that several threads may share the work.
public struct StateCheck<Snapshot: StoreSnapshot>: Sendable {
    /// What came of one section, or of several.
    public struct Tally: Sendable {
        /// Leaves hashed at the working point.
        public var accounts = 0
        public var slots = 0
        /// What is damaged; the first thing in each way of reading.
        public var faults: [StateFault] = []

        /// Nothing read.
        public init() {}

        /// Both together.
        public mutating func add(_ other: Tally) {
            accounts += other.accounts
            slots += other.slots
            faults += other.faults
        }
    }

    private let snapshot: Snapshot
    private let depth: Int
    private let layers: [Section: [BlockLayer]]
    private let wanted: Set<Bytes32>
    private let kept: KeptStorage
    /// The records of all sections of which something is held, in order.
    public let records: [SectionRecord]

    /// A check of what this snapshot holds; reads the records and no leaf yet. `kept`: whose storage and code there is
    /// to be.
    public init(_ snapshot: Snapshot, depth: Int, keeping kept: KeptStorage = .all) throws(StoreError) {
        self.snapshot = snapshot
        self.kept = kept
        self.depth = depth
        records = try SectionRecord.all(in: snapshot).filter { $0.section.owner != nil || $0.section.depth == depth }
        layers = Dictionary(grouping: try BlockLayer.all(in: snapshot), by: \.section)
        wanted = Set(try CodeRecords.wanted(in: snapshot))
    }

    /// Reads a section at its working point, at the point before where its hash there is given, and through its newest
    /// block layer where it has any. Of one that is only partly here the accounts are checked one by one: what they
    /// hash to together stands nowhere.
    public func check(_ record: SectionRecord, previousHash: Bytes32? = nil) throws(StoreError) -> Tally {
        var tally = Tally()
        var codes = try CodeLook(snapshot, wanted: wanted)
        do {
            guard case .complete(let subtree) = record.coverage else {
                try read(record, through: .base, &tally, &codes)
                return tally
            }
            let found = try read(record, through: .base, &tally, &codes)
            try compare(found, subtree, record.section, at: record.working)
            var again = Tally()
            if let previous = record.previous, let previousHash {
                let before = try read(record, through: .previous, &again, &codes).hash(at: record.section.depth)
                guard before == previousHash else {
                    throw StateFault.sectionHash(
                        section: record.section.index, block: previous.number, expected: previousHash, found: before)
                }
            }
            guard let top = top(of: record), let layering = layering(of: record, at: top.point) else { return tally }
            let after = try read(record, through: layering, &again, &codes)
            try compare(after, top.update.subtreeAfter, record.section, at: top.point)
        } catch let fault as StateFault {
            tally.faults.append(fault)
        } catch {
            throw (error as? StoreError) ?? .corrupt(table: .leaves)
        }
        return tally
    }

    /// Every header hashes to what it is found by.
    public func checkHeaders() throws(StoreError) -> Tally {
        var tally = Tally()
        try snapshot.forEach(.headers, from: [], upTo: nil) { (key, value) throws(StoreError) in
            let header = try? BlockHeader(rlp: Array(value))
            var number: UInt64 = 0
            for byte in key.prefix(8) { number = number &<< 8 | UInt64(byte) }
            if header?.point.storeKey != Array(key) { tally.faults.append(.header(block: number)) }
            return true
        }
        return tally
    }

    private func compare(
        _ found: Subtree, _ expected: Subtree, _ section: Section, at point: StatePoint
    ) throws(StateFault) {
        guard found != expected else { return }
        throw .sectionHash(
            section: section.index, block: point.number, expected: expected.hash(at: section.depth),
            found: found.hash(at: section.depth))
    }

    private func top(of record: SectionRecord) -> BlockLayer? {
        layers[record.section]?.filter { $0.point.number > record.working.number }
            .max { $0.point.number < $1.point.number }
    }

    private func layering(of record: SectionRecord, at point: StatePoint) -> SectionLayering? {
        SectionLayering(of: record, at: point, layers: layers[record.section] ?? [])
    }

    @discardableResult
    private func read(
        _ record: SectionRecord, through layering: SectionLayering, _ tally: inout Tally, _ codes: inout CodeLook
    ) throws -> Subtree {
        let view = StateView(snapshot, record.section, layering: layering)
        var walk = try view.walk(from: record.section.firstCursor)
        var hasher = LeafHasher(of: record.section) { [snapshot, kept, section = record.section] account in
            guard kept.keeps(account) else { return true }
            return (try? StateView(snapshot, section, layering: layering).isSpread(account)) ?? false
        }
        defer {
            tally.accounts += hasher.accounts
            tally.slots += hasher.slots
        }
        while let run = try walk.nextRun() {
            for leaf in run {
                try hasher.add(leaf.key, leaf.value)
                guard leaf.key.count == 32, let hash = hasher.codeHash, let base = leaf.key.baseAddress else {
                    continue
                }
                let account = Bytes32(loading: base)
                if kept.keeps(account) { try codes.look(at: hash, of: account) }
            }
        }
        // The account at which a part ends lacks slots.
        if let next = record.heldBelow, next.slot != .zero || record.section.owner != nil {
            return .empty
        }
        return try hasher.finish()
    }

    /// Hashes code in place, each once.
    private struct CodeLook {
        private var cursor: Snapshot.Cursor
        private let wanted: Set<Bytes32>
        private var seen: Set<Bytes32> = []

        init(_ snapshot: Snapshot, wanted: Set<Bytes32>) throws(StoreError) {
            cursor = try snapshot.cursor(.codes)
            self.wanted = wanted
        }

        mutating func look(at hash: Bytes32, of account: Bytes32) throws {
            guard seen.insert(hash).inserted else { return }
            let isPlaced = try cursor.seek(hash.bytes)
            let found = cursor.withEntry { key, code -> Bytes32? in
                isPlaced && key.elementsEqual(hash.bytes) ? Keccak.hash(code) : nil
            }
            if let found = found ?? nil {
                if found != hash { throw StateFault.code(hash: hash, found: found) }
            } else if !wanted.contains(hash) {
                throw StateFault.missingCode(account: account, hash: hash)
            }
        }
    }
}
