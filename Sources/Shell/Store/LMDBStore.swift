import StateStore

/// The store on disk: LMDB, one environment in a directory of its own, one named database a table.
///
/// Why named databases and not one with a table byte before each key: the number of leaves is there without counting,
/// keys that only rise (headers, a walk by one lane) can be appended, which fills pages whole, and a walk over leaves
/// touches no page of anything else.
///
/// One process writes; others may open the directory read-only meanwhile and see whole commits. A process may open a
/// directory only once, since a second environment in one process breaks LMDB's file locks; so it is refused.
public final class LMDBStore: OrderedStore {
    /// What a commit promises when it returns.
    public enum Durability: Sendable {
        /// It survives a power failure.
        case full
        /// Data is flushed, but the page that names it only with the next commit: a power failure may take the last
        /// commit with it, never a part of one. As data, coverage and watermark are one commit, that costs a range to
        /// be fetched again. A killed process loses nothing either way.
        case lastCommitMayBeLost
    }

    /// How a directory is opened.
    public struct Options: Sendable {
        /// Bytes the store may grow to. Only address space: the file grows with what is written. Rounded up to whole
        /// pages, and to what the file already has.
        public var mapSize = 64 << 30
        /// What a commit promises.
        public var durability = Durability.full
        /// For another process than the one that writes. Nothing is created, nothing is locked against it.
        public var isReadOnly = false
        /// The tables of the store: fewer, where a test makes one of a former version.
        var tables = Table.allCases
        /// Snapshots that may be open at once, over all processes.
        public var readers: UInt32 = 512

        /// 64 GiB, durable, for writing.
        public init() {}
    }

    let environment: LMDBEnvironment

    /// Opens the store in `directory`, which is made if need be. Throws `locked` where it is open already, `missing`
    /// where there is none to be read.
    public init(directory: String, options: Options = Options()) throws(StoreError) {
        environment = try LMDBEnvironment(directory: directory, options: options)
    }

    /// The state after the last commit. Costs about a microsecond.
    public func snapshot() throws(StoreError) -> LMDBSnapshot { try LMDBSnapshot(environment) }

    /// May block for a flush of the disk.
    public func commit(_ batch: WriteBatch) throws(StoreError) {
        try commit([batch])
    }

    /// All of the batches, one after the other, or (on an error) nothing of any: one transaction and one flush. May
    /// block for it.
    public func commit(_ batches: [WriteBatch]) throws(StoreError) {
        guard !environment.isReadOnly else { throw .readOnly }
        guard batches.contains(where: { !$0.isEmpty }) else { return }
        try environment.writing { () throws(StoreError) in
            let transaction = try LMDBTransaction(environment)
            do throws(StoreError) {
                for batch in batches { try transaction.apply(batch) }
            } catch {
                transaction.abort()
                throw error
            }
            try transaction.commit(bytes: batches.reduce(0) { $0 + $1.byteCount })
        }
    }

    /// Bytes the store may grow to.
    public var mapSize: Int { environment.info.map { $0.me_mapsize } ?? 0 }

    /// Bytes of the pages that hold something now: what the next commits may not write over.
    public func liveBytes() throws(StoreError) -> Int { try snapshot().liveBytes() }

    /// Lets the store grow to `bytes`. Throws `snapshotsOpen` while there are any: the map cannot move under them.
    public func grow(to bytes: Int) throws(StoreError) { try environment.grow(to: bytes) }
}
