import Chain
import Foundation
import Primitives

/// A chain directory's `genesis.json`. Its allocation may be of any size: it is read member by member.
struct GenesisFile {
    private let file: String
    private let bytes: Data

    /// Largest file unpacked into memory, bytes: a million accounts with code and storage are about one gigabyte. A
    /// plain file is mapped and has no bound.
    private static let unpackedBytes = 8 << 30

    init(in directory: String) throws(ChainDirectoryError) {
        (bytes, file) = try ChainFileReader.contents("genesis.json", in: directory, limit: GenesisFile.unpackedBytes)
    }

    /// A file whose bytes are here already; `file` is its name in errors.
    init(bytes: Data, file: String) {
        self.bytes = bytes
        self.file = file
    }

    private func malformed(_ reason: String) -> ChainDirectoryError { .malformed(file: file, block: nil, reason) }

    /// `config.chainId`.
    func chainID() throws(ChainDirectoryError) -> UInt64 {
        var found: UInt64?
        try forEachMember { cursor, name in
            guard name.equals("config"), try cursor.isAtObject() else { return try cursor.passOver() }
            try cursor.object { cursor, name in
                guard name.equals("chainId") else { return try cursor.passOver() }
                guard found == nil else { throw malformed("has config.chainId twice") }
                found = try cursor.textOrNumber().flatMap { ASCIINumber.uint64($0) }
            }
        }
        guard let found else { throw malformed("has no config.chainId of 64 bits") }
        return found
    }

    /// The allocation, by account key, rising.
    func accounts() throws(ChainDirectoryError) -> [GenesisAccount] {
        var accounts: [GenesisAccount]?
        try forEachMember { cursor, name in
            guard name.equals("alloc"), try cursor.isAtObject() else { return try cursor.passOver() }
            guard accounts == nil else { throw malformed("has alloc twice") }
            var found: [GenesisAccount] = []
            try cursor.object { cursor, name in found.append(try account(name, &cursor)) }
            accounts = found
        }
        guard var accounts else { throw malformed("has no alloc") }
        accounts.sort { $0.key < $1.key }
        for (a, b) in zip(accounts, accounts.dropFirst()) where a.key == b.key {
            throw malformed("alloc names \(a.address) twice")
        }
        return accounts
    }

    /// Calls `member` with the document's members; what it throws of itself goes through.
    private func forEachMember(
        _ member: (inout JSONCursor, UnsafeRawBufferPointer) throws -> Void
    ) throws(ChainDirectoryError) {
        do {
            try bytes.withUnsafeBytes { buffer in
                var cursor = JSONCursor(buffer)
                guard try cursor.isAtObject() else {
                    try cursor.passOver()
                    try cursor.finish()
                    throw malformed("is no JSON object")
                }
                try cursor.object(member)
                try cursor.finish()
            }
        } catch let error as ChainDirectoryError {
            throw error
        } catch {
            throw malformed("is no JSON, or is cut off")
        }
    }

    private func account(_ name: UnsafeRawBufferPointer, _ cursor: inout JSONCursor) throws -> GenesisAccount {
        let label = String(decoding: name, as: UTF8.self)
        func wrong(_ what: String) -> ChainDirectoryError { malformed("alloc of \(label): \(what)") }
        guard let address = ASCIINumber.bytes(name).flatMap({ Address($0) }) else { throw wrong("is no address") }
        guard try cursor.isAtObject() else { throw wrong("is no object") }
        var balance: UInt256? = .zero
        var nonce: UInt64? = 0
        var code: [UInt8]? = []
        var storage: [AccountChange.SlotChange]? = []
        var seen: Set<String> = []
        try cursor.object { cursor, field in
            let name = String(decoding: field, as: UTF8.self)
            guard seen.insert(name).inserted else { throw wrong("has \(name) twice") }
            if field.equals("balance") {
                balance = try cursor.textOrNumber().flatMap { ASCIINumber.integer($0) }
            } else if field.equals("nonce") {
                nonce = try cursor.textOrNumber().flatMap { ASCIINumber.uint64($0) }
            } else if field.equals("code") {
                code = try cursor.textOrNumber().flatMap { ASCIINumber.bytes($0) }
            } else if field.equals("storage"), try cursor.isAtObject() {
                storage = try slots(&cursor, of: label)
            } else {
                if field.equals("storage") { storage = nil }
                try cursor.passOver()
            }
        }
        guard let balance else { throw wrong("balance is no integer") }
        guard let nonce else { throw wrong("nonce is no 64-bit integer") }
        guard let code, code.count <= ChainLimits.codeBytes else {
            throw wrong("code is no hex of at most \(ChainLimits.codeBytes) bytes")
        }
        guard let storage else { throw wrong("storage is no map of 32-byte slots to values") }
        return GenesisAccount(
            address: address, key: address.key, nonce: nonce, balance: balance, code: code, storage: storage)
    }

    /// The slots that are not zero, by slot key; nil where one is none.
    private func slots(_ cursor: inout JSONCursor, of label: String) throws -> [AccountChange.SlotChange]? {
        var slots: [AccountChange.SlotChange] = []
        var isWhole = true
        try cursor.object { cursor, name in
            let value = try cursor.textOrNumber().flatMap { ASCIINumber.hex($0) }
            if let slot = ASCIINumber.hex(name), let value {
                slots.append(AccountChange.SlotChange(slot: slot, value: value))
            } else {
                isWhole = false
            }
        }
        slots.sort { $0.key < $1.key }
        // One slot has many spellings: 0x1 and 0x01.
        if let twice = zip(slots, slots.dropFirst()).first(where: { $0.key == $1.key })?.0 {
            throw malformed("alloc of \(label): storage names slot \(Hex.prefixed(twice.slot.big.bytes)) twice")
        }
        return isWhole ? slots.filter { $0.value != .zero } : nil
    }
}
