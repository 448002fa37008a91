import Primitives
import Testing

@Suite struct SSZTests {
    static let seed: UInt64 = 41

    /// Every kind of type, nested in each other.
    static let types: [SSZType] = [
        .uint64, .uint256, .boolean, .byteVector(5), .byteList(40), .bitvector(11), .bitlist(20),
        .vector(.uint16, 3), .vector(.byteList(4), 2), .list(.uint16, limit: 9), .list(.byteList(30), limit: 6),
        .list(.container([("a", .uint8), ("b", .byteList(3))]), limit: 4),
        .container([
            ("seq", .uint64), ("type", .uint16), ("payload", .byteList(50)), ("more", .list(.bytes32, limit: 2)),
        ]),
        .union([.byteVector(2), .byteList(20), .list(.byteList(10), limit: 3)]),
        .union([nil, .uint32]),
        .list(.list(.list(.uint8, limit: 3), limit: 3), limit: 3),
    ]

    private func bytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    private func value(_ type: SSZType, _ generator: inout SeededGenerator) -> SSZValue {
        switch type {
        case .uint(let size): return .uint(UInt256(bigEndian: bytes(size, &generator)) ?? .zero)
        case .boolean: return .boolean(Bool.random(using: &generator))
        case .byteVector(let count): return .bytes(bytes(count, &generator))
        case .byteList(let limit): return .bytes(bytes(Int.random(in: 0...limit, using: &generator), &generator))
        case .bitvector(let count): return .bits((0..<count).map { _ in Bool.random(using: &generator) })
        case .bitlist(let limit):
            return .bits((0..<Int.random(in: 0...limit, using: &generator)).map { _ in Bool.random(using: &generator) })
        case .vector(let element, let count):
            return .elements((0..<count).map { _ in value(element, &generator) })
        case .list(let element, let limit):
            let count = Int.random(in: 0...limit, using: &generator)
            return .elements((0..<count).map { _ in value(element, &generator) })
        case .container(let fields): return .fields(fields.map { value($0.type, &generator) })
        case .union(let options):
            let selector = Int.random(in: 0..<options.count, using: &generator)
            return .union(selector: UInt8(selector), options[selector].map { value($0, &generator) })
        }
    }

    @Test(arguments: types) func valuesSurvive(_ type: SSZType) throws {
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<100 {
            let original = value(type, &generator)
            let encoded = try SSZ.encode(original, as: type)
            #expect(try SSZ.decode(encoded, as: type) == original)
            if let size = type.fixedSize { #expect(encoded.count == size) }
        }
    }

    /// Whatever is accepted encodes to the same bytes again, and has another root than the original.
    @Test(arguments: types) func mutationsAreRefusedOrCanonical(_ type: SSZType) throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        for _ in 0..<300 {
            let original = value(type, &generator)
            var changed = try SSZ.encode(original, as: type)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0 where !changed.isEmpty: changed.removeLast(Int.random(in: 1...changed.count, using: &generator))
            case 1 where !changed.isEmpty:
                let place = Int.random(in: 0..<changed.count, using: &generator)
                changed[place] ^= UInt8.random(in: 1...255, using: &generator)
            default: changed.append(UInt8.random(in: 0...255, using: &generator))
            }
            guard let decoded = try? SSZ.decode(changed, as: type) else { continue }
            #expect(try SSZ.encode(decoded, as: type) == changed)
            #expect(try SSZ.root(decoded, as: type) != SSZ.root(original, as: type))
        }
    }

    /// Noise never traps.
    @Test(arguments: types) func noiseIsRefusedOrCanonical(_ type: SSZType) throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        for _ in 0..<500 {
            let noise = bytes(Int.random(in: 0...60, using: &generator), &generator)
            guard let decoded = try? SSZ.decode(noise, as: type) else { continue }
            #expect(try SSZ.encode(decoded, as: type) == noise)
        }
    }

    @Test func namesWhatIsWrong() {
        let list = SSZType.list(.byteList(4), limit: 2)
        #expect(throws: SSZError.badOffset) { try SSZ.decode([5, 0, 0, 0, 1], as: list) }
        #expect(throws: SSZError.badOffset) { try SSZ.decode([0, 0, 0, 0], as: list) }
        #expect(throws: SSZError.badOffset) { try SSZ.decode([255, 255, 255, 255], as: list) }
        #expect(throws: SSZError.wrongSize) { try SSZ.decode([4, 0, 0], as: list) }
        #expect(throws: SSZError.overLimit) { try SSZ.decode([12, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0], as: list) }
        #expect(throws: SSZError.notBoolean) { try SSZ.decode([2], as: .boolean) }
        #expect(throws: SSZError.badBits) { try SSZ.decode([0], as: .bitlist(8)) }
        #expect(throws: SSZError.unknownSelector) { try SSZ.decode([2], as: .union([nil, .uint8])) }
        #expect(throws: SSZError.wrongSize) { try SSZ.decode([], as: .union([nil, .uint8])) }
    }

    @Test func encodingRefusesValuesOfOtherTypes() {
        #expect(throws: SSZError.overLimit) { try SSZ.encode(.integer(UInt16(256)), as: .uint8) }
        #expect(throws: SSZError.overLimit) { try SSZ.encode(.bytes([1, 2]), as: .byteList(1)) }
        #expect(throws: SSZError.wrongSize) { try SSZ.encode(.bytes([1]), as: .bytes32) }
        #expect(throws: SSZError.wrongShape) { try SSZ.encode(.fields([]), as: .container([("a", .uint8)])) }
        #expect(throws: SSZError.wrongShape) { try SSZ.encode(.boolean(true), as: .uint8) }
        #expect(throws: SSZError.wrongShape) { try SSZValue.boolean(true).uint64 }
    }
}
