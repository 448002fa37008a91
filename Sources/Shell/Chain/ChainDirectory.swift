import Chain
import Foundation
import Primitives

/// A recorded chain on disk, in the form that `Specs/` describes: genesis state and header, blocks, changes.
struct ChainDirectory: Sendable {
    /// Where the changes come from.
    enum Changes: Sendable {
        /// `bals.rlp`: the block access lists themselves.
        case accessLists
        /// `diffs.jsonl`: net changes, made into access lists.
        case diffs

        var fileName: String { self == .accessLists ? "bals.rlp" : "diffs.jsonl" }
    }

    let path: String
    let chainID: UInt64
    let genesisHeader: BlockHeader
    let changes: Changes
    /// Whether it has the certificates of its headers: a chain that a committee signs.
    var hasCertificates: Bool { ChainFileReader.locate(ChainDirectory.certificatesFile, in: path) != nil }

    /// The file of the certificates.
    static let certificatesFile = "certificates.rlp"

    /// Opens a directory: every file must be there, the genesis header and chain id must be readable.
    init(path: String) throws(ChainDirectoryError) {
        self.path = path
        let headerFile = try ChainFileReader("genesis_header.rlp", in: path)
        genesisHeader = try ChainDirectory.genesisHeader(headerFile)
        chainID = try GenesisFile(in: path).chainID()
        _ = try ChainFileReader("chain.rlp", in: path)
        let found = [Changes.accessLists, .diffs].first { ChainFileReader.locate($0.fileName, in: path) != nil }
        guard let found else { throw .missingFile(path + "/bals.rlp or diffs.jsonl") }
        changes = found
    }

    /// The header of block 0.
    static func genesisHeader(_ file: ChainFileReader) throws(ChainDirectoryError) -> BlockHeader {
        let bytes = try file.rest(limit: ChainLimits.headerBytes)
        do throws(ChainError) {
            let header = try BlockHeader(rlp: bytes)
            guard header.number == 0 else { throw .wrongNumber(expected: 0, found: header.number) }
            return header
        } catch {
            throw .invalid(file: file.path, block: 0, error)
        }
    }

    /// Number of the last block, by walking over the blocks without reading them. Says nothing about whether they are
    /// right.
    func lastBlock() throws(ChainDirectoryError) -> UInt64 {
        let file = try ChainFileReader("chain.rlp", in: path)
        var count: UInt64 = 0
        while try file.item(limit: ChainLimits.blockBytes, block: count + 1) != nil { count += 1 }
        return count
    }

    /// The blocks with their changes, from block 1 on, read one at a time.
    func blocks() throws(ChainDirectoryError) -> ChainBlockReader {
        try ChainBlockReader(
            chain: try ChainFileReader("chain.rlp", in: path), changes: try ChainFileReader(changes.fileName, in: path),
            kind: changes,
            certificates: hasCertificates ? try ChainFileReader(ChainDirectory.certificatesFile, in: path) : nil,
            genesis: genesisHeader)
    }

    /// The file that says what a block changes.
    func file(ofBlock number: UInt64) -> String {
        let name = number == 0 ? "genesis.json" : changes.fileName
        return ChainFileReader.locate(name, in: path) ?? path + "/" + name
    }

    /// The accounts of the genesis state, by account key, rising.
    func genesisAccounts() throws(ChainDirectoryError) -> [GenesisAccount] {
        try GenesisFile(in: path).accounts()
    }
}
