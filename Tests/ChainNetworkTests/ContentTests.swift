import Chain
import ChainLab
import ChainNetwork
import Primitives
import Testing

@Suite struct ContentTests {
    @Test func keysHaveOneEncoding() throws {
        let byNumber = ChainContentKey.headers(
            try #require(HeadersKey(start: .number(258), count: 100, stride: 2, direction: .downward)))
        #expect(Hex.encode(byNumber.encoded) == "50090000006400020001000201000000000000")
        let byHash = ChainContentKey.headers(try #require(HeadersKey(start: .hash(.max), count: 1)))
        let newBlock = ChainContentKey.newBlock(StatePoint(number: 1, hash: .max))
        #expect(newBlock.encoded == [0x52, 1, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 255, count: 32))
        for key in [byNumber, byHash, newBlock] {
            #expect(try ChainContentKey(decoding: key.encoded) == key)
            for length in 0..<key.encoded.count {
                #expect(throws: ChainNetworkError.malformedKey) {
                    try ChainContentKey(decoding: Array(key.encoded.prefix(length)))
                }
            }
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: key.encoded + [0]) }
        }
        let bytes = byNumber.encoded
        // Selector, offset, count 0, count 1,001, direction, union selector.
        for (offset, value) in [(0, 0x51), (1, 10), (9, 2), (10, 2)] as [(Int, UInt8)] {
            var damaged = bytes
            damaged[offset] = value
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: damaged) }
        }
        for count in [[0, 0], [0xe9, 3]] as [[UInt8]] {
            var damaged = bytes
            damaged.replaceSubrange(5..<7, with: count)
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: damaged) }
        }
        #expect(HeadersKey(start: .number(0), count: 0) == nil && HeadersKey(start: .number(0), count: 1_001) == nil)
    }

    @Test func valuesAreReadBack() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 7)) + [CertifiedHeader(header: made.genesis)]
        for value in [
            HeadersValue.headers(entries), .notServed(lowest: 1, highest: .max), .busy(seconds: 258),
        ] {
            let bytes = value.encoded()
            #expect(try HeadersValue(decoding: bytes) == value)
            for length in 0..<bytes.count {
                #expect(throws: ChainNetworkError.self) { try HeadersValue(decoding: Array(bytes.prefix(length))) }
            }
            #expect(throws: ChainNetworkError.self) { try HeadersValue(decoding: bytes + [0]) }
        }
        #expect(HeadersValue.busy(seconds: 258).encoded() == [2, 2, 1])
        #expect(throws: ChainNetworkError.notWhatWasAsked) { try HeadersValue(decoding: [0]) }
        #expect(throws: ChainNetworkError.unknownStatus(nil)) { try HeadersValue(decoding: []) }
        #expect(throws: ChainNetworkError.unknownStatus(3)) { try HeadersValue(decoding: [3]) }
    }

    @Test func answersAreCutToTheirLimit() throws {
        let made = try MadeChain()
        let entries = made.published(try MadeChain.run(on: made.genesis, 20))
        let whole = HeadersValue.headers(entries).encoded().count
        guard
            case .headers(let half) = try HeadersValue(
                decoding: HeadersValue.headers(entries).encoded(byteLimit: whole / 2))
        else { return #expect(Bool(false)) }
        #expect(half.count >= 8 && half.count <= 10 && half == Array(entries.prefix(half.count)))
        guard case .headers(let one) = try HeadersValue(decoding: HeadersValue.headers(entries).encoded(byteLimit: 1))
        else { return #expect(Bool(false)) }
        #expect(one.count == 1)
    }

    @Test func newBlocksMustBeTheOneOfTheirKey() throws {
        let made = try MadeChain()
        let entry = made.published(try MadeChain.run(on: made.genesis, 1))[0]
        let value = NewBlockValue.encode(entry)
        #expect(try NewBlockValue.decode(value, point: entry.point) == entry)
        #expect(throws: ChainNetworkError.notWhatWasAsked) {
            try NewBlockValue.decode(value, point: StatePoint(number: 2, hash: entry.header.hash))
        }
        #expect(throws: ChainNetworkError.unknownStatus(1)) {
            try NewBlockValue.decode([1] + value.dropFirst(), point: entry.point)
        }
        #expect(throws: ChainNetworkError.invalid(.certificate(.wrongSize(bytes: 144)))) {
            try NewBlockValue.decode(value.dropLast(), point: entry.point)
        }
    }

    @Test func pingPayloads() throws {
        let payload = ChainPingPayload(genesisHash: .max, lowest: 1, highest: 300, headHash: .zero, certified: 299)
        #expect(payload.encoded.count == 88)
        #expect(try ChainPingPayload(decoding: payload.encoded) == payload)
        #expect(throws: ChainNetworkError.malformedValue(.wrongSize)) {
            try ChainPingPayload(decoding: payload.encoded.dropLast())
        }
    }

    @Test func whatIsServed() throws {
        let made = try MadeChain()
        let headers = try MadeChain.run(on: made.genesis, 40)
        let server = try made.machine(made.published(headers))
        func ask(_ start: HeadersKey.Start, _ count: Int, _ stride: UInt16, _ direction: HeadersKey.Direction) throws
            -> [UInt64]
        {
            let key = try #require(HeadersKey(start: start, count: count, stride: stride, direction: direction))
            let value = try HeadersValue(decoding: server.serve(ChainContentKey.headers(key).encoded))
            guard case .headers(let entries) = value else { return [] }
            return entries.map(\.header.number)
        }
        #expect(try ask(.number(3), 4, 1, .upward) == [3, 4, 5, 6])
        #expect(try ask(.number(38), 9, 1, .upward) == [38, 39, 40])
        #expect(try ask(.number(5), 9, 2, .downward) == [5, 3, 1])
        #expect(try ask(.number(40), 9, 0, .downward) == [40, 39, 38, 36, 32, 24, 8])
        #expect(try ask(.number(0), 9, 0, .upward) == [0, 1, 2, 4, 8, 16, 32])
        #expect(try ask(.hash(headers[19].hash), 2, 5, .upward) == [20, 25])
        #expect(try ask(.number(.max), 1_000, 65_535, .upward) == [])
        #expect(try ask(.hash(.max), 1, 1, .upward) == [])
        let nothing = HeadersValue.notServed(lowest: 0, highest: 40).encoded()
        #expect(server.serve([]) == nothing && server.serve([0x50, 1, 2]) == nothing)
        let block = ChainContentKey.newBlock(headers[9].point).encoded
        #expect(try NewBlockValue.decode(server.serve(block), point: headers[9].point).header == headers[9])
        let empty = try ChainSync(configuration: made.configuration, seed: 1)
        #expect(empty.serve(block) == HeadersValue.notServed(lowest: 1, highest: 0).encoded())
    }
}
