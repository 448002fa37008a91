import Foundation
import Primitives

/// Writes a file from its beginning in bounded memory, plain or, by the `gzip` program, packed.
final class FileSink {
    private let path: String
    private let handle: FileHandle
    private let packer: Process?
    /// The file itself: what the packer's, or our own, bytes end in.
    private let output: FileHandle
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// Bytes taken so far, before packing.
    private(set) var count = 0

    private static let bufferBytes = 1 << 20
    private static let digits = Array("0123456789abcdef".utf8)

    /// A new file at `path`, with `.gz` after it where it is packed; nothing may be there.
    init(_ path: String, isPacked: Bool) throws(ShellError) {
        self.path = isPacked ? path + ".gz" : path
        descriptor = open(self.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw errno == EEXIST
                ? .fileExists(self.path) : .file(path: self.path, reason: String(cString: strerror(errno)))
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        output = file
        guard isPacked else {
            (handle, packer) = (file, nil)
            return
        }
        let (process, input) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "--fast", "--stdout"]
        process.standardInput = input
        process.standardOutput = file
        do {
            try process.run()
        } catch {
            throw .file(path: self.path, reason: "gzip does not run: \(error.localizedDescription)")
        }
        (handle, packer) = (input.fileHandleForWriting, process)
    }

    func write(_ bytes: some Collection<UInt8>) throws(ShellError) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= FileSink.bufferBytes { try flush() }
    }

    func write(_ text: String) throws(ShellError) { try write(text.utf8) }

    /// Hex digits, two a byte.
    func write(hex bytes: some Collection<UInt8>) throws(ShellError) {
        for byte in bytes {
            buffer.append(FileSink.digits[Int(byte >> 4)])
            buffer.append(FileSink.digits[Int(byte & 15)])
        }
        if buffer.count >= FileSink.bufferBytes { try flush() }
    }

    /// Writes what is left and waits until the file is whole and on the disk.
    func close() throws(ShellError) {
        try flush()
        do {
            if let packer {
                try handle.close()
                packer.waitUntilExit()
                guard packer.terminationStatus == 0 else {
                    throw ShellError.file(path: path, reason: "gzip could not pack it")
                }
            }
            try output.synchronize()
            try output.close()
        } catch let error as ShellError {
            throw error
        } catch {
            throw .file(path: path, reason: error.localizedDescription)
        }
        try WholeFile.flush(folderOf: path)
    }

    private func flush() throws(ShellError) {
        do {
            try handle.write(contentsOf: buffer)
        } catch {
            throw .file(path: path, reason: error.localizedDescription)
        }
        count += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }
}
