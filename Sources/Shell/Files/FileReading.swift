import Foundation

/// Reads files as they are, or unpacked where their name ends in `.gz`.
public enum FileReading {
    /// A file's whole content. Where `path` is missing and `path.gz` is there, that is read.
    public static func contents(_ path: String) throws(ShellError) -> Data {
        let isThere = FileManager.default.fileExists(atPath: path)
        let found = isThere || !FileManager.default.fileExists(atPath: path + ".gz") ? path : path + ".gz"
        if found.hasSuffix(".gz") { return try unpacked(found) }
        do {
            return try Data(contentsOf: URL(fileURLWithPath: found), options: .mappedIfSafe)
        } catch {
            throw .file(path: path, reason: isThere ? "cannot be read" : "no such file")
        }
    }

    /// What `gzip`, which every Debian has, makes of a packed file.
    private static func unpacked(_ path: String) throws(ShellError) -> Data {
        guard FileManager.default.isReadableFile(atPath: path) else { throw .file(path: path, reason: "no such file") }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "--decompress", "--stdout", "--", path]
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        do {
            try process.run()
            let data = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                throw ShellError.badFile(path: path, reason: "is no whole gzip file")
            }
            return data
        } catch let error as ShellError {
            throw error
        } catch {
            throw .file(path: path, reason: "cannot be unpacked: \(error.localizedDescription)")
        }
    }
}
