import Chain
import Foundation
import Primitives
import TestSupport

/// A recorded chain read whole, for the tests of this target.
struct RecordedChain {
    let genesis: BlockHeader
    /// Exact bytes of each block.
    let raw: [[UInt8]]
    let blocks: [Block]
    let folder: URL

    static let names = ["bal-chain", "ethtest-chain"]
    static let areThere = names.allSatisfy { SharedFolder.url("chains/\($0)/chain.rlp") != nil }

    init(_ name: String) throws {
        guard let folder = SharedFolder.url("chains/\(name)") else { throw CocoaError(.fileNoSuchFile) }
        self.folder = folder
        genesis = try BlockHeader(rlp: RecordedChain.bytes(folder, "genesis_header.rlp"))
        var reader = RLPReader(try RecordedChain.bytes(folder, "chain.rlp"))
        var raw: [[UInt8]] = []
        while !reader.isAtEnd { raw.append(try reader.nextRaw()) }
        self.raw = raw
        blocks = try raw.map { try Block(rlp: $0) }
    }

    static func bytes(_ folder: URL, _ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The access lists of `bals.rlp`.
    func accessLists() throws -> [[UInt8]] {
        var reader = try RLPReader.list(RecordedChain.bytes(folder, "bals.rlp"))
        var lists: [[UInt8]] = []
        while !reader.isAtEnd { lists.append(try reader.nextRaw()) }
        return lists
    }
}
