import Chain
import Primitives

/// What an export says before its accounts.
struct ExportHead {
    let network: ClaimContext
    let header: BlockHeader
    /// Accounts whose storage and code alone are here; nil: those of all.
    let storageOf: [Bytes32]?
}

/// How much was written.
package struct ExportTally: Equatable, Sendable {
    package var accounts: UInt64 = 0
    package var slots: UInt64 = 0
    package var codes: UInt64 = 0

    package init(accounts: UInt64 = 0, slots: UInt64 = 0, codes: UInt64 = 0) {
        self.accounts = accounts
        self.slots = slots
        self.codes = codes
    }
}

/// A form that a state is written in while it is read, in the flat order: an account, then its slots, then the next
/// account. Nothing but the text since the last account is ever in memory.
protocol ExportForm {
    mutating func begin(_ head: ExportHead, _ text: inout ExportText)
    /// A header on the line from the network's checkpoint to the block and beyond, rising, before all accounts.
    mutating func header(_ entry: StoredHeader, _ text: inout ExportText)
    /// The next account; `code` where it has some.
    mutating func account(
        _ key: Bytes32, _ account: StateAccount, code: [UInt8]?, _ text: inout ExportText) throws
    /// The next slot of the account; `value` without leading zeros.
    mutating func slot(_ key: Bytes32, _ value: UnsafeRawBufferPointer, _ text: inout ExportText) throws
    mutating func end(_ tally: ExportTally, _ text: inout ExportText)
}

/// A header and its certificate as a store has them.
struct StoredHeader {
    let point: StatePoint
    let rlp: [UInt8]
    let certificate: [UInt8]?
}

/// One JSON document.
///
///     {"block": 400, "hash": "0x…", "root": "0x…", "accounts": {
///     "0x<keccak of the address>": {"nonce": 1, "balance": "12", "root": "0x…", "codeHash": "0x…", "code": "0x…",
///      "storage": {"0x<keccak of the slot>": "0x0a"}},
///     …}}
struct JSONForm: ExportForm {
    private var hasAccount = false
    private var hasSlot = false

    mutating func begin(_ head: ExportHead, _ text: inout ExportText) {
        text.add("{")
        text.fields(of: head)
        text.add(", \"accounts\": {")
    }

    /// The document has no place for them.
    mutating func header(_ entry: StoredHeader, _ text: inout ExportText) {}

    mutating func account(_ key: Bytes32, _ account: StateAccount, code: [UInt8]?, _ text: inout ExportText) {
        closeAccount(&text)
        text.add(hasAccount ? ",\n" : "\n")
        hasAccount = true
        text.quoted(key)
        text.add(": {")
        text.fields(of: account, code: code)
    }

    mutating func slot(_ key: Bytes32, _ value: UnsafeRawBufferPointer, _ text: inout ExportText) {
        text.add(hasSlot ? ", " : ",\n \"storage\": {")
        hasSlot = true
        text.quoted(key)
        text.add(": ")
        text.quoted(value)
    }

    mutating func end(_ tally: ExportTally, _ text: inout ExportText) {
        closeAccount(&text)
        text.add("}}\n")
    }

    private mutating func closeAccount(_ text: inout ExportText) {
        guard hasAccount else { return }
        text.add(hasSlot ? "}}" : "}")
        hasSlot = false
    }
}

/// A line an object, each complete by itself, so that nothing that reads it has to hold more than a line.
///
///     {"carousel": "state 1", "chainId": 7928, "genesisHash": "0x…", "block": 400, "hash": "0x…", "root": "0x…"}
///     {"header": "0x…", "certificate": "0x…"}
///     {"account": "0x…", "nonce": 1, "balance": "12", "root": "0x…", "codeHash": "0x…", "code": "0x…"}
///     {"slot": "0x…", "value": "0x0a"}
///     {"accounts": 1, "slots": 1, "codes": 1}
struct JSONLinesForm: ExportForm {
    /// What the first line begins with, and names the form.
    static let name: StaticString = "state 1"

    mutating func begin(_ head: ExportHead, _ text: inout ExportText) {
        text.add("{\"carousel\": \"")
        text.add(JSONLinesForm.name)
        text.add("\", \"chainId\": ")
        text.number(head.network.chainID)
        text.add(", \"genesisHash\": ")
        text.quoted(head.network.genesisHash)
        text.add(", ")
        text.fields(of: head)
        text.add("}\n")
    }

    mutating func header(_ entry: StoredHeader, _ text: inout ExportText) {
        text.add("{\"header\": ")
        text.quoted(entry.rlp)
        if let certificate = entry.certificate {
            text.add(", \"certificate\": ")
            text.quoted(certificate)
        }
        text.add("}\n")
    }

    mutating func account(_ key: Bytes32, _ account: StateAccount, code: [UInt8]?, _ text: inout ExportText) {
        text.add("{\"account\": ")
        text.quoted(key)
        text.add(", ")
        text.fields(of: account, code: code)
        text.add("}\n")
    }

    mutating func slot(_ key: Bytes32, _ value: UnsafeRawBufferPointer, _ text: inout ExportText) {
        text.add("{\"slot\": ")
        text.quoted(key)
        text.add(", \"value\": ")
        text.quoted(value)
        text.add("}\n")
    }

    mutating func end(_ tally: ExportTally, _ text: inout ExportText) {
        text.add("{\"accounts\": ")
        text.number(tally.accounts)
        text.add(", \"slots\": ")
        text.number(tally.slots)
        text.add(", \"codes\": ")
        text.number(tally.codes)
        text.add("}\n")
    }
}

extension ExportText {
    /// Which state it is, and of which accounts it has storage, as both forms say it.
    fileprivate mutating func fields(of head: ExportHead) {
        add("\"block\": ")
        number(head.header.number)
        add(", \"hash\": ")
        quoted(head.header.hash)
        add(", \"root\": ")
        quoted(head.header.stateRoot)
        guard let accounts = head.storageOf else { return }
        add(", \"storageOf\": [")
        for (place, account) in accounts.enumerated() {
            if place > 0 { add(", ") }
            quoted(account)
        }
        add("]")
    }

    /// An account's own fields, as both forms have them.
    fileprivate mutating func fields(of account: StateAccount, code: [UInt8]?) {
        add("\"nonce\": ")
        number(account.nonce)
        add(", \"balance\": \"")
        decimal(account.balance)
        add("\", \"root\": ")
        quoted(account.storageRoot)
        add(", \"codeHash\": ")
        quoted(account.codeHash)
        if let code {
            add(", \"code\": ")
            quoted(code)
        }
    }
}
