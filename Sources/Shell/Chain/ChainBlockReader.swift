import Chain
import Foundation
import Primitives

/// A block of a recorded chain and what it changes, both checked against its header as far as that commits to them.
/// What remains to be checked is the state root after the changes.
public struct ChainBlock: Sendable {
    public let block: Block
    /// From the header's own list, or a side-car made from `diffs.jsonl`.
    public let accessList: BlockAccessList
    /// By account key, the code hash that `diffs.jsonl` names after the block where it brings no code: that of the code
    /// that the account has.
    public let codeHashes: [Bytes32: Bytes32]
    /// What the directory has as the header's certificate; its signatures are not checked yet.
    public let certificate: Certificate?

    /// The block's header.
    public var header: BlockHeader { block.header }
    /// By account key, rising.
    public var changes: [AccountChange] { accessList.accountChanges }
}

/// Reads a chain directory's blocks in order, checking each against the one before it, its own body and its changes.
/// One reader for one pass; not to be shared between threads.
final class ChainBlockReader {
    private let chain: ChainFileReader
    private let changes: ChainFileReader
    private let kind: ChainDirectory.Changes
    /// The file with the certificates, where the directory has one, and the bytes of its list not read yet.
    private let certificates: ChainFileReader?
    private var certificateBytes = 0
    private var parent: BlockHeader
    /// Bytes of the list of access lists not read yet.
    private var listBytes = 0

    init(
        chain: ChainFileReader, changes: ChainFileReader, kind: ChainDirectory.Changes,
        certificates: ChainFileReader? = nil, genesis: BlockHeader
    ) throws(ChainDirectoryError) {
        self.chain = chain
        self.certificates = certificates
        self.changes = changes
        self.kind = kind
        parent = genesis
        if kind == .accessLists { listBytes = try changes.listHeader() }
        if let certificates { certificateBytes = try certificates.listHeader() }
    }

    /// The next block; nil after the last. After an error nothing further is right.
    func next() throws(ChainDirectoryError) -> ChainBlock? {
        let number = parent.number + 1
        guard let bytes = try chain.item(limit: ChainLimits.blockBytes, block: number) else {
            guard listBytes == 0, try changes.isFinished() else {
                throw .wrongCount(file: changes.path, block: parent.number)
            }
            if let certificates {
                guard certificateBytes == 0, try certificates.isFinished() else {
                    throw .wrongCount(file: certificates.path, block: parent.number)
                }
            }
            return nil
        }
        let block: Block
        do throws(ChainError) {
            block = try Block(rlp: bytes)
            guard block.header.number == number else {
                throw .wrongNumber(expected: number, found: block.header.number)
            }
            try block.verifyBody()
        } catch {
            throw .invalid(file: chain.path, block: number, error)
        }
        guard block.header.parentHash == parent.hash else {
            throw .wrongParent(
                file: chain.path, block: number, expected: parent.hash, found: block.header.parentHash)
        }
        let (list, codeHashes) =
            kind == .accessLists ? (try accessList(number), [:]) : try sidecar(of: block.header)
        do throws(ChainError) {
            try list.verify(for: block)
        } catch {
            throw .invalid(file: changes.path, block: number, error)
        }
        let certificate = try certificates.map { file throws(ChainDirectoryError) in
            try self.certificate(number, in: file)
        }
        parent = block.header
        return ChainBlock(block: block, accessList: list, codeHashes: codeHashes, certificate: certificate)
    }

    /// The next certificate: a byte string in the list.
    private func certificate(
        _ number: UInt64, in file: ChainFileReader
    ) throws(ChainDirectoryError) -> Certificate {
        guard certificateBytes > 0 else { throw .wrongCount(file: file.path, block: number) }
        guard let bytes = try file.item(limit: ChainLimits.certificateBytes, block: number) else {
            throw .cut(file: file.path, block: number)
        }
        certificateBytes -= bytes.count
        guard certificateBytes >= 0 else { throw .malformed(file: file.path, block: number, "is longer than its list") }
        let content: [UInt8]
        do throws(RLPError) {
            var reader = RLPReader(bytes)
            content = try reader.nextBytes()
        } catch {
            throw .malformed(file: file.path, block: number, "has a certificate that is no byte string")
        }
        do throws(ChainError) {
            return try Certificate(decoding: content)
        } catch {
            throw .invalid(file: file.path, block: number, error)
        }
    }

    private func accessList(_ number: UInt64) throws(ChainDirectoryError) -> BlockAccessList {
        guard listBytes > 0 else { throw .wrongCount(file: changes.path, block: number) }
        guard let bytes = try changes.item(limit: ChainLimits.accessListBytes, block: number) else {
            throw .cut(file: changes.path, block: number)
        }
        listBytes -= bytes.count
        guard listBytes >= 0 else { throw .malformed(file: changes.path, block: number, "is longer than its list") }
        do throws(ChainError) {
            return try BlockAccessList(rlp: bytes)
        } catch {
            throw .invalid(file: changes.path, block: number, error)
        }
    }

    private func sidecar(
        of header: BlockHeader
    ) throws(ChainDirectoryError) -> (BlockAccessList, [Bytes32: Bytes32]) {
        let number = header.number
        guard let line = try changes.line() else { throw .wrongCount(file: changes.path, block: number) }
        let object = try ChainJSON.object(line, file: changes.path, block: number)
        let expected: [(String, Bytes32)] = [
            ("hash", header.hash), ("parentHash", header.parentHash), ("stateRoot", header.stateRoot),
        ]
        guard ChainJSON.uint64(object["number"]) == number else {
            throw .wrongDiff(file: changes.path, block: number, field: "number")
        }
        for (field, value) in expected where (object[field] as? String).flatMap({ Bytes32(hex: $0) }) != value {
            throw .wrongDiff(file: changes.path, block: number, field: field)
        }
        guard let entries = object["accounts"] as? [Any] else {
            throw .malformed(file: changes.path, block: number, "has no list of accounts")
        }
        var accounts: [AccountChange] = []
        var codeHashes: [Bytes32: Bytes32] = [:]
        for entry in entries {
            guard let (change, codeHash) = ChainJSON.change(entry) else {
                throw .malformed(file: changes.path, block: number, "account \(accounts.count + 1) is not as described")
            }
            accounts.append(change)
            codeHashes[change.key] = codeHash
        }
        do throws(ChainError) {
            return (try BlockAccessList(sidecar: accounts), codeHashes)
        } catch {
            throw .invalid(file: changes.path, block: number, error)
        }
    }
}
