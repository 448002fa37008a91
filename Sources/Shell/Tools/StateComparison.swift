import Foundation
import Primitives

/// Compares an export with a geth state dump of the same block, entry by entry. The dump names addresses and slots, the
/// export their hashes: the dump's names are hashed, then every field of every account and every slot must be equal,
/// and neither side may have an entry that the other lacks.
///
/// Both are read member by member into columns sorted by key, 64 bytes a slot and a few hundred an account: states of
/// a million accounts fit.
public struct StateComparison {
    /// What was compared.
    public private(set) var accounts = 0, slots = 0, codes = 0
    /// What differs, one line each, in the order of keys; at most `limit`, the rest is counted.
    public private(set) var differences: [String] = []
    /// All that differ, listed or not.
    public private(set) var differenceCount = 0
    private let limit = 20

    /// Compares two JSON documents; throws where one has not its form.
    public init(export: Data, dump: Data) throws {
        let ours = try StateDocument(export, name: "export", isHashed: true)
        let theirs = try StateDocument(dump, name: "dump", isHashed: false)
        if ours.root != theirs.root { differ("root: export \(plain(ours.root)), dump \(plain(theirs.root))") }
        var left = ours.accounts[...]
        var right = theirs.accounts[...]
        while let key = [left.first?.key, right.first?.key].compactMap({ $0 }).min() {
            let found = left.first?.key == key ? left.removeFirst() : nil
            let expected = right.first?.key == key ? right.removeFirst() : nil
            if let expected {
                accounts += 1
                slots += expected.slots.count
                codes += expected.code == nil ? 0 : 1
            }
            switch (found, expected) {
            case (let found?, let expected?): compare(found, of: ours, with: expected, of: theirs)
            case (nil, _): differ("account \(plain(key)): not in the export")
            case (_, nil): differ("account \(plain(key)): not in the dump")
            }
        }
    }

    private mutating func compare(
        _ found: StateDocument.Account, of ours: StateDocument, with expected: StateDocument.Account,
        of theirs: StateDocument
    ) {
        let key = plain(found.key)
        let fields = [
            ("nonce", "\(found.nonce)", "\(expected.nonce)", found.nonce == expected.nonce),
            ("balance", "\(found.balance)", "\(expected.balance)", found.balance == expected.balance),
            ("root", plain(found.root), plain(expected.root), found.root == expected.root),
            ("codeHash", plain(found.codeHash), plain(expected.codeHash), found.codeHash == expected.codeHash),
            ("code", text(found.code), text(expected.code), found.code == expected.code),
        ]
        for (name, ours, theirs, isEqual) in fields where !isEqual {
            differ("account \(key): \(name): export \(ours), dump \(theirs)")
        }
        var left = ours.slots[found.slots]
        var right = theirs.slots[expected.slots]
        while let slot = [left.first?.key, right.first?.key].compactMap({ $0 }).min() {
            let value = left.first?.key == slot ? left.removeFirst().value : nil
            let other = right.first?.key == slot ? right.removeFirst().value : nil
            guard value != other else { continue }
            guard let other else {
                differ("account \(key) slot \(plain(slot)): not in the dump")
                continue
            }
            differ("account \(key) slot \(plain(slot)): export \(value.map(short) ?? "none"), dump \(short(other))")
        }
    }

    private mutating func differ(_ what: String) {
        differenceCount += 1
        if differences.count < limit { differences.append(what) }
    }

    private func plain(_ word: Bytes32) -> String { Hex.encode(word.bytes) }
    private func short(_ value: UInt256) -> String { Hex.encode(value.minimalBytes) }
    private func text(_ code: StateDocument.Code?) -> String {
        code.map { "\($0.count) bytes with hash \(plain($0.hash))" } ?? "none"
    }
}

/// A state out of either document, its accounts by key, and each account's slots by key.
private struct StateDocument {
    struct Code: Equatable {
        let count: Int
        let hash: Bytes32
    }

