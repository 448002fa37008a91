import Chain
import Foundation
import Primitives
import StateContent

/// An answer about the state with where it is from, as text or as JSON.
public struct FoundState: Sendable {
    /// Where an answer is from. Whatever it is, what it says is proven under an attested header.
    public enum Source: Sendable {
        /// A data directory.
        case directory(String)
        /// Peers of the ring, and how long it took.
        case ring(peers: [Bytes32], took: Interval)
    }

    /// What is to be shown of it.
    public enum Subject: String, Sendable {
        case account, storage, code, proof
    }

    public let answer: StateAnswer
    public let address: Address
    /// The slots as they were given, in the order of the answer's.
    public let slots: [UInt256]
    public let source: Source

    public init(_ answer: StateAnswer, of address: Address, slots: [UInt256], from source: Source) {
        self.answer = answer
        self.address = address
        self.slots = slots
        self.source = source
    }

    // MARK: Text

    /// The lines for people, without their ends.
    public func lines(_ subject: Subject) -> [String] {
        var lines = ["address       \(address)"]
        if answer.account == nil { lines.append("account       no such account (proven)") }
        let account = answer.account ?? StateAccount()
        switch subject {
        case .account, .proof:
            lines.append("balance       \(account.balance) wei")
            lines.append("nonce         \(account.nonce)")
            let hasCode = account.codeHash != StateAccount.emptyCodeHash
            lines.append("code          " + (hasCode ? "hash \(account.codeHash)" : "none"))
            lines.append("storage root  \(account.storageRoot)")
        case .storage:
            for (slot, found) in zip(slots, answer.slots) {
                lines.append("slot          \(Quantity.text(slot))")
                lines.append("value         \(Hex.prefixed(Quantity.word(found.value)))")
            }
        case .code:
            let code = answer.code ?? []
            lines.append("code          " + (code.isEmpty ? "none" : "\(code.count) bytes"))
            if !code.isEmpty { lines.append(Hex.prefixed(code)) }
        }
        lines.append(
            "block         \(answer.point.number) \(answer.point.hash), the anchor of epoch \(answer.anchor.epoch)")
        lines.append("proven under  \(answer.stateRoot), the state root of that attested block")
        lines.append("from          \(sourceText)")
        return lines
    }

    private var sourceText: String {
        switch source {
        case .directory(let path): return path
        case .ring(let peers, let took):
            let names = peers.map(\.short).joined(separator: ", ")
            return "the network: \(peers.count == 1 ? "peer" : "peers") \(names), in \(Int(took.seconds * 1_000)) ms"
        }
    }

    // MARK: JSON

    /// One JSON object, with its end; numbers as hex quantities.
    public func json(_ subject: Subject) throws(ShellError) -> String {
        let account = answer.account ?? StateAccount()
        var document = Document(self)
        switch subject {
        case .account: document.take(account)
        case .storage:
            document.slot = slots.first.map { Quantity.text($0) }
            document.value = answer.slots.first.map { Hex.prefixed(Quantity.word($0.value)) }
        case .code: document.code = Hex.prefixed(answer.code ?? [])
        case .proof:
            document.take(account)
            document.accountProof = answer.accountProof.map { Hex.prefixed($0) }
            document.storageProof = zip(slots, answer.slots).map { slot, found in
                Document.Slot(
                    key: Quantity.text(slot), value: Quantity.text(bytes: found.value),
                    proof: found.proof.map { Hex.prefixed($0) })
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
        } catch {
            throw .badFile(path: "JSON", reason: "the answer cannot be written: \(error.localizedDescription)")
        }
    }

    /// What JSON says; the members of `eth_getProof` have its names (EIP-1186).
    private struct Document: Encodable {
        struct Block: Encodable {
            let number, hash, stateRoot, epoch: String
        }

        struct Origin: Encodable {
            let kind: String
            var path: String?
            var peers: [String]?
            var milliseconds: Int?
        }

        struct Slot: Encodable {
            let key, value: String
            let proof: [String]
        }

        let address: String
        let exists: Bool
        let block: Block
        let source: Origin
        var balance, nonce, codeHash, storageHash, slot, value, code: String?
        var accountProof: [String]?
        var storageProof: [Slot]?

        init(_ found: FoundState) {
            let answer = found.answer
            address = "\(found.address)"
            exists = answer.account != nil
            block = Block(
                number: Quantity.text(answer.point.number), hash: "\(answer.point.hash)",
                stateRoot: "\(answer.stateRoot)", epoch: Quantity.text(answer.anchor.epoch))
            switch found.source {
            case .directory(let path): source = Origin(kind: "directory", path: path)
            case .ring(let peers, let took):
                source = Origin(
                    kind: "network", peers: peers.map { "\($0)" }, milliseconds: Int(took.seconds * 1_000))
            }
        }

        mutating func take(_ account: StateAccount) {
            balance = Quantity.text(account.balance)
            nonce = Quantity.text(account.nonce)
            codeHash = "\(account.codeHash)"
            storageHash = "\(account.storageRoot)"
        }
    }
}

/// Numbers as Ethereum's JSON-RPC writes them: hex without leading zeros, zero as 0x0.
enum Quantity {
    /// A big-endian number.
    static func text(bytes: [UInt8]) -> String {
        let digits = Hex.encode(bytes).drop { $0 == "0" }
        return "0x" + (digits.isEmpty ? "0" : digits)
    }

    static func text(_ number: UInt256) -> String { text(bytes: number.minimalBytes) }

    static func text(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }

    /// 32 bytes with the number at their end.
    static func word(_ bytes: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: max(0, 32 - bytes.count)) + bytes }
}

extension UInt256 {
    /// Reads a slot: 0x and up to 64 hex digits, or a decimal number. nil for anything else.
    public init?(slot text: String) {
        guard text.hasPrefix("0x") else {
            self.init(text)
            return
        }
        let digits = text.dropFirst(2)
        guard (1...64).contains(digits.count),
            let bytes = Hex.decode(String(repeating: "0", count: 64 - digits.count) + digits)
        else { return nil }
        self.init(bigEndian: bytes)
    }

    /// keccak256 of its 32 bytes: where the slot stands in the storage trie.
    public var slotKey: Bytes32 { Keccak.hash(big.bytes) }
}
