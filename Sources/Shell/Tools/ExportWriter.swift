import Chain
import Foundation
import Primitives

/// Writes a state as JSON while it is read, in the flat order: an account, then its slots, then the next account. Only
/// a buffer of it is ever in memory.
///
///     {"block": 400, "hash": "0x…", "root": "0x…", "accounts": {
///     "0x<keccak of the address>": {"nonce": 1, "balance": "12", "root": "0x…", "codeHash": "0x…", "code": "0x…",
///      "storage": {"0x<keccak of the slot>": "0x0a"}},
///     …}}
struct ExportWriter {
    private let sink: (Data) throws -> Void
    private var buffer: [UInt8] = []
    private var hasAccount = false
    private var hasSlot = false
    private static let bufferBytes = 1 << 16

    /// `sink` takes the text piece by piece.
    init(sink: @escaping (Data) throws -> Void) { self.sink = sink }

    /// The document's head. `storages`: accounts whose storage and code alone are here; nil: all.
    mutating func begin(at point: StatePoint, root: Bytes32, storages: [Bytes32]? = nil) throws {
        try add("{\"block\": \(point.number), \"hash\": \"\(Hex.prefixed(point.hash.bytes))\", ")
        try add("\"root\": \"\(Hex.prefixed(root.bytes))\", ")
        if let storages {
            let keys = storages.map { "\"\(Hex.prefixed($0.bytes))\"" }.joined(separator: ", ")
            try add("\"storageOf\": [\(keys)], ")
        }
        try add("\"accounts\": {")
    }

    /// The next account; `code` where it has some.
    mutating func account(_ key: Bytes32, _ account: StateAccount, code: [UInt8]?) throws {
        try closeAccount()
        try add(hasAccount ? ",\n" : "\n")
        hasAccount = true
        try add("\"\(Hex.prefixed(key.bytes))\": {\"nonce\": \(account.nonce)")
        try add(", \"balance\": \"\(ExportWriter.decimal(account.balance))\"")
        try add(", \"root\": \"\(Hex.prefixed(account.storageRoot.bytes))\"")
        try add(", \"codeHash\": \"\(Hex.prefixed(account.codeHash.bytes))\"")
        if let code { try add(", \"code\": \"\(Hex.prefixed(code))\"") }
    }

    /// The next slot of the account; `value` without leading zeros.
    mutating func slot(_ key: Bytes32, _ value: [UInt8]) throws {
        try add(hasSlot ? ", " : ",\n \"storage\": {")
        hasSlot = true
        try add("\"\(Hex.prefixed(key.bytes))\": \"\(Hex.prefixed(value))\"")
    }

    /// The document's end.
    mutating func end() throws {
        try closeAccount()
        try add("}}\n")
        try flush()
    }

    /// A number in decimal: balances are beyond what JSON's numbers hold.
    static func decimal(_ value: UInt256) -> String {
        // Digits by nines, lowest first.
        var groups: [UInt64] = []
        for byte in value.minimalBytes {
            var carry = UInt64(byte)
            for index in groups.indices {
                let sum = groups[index] * 256 + carry
                groups[index] = sum % 1_000_000_000
                carry = sum / 1_000_000_000
            }
            if carry > 0 { groups.append(carry) }
        }
        guard let first = groups.last else { return "0" }
        return groups.dropLast().reversed().reduce("\(first)") { text, group in
            let digits = "\(group)"
            return text + String(repeating: "0", count: 9 - digits.count) + digits
        }
    }

    private mutating func closeAccount() throws {
        guard hasAccount else { return }
        try add(hasSlot ? "}}" : "}")
        hasSlot = false
    }

    private mutating func add(_ text: String) throws {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= ExportWriter.bufferBytes { try flush() }
    }

    private mutating func flush() throws {
        try sink(Data(buffer))
        buffer.removeAll(keepingCapacity: true)
    }
}
