import Foundation
import Primitives

/// Reads one file of a chain directory from its beginning, plain or gzipped, in bounded memory.
///
/// A name is looked for as it is, then with `.gz`. Gzipped files go through the `gzip` program: Debian counts it among
/// the packages that every system has, while a zlib module would need headers that only a development package brings.
final class ChainFileReader {
    /// The file as it was found.
    let path: String
    private let handle: FileHandle?
    private let unpacker: Process?
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    private static let chunkBytes = 1 << 20
    /// Longest line of a text file: a block that changes a million slots has less.
    private static let lineBytes = 256 << 20

    /// Where `name` is in `directory`; nil where neither it nor `name.gz` is there.
    static func locate(_ name: String, in directory: String) -> String? {
        [name, name + ".gz"].map { directory + "/" + $0 }.first { FileManager.default.fileExists(atPath: $0) }
    }

    init(_ name: String, in directory: String) throws(ChainDirectoryError) {
        guard let path = ChainFileReader.locate(name, in: directory) else {
            throw .missingFile(directory + "/" + name)
        }
        self.path = path
        guard FileManager.default.isReadableFile(atPath: path) else { throw .cannotRead(file: path, "not readable") }
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            guard path.hasSuffix(".gz") else {
                (handle, unpacker) = (file, nil)
                return
            }
            let (process, output) = (Process(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["gzip", "-dc"]
            process.standardInput = file
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            (handle, unpacker) = (output.fileHandleForReading, process)
        } catch {
            throw .cannotRead(file: path, error.localizedDescription)
        }
    }

    /// A file whose bytes are here already; `path` is its name in errors.
    init(bytes: [UInt8], path: String) {
        self.path = path
        (handle, unpacker) = (nil, nil)
        buffer = bytes
        isAtEnd = true
    }

    /// Fills the buffer until it holds `count` unread bytes or the file ends.
    private func fill(_ count: Int) throws(ChainDirectoryError) {
        if position > 0, buffer.count - position < count {
            buffer.removeFirst(position)
            position = 0
        }
        while !isAtEnd, buffer.count - position < count {
            do {
                let chunk = try handle?.read(upToCount: ChainFileReader.chunkBytes) ?? Data()
                buffer.append(contentsOf: chunk)
                isAtEnd = chunk.isEmpty
            } catch {
                throw .cannotRead(file: path, error.localizedDescription)
            }
            guard isAtEnd, let unpacker else { continue }
            unpacker.waitUntilExit()
            guard unpacker.terminationStatus == 0 else { throw .notGzip(path) }
        }
    }

    /// All of a file at once: mapped where it is plain, unpacked into memory where it is gzipped.
    static func contents(
        _ name: String, in directory: String, limit: Int
    ) throws(ChainDirectoryError) -> (bytes: Data, path: String) {
        let reader = try ChainFileReader(name, in: directory)
        guard !reader.path.hasSuffix(".gz") else { return (Data(try reader.rest(limit: limit)), reader.path) }
        do {
            return (try Data(contentsOf: URL(fileURLWithPath: reader.path), options: .mappedIfSafe), reader.path)
        } catch {
            throw .cannotRead(file: reader.path, error.localizedDescription)
        }
    }

    /// Whether nothing is left to read.
    func isFinished() throws(ChainDirectoryError) -> Bool {
        try fill(1)
        return position == buffer.count
    }

    /// The next `count` bytes, or fewer where the file ends before.
    func read(_ count: Int) throws(ChainDirectoryError) -> [UInt8] {
        try fill(count)
        let end = min(position + count, buffer.count)
        defer { position = end }
        return Array(buffer[position..<end])
    }

    /// All that is left, at most `limit` bytes.
    func rest(limit: Int) throws(ChainDirectoryError) -> [UInt8] {
        let bytes = try read(limit)
        guard try isFinished() else {
            throw .malformed(file: path, block: nil, "more than \(limit) bytes")
        }
        return bytes
    }

    /// The next line without its end; nil after the last.
    func line() throws(ChainDirectoryError) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = buffer[(position + searched)...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return Array(buffer[position..<end])
            }
            searched = buffer.count - position
            guard searched < ChainFileReader.lineBytes else {
                throw .malformed(file: path, block: nil, "a line of more than \(ChainFileReader.lineBytes) bytes")
            }
            if isAtEnd { return searched == 0 ? nil : try read(searched) }
            try fill(searched + 1)
        }
    }

    /// The next RLP item whole, of at most `limit` bytes; nil at the end. `block` is named where it is broken.
    func item(limit: Int, block: UInt64) throws(ChainDirectoryError) -> [UInt8]? {
        guard !(try isFinished()) else { return nil }
        let size = try itemSize(block: block, limit: limit)
        let bytes = try read(size.header + size.content)
        guard bytes.count == size.header + size.content else { throw .cut(file: path, block: block) }
        return bytes
    }

    /// Passes over the header of the list that the rest of the file is; returns the bytes its items take.
    func listHeader() throws(ChainDirectoryError) -> Int {
        try fill(9)
        guard position < buffer.count, buffer[position] >= 0xc0 else {
            throw .malformed(file: path, block: nil, "is no RLP list")
        }
        let size = try itemSize(block: 1, limit: .max)
        position += size.header
        return size.content
    }

    /// Header and content size of the next item, which need not be in the buffer as a whole.
    private func itemSize(block: UInt64, limit: Int) throws(ChainDirectoryError) -> (header: Int, content: Int) {
        try fill(9)
        let first = Int(buffer[position])
        let short = first < 0x80 ? 0 : first < 0xc0 ? first - 0x80 : first - 0xc0
        if first < 0x80 { return (0, 1) }
        guard short > 55 else { return (1, short) }
        let digits = buffer[(position + 1)...].prefix(short - 55)
        guard digits.count == short - 55 else { throw .cut(file: path, block: block) }
        let length = digits.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(limit), length < UInt64(Int.max) - 9 else {
            throw .malformed(file: path, block: block, "an item of \(length) bytes, more than any block has")
        }
        return (1 + digits.count, Int(length))
    }
}
