import Chain
import Foundation
import MerklePatricia
import Primitives
import Shell
import StateContent
import StateNetwork
import StateStore

extension Workloads {
    /// What the store on disk does.
    static let store: [any Workload] = [
        ServeWorkload(), InsertWorkload(name: "store.insert", count: BenchLimits.stateLeaves, keepsRanges: true),
        InsertWorkload(name: "store.insert.10m", count: BenchLimits.largeStateLeaves, keepsRanges: false),
        DurableUpdateWorkload(),
    ]
}

/// All ranges of the state, one after the other as a client asks for them.
struct ServeWorkload: Workload {
    let name = "store.serve"
    let items = "bytes"
    let scales = true
    let summary = "the ranges of 1,000,000 accounts out of the store, encoded, 1 MiB each with both edges proven"

    /// Bytes of an answer at most.
    static let maxBytes = 1 << 20

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 2, name: "served", in: material)
        return ServeTrial(stored: stored, threads: threads, bytes: try check(stored))
    }

    /// Verifies every answer once; the bytes of all.
    private func check(_ stored: StoredAccounts) throws -> Int {
        var (bytes, leaves) = (0, 0)
        try ServeTrial.walk(stored) { key, value in
            let range = try RangeCheck.verify(value, key: key, stateRoot: stored.crown.root)
            leaves += range.leafCount
            bytes += value.count
        }
        guard leaves == stored.count else {
            throw BenchError.wrongResult(workload: name, what: "\(leaves) leaves were served of \(stored.count)")
        }
        return bytes
    }
}

private struct ServeTrial: Trial {
    let stored: StoredAccounts
    let threads: Int
    /// Bytes of all answers that one walk round the ring gives.
    let bytes: Int

    func run() throws -> Work {
        try BenchThreads.run(threads) { _ in
            var sum = 0
            try ServeTrial.walk(stored) { _, value in sum += value.count }
            guard sum == bytes else {
                throw BenchError.wrongResult(workload: "store.serve", what: "\(sum) bytes and not \(bytes)")
            }
        }
        return Work(items: threads * bytes, bytes: threads * bytes)
    }

    /// From the first key on, each range from where the one before ended.
    static func walk(_ stored: StoredAccounts, _ body: (RangeKey, [UInt8]) throws -> Void) throws {
        var next: Cursor? = .first
        while let origin = next {
            let key = try StoredAccounts.key(origin, .last, maxBytes: ServeWorkload.maxBytes)
            var view = StateView(try stored.store.snapshot(), depth: stored.depth)
            guard let value = try RangeServer.serve(key, view: &view, crown: stored.crown),
                let end = Cursor(Array(value[1..<65]))
            else { throw BenchError.wrongResult(workload: "store.serve", what: "no answer") }
            try body(key, value)
            next = end.successor
        }
    }
}

/// Ranges verified and written to an empty store, durable at the end.
struct InsertWorkload: Workload {
    let name: String
    let count: Int
    /// Whether the ranges lie ready in memory; else each is served out of another store when its turn comes.
    let keepsRanges: Bool
    let items = "leaves"
    let scales = true
    var onlyByName: Bool { !keepsRanges }
    var summary: String {
        "\(keepsRanges ? "256 ranges" : "256 ranges, served out of another store,") of \(count) accounts verified and "
            + "written to an empty store, durable at the end"
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(count, depth: 2, name: "served", in: material)
        let sections = Section.all(depth: stored.depth)
        let ranges = keepsRanges ? try sections.map { try stored.range(of: $0) } : []
        let directory = material.directory + "/" + name
        return try InsertTrial(name: name, stored: stored, ranges: ranges, threads: threads, directory: directory)
    }
}

private struct InsertTrial: Trial {
    let name: String
    let stored: StoredAccounts
    let ranges: [(key: RangeKey, value: [UInt8])]
    let threads: Int
    private let directory: String
    /// A store for each run, since a thread on its way out may still hold the one before.
    private var stores = 0
    private var store: LMDBStore?

    init(
        name: String, stored: StoredAccounts, ranges: [(key: RangeKey, value: [UInt8])], threads: Int, directory: String
    ) throws {
        self.name = name
        self.stored = stored
        self.ranges = ranges
        self.threads = threads
        self.directory = "\(directory)-\(threads)-"
        store = try LMDBStore(directory: "\(self.directory)0")
    }

