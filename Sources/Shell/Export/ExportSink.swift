import Foundation
import Primitives

/// Where the text of an export goes: hashed and written by a thread of its own, while the next is made.
final class ExportSink {
    /// What was written.
    struct Written: Sendable {
        let bytes: UInt64
        let digest: Bytes32
    }

    /// What the thread keeps between two pieces.
    private final class Output: @unchecked Sendable {
        // Touched by the thread alone, and by the maker after its end.
        private var hash = SHA256.Stream()
        private(set) var bytes: UInt64 = 0
        private let write: (Data) throws -> Void

        init(_ write: @escaping (Data) throws -> Void) { self.write = write }

        func take(_ piece: [UInt8]) throws {
            piece.withUnsafeBytes { hash.add($0) }
            bytes += UInt64(piece.count)
            try write(Data(piece))
        }

        var written: Written { Written(bytes: bytes, digest: hash.finish()) }
    }

    private let output: Output
    private let conveyor: Conveyor<[UInt8]>
    /// Bytes of one piece, and how many may wait.
    static let pieceBytes = 256 << 10
    private static let ahead = 8

    /// `write` takes the text piece by piece, in order, on the thread.
    init(_ write: @escaping (Data) throws -> Void) {
        let output = Output(write)
        self.output = output
        conveyor = Conveyor(ahead: ExportSink.ahead, name: "export") { try output.take($0) }
    }

    /// Hands on the next piece; waits for the thread where it is far behind.
    func put(_ piece: [UInt8]) throws { try conveyor.put(piece) }

    /// Waits for the thread. To be called in any case.
    func finish() throws -> Written {
        try conveyor.finish()
        return output.written
    }
}
