import CLMDB
import CNet
import Foundation
import StateStore
import Synchronization

/// The open environment. Snapshots hold it, so it is closed after the last of them.
final class LMDBEnvironment: Sendable {
    nonisolated(unsafe) let pointer: OpaquePointer
    /// By the table's raw value; nil for one that the store has not, which only reading meets.
    private let databases: [MDB_dbi?]
    let pageSize: Int
    let isReadOnly: Bool
    private let directory: String
    /// Held against a second process that would write; -1 where only read.
    private let lock: Int32
    private let snapshots = Mutex(0)
    private let commits = Mutex(0)

    /// Directories this process has open.
    private static let open = Mutex<Set<String>>([])
    /// Commits between two looks for places of readers whose process is gone: they would keep old pages from reuse.
    private static let commitsPerReaderCheck = 256
    static let lockFileName = "store.lock"

    init(directory: String, options: LMDBStore.Options) throws(StoreError) {
        if options.isReadOnly {
            guard access(directory + "/data.mdb", R_OK) == 0 else { throw .missing }
        } else if mkdir(directory, 0o700) != 0 && errno != EEXIST {
            throw .system(code: errno, operation: "create the store's directory")
        }
        let path = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path
        guard LMDBEnvironment.open.withLock({ $0.insert(path).inserted }) else { throw .locked }
        do throws(StoreError) {
            lock = options.isReadOnly ? -1 : try LMDBEnvironment.takeLock(in: path)
        } catch {
            LMDBEnvironment.forget(path)
            throw error
        }
        do throws(StoreError) {
            let hadStore = LMDBEnvironment.isMarked(path)
            try StoreFile.check(in: path, hadStore: hadStore, mayBegin: !options.isReadOnly)
            (pointer, databases) = try LMDBEnvironment.open(path, options)
            if lock >= 0, !hadStore { try LMDBEnvironment.mark(lock) }
        } catch {
            if lock >= 0 { close(lock) }
            LMDBEnvironment.forget(path)
            throw error
        }
        var statistics = MDB_stat()
        mdb_env_stat(pointer, &statistics)
        pageSize = Int(statistics.ms_psize)
        isReadOnly = options.isReadOnly
        self.directory = path
    }

    deinit {
        mdb_env_close(pointer)
        if lock >= 0 { close(lock) }
        LMDBEnvironment.forget(directory)
    }

    private static func forget(_ path: String) { open.withLock { _ = $0.remove(path) } }

    private static func takeLock(in directory: String) throws(StoreError) -> Int32 {
        let file = Glibc.open(directory + "/" + lockFileName, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system(code: errno, operation: "open the lock file") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(file)
            throw code == EWOULDBLOCK ? .locked : .system(code: code, operation: "lock the directory")
        }
        return file
    }

    /// Whether a store was begun here: its lock file has said so since then.
    private static func isMarked(_ directory: String) -> Bool {
        var status = stat()
        return stat(directory + "/" + lockFileName, &status) == 0 && status.st_size > 0
    }

    /// Notes that a store was begun here, once its first pages are on the disk. An empty file is damage from then on,
    /// and what a crash left of the first start until then.
    private static func mark(_ lock: Int32) throws(StoreError) {
        guard pwrite(lock, "begun\n", 6, 0) == 6, fsync(lock) == 0 else {
            throw .system(code: errno, operation: "write the lock file")
        }
    }

    private static func open(
        _ path: String, _ options: LMDBStore.Options
    ) throws(StoreError) -> (OpaquePointer, [MDB_dbi?]) {
        // A write beyond the limit on file sizes must fail, not kill the process.
        signal(SIGXFSZ, SIG_IGN)
        cnet_end_on_lost_page()
        var created: OpaquePointer?
        try LMDB.check(mdb_env_create(&created), "create the environment")
        guard let environment = created else { throw .system(code: ENOMEM, operation: "create the environment") }
        do throws(StoreError) {
            // A reader takes the size from the file.
            try LMDB.check(
                mdb_env_set_mapsize(environment, options.isReadOnly ? 0 : options.mapSize), "set the map's size")
            try LMDB.check(mdb_env_set_maxdbs(environment, MDB_dbi(Table.allCases.count)), "set the tables' number")
            try LMDB.check(mdb_env_set_maxreaders(environment, options.readers), "set the readers' number")
            // Snapshots belong to their object, not to the thread that made them.
            var flags = UInt32(MDB_NOTLS)
            if options.isReadOnly { flags |= UInt32(MDB_RDONLY) }
            if case .lastCommitMayBeLost = options.durability { flags |= UInt32(MDB_NOMETASYNC) }
            try LMDB.check(mdb_env_open(environment, path, flags, 0o600), "open the environment")
            var dead: Int32 = 0
            try LMDB.check(mdb_reader_check(environment, &dead), "clear stale readers")
            return (environment, try openTables(environment, options))
        } catch {
            mdb_env_close(environment)
            throw error
        }
    }

