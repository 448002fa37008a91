import Foundation
import Primitives

/// A file that is found whole or not at all: it is written under a name of its own beside its place, flushed, and only
/// then given its name, and the folder is flushed too. What a crash, a full disk or an error leaves is what stood there
/// before. Let go before `finish`, it leaves nothing behind.
final class WholeFile {
    /// Whether what stands at the place already is replaced.
    enum Place: Sendable {
        case replaced
        /// Nothing may stand there: `ShellError.fileExists`.
        case mustBeFree
    }

    private let path: String
    /// The name it is written under; nil where it is written in place (a device or a pipe), or has its name.
    private var temporary: String?
    private let place: Place
    private let descriptor: Int32
    private var isClosed = false

    /// Nothing is at `path` before `finish`. `permissions` are those of a new file, less the process's mask. A device
    /// or pipe that stands there is written to as it is.
    init(_ path: String, _ place: Place, permissions: mode_t = 0o644) throws(ShellError) {
        self.place = place
        var status = stat()
        let isThere = stat(path, &status) == 0
        if isThere, place == .mustBeFree { throw .fileExists(path) }
        if isThere, status.st_mode & S_IFMT != S_IFREG, status.st_mode & S_IFMT != S_IFDIR {
            self.path = path
            descriptor = open(path, O_WRONLY | O_CLOEXEC)
        } else {
            // A link stays a link: what it leads to is replaced.
            self.path = isThere ? URL(fileURLWithPath: path).resolvingSymlinksInPath().path : path
            let name = self.path + "." + Hex.encode(SystemEntropy.seed().bytes.prefix(6)) + ".new"
            temporary = name
            descriptor = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, permissions)
        }
        guard descriptor >= 0 else {
            temporary = nil
            throw WholeFile.failure(path)
        }
        // What stood there keeps its permissions.
        if isThere, temporary != nil { fchmod(descriptor, status.st_mode & 0o777) }
    }

    deinit {
        if !isClosed, descriptor >= 0 { close(descriptor) }
        if let temporary { unlink(temporary) }
    }

    /// Writes a whole small file.
    static func write(
        _ text: String, to path: String, _ place: Place, permissions: mode_t = 0o644, flushed: Bool = true
    ) throws(ShellError) {
        let file = try WholeFile(path, place, permissions: permissions)
        try file.write(Data(text.utf8))
        try file.finish(flushed: flushed)
    }

    /// Adds bytes at the end.
    func write(_ data: Data) throws(ShellError) {
        let outcome = data.withUnsafeBytes { bytes -> Bool in
            var rest = bytes
            while let start = rest.baseAddress, !rest.isEmpty {
                let count = Glibc.write(descriptor, start, rest.count)
                if count < 0 {
                    guard errno == EINTR else { return false }
                    continue
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return true
        }
        guard outcome else { throw WholeFile.failure(path) }
    }

    /// Gives the file its name. `flushed`: false for what means nothing after a power cut.
    func finish(flushed: Bool = true) throws(ShellError) {
        guard let name = temporary else { return try closeInPlace() }
        if flushed, fsync(descriptor) != 0 { throw WholeFile.failure(path) }
        isClosed = true
        guard close(descriptor) == 0 else { throw WholeFile.failure(path) }
        switch place {
        case .replaced: guard rename(name, path) == 0 else { throw WholeFile.failure(path) }
        case .mustBeFree:
            // Unlike a renaming this fails where another process was quicker. The name it was written under goes below.
            if link(name, path) == 0 {
                unlink(name)
            } else if [EPERM, ENOTSUP, ENOSYS].contains(errno), !FileManager.default.fileExists(atPath: path) {
                // A file system without second names: the best that it can do.
                guard rename(name, path) == 0 else { throw WholeFile.failure(path) }
            } else {
                throw errno == EEXIST || FileManager.default.fileExists(atPath: path)
                    ? .fileExists(path) : WholeFile.failure(path)
            }
        }
        temporary = nil
        if flushed { try WholeFile.flush(folderOf: path) }
    }

    private func closeInPlace() throws(ShellError) {
        isClosed = true
        guard close(descriptor) == 0 else { throw WholeFile.failure(path) }
    }

    /// A name is durable only when its folder is.
    static func flush(folderOf path: String) throws(ShellError) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw WholeFile.failure(folder) }
        defer { close(descriptor) }
        // Some file systems cannot flush a folder and say so by EINVAL: there is nothing to be done then.
        if fsync(descriptor) != 0, errno != EINVAL { throw WholeFile.failure(folder) }
    }

    private static func failure(_ path: String) -> ShellError {
        let reason = String(cString: strerror(errno))
        return .file(path: path, reason: "cannot be written: \(reason)")
    }
}
