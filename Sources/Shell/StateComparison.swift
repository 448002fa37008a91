import Foundation
import Primitives

/// Compares an export with a geth state dump of the same block, entry by entry. The dump names addresses and slots, the
/// export their hashes: the dump's names are hashed, then every field of every account and every slot must be equal,
/// and neither side may have an entry that the other lacks.
public struct StateComparison {
    /// What was compared.
    public private(set) var accounts = 0, slots = 0, codes = 0
    /// What differs, one line each, in the dump's order of keys; at most `limit`, the rest is counted.
    public private(set) var differences: [String] = []
    /// All that differ, listed or not.
    public private(set) var differenceCount = 0
    private let limit = 20

    /// An account as both sides tell it, after normalising.
    struct Account: Equatable {
        var nonce: String
        var balance: String
        var root: String
        var codeHash: String
        var code: String?
        /// Hash of the slot to its value, both hex without 0x, values without leading zeros.
        var storage: [String: String]
    }

    /// Compares two JSON documents; throws where one has not its form.
    public init(export: Data, dump: Data) throws {
        let ours = try StateComparison.read(export, name: "export") { $0 }
        let theirs = try StateComparison.read(dump, name: "dump") { text in
            guard let bytes = Hex.decode(text) else { throw ShellError.badFile(path: "dump", reason: "key \(text)") }
            return Hex.encode(Keccak.hash(bytes).bytes)
        }
        if ours.root != theirs.root { differ("root: export \(ours.root), dump \(theirs.root)") }
        for (key, expected) in theirs.accounts.sorted(by: { $0.key < $1.key }) {
            accounts += 1
            slots += expected.storage.count
            codes += expected.code == nil ? 0 : 1
            guard let found = ours.accounts[key] else {
                differ("account \(key): not in the export")
                continue
            }
            compare(key, found, expected)
        }
        for key in ours.accounts.keys.sorted() where theirs.accounts[key] == nil {
            differ("account \(key): not in the dump")
        }
    }

    private mutating func compare(_ key: String, _ found: Account, _ expected: Account) {
        let fields = [
            ("nonce", found.nonce, expected.nonce), ("balance", found.balance, expected.balance),
            ("root", found.root, expected.root), ("codeHash", found.codeHash, expected.codeHash),
            ("code", found.code ?? "none", expected.code ?? "none"),
        ]
        for (name, ours, theirs) in fields where ours != theirs {
            differ("account \(key): \(name): export \(ours.prefix(80)), dump \(theirs.prefix(80))")
        }
        for (slot, value) in expected.storage.sorted(by: { $0.key < $1.key }) where found.storage[slot] != value {
            differ("account \(key) slot \(slot): export \(found.storage[slot] ?? "none"), dump \(value)")
        }
        for slot in found.storage.keys.sorted() where expected.storage[slot] == nil {
            differ("account \(key) slot \(slot): not in the dump")
        }
    }

    private mutating func differ(_ what: String) {
        differenceCount += 1
        if differences.count < limit { differences.append(what) }
    }

    /// Reads either document: `keyOf` makes the hashed key of an account's or slot's name.
    private static func read(
        _ data: Data, name: String, keyOf: (String) throws -> String
    ) throws -> (root: String, accounts: [String: Account]) {
        func broken(_ what: String) -> ShellError { .badFile(path: name, reason: what) }
        guard let document = try JSONSerialization.jsonObject(with: data) as? [String: Any],
            let root = document["root"] as? String, let entries = document["accounts"] as? [String: Any]
        else { throw broken("no object with root and accounts") }
        var accounts: [String: Account] = [:]
        for (key, value) in entries {
            guard let fields = value as? [String: Any], let balance = fields["balance"] as? String,
                let storageRoot = fields["root"] as? String, let codeHash = fields["codeHash"] as? String,
                let nonce = fields["nonce"].flatMap(wholeNumber)
            else { throw broken("account \(key): nonce, balance, root or codeHash is missing") }
            var storage: [String: String] = [:]
            for (slot, content) in fields["storage"] as? [String: Any] ?? [:] {
                guard let text = content as? String else { throw broken("account \(key): slot \(slot)") }
                storage[try keyOf(plain(slot))] = String(plain(text).drop { $0 == "0" })
            }
            let code = (fields["code"] as? String).map(plain)
            accounts[try keyOf(plain(key))] = Account(
                nonce: nonce, balance: balance, root: plain(storageRoot), codeHash: plain(codeHash),
                code: code == "" ? nil : code, storage: storage)
        }
        return (plain(root), accounts)
    }

    /// A nonce is a number or a decimal string.
    private static func wholeNumber(_ value: Any) -> String? {
        if let text = value as? String { return text }
        return (value as? NSNumber).map { "\($0.uint64Value)" }
    }

    /// Hex in lower case without 0x.
    private static func plain(_ text: String) -> String {
        let lower = text.lowercased()
        return lower.hasPrefix("0x") ? String(lower.dropFirst(2)) : lower
    }
}
