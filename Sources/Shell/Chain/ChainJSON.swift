import Chain
import Foundation
import Primitives

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
