import Primitives
import StateStore
import Synchronization

/// What goes wrong with a `FaultyMap`, and how often. The same seed gives the same faults at the same commits.
public struct StoreFaults: Sendable {
    /// Chance, 0…1, that a commit fails and leaves nothing of itself.
    public var commitFailure = 0.0
    /// What such a commit throws.
    public var failure = StoreError.system(code: 5, operation: "commit")
    /// The commit that fails, counted over all that were tried from 0. Those after it fail with the same error until
    /// the next restart, as the real world's writer has it: none may build on one that is not there.
    public var failsAtCommit: Int?
    /// Bytes of keys and values the map may hold; a commit that would need more throws `.full`. nil: no bound.
    public var capacity: Int?
    /// The write at which the machine crashes, counted over all commits from 0. A commit of n changes is n + 1 writes:
    /// a crash at one of the first n tears it, so that nothing of it is there after the restart; at the last, its
    /// mark, it is durable but nobody was told.
    public var crashAtWrite: Int?
    /// Whether a crash takes the last commit with it that was reported as done: a disk that lies about its flush.
    public var crashLosesLastCommit = false

    /// Nothing goes wrong.
    public init() {}

    /// Nothing goes wrong.
    public static let none = StoreFaults()
}

/// The simulation's store: a sorted map with atomic commits, snapshots that later commits do not change, and faults.
public final class FaultyMap: OrderedStore {
    private struct State {
        var tables = MemorySnapshot()
        /// The state before the last commit.
        var before = MemorySnapshot()
        var faults: StoreFaults
        var generator: SeededGenerator
        var writes = 0
        var commits = 0
        /// By commit that was tried: the tables that it was to change.
        var tried: [Set<Table>] = []
        var hasCrashed = false
        /// What a commit failed with that no later one may build on.
        var failed: StoreError?

        init(faults: StoreFaults, seed: UInt64) {
            self.faults = faults
            generator = SeededGenerator(seed: seed)
        }
    }

    private let state: Mutex<State>

    /// An empty map.
    public init(seed: UInt64 = 0, faults: StoreFaults = .none) {
        state = Mutex(State(faults: faults, seed: seed))
    }

    /// Writes so far, torn ones included: what `StoreFaults.crashAtWrite` counts.
    public var writes: Int { state.withLock { $0.writes } }
    /// Commits that went through.
    public var commits: Int { state.withLock { $0.commits } }
    /// The tables that each commit was to change, those that failed included: what `StoreFaults.failsAtCommit` counts.
    public var triedTables: [Set<Table>] { state.withLock { $0.tried } }
    /// Whether it waits for `restart()`.
    public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }
    /// Whether the commit has failed that was to; all fail until `restart()`.
    public var hasFailed: Bool { state.withLock { $0.failed != nil } }

    /// What goes wrong from now on.
    public var faults: StoreFaults {
        get { state.withLock { $0.faults } }
        set { state.withLock { $0.faults = newValue } }
    }

    /// What the last commit left: after a crash, what a reopened store will find.
    public func snapshot() -> MemorySnapshot { state.withLock { $0.tables } }

    /// See `OrderedStore`.
    public func commit(_ batch: WriteBatch) throws(StoreError) {
        let error = state.withLock { FaultyMap.commit(batch, to: &$0) }
        if let error { throw error }
    }

    /// The machine stops now, between two commits; nothing works until `restart()`.
    public func crash() { state.withLock { FaultyMap.crash(&$0) } }

    /// What a reopened store finds: whole commits only.
    public func restart() {
        state.withLock {
            $0.hasCrashed = false
            $0.failed = nil
        }
    }

    private static func crash(_ state: inout State) {
        guard !state.hasCrashed else { return }
        state.hasCrashed = true
        if state.faults.crashLosesLastCommit { state.tables = state.before }
    }

    private static func commit(_ batch: WriteBatch, to state: inout State) -> StoreError? {
        guard !state.hasCrashed else { return .closed }
        let (tables, error) = look(at: batch)
        state.tried.append(tables)
        if let error = error ?? state.failed { return error }
        if state.faults.failsAtCommit == state.tried.count - 1 {
            state.failed = state.faults.failure
            return state.failed
        }
        let chance = state.faults.commitFailure
        if chance > 0, Double.random(in: 0..<1, using: &state.generator) < chance {
            return state.faults.failure
        }
        let first = state.writes
        if let index = state.faults.crashAtWrite, (first..<first + batch.count).contains(index) {
            state.writes = index + 1
            crash(&state)
            return .closed
        }
        var after = state.tables
        after.apply(batch)
        if let capacity = state.faults.capacity, after.byteCount > capacity { return .full }
        state.writes += batch.count + 1
        state.before = state.tables
        state.tables = after
        state.commits += 1
        if state.faults.crashAtWrite == first + batch.count {
            // Durable, but the caller never hears of it. A disk that lies would lose this one.
            crash(&state)
            return .closed
        }
        return nil
    }

    private static func look(at batch: WriteBatch) -> (tables: Set<Table>, error: StoreError?) {
        var error: StoreError?
        var tables: Set<Table> = []
        batch.forEach { operation in
            switch operation {
            case .put(let table, let key, _), .delete(let table, let key):
                tables.insert(table)
                // LMDB's bound, kept here too so that the simulation finds what the world would refuse.
                if key.isEmpty || key.count > 511 { error = error ?? .badKey(table: table, length: key.count) }
            case .deleteRange(let table, _, _): tables.insert(table)
            }
        }
        return (tables, error)
    }
}