    mutating func run() throws -> Work {
        guard let store else { throw BenchError.wrongResult(workload: name, what: "no empty store") }
        let (stored, ranges) = (stored, ranges)
        let pipeline = InsertPipeline(store: store, count: Section.count(depth: stored.depth)) { index, snapshot in
            let section = Section(depth: stored.depth, index: index)
            let (key, value) = try ranges.isEmpty ? stored.range(of: section) : ranges[index]
            let job = StateJob.takeRange(
                TakeRange(
                    value: value, key: key, section: section, point: stored.point, stateRoot: stored.crown.root))
            guard case .range(let result) = job.run(on: snapshot) else { return WriteBatch() }
            return try result.get().batch
        }
        let measuresMemory = ranges.isEmpty
        try BenchThreads.run(threads) { _ in try pipeline.work(measuringMemory: measuresMemory) }
        let snapshot = try store.snapshot()
        let subtrees = try SectionRecord.all(in: snapshot).compactMap(\.subtree)
        guard try snapshot.count(.leaves) == stored.count, subtrees.count == Section.count(depth: stored.depth),
            Crown(sections: subtrees, depth: stored.depth).root == stored.crown.root
        else { throw BenchError.wrongResult(workload: name, what: "what was stored has another root") }
        return Work(items: stored.count, bytes: pipeline.bytes, peakMemory: pipeline.peakMemory)
    }

    mutating func restore() throws {
        store = nil
        try FileManager.default.removeItem(atPath: "\(directory)\(stores)")
        stores += 1
        store = try LMDBStore(directory: "\(directory)\(stores)")
    }
}

/// Threads that verify ranges, and of which one at a time writes those that are ready, in their order. As in a node: a
/// transaction is a few ranges, and nobody waits for the disk but the one who writes.
private final class InsertPipeline: @unchecked Sendable {
    private enum Step { case verify(Int), commit([WriteBatch]), finished }

    private let store: LMDBStore
    private let count: Int
    private let verify: @Sendable (Int, LMDBSnapshot) throws -> WriteBatch
    // `condition` guards all that follows.
    private let condition = NSCondition()
    private var ready: [Int: WriteBatch] = [:]
    private var readyBytes = 0
    private var nextToVerify = 0
    private var nextToCommit = 0
    private var isWriting = false
    private var hasFailed = false
    private(set) var bytes = 0
    private(set) var peakMemory = 0

    /// Bytes of a transaction before it is written, and of what may wait.
    private static let groupBytes = 16 << 20
    private static let waitingBytes = 24 << 20

    init(
        store: LMDBStore, count: Int, verify: @escaping @Sendable (Int, LMDBSnapshot) throws -> WriteBatch
    ) {
        self.store = store
        self.count = count
        self.verify = verify
    }

    func work(measuringMemory: Bool) throws {
        do {
            while true {
                switch next() {
                case .finished: return
                case .commit(let batches):
                    try store.commit(batches)
                    condition.withLock {
                        isWriting = false
                        condition.broadcast()
                    }
                case .verify(let index):
                    let batch = try verify(index, try store.snapshot())
                    condition.withLock {
                        ready[index] = batch
                        readyBytes += batch.byteCount
                        bytes += batch.byteCount
                        condition.broadcast()
                    }
                }
                if measuringMemory {
                    let now = ProcessMemory.anonymousBytes
                    condition.withLock { peakMemory = max(peakMemory, now) }
                }
            }
        } catch {
            condition.withLock {
                hasFailed = true
                condition.broadcast()
            }
            throw error
        }
    }

    private func next() -> Step {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if hasFailed || (nextToCommit == count && !isWriting) { return .finished }
            let isLast = nextToVerify == count
            if !isWriting, ready[nextToCommit] != nil, isLast || readyBytes >= InsertPipeline.groupBytes {
                isWriting = true
                var group: [WriteBatch] = []
                while let batch = ready.removeValue(forKey: nextToCommit) {
                    group.append(batch)
                    readyBytes -= batch.byteCount
                    nextToCommit += 1
                }
                return .commit(group)
            }
            if !isLast, readyBytes < InsertPipeline.waitingBytes {
                nextToVerify += 1
                return .verify(nextToVerify - 1)
            }
            condition.wait()
        }
    }
}
