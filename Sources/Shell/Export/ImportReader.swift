import Chain
import Foundation
import Primitives
import StateStore

/// What an export says, piece by piece, in its order.
package enum ImportItem: Equatable, Sendable {
    case head(ImportHead)
    case header(rlp: [UInt8], certificate: [UInt8]?)
    case account(Bytes32, StateAccount, code: [UInt8]?)
    case slot(Bytes32, [UInt8])
    /// The last line; a document has none.
    case end(ExportTally)
}

/// What an export says before its accounts.
package struct ImportHead: Equatable, Sendable {
    /// nil in a document, which does not say it.
    package let network: ClaimContext?
    package let point: StatePoint
    package let root: Bytes32
    package let storageOf: [Bytes32]?

    package init(network: ClaimContext?, point: StatePoint, root: Bytes32, storageOf: [Bytes32]?) {
        self.network = network
        self.point = point
        self.root = root
        self.storageOf = storageOf
    }
}

/// Why a file is no export.
enum ImportFileError: Error, Equatable, CustomStringConvertible {
    /// It is no JSON, or not of this form, at this byte.
    case form(position: Int)
    /// A field that is missing, is there twice, or has a value that it cannot have, at this byte.
    case field(String, position: Int)
    /// It ends before its end.
    case cut
    /// Something follows its end.
    case behindTheEnd(position: Int)

    var description: String {
        switch self {
        case .form(let position): "it is no export, or was changed, at byte \(position)"
        case .field(let name, let position): "the field '\(name)' before byte \(position) is not what it must be"
        case .cut: "it is cut: its last line is missing"
        case .behindTheEnd(let position): "something follows its last line, at byte \(position)"
        }
    }
}

/// Reads an export in either form, in place: a file that is mapped takes no memory beside itself. Strict: every field
/// is known, stands there once, and has its form.
struct ImportReader {
    private let bytes: UnsafeRawBufferPointer
    /// Bytes read.
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Bytes in all.
    var count: Int { bytes.count }

    /// Reads all of it. `body` gets each thing in order, with the bytes read so far.
    mutating func read(_ body: (ImportItem, Int) throws -> Void) throws {
        let lines = bytes.prefix(1_024).split(separator: UInt8(ascii: "\n"), maxSplits: 1)
        let isLines = lines.first.map { first in
            first.starts(with: Array("{\"carousel\"".utf8)) || first.starts(with: Array("{ \"carousel\"".utf8))
        }
        if isLines == true { try readLines(body) } else { try readDocument(body) }
    }

    // MARK: Lines

    private mutating func readLines(_ body: (ImportItem, Int) throws -> Void) throws {
        var isEnded = false
        var isFirst = true
        while position < bytes.count {
            guard !isEnded else { throw ImportFileError.behindTheEnd(position: position) }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            // What is not ended by a line feed was cut.
            guard let start = rest.baseAddress, let found = memchr(start, Int32(UInt8(ascii: "\n")), rest.count) else {
                throw ImportFileError.cut
            }
            let end = UnsafeRawPointer(found) - start
            let item = try line(UnsafeRawBufferPointer(rebasing: rest[..<end]), isFirst: isFirst)
            position += end + 1
            if case .end = item { isEnded = true }
            isFirst = false
            try body(item, position)
        }
        guard isEnded else { throw ImportFileError.cut }
    }

    private func line(_ text: UnsafeRawBufferPointer, isFirst: Bool) throws -> ImportItem {
        var fields = ExportFields(offset: position)
        var cursor = JSONCursor(text)
        do {
            try cursor.object { cursor, name in try fields.read(name, &cursor) }
            try cursor.finish()
        } catch let failure as JSONCursor.Failure {
            throw ImportFileError.form(position: position + failure.position)
        }
        if isFirst { return .head(try fields.head()) }
        return try fields.item()
    }

    // MARK: A document

    private mutating func readDocument(_ body: (ImportItem, Int) throws -> Void) throws {
        var cursor = JSONCursor(bytes)
        do {
            var fields = ExportFields(offset: 0)
            var hasAccounts = false
            try cursor.object { cursor, name in
                // What follows the accounts could no longer be compared with them.
                guard !hasAccounts else { throw ImportFileError.form(position: cursor.position) }
                guard name.equals("accounts") else { return try fields.read(name, &cursor) }
                hasAccounts = true
                try body(.head(try fields.documentHead()), cursor.position)
                try cursor.object { cursor, key in
                    try ImportReader.account(key, &cursor, body)
                }
            }
            guard hasAccounts else { throw ImportFileError.form(position: cursor.position) }
            try cursor.finish()
        } catch let failure as JSONCursor.Failure {
            throw failure.position >= bytes.count ? ImportFileError.cut : .form(position: failure.position)
        }
        position = bytes.count
    }

