import Foundation
import Primitives

/// Writes a file from its beginning in bounded memory, plain or, by the `gzip` program, packed.
final class FileSink {
    private let path: String
    private let handle: FileHandle
    private let packer: Process?
    private var buffer: [UInt8] = []
    /// Bytes taken so far, before packing.
    private(set) var count = 0

    private static let bufferBytes = 1 << 20
    private static let digits = Array("0123456789abcdef".utf8)

    /// A new file at `path`, with `.gz` after it where it is packed; one that is there is replaced.
    init(_ path: String, isPacked: Bool) throws(ShellError) {
        self.path = isPacked ? path + ".gz" : path
        guard FileManager.default.createFile(atPath: self.path, contents: nil),
            let file = FileHandle(forWritingAtPath: self.path)
        else { throw .file(path: self.path, reason: "cannot be written") }
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

    /// Writes what is left and waits until the file is whole.
    func close() throws(ShellError) {
        try flush()
        do {
            try handle.close()
        } catch {
            throw .file(path: path, reason: error.localizedDescription)
        }
        guard let packer else { return }
        packer.waitUntilExit()
        guard packer.terminationStatus == 0 else { throw .file(path: path, reason: "gzip could not pack it") }
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