    struct Account {
        let key: Bytes32
        var nonce: UInt64 = 0
        var balance = UInt256.zero
        var root = Bytes32.zero
        var codeHash = Bytes32.zero
        /// nil for none.
        var code: Code?
        var slots = 0..<0
    }

    private(set) var root = Bytes32.zero
    private(set) var accounts: [Account] = []
    /// All slots that are not zero.
    private(set) var slots: [(key: Bytes32, value: UInt256)] = []
    private let name: String
    /// Whether names are hashes already.
    private let isHashed: Bool

    init(_ data: Data, name: String, isHashed: Bool) throws {
        self.name = name
        self.isHashed = isHashed
        do {
            try data.withUnsafeBytes { try read(JSONCursor($0)) }
        } catch is JSONCursor.Failure {
            throw broken("no object with root and accounts")
        }
        accounts.sort { $0.key < $1.key }
        for (a, b) in zip(accounts, accounts.dropFirst()) where a.key == b.key {
            throw broken("account \(a.key) is there twice")
        }
    }

    private func broken(_ what: String) -> ShellError { .badFile(path: name, reason: what) }

    private mutating func read(_ start: JSONCursor) throws {
        var cursor = start
        var root: Bytes32?
        var hasAccounts = false
        try cursor.object { cursor, field in
            if field.equals("root") {
                root = try cursor.textOrNumber().flatMap { ASCIINumber.hex($0)?.big }
            } else if field.equals("accounts") {
                hasAccounts = true
                try cursor.object { cursor, name in accounts.append(try account(name, &cursor)) }
            } else {
                try cursor.passOver()
            }
        }
        try cursor.finish()
        guard let root, hasAccounts else { throw broken("no object with root and accounts") }
        self.root = root
    }

    private mutating func account(_ label: UnsafeRawBufferPointer, _ cursor: inout JSONCursor) throws -> Account {
        let text = String(decoding: label, as: UTF8.self)
        guard let bytes = ASCIINumber.bytes(label), let key = isHashed ? Bytes32(bytes) : Keccak.hash(bytes) else {
            throw broken("key \(text)")
        }
        var account = Account(key: key)
        var missing: Set<String> = ["nonce", "balance", "root", "codeHash"]
        let start = slots.count
        try cursor.object { cursor, field in
            if field.equals("storage") {
                try cursor.object { cursor, slot in try self.slot(slot, of: text, &cursor) }
                return
            }
            guard let value = try cursor.textOrNumber() else { return }
            if field.equals("nonce"), let nonce = ASCIINumber.uint64(value) {
                account.nonce = nonce
                missing.remove("nonce")
            } else if field.equals("balance"), let balance = ASCIINumber.integer(value) {
                account.balance = balance
                missing.remove("balance")
            } else if field.equals("root"), let root = ASCIINumber.hex(value) {
                account.root = root.big
                missing.remove("root")
            } else if field.equals("codeHash"), let hash = ASCIINumber.hex(value) {
                account.codeHash = hash.big
                missing.remove("codeHash")
            } else if field.equals("code") {
                guard let code = ASCIINumber.bytes(value) else { throw broken("account \(text): code is no hex") }
                account.code = code.isEmpty ? nil : Code(count: code.count, hash: Keccak.hash(code))
            }
        }
        guard missing.isEmpty else {
            throw broken("account \(text): nonce, balance, root or codeHash is missing")
        }
        account.slots = start..<slots.count
        slots[start...].sort { $0.key < $1.key }
        for (a, b) in zip(slots[start...], slots[start...].dropFirst()) where a.key == b.key {
            throw broken("account \(text): slot \(a.key) is there twice")
        }
        return account
    }

    private mutating func slot(_ label: UnsafeRawBufferPointer, of account: String, _ cursor: inout JSONCursor) throws {
        let number = ASCIINumber.hex(label)
        let value = try cursor.textOrNumber().flatMap { ASCIINumber.hex($0) }
        guard let number, let value else {
            throw broken("account \(account): slot \(String(decoding: label, as: UTF8.self))")
        }
        guard value != .zero else { return }
        slots.append((isHashed ? number.big : Keccak.hash(number.big.bytes), value))
    }
}
