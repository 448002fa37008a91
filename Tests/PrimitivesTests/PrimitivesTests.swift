import Primitives
import Testing

@Suite struct HexTests {
    @Test func readsBothCasesWithAndWithoutPrefix() {
        #expect(Hex.decode("0xdeadBEEF") == [0xde, 0xad, 0xbe, 0xef])
        #expect(Hex.decode("00ff") == [0, 0xff])
        #expect(Hex.decode("") == [])
        #expect(Hex.decode("0x") == [])
        #expect(Hex.prefixed([0x0a, 0xb0]) == "0x0ab0")
    }

    @Test(arguments: ["0", "0xabc", "0xgg", "0x0 ", "0X00", "é0"])
    func refusesOtherText(_ text: String) {
        #expect(Hex.decode(text) == nil)
    }
}

@Suite struct UInt256Tests {
    @Test(arguments: [
        "0", "1", "18446744073709551615", "18446744073709551616", "10000000000000000000",
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    ])
    func decimalRoundTrip(_ text: String) throws {
        #expect(try #require(UInt256(text)).description == text)
    }

    @Test(arguments: [
        "", "0x", "-1", " 1", "1 ", "0xg",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    ])
    func refuses(_ text: String) {
        #expect(UInt256(text) == nil)
    }

    @Test func hexOfOddLengthIsRead() {
        #expect(UInt256("0xabc") == UInt256(0xabc))
    }

    @Test func everyWidthSurvivesBytesAndText() throws {
        var generator = SeededGenerator(seed: 7)
        for length in 0...32 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let value = try #require(UInt256(bigEndian: bytes))
            #expect(UInt256(bigEndian: value.minimalBytes) == value)
            #expect(UInt256(littleEndian: value.littleEndianBytes) == value)
            #expect(UInt256(value.description) == value)
        }
        #expect(UInt256(bigEndian: [UInt8](repeating: 0, count: 33)) == nil)
    }

    @Test func masks() {
        #expect(UInt256.mask(bits: 0) == .zero)
        #expect(UInt256.mask(bits: 1) == UInt256(1))
        #expect(UInt256.mask(bits: 65).big == Bytes32(0, 0, 1, .max))
        #expect(UInt256.mask(bits: 256) == .max)
    }
}

@Suite struct Bytes32Tests {
    @Test func neighboursOnTheRing() {
        #expect(Bytes32.zero.predecessor == nil)
        #expect(Bytes32.max.successor == nil)
        #expect(Bytes32(0, 0, 0, .max).successor == Bytes32(0, 0, 1, 0))
        #expect(Bytes32(1, 0, 0, 0).predecessor == Bytes32(0, .max, .max, .max))
    }

    @Test func sortsAsItsBytes() {
        var generator = SeededGenerator(seed: 3)
        let keys = (0..<200).map { _ in
            Bytes32(generator.next() & 3, generator.next() & 3, generator.next() & 3, generator.next() & 3)
        }
        #expect(keys.sorted().map(\.bytes) == keys.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) })
    }

    @Test func nibblesFromTheMostSignificantOn() throws {
        let key = try #require(Bytes32((0..<32).map { UInt8($0 * 7) }))
        let expected = key.bytes.flatMap { [Int($0 >> 4), Int($0 & 15)] }
        #expect((0..<64).map(key.nibble) == expected)
        #expect(key.leadingZeroBitCount == 8 + 5)
        #expect(Bytes32.zero.leadingZeroBitCount == 256)
    }
}

@Suite struct KeccakTests {
    @Test func emptyInput() {
        #expect(
            Keccak.empty.description == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
    }

    /// A batch gives what single calls give, whatever the runs: empty, overlapping, at the rate (136), unordered.
    @Test func batchEqualsSingleCalls() {
        var generator = SeededGenerator(seed: 11)
        let buffer = (0..<2_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var ranges = [0..<0, 0..<2_000, 5..<140, 5..<141, 5..<142, 2_000..<2_000]
        for _ in 0..<100 {
            let start = Int.random(in: 0..<2_000, using: &generator)
            ranges.append(start..<Int.random(in: start...2_000, using: &generator))
        }
        let batch = Keccak.hash(buffer, ranges: ranges)
        #expect(batch == ranges.map { Keccak.hash(Array(buffer[$0])) })
        #expect(Keccak.hash(buffer, ranges: [Range<Int>]()) == [])
    }
}

@Suite struct EntropyTests {
    @Test func sameSeedSameBytes() {
        var one = Entropy(seed: Bytes32(1, 2, 3, 4))
        var two = Entropy(seed: Bytes32(1, 2, 3, 4))
        var other = Entropy(seed: Bytes32(1, 2, 3, 5))
        let first = (0..<10).map { one.bytes($0 * 7) }
        #expect(first == (0..<10).map { two.bytes($0 * 7) })
        #expect(first != (0..<10).map { other.bytes($0 * 7) })
        #expect(one.bytes32() != one.bytes32())
    }

    @Test func generatorsReplay() {
        var one = Entropy(seed: .max)
        var two = Entropy(seed: .max)
        var a = one.generator()
        var b = two.generator()
        #expect((0..<50).map { _ in a.next() } == (0..<50).map { _ in b.next() })
    }
}