    private static func account(
        _ key: UnsafeRawBufferPointer, _ cursor: inout JSONCursor, _ body: (ImportItem, Int) throws -> Void
    ) throws {
        var fields = ExportFields(offset: 0)
        // Here the key is no field.
        (fields.account, fields.accountFields) = (ExportFields.hash(key), 4)
        guard fields.account != nil else { throw ImportFileError.field("account", position: cursor.position) }
        var isGiven = false
        try cursor.object { cursor, name in
            guard name.equals("storage") else {
                guard !isGiven else { throw ImportFileError.form(position: cursor.position) }
                return try fields.read(name, &cursor)
            }
            guard !isGiven else { throw ImportFileError.field("storage", position: cursor.position) }
            isGiven = true
            try body(try fields.item(), cursor.position)
            try cursor.object { cursor, key in
                guard let slot = ExportFields.hash(key), let value = ExportFields.bytes(try cursor.text()) else {
                    throw ImportFileError.field("storage", position: cursor.position)
                }
                try body(.slot(slot, value), cursor.position)
            }
        }
        if !isGiven { try body(try fields.item(), cursor.position) }
    }
}

/// The fields of one object, as they come.
private struct ExportFields {
    /// Where the object begins in the file.
    private let offset: Int
    private var position = 0
    private var isNamed = false
    private var chainID, block, nonce: UInt64?
    private var tally: (accounts: UInt64?, slots: UInt64?, codes: UInt64?)
    private var genesisHash, hash, root, codeHash, slot: Bytes32?
    var account: Bytes32?
    private var balance: UInt256?
    private var storageOf: [Bytes32]?
    private var code, value: [UInt8]?
    private var proof: (header: [UInt8]?, certificate: [UInt8]?)
    /// How many there were.
    private var count = 0
    /// How many an account without code has.
    var accountFields = 5

    init(offset: Int) { self.offset = offset }

    private func wrong(_ name: String) -> ImportFileError { .field(name, position: offset + position) }

    /// Reads the value of the field of this name.
    mutating func read(_ name: UnsafeRawBufferPointer, _ cursor: inout JSONCursor) throws {
        defer { position = cursor.position }
        count += 1
        func text() throws -> UnsafeRawBufferPointer { try cursor.text() }
        let isTaken: Bool
        switch () {
        case _ where name.equals("account"): isTaken = ExportFields.set(&account, ExportFields.hash(try text()))
        case _ where name.equals("slot"): isTaken = ExportFields.set(&slot, ExportFields.hash(try text()))
        case _ where name.equals("value"): isTaken = ExportFields.set(&value, ExportFields.bytes(try text()))
        case _ where name.equals("nonce"): isTaken = ExportFields.set(&nonce, try ExportFields.number(&cursor))
        case _ where name.equals("balance"): isTaken = ExportFields.set(&balance, ExportFields.decimal(try text()))
        case _ where name.equals("root"): isTaken = ExportFields.set(&root, ExportFields.hash(try text()))
        case _ where name.equals("codeHash"): isTaken = ExportFields.set(&codeHash, ExportFields.hash(try text()))
        case _ where name.equals("code"): isTaken = ExportFields.set(&code, ExportFields.bytes(try text()))
        case _ where name.equals("header"): isTaken = ExportFields.set(&proof.header, ExportFields.bytes(try text()))
        case _ where name.equals("certificate"):
            isTaken = ExportFields.set(&proof.certificate, ExportFields.bytes(try text()))
        case _ where name.equals("carousel"):
            isTaken = try !isNamed && text().equals(JSONLinesForm.name)
            isNamed = true
        case _ where name.equals("chainId"): isTaken = ExportFields.set(&chainID, try ExportFields.number(&cursor))
        case _ where name.equals("genesisHash"): isTaken = ExportFields.set(&genesisHash, ExportFields.hash(try text()))
        case _ where name.equals("block"): isTaken = ExportFields.set(&block, try ExportFields.number(&cursor))
        case _ where name.equals("hash"): isTaken = ExportFields.set(&hash, ExportFields.hash(try text()))
        case _ where name.equals("storageOf"): isTaken = ExportFields.set(&storageOf, try ExportFields.hashes(&cursor))
        case _ where name.equals("accounts"):
            isTaken = ExportFields.set(&tally.accounts, try ExportFields.number(&cursor))
        case _ where name.equals("slots"): isTaken = ExportFields.set(&tally.slots, try ExportFields.number(&cursor))
        case _ where name.equals("codes"): isTaken = ExportFields.set(&tally.codes, try ExportFields.number(&cursor))
        default: isTaken = false
        }
        guard isTaken else {
            position = cursor.position
            throw wrong(String(decoding: name.prefix(32), as: UTF8.self))
        }
    }

