import Foundation

/// Runs workloads one after the other.
public struct BenchRunner {
    /// How the runs are made.
    public struct Options: Sendable {
        /// Runs that are counted; one more before them is not. nil: `BenchLimits.runs`, or as many as take
        /// `BenchLimits.seconds`, so that a moment in which the machine is busy decides nothing.
        public var runs: Int?
        /// Whether to measure on all threads too what can be spread.
        public var allThreads = true
        /// Where stores are made; a folder of its own in it is removed at the end.
        public var directory = FileManager.default.temporaryDirectory.path

        /// On one thread and on all, in the system's folder for passing things.
        public init() {}
    }

    private let options: Options

    /// A runner.
    public init(_ options: Options = Options()) { self.options = options }

    /// Measures; `report` is given each result as soon as it is there.
    public func run(_ workloads: [any Workload], report: (BenchResult) -> Void = { _ in }) throws -> [BenchResult] {
        let material = try BenchMaterial(directory: options.directory)
        defer { material.remove() }
        let cores = ProcessInfo.processInfo.activeProcessorCount
        var results: [BenchResult] = []
        for workload in workloads {
            let threads = options.allThreads && workload.scales && cores > 1 ? [1, cores] : [1]
            for count in threads {
                let result = try measure(workload, material, threads: count)
                report(result)
                results.append(result)
            }
        }
        return results
    }

    private func measure(_ workload: any Workload, _ material: BenchMaterial, threads: Int) throws -> BenchResult {
        var trial = try workload.prepare(material, threads: threads)
        var work = try trial.run()
        try trial.restore()
        var seconds: [Double] = []
        var processor: [Double] = []
        var took = 0.0
        while goesOn(after: seconds.count, took) {
            let began = ContinuousClock.now
            let processorBegan = ProcessorTime.ofProcess
            work = try trial.run()
            processor.append(Double(ProcessorTime.ofProcess - processorBegan) / 1e9)
            seconds.append((ContinuousClock.now - began) / .seconds(1))
            took += seconds.last ?? 0
            try trial.restore()
        }
        return BenchResult(
            name: workload.name, work: work, threads: threads, seconds: seconds, processorSeconds: processor,
            remark: trial.remark)
    }

    /// Whether another run follows `count` of them, which took so many seconds.
    private func goesOn(after count: Int, _ seconds: Double) -> Bool {
        if let runs = options.runs { return count < max(runs, 1) }
        if count < BenchLimits.runs { return true }
        // An odd number has a median that was measured.
        return count.isMultiple(of: 2) || seconds < BenchLimits.seconds && count < BenchLimits.mostRuns
    }
}

/// Threads for a trial.
public enum BenchThreads {
    /// Runs `body` with 0 ..< count, each on a thread of its own (a single one on the caller's), and waits for all.
    /// Throws the error of the lowest index that had one.
    public static func run(_ count: Int, _ body: @Sendable @escaping (Int) throws -> Void) throws {
        guard count > 1 else { return try body(0) }
        let outcome = Outcome()
        let finished = DispatchSemaphore(value: 0)
        for index in 0..<count {
            let thread = Thread {
                do { try body(index) } catch { outcome.fail(index, error) }
                finished.signal()
            }
            thread.stackSize = BenchLimits.stackBytes
            thread.start()
        }
        for _ in 0..<count { finished.wait() }
        if let error = outcome.first { throw error }
    }

    private final class Outcome: @unchecked Sendable {
        // `lock` guards `errors`.
        private let lock = NSLock()
        private var errors: [(index: Int, error: any Error)] = []

        func fail(_ index: Int, _ error: any Error) { lock.withLock { errors.append((index, error)) } }

        var first: (any Error)? { lock.withLock { errors.min { $0.index < $1.index }?.error } }
    }
}

/// The fixed sizes of this target.
public enum BenchLimits {
    /// Counted runs of a workload at least, unless told otherwise, and at most.
    public static let runs = 5, mostRuns = 501
    /// How long the runs of a workload take together at least, unless told otherwise or there are the most, in seconds.
    /// Others on the machine were seen to slow it down by a third for a quarter of a second.
    public static let seconds = 1.0
    /// Stack of a thread, in bytes: scratch of the trie's batches lies on it. That of a main thread on Linux.
    static let stackBytes = 8 << 20
    /// Headers of a chain that is taken in: ten days of mainnet's blocks; and of one whose memory is measured.
    static let headers = 100_000, manyHeaders = 1_000_000
    /// Leaves of the state that tries and stores are measured on. The size other clients were measured with.
    static let stateLeaves = 1_000_000
    /// Leaves of the state that memory is measured on.
    static let largeStateLeaves = 10_000_000
    /// Leaves of one proven range: what fits an answer of the networks many times over, and others' measure.
    static let rangeLeaves = 4_096
    /// Signatures of one run: some 100 ms of one core.
    static let signatures = 4_096
    /// Blocks that are applied together, and what each changes: a batch of `ChainNetworkLimits.blocksApplied` of them,
    /// each about as large as mainnet's.
    static let batchBlocks = 256, batchChanges = 200
    /// Changed leaves of one update: about ten blocks of mainnet.
    static let updateLeaves = 2_000
}
