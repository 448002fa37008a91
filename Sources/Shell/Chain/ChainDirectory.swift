import Chain
import Foundation
import Primitives

/// An account of the genesis state.
public struct GenesisAccount: Hashable, Sendable {
    public let address: Address
    /// keccak256 of the address.
    public let key: Bytes32
    public let nonce: UInt64
    public let balance: UInt256
    public let code: [UInt8]
    /// Slots that are not zero, by slot key, rising.
    public let storage: [AccountChange.SlotChange]

    /// The account as the trie has it, given the root over its storage. Genesis keeps even empty accounts.
    public func account(storageRoot: Bytes32) -> StateAccount {
        StateAccount(nonce: nonce, balance: balance, storageRoot: storageRoot, codeHash: Keccak.hash(code))
    }
}

/// A block of a recorded chain and what it changes, both checked against its header as far as that commits to them.
/// What remains to be checked is the state root after the changes.
public struct ChainBlock: Sendable {
    public let block: Block
    /// From the header's own list, or a side-car made from `diffs.jsonl`.
    public let accessList: BlockAccessList
    /// By account key, the code hash that `diffs.jsonl` names after the block where it brings no code: that of the code
    /// that the account has.
    public let codeHashes: [Bytes32: Bytes32]

    /// The block's header.
    public var header: BlockHeader { block.header }
    /// By account key, rising.
    public var changes: [AccountChange] { accessList.accountChanges }
}

/// A recorded chain on disk, in the form that `Specs/` describes: genesis state and header, blocks, changes.
public struct ChainDirectory: Sendable {
    /// Where the changes come from.
    public enum Changes: Sendable {
        /// `bals.rlp`: the block access lists themselves.
        case accessLists
        /// `diffs.jsonl`: net changes, made into access lists.
        case diffs

        var fileName: String { self == .accessLists ? "bals.rlp" : "diffs.jsonl" }
    }

    public let path: String
    public let chainID: UInt64
    public let genesisHeader: BlockHeader
    public let changes: Changes

    /// Opens a directory: every file must be there, the genesis header and chain id must be readable.
    public init(path: String) throws(ChainDirectoryError) {
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
    public func lastBlock() throws(ChainDirectoryError) -> UInt64 {
        let file = try ChainFileReader("chain.rlp", in: path)
        var count: UInt64 = 0
        while try file.item(limit: ChainLimits.blockBytes, block: count + 1) != nil { count += 1 }
        return count
    }

    /// The blocks with their changes, from block 1 on, read one at a time.
    public func blocks() throws(ChainDirectoryError) -> ChainBlockReader {
        try ChainBlockReader(
            chain: try ChainFileReader("chain.rlp", in: path), changes: try ChainFileReader(changes.fileName, in: path),
            kind: changes, genesis: genesisHeader)
    }

    /// The file that says what a block changes.
    func file(ofBlock number: UInt64) -> String {
        let name = number == 0 ? "genesis.json" : changes.fileName
        return ChainFileReader.locate(name, in: path) ?? path + "/" + name
    }

    /// The accounts of the genesis state, by account key, rising.
    public func genesisAccounts() throws(ChainDirectoryError) -> [GenesisAccount] {
        try GenesisFile(in: path).accounts()
    }
}

/// Reads a chain directory's blocks in order, checking each against the one before it, its own body and its changes.
/// One reader for one pass; not to be shared between threads.
public final class ChainBlockReader {
    private let chain: ChainFileReader
    private let changes: ChainFileReader
    private let kind: ChainDirectory.Changes
    private var parent: BlockHeader
    /// Bytes of the list of access lists not read yet.
    private var listBytes = 0

    init(
        chain: ChainFileReader, changes: ChainFileReader, kind: ChainDirectory.Changes, genesis: BlockHeader
    ) throws(ChainDirectoryError) {
        self.chain = chain
        self.changes = changes
        self.kind = kind
        parent = genesis
        if kind == .accessLists { listBytes = try changes.listHeader() }
    }

    /// The next block; nil after the last. After an error nothing further is right.
    public func next() throws(ChainDirectoryError) -> ChainBlock? {
        let number = parent.number + 1
        guard let bytes = try chain.item(limit: ChainLimits.blockBytes, block: number) else {
            guard listBytes == 0, try changes.isFinished() else {
                throw .wrongCount(file: changes.path, block: parent.number)
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
        parent = block.header
        return ChainBlock(block: block, accessList: list, codeHashes: codeHashes)
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

/// Values as geth writes them in JSON. nil for what is none.
enum ChainJSON {
    static func object(
        _ bytes: [UInt8], file: String, block: UInt64?
    ) throws(ChainDirectoryError) -> [String: Any] {
        do {
            let data = Data(bytes)
            if let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] {
                guard let name = try JSONCursor.repeatedName(in: data) else { return object }
                throw ChainDirectoryError.malformed(file: file, block: block, "has \(name) twice")
            }
        } catch let error as ChainDirectoryError {
            throw error
        } catch {
            throw .malformed(file: file, block: block, "is no JSON, or is cut off")
        }
        throw .malformed(file: file, block: block, "is no JSON object")
    }

    /// A JSON integer, or digits in a string: hex after 0x, else decimal.
    static func integer(_ value: Any?) -> UInt256? {
        switch value {
        case let text as String: UInt256(text)
        case let number as NSNumber: UInt64(number.stringValue).map { UInt256($0) }
        default: nil
        }
    }

    static func uint64(_ value: Any?) -> UInt64? {
        integer(value).flatMap { $0 <= UInt256(.max) ? $0.big.word3 : nil }
    }

    static func bytes(_ value: Any?) -> [UInt8]? { (value as? String).flatMap { Hex.decode($0) } }

    /// Up to 32 bytes of hex, an odd number of digits too.
    private static func word(_ value: Any?) -> UInt256? {
        (value as? String).flatMap { text in UInt256(text.hasPrefix("0x") ? text : "0x" + text) }
    }

    /// A map of slots to values; no map at all is none. nil where a slot stands there twice, in two spellings.
    static func storage(_ value: Any?) -> [AccountChange.SlotChange]? {
        guard let value else { return [] }
        guard let map = value as? [String: Any] else { return nil }
        var slots: [AccountChange.SlotChange] = []
        for (name, value) in map {
            guard let slot = word(name), let value = word(value) else { return nil }
            slots.append(AccountChange.SlotChange(slot: slot, value: value))
        }
        slots.sort { $0.key < $1.key }
        return zip(slots, slots.dropFirst()).contains { $0.key == $1.key } ? nil : slots
    }

    /// One entry of a line of `diffs.jsonl`, and the code hash where it stands without its code. A code that is not of
    /// its code hash is none.
    static func change(_ value: Any) -> (change: AccountChange, codeHash: Bytes32?)? {
        guard let fields = value as? [String: Any],
            let address = (fields["address"] as? String).flatMap({ Address(hex: $0) }),
            let storage = storage(fields["storage"])
        else { return nil }
        if fields["deleted"] as? Bool == true {
            return (AccountChange(address: address, nonce: 0, balance: .zero, code: [], storage: storage), nil)
        }
        guard let nonce = uint64(fields["nonce"]), let balance = integer(fields["balance"]),
            let hash = (fields["codeHash"] as? String).flatMap({ Bytes32(hex: $0) })
        else { return nil }
        var code: [UInt8]?
        if let text = fields["code"] {
            code = bytes(text)
            guard let code, Keccak.hash(code) == hash else { return nil }
        }
        return (
            AccountChange(address: address, nonce: nonce, balance: balance, code: code, storage: storage),
            code == nil ? hash : nil
        )
    }
}