    /// All tables of a store are made in one transaction. Of one that is only read, those that came in with a later
    /// version of the program may be missing: they are empty.
    private static func openTables(
        _ environment: OpaquePointer, _ options: LMDBStore.Options
    ) throws(StoreError) -> [MDB_dbi?] {
        var begun: OpaquePointer?
        let isReadOnly = options.isReadOnly
        let flags = isReadOnly ? UInt32(MDB_RDONLY) : 0
        try LMDB.check(mdb_txn_begin(environment, nil, flags, &begun), "begin a transaction")
        var databases = [MDB_dbi?](repeating: nil, count: Table.allCases.count)
        for table in options.tables {
            var database: MDB_dbi = 0
            let code = mdb_dbi_open(begun, table.databaseName, isReadOnly ? 0 : UInt32(MDB_CREATE), &database)
            if code == MDB_NOTFOUND, isReadOnly, table != .meta { continue }
            guard code == 0 else {
                mdb_txn_abort(begun)
                throw code == MDB_NOTFOUND ? .missing : LMDB.error(code, "open table \(table)")
            }
            databases[Int(table.rawValue)] = database
        }
        try LMDB.check(mdb_txn_commit(begun), "open the tables")
        return databases
    }

    /// nil where the store has no such table, which is as good as an empty one.
    func database(_ table: Table) -> MDB_dbi? { databases[Int(table.rawValue)] }

    /// Where a table is written.
    func writable(_ table: Table) throws(StoreError) -> MDB_dbi {
        guard let database = database(table) else { throw .readOnly }
        return database
    }

    var info: MDB_envinfo? {
        var info = MDB_envinfo()
        return mdb_env_info(pointer, &info) == 0 ? info : nil
    }

    /// Begins a read transaction and counts it.
    func beginReading() throws(StoreError) -> OpaquePointer {
        let result = snapshots.withLock { count -> Result<OpaquePointer, StoreError> in
            var transaction: OpaquePointer?
            var code = mdb_txn_begin(pointer, nil, UInt32(MDB_RDONLY), &transaction)
            if code == MDB_READERS_FULL {
                var dead: Int32 = 0
                mdb_reader_check(pointer, &dead)
                code = mdb_txn_begin(pointer, nil, UInt32(MDB_RDONLY), &transaction)
            }
            if code == MDB_MAP_RESIZED {
                // The writing process let the store grow.
                guard count == 0 else { return .failure(.snapshotsOpen(count)) }
                mdb_env_set_mapsize(pointer, 0)
                code = mdb_txn_begin(pointer, nil, UInt32(MDB_RDONLY), &transaction)
            }
            guard code == 0, let transaction else { return .failure(LMDB.error(code, "begin a snapshot")) }
            count += 1
            return .success(transaction)
        }
        return try result.get()
    }

    func endReading(_ transaction: OpaquePointer) {
        snapshots.withLock { count in
            mdb_txn_abort(transaction)
            count -= 1
        }
    }

    func grow(to bytes: Int) throws(StoreError) {
        guard !isReadOnly else { throw .readOnly }
        try commits.withLock { (_) throws(StoreError) in
            try snapshots.withLock { (count) throws(StoreError) in
                guard count == 0 else { throw .snapshotsOpen(count) }
                try LMDB.check(mdb_env_set_mapsize(pointer, bytes), "set the map's size")
            }
        }
    }

    /// Runs a commit: one at a time, and never while the map is being resized.
    func writing(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        try commits.withLock { (count) throws(StoreError) in
            try body()
            count += 1
            guard count.isMultiple(of: LMDBEnvironment.commitsPerReaderCheck) else { return }
            var dead: Int32 = 0
            mdb_reader_check(pointer, &dead)
        }
    }

    func beginWriting() throws(StoreError) -> OpaquePointer {
        var transaction: OpaquePointer?
        try LMDB.check(mdb_txn_begin(pointer, nil, 0, &transaction), "begin a transaction")
        guard let transaction else { throw .system(code: ENOMEM, operation: "begin a transaction") }
        return transaction
    }

    /// Whether there is no room for `bytes` more: a write that was cut short is reported as an input/output error.
    func isDiskFull(for bytes: Int) -> Bool {
        var system = statvfs()
        if statvfs(directory, &system) == 0 {
            let free = UInt64(system.f_bavail) * UInt64(system.f_frsize)
            // Pages are written whole, and those above them too.
            if free < UInt64(bytes) * 2 + UInt64(pageSize) * 64 { return true }
        }
        var limit = rlimit()
        var file = stat()
        guard getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0,
            stat(directory + "/data.mdb", &file) == 0
        else { return false }
        return UInt64(file.st_size) + UInt64(bytes) * 2 + UInt64(pageSize) * 64 > UInt64(limit.rlim_cur)
    }
}

extension Table {
    /// The name of its database. Part of the format.
    var databaseName: String { String(describing: self) }
}
