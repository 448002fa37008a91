import Chain
import Foundation
import Primitives
import StateStore
import Testing

@testable import Shell

/// The text of an export, form by form.
@Suite struct ExportFormTests {
    private func filled(_ byte: UInt8) -> Bytes32 { Bytes32([UInt8](repeating: byte, count: 32)) ?? .zero }

    private func head(storageOf: [Bytes32]? = nil) throws -> ExportHead {
        ExportHead(
            network: ClaimContext(chainID: 9, genesisHash: filled(0x99)),
            header: try BlockHeader(
                BlockHeader.Fields(parentHash: .zero, stateRoot: filled(0xab), number: 7, timestamp: 1)),
            storageOf: storageOf)
    }

    /// Two accounts without storage, and one with code and two slots between them.
    private func text(_ form: some ExportForm, storageOf: [Bytes32]? = nil, isEmpty: Bool = false) throws -> String {
        var (form, text) = (form, ExportText())
        form.begin(try head(storageOf: storageOf), &text)
        if !isEmpty {
            let plain = StateAccount(nonce: 1, balance: UInt256(big: .max))
            try form.account(filled(1), plain, code: nil, &text)
            try form.account(
                filled(2), StateAccount(storageRoot: filled(0xab), codeHash: filled(0xcd)), code: [0x60, 0], &text)
            try [UInt8]([0x0a]).withUnsafeBytes { try form.slot(filled(3), $0, &text) }
            try [UInt8]([0x01, 0x00]).withUnsafeBytes { try form.slot(filled(4), $0, &text) }
            try form.account(filled(5), plain, code: nil, &text)
        }
        form.end(ExportTally(accounts: isEmpty ? 0 : 3, slots: isEmpty ? 0 : 2, codes: isEmpty ? 0 : 1), &text)
        return String(decoding: text.take(), as: UTF8.self)
    }

    private func hex(_ byte: String) -> String { "0x" + String(repeating: byte, count: 32) }

    /// Byte by byte: programs read it.
    @Test func theDocumentIsAsItWas() throws {
        let hash = try head().header.hash
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935"
        let empty = StateAccount()
        let plain =
            "{\"nonce\": 1, \"balance\": \"\(most)\", \"root\": \"\(empty.storageRoot)\", "
            + "\"codeHash\": \"\(empty.codeHash)\"}"
        let coded = "\"nonce\": 0, \"balance\": \"0\", \"root\": \"\(hex("ab"))\", \"codeHash\": \"\(hex("cd"))\""
        let expected = """
            {"block": 7, "hash": "\(hash)", "root": "\(hex("ab"))", "accounts": {
            "\(hex("01"))": \(plain),
            "\(hex("02"))": {\(coded), "code": "0x6000",
             "storage": {"\(hex("03"))": "0x0a", "\(hex("04"))": "0x0100"}},
            "\(hex("05"))": \(plain)}}

            """
        #expect(try text(JSONForm()) == expected)
        #expect(
            try text(JSONForm(), isEmpty: true)
                == "{\"block\": 7, \"hash\": \"\(hash)\", \"root\": \"\(hex("ab"))\", \"accounts\": {}}\n")
        let some = try text(JSONForm(), storageOf: [filled(2)], isEmpty: true)
        #expect(some.contains("\"root\": \"\(hex("ab"))\", \"storageOf\": [\"\(hex("02"))\"], \"accounts\": {}"))
    }

    @Test func everyLineIsAnObject() throws {
        let lines = try text(JSONLinesForm()).split(separator: "\n")
        #expect(lines.count == 7)
        let objects = try lines.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(objects[0]["carousel"] as? String == "state 1" && objects[0]["block"] as? Int == 7)
        #expect(objects[0]["chainId"] as? Int == 9 && objects[0]["genesisHash"] as? String == hex("99"))
        #expect(objects[0]["storageOf"] == nil)
        #expect(objects[2]["account"] as? String == hex("02") && objects[2]["code"] as? String == "0x6000")
        #expect(objects[4] as? [String: String] == ["slot": hex("04"), "value": "0x0100"])
        #expect(objects[6] as? [String: Int] == ["accounts": 3, "slots": 2, "codes": 1])
    }

    @Test func numbersAreWrittenInDecimal() throws {
        func decimal(_ value: UInt256) -> String {
            var text = ExportText()
            text.decimal(value)
            return String(decoding: text.bytes, as: UTF8.self)
        }
        let ten19: UInt64 = 10_000_000_000_000_000_000
        for value: UInt64 in [0, 1, 9, 10, 255, 999_999_999, ten19 - 1, ten19, ten19 + 1, .max] {
            #expect(decimal(UInt256(value)) == "\(value)")
        }
        // Built digit by digit, and read back.
        var value = UInt256(1)
        var text = "1"
        for digit in 0..<76 {
            value = try #require(value.multiplied(by: 10, adding: UInt64(digit % 10)))
            text += "\(digit % 10)"
            #expect(decimal(value) == text)
        }
        var zeros = UInt256(1)
        for count in 1...77 {
            zeros = try #require(zeros.multiplied(by: 10, adding: 0))
            #expect(decimal(zeros) == "1" + String(repeating: "0", count: count))
        }
    }
}