    /// Sets a field that was not there yet; false where it was, or where it has no value.
    private static func set<Value>(_ field: inout Value?, _ value: Value?) -> Bool {
        guard field == nil, let value else { return false }
        field = value
        return true
    }

    // MARK: What they make

    /// The first line.
    func head() throws -> ImportHead {
        guard isNamed else { throw wrong("carousel") }
        guard let chainID else { throw wrong("chainId") }
        guard let genesisHash else { throw wrong("genesisHash") }
        return try head(ClaimContext(chainID: chainID, genesisHash: genesisHash), fields: 6)
    }

    /// What a document says before its accounts.
    func documentHead() throws -> ImportHead { try head(nil, fields: 3) }

    private func head(_ network: ClaimContext?, fields: Int) throws -> ImportHead {
        guard let block else { throw wrong("block") }
        guard let hash else { throw wrong("hash") }
        guard let root else { throw wrong("root") }
        guard count == fields + (storageOf == nil ? 0 : 1) else { throw wrong("block") }
        return ImportHead(
            network: network, point: StatePoint(number: block, hash: hash), root: root, storageOf: storageOf)
    }

    /// A line after the first, or an account.
    func item() throws -> ImportItem {
        if let account {
            guard let nonce else { throw wrong("nonce") }
            guard let balance else { throw wrong("balance") }
            guard let root else { throw wrong("root") }
            guard let codeHash else { throw wrong("codeHash") }
            guard count == accountFields + (code == nil ? 0 : 1) else { throw wrong("account") }
            return .account(
                account, StateAccount(nonce: nonce, balance: balance, storageRoot: root, codeHash: codeHash),
                code: code)
        }
        if let slot {
            guard let value, count == 2 else { throw wrong("value") }
            return .slot(slot, value)
        }
        if let header = proof.header {
            guard count == (proof.certificate == nil ? 1 : 2) else { throw wrong("header") }
            return .header(rlp: header, certificate: proof.certificate)
        }
        guard let accounts = tally.accounts, let slots = tally.slots, let codes = tally.codes, count == 3 else {
            throw wrong("accounts")
        }
        return .end(ExportTally(accounts: accounts, slots: slots, codes: codes))
    }

    // MARK: Values

    /// 0x and 64 digits.
    static func hash(_ text: UnsafeRawBufferPointer) -> Bytes32? {
        guard text.count == 66, text.starts(with: "0x".utf8) else { return nil }
        return ASCIINumber.hex(text)?.big
    }

    static func bytes(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        text.starts(with: "0x".utf8) ? ASCIINumber.bytes(text) : nil
    }

    static func decimal(_ text: UnsafeRawBufferPointer) -> UInt256? {
        text.starts(with: "0x".utf8) ? nil : ASCIINumber.integer(text)
    }

    static func number(_ cursor: inout JSONCursor) throws -> UInt64? {
        guard let text = try cursor.textOrNumber(), !text.starts(with: "0x".utf8) else { return nil }
        return ASCIINumber.uint64(text)
    }

    static func hashes(_ cursor: inout JSONCursor) throws -> [Bytes32]? {
        var hashes: [Bytes32] = []
        var isRight = true
        try cursor.list { cursor in
            guard let found = ExportFields.hash(try cursor.text()) else { return isRight = false }
            isRight = isRight && hashes.last.map { $0 < found } ?? true
            hashes.append(found)
            isRight = isRight && hashes.count <= StateStoreLimits.keptStorages
        }
        return isRight ? hashes : nil
    }
}
