import Chain
import Foundation
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore
import Synchronization

/// Looks for damage in a data directory by hashing what is in it: all on demand (`carousel verify`), all once a sync
/// says that it is done, and as much as a moment allows at every start.
public enum StoreCheck {
    /// What a full check has read, where it found nothing wrong.
    public struct Report: Sendable {
        /// Sections held whole and in part.
        public let complete: Int
        public let partial: Int
        /// Leaves hashed.
        public let accounts: Int
        public let slots: Int
        /// The newest block whose state root all sections together hash to; nil where they do not make up one.
        public let point: StatePoint?
        public let root: Bytes32?
        /// Whose storage and code is kept, and was looked for.
        public let kept: KeptStorage

        /// Name and value, in a fixed order.
        public var figures: [(name: String, value: String)] {
            [
                ("sections", "\(complete)"), ("partial_sections", "\(partial)"), ("accounts", "\(accounts)"),
                ("slots", "\(slots)"), ("block", point.map { "\($0.number)" } ?? "none"),
                ("root", root.map { "\($0)" } ?? "none"),
                ("storage_of", kept.accounts.map { "\($0.count)" } ?? "all"),
            ]
        }
    }

    /// Leaves that a start reads back at most: about a third of a second.
    private static let leavesAtStart = 262_144

    /// Checks everything in a directory, which a running process may be writing to meanwhile. Throws for what is
    /// damaged.
    public static func run(dataDirectory: DataDirectory, networkFile: String, threads: Int) throws -> Report {
        try StoreAccess.withSnapshot(of: dataDirectory, networkFile: networkFile) { snapshot, network in
            try all(snapshot, network, threads: threads, in: dataDirectory)
        }
    }

    /// Checks everything in a snapshot.
    static func all(
        _ snapshot: LMDBSnapshot, _ network: NetworkConfiguration, threads: Int, in directory: DataDirectory
    ) throws -> Report {
        let kept = try StoreMeta.read(from: snapshot)?.kept ?? .all
        let check = try StateCheck(snapshot, depth: network.sectionDepth, keeping: kept)
        var tally = try check.checkHeaders()
        let crowns = try crowns(snapshot, network, &tally.faults)
        for record in check.records {
            guard record.section.owner == nil, let crown = crowns[record.working], let found = record.sectionHash
            else { continue }
            let expected = try crown.sectionHash(record.section.index)
            guard found != expected else { continue }
            tally.faults.append(
                .recordHash(
                    section: record.section.index, block: record.working.number, expected: expected, found: found))
        }
        tally.add(
            try sections(check.records, with: check, threads: threads) { record in
                guard record.section.owner == nil else { return nil }
                return record.previous.flatMap { crowns[$0] }.flatMap { try? $0.sectionHash(record.section.index) }
            })
        if let first = tally.faults.first {
            throw ShellError.damaged(path: directory.path, first, others: tally.faults.count - 1)
        }
        let newest: StateExport.Newest?
        do {
            newest = try StateExport.newestBlock(snapshot, depth: network.sectionDepth)
        } catch is StateExport.Failure {
            // Not all is held, or not at one block.
            newest = nil
        } catch let fault as StateFault {
            throw ShellError.damaged(path: directory.path, fault, others: 0)
        }
        let complete = check.records.count { $0.isComplete }
        return Report(
            complete: complete, partial: check.records.count - complete, accounts: tally.accounts, slots: tally.slots,
            point: newest?.header.point, root: newest?.header.stateRoot, kept: kept)
    }

    /// Before a node begins: as many sections as a moment allows, from one on that is another at every start. Gives
    /// those that are damaged, each with the first thing that is. Sections too large for that are left to
    /// `carousel verify`.
    static func some(
        _ snapshot: LMDBSnapshot, _ network: NetworkConfiguration, from start: Int, threads: Int
    ) throws -> [(section: Section, fault: StateFault)] {
        let check = try StateCheck(
            snapshot, depth: network.sectionDepth, keeping: try StoreMeta.read(from: snapshot)?.kept ?? .all)
        let leaves = try snapshot.count(.leaves)
        guard !check.records.isEmpty, leaves > 0 else { return [] }
        let count = min(check.records.count, leavesAtStart * check.records.count / leaves)
        let chosen = (0..<count).map { check.records[(start % check.records.count + $0) % check.records.count] }
        let tally = try sections(chosen, with: check, threads: threads) { _ in nil }
        guard !tally.faults.isEmpty else { return [] }
        // Rare enough to be looked for once more, one by one.
        return try chosen.compactMap { record in try check.check(record).faults.first.map { (record.section, $0) } }
    }

    /// The stored crowns by their anchors' blocks, as far as the headers are here.
    private static func crowns(
        _ snapshot: LMDBSnapshot, _ network: NetworkConfiguration, _ faults: inout [StateFault]
    ) throws -> [StatePoint: Crown] {
        var crowns: [StatePoint: Crown] = [:]
        for anchor in try CrownRecords.anchors(in: snapshot) {
            guard let bytes = try CrownRecords.crown(anchor, in: snapshot),
                let stored = try HeaderRecords.header(of: anchor.hash, in: snapshot),
                let header = try? BlockHeader(rlp: stored)
            else { continue }
            do {
                crowns[header.point] = try CrownValue.verify(
                    bytes, stateRoot: header.stateRoot, depth: network.sectionDepth)
            } catch {
                faults.append(.crown(block: header.number))
            }
        }
        return crowns
    }

    /// Shares the sections among threads.
    private static func sections(
        _ records: [SectionRecord], with check: StateCheck<LMDBSnapshot>, threads: Int,
        previousHash: @escaping @Sendable (SectionRecord) -> Bytes32?
    ) throws(StoreError) -> StateCheck<LMDBSnapshot>.Tally {
        let work = SectionWork(records, check)
        let group = ThreadGroup()
        group.start(max(1, min(threads, records.count)), name: "check") {
            while let (record, check) = work.next() {
                do throws(StoreError) {
                    work.add(try check.check(record, previousHash: previousHash(record)))
                } catch {
                    work.fail(error)
                }
            }
        }
        group.join()
        return try work.result()
    }
}

/// Sections that threads take one by one, and what they found.
private final class SectionWork: Sendable {
    private struct State {
        /// Let go at the end: a thread may outlive its work by a moment, and the store must not.
        var check: StateCheck<LMDBSnapshot>?
        var next = 0
        var tally = StateCheck<LMDBSnapshot>.Tally()
        var failure: StoreError?
    }

    private let records: [SectionRecord]
    private let state: Mutex<State>

    init(_ records: [SectionRecord], _ check: StateCheck<LMDBSnapshot>) {
        self.records = records
        state = Mutex(State(check: check))
    }

    func next() -> (SectionRecord, StateCheck<LMDBSnapshot>)? {
        state.withLock { state in
            guard let check = state.check, state.failure == nil, state.next < records.count else { return nil }
            state.next += 1
            return (records[state.next - 1], check)
        }
    }

    func add(_ tally: StateCheck<LMDBSnapshot>.Tally) { state.withLock { $0.tally.add(tally) } }

    func fail(_ error: StoreError) { state.withLock { $0.failure = $0.failure ?? error } }

    func result() throws(StoreError) -> StateCheck<LMDBSnapshot>.Tally {
        let (tally, failure) = state.withLock { state in
            state.check = nil
            return (state.tally, state.failure)
        }
        if let failure { throw failure }
        return tally
    }
}
