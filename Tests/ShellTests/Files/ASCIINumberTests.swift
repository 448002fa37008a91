import Primitives
import Testing

@testable import Shell

/// Hex digits in bulk: eight at a time, and what is left one by one.
@Suite struct ASCIINumberTests {
    private func bytes(_ text: [UInt8]) -> [UInt8]? { text.withUnsafeBytes { ASCIINumber.bytes($0) } }
    private func hex(_ text: [UInt8]) -> UInt256? { text.withUnsafeBytes { ASCIINumber.hex($0) } }

    @Test func everyLengthIsReadBack() throws {
        print("seed 5")
        var generator = SeededGenerator(seed: 5)
        for count in 0..<70 {
            let value = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let lower = value.flatMap { Array(($0 < 16 ? "0" : "").utf8) + Array(String($0, radix: 16).utf8) }
            let upper = Array(String(decoding: lower, as: UTF8.self).uppercased().utf8)
            for text in [lower, Array("0x".utf8) + lower, upper] {
                #expect(bytes(text) == value, "\(String(decoding: text, as: UTF8.self))")
            }
            guard (1...32).contains(count) else { continue }
            let number = hex(lower)
            let padded = try #require(Bytes32(Array(repeating: 0, count: 32 - count) + value))
            #expect(number == UInt256(big: padded))
            #expect(hex(Array("0x".utf8) + upper) == number)
        }
    }

    /// Every byte that is no hex digit is refused in every place, by eights and one by one.
    @Test func whatIsNoDigitIsRefusedEverywhere() {
        let digits = Set("0123456789abcdefABCDEF".utf8)
        for length in [8, 10, 64] {
            for place in 0..<length {
                for byte in UInt8.min...UInt8.max {
                    var text = Array(repeating: UInt8(ascii: "7"), count: length)
                    text[place] = byte
                    // A prefix is none of the digits.
                    guard !(place == 1 && byte == UInt8(ascii: "x")) else { continue }
                    #expect((bytes(text) != nil) == digits.contains(byte), "\(byte) at \(place) of \(length)")
                    #expect((hex(text) != nil) == digits.contains(byte), "\(byte) at \(place) of \(length)")
                }
            }
        }
    }
}
