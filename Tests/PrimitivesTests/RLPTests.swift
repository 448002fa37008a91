import Primitives
import Testing

@Suite struct RLPTests {
    static let seed: UInt64 = 2026

    /// Lengths on both sides of every change of form.
    @Test(arguments: [0, 1, 2, 54, 55, 56, 57, 255, 256, 257, 65_535, 65_536, 70_000])
    func lengthsAtTheEdges(_ length: Int) throws {
        let string = RLPValue.string([UInt8](repeating: 0xab, count: length))
        #expect(try RLPValue(decoding: string.encoded) == string)
        let list = RLPValue.list((0..<length).map { _ in .string([1]) })
        #expect(try RLPValue(decoding: list.encoded) == list)
        #expect(string.encoded.count == length + header(length))
        #expect(list.encoded.count == length + header(length))
        func header(_ length: Int) -> Int {
            if length == 1 { return 1 }
            return length <= 55 ? 1 : length <= 255 ? 2 : length <= 65_535 ? 3 : 4
        }
    }

    private func tree(_ generator: inout SeededGenerator, depth: Int) -> RLPValue {
        if depth == 0 || Bool.random(using: &generator) {
            let count = [0, 1, 1, 2, 20, 55, 56, 300].randomElement(using: &generator) ?? 0
            return .string((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
        return .list((0..<Int.random(in: 0...4, using: &generator)).map { _ in tree(&generator, depth: depth - 1) })
    }

    @Test func treesSurvive() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<500 {
            let value = tree(&generator, depth: 4)
            #expect(try RLPValue(decoding: value.encoded) == value)
        }
    }

    /// What is accepted after any change of bytes is exactly what encodes to those bytes: there is no second encoding.
    @Test func mutationsAreRefusedOrCanonical() {
        var generator = SeededGenerator(seed: Self.seed + 1)
        var refused = 0
        for _ in 0..<3_000 {
            var bytes = tree(&generator, depth: 3).encoded
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
            case 1: bytes.append(UInt8.random(in: 0...255, using: &generator))
            default:
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            do {
                #expect(try RLPValue(decoding: bytes).encoded == bytes)
            } catch {
                refused += 1
            }
        }
        #expect(refused > 1_000)
    }

    @Test func namesWhatIsWrong() {
        func failure(_ bytes: [UInt8]) -> RLPError? {
            do throws(RLPError) { _ = try RLPValue(decoding: bytes) } catch { return error }
            return nil
        }
        #expect(failure([]) == .truncated)
        #expect(failure([0x81, 0x01]) == .notCanonical)
        #expect(failure([0xb8, 0x01, 0xff]) == .notCanonical)
        #expect(failure([0xb9, 0x00, 0x38]) == .notCanonical)
        #expect(failure([0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) == .truncated)
        #expect(failure([0x01, 0x02]) == .trailingBytes)
        #expect(failure([0xc2, 0x83, 0x01]) == .truncated)
        #expect(failure([UInt8](repeating: 0xc1, count: 2_000) + [0xc0]) != nil)
    }

    @Test func depthIsBounded() {
        var value = RLPValue.list([])
        for _ in 0..<(RLPValue.depthLimit + 5) { value = .list([value]) }
        let bytes = value.encoded
        #expect(throws: RLPError.nestedTooDeep) { try RLPValue(decoding: bytes) }
    }

    @Test func integersHaveOneForm() throws {
        var zeros = RLPReader([0x00])
        #expect(throws: RLPError.leadingZeros) { try zeros.nextUInt64() }
        var long = RLPReader([0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(throws: RLPError.integerTooLarge) { try long.nextUInt64() }
        for value in [UInt64.min, 1, 127, 128, 255, 256, .max] {
            var writer = RLPWriter()
            writer.append(value)
            var reader = RLPReader(writer.bytes)
            #expect(try reader.nextUInt64() == value)
        }
    }
}
