import Foundation

/// The folder in which a node works: its key, its record, its store, and a lock against a second process.
///
///     node.key     the identity's secret (unless --node-key-file names another)
///     node.enr     the record as peers are told it, or were last
///     store/       the database
///     status.json  where the node stands, written every second while it runs
///     lock         held while a node runs here
public struct DataDirectory: Sendable {
    /// The folder's path.
    public let path: String

    /// The folder at `path`; nothing is touched yet.
    public init(_ path: String) {
        self.path = URL(fileURLWithPath: (path as NSString).expandingTildeInPath).path
    }

    /// `carousel` in `XDG_DATA_HOME`, else `~/.local/share/carousel`.
    public static func standard(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        let home = environment["HOME"] ?? "."
        let data = environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? home + "/.local/share"
        return data + "/carousel"
    }

    /// A new folder among the temporary files, for a node of which nothing is to stay.
    public static func ephemeral() throws(ShellError) -> DataDirectory {
        var template = Array((FileManager.default.temporaryDirectory.path + "/carousel.XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw .file(path: FileManager.default.temporaryDirectory.path, reason: String(cString: strerror(errno)))
        }
        return DataDirectory(
            template.withUnsafeBufferPointer { String(decoding: $0.dropLast().map(UInt8.init), as: UTF8.self) })
    }

    /// Removes the folder with all that is in it.
    public func remove() throws(ShellError) {
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .file(path: path, reason: "cannot be removed: remove it by hand")
        }
    }

    /// Where the identity's secret is.
    var keyPath: String { path + "/node.key" }
    /// Where the record is.
    var recordPath: String { path + "/node.enr" }
    /// Where the status record is.
    var statusPath: String { path + "/status.json" }
    /// Where the database is.
    var storePath: String { path + "/store" }

    /// Makes the folder where there is none, and keeps other processes out of it until the lock is let go.
    func lock() throws(ShellError) -> DataDirectoryLock {
        do {
            try FileManager.default.createDirectory(
                atPath: storePath, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .file(path: path, reason: "cannot be made: give another directory with --data-dir")
        }
        let descriptor = open(path + "/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .file(path: path, reason: String(cString: strerror(errno))) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw .dataDirectoryInUse(path)
        }
        return DataDirectoryLock(descriptor: descriptor)
    }

    /// Throws where no node has worked in the folder yet.
    func requireStore() throws(ShellError) {
        guard FileManager.default.fileExists(atPath: storePath) else { throw .noDataDirectory(path) }
    }

    /// Writes the record, in one step, for `carousel enr`.
    func writeRecord(_ text: String) throws(ShellError) {
        try WholeFile.write(text + "\n", to: recordPath, .replaced)
    }

    /// The record as peers are told it, or were last.
    public func readRecord() throws(ShellError) -> String {
        guard let data = FileManager.default.contents(atPath: recordPath) else { throw .noDataDirectory(path) }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Keeps a data directory to one process; let go with the value, and by the system however the process ends.
final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}
