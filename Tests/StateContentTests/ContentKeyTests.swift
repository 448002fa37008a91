import Chain
import Primitives
import StateStore
import Testing

@testable import StateContent

@Suite struct ContentKeyTests {
    static let seed: UInt64 = 77

    private func key(_ generator: inout SeededGenerator) throws -> StateContentKey {
        func hash() -> Bytes32 {
            Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        }
        func point() -> StatePoint { StatePoint(number: generator.next(), hash: hash()) }
        let anchor = Anchor(epoch: generator.next(), hash: hash())
        let trie = Bool.random(using: &generator) ? StateTrie.accounts : .storage(account: hash(), placement: 3)
        switch Int.random(in: 0..<7, using: &generator) {
        case 0:
            let cursors = [Cursor(account: hash(), slot: hash()), Cursor(account: hash(), slot: hash())].sorted()
            return .range(
                try #require(
                    RangeKey(trie: trie, anchor: anchor, origin: cursors[0], limit: cursors[1], maxBytes: 77_777)))
        case 1:
            let first = Int.random(in: 0..<65_000, using: &generator)
            let others = (1..<256).filter { _ in Int.random(in: 0..<20, using: &generator) == 0 }
            return .diffs(
                try #require(
                    DiffsKey(
                        trie: trie, from: point(), to: point(), sections: [first] + others.map { first + $0 },
                        maxBytes: 1, withProof: Bool.random(using: &generator))))
        case 2:
            let hashes = (0..<Int.random(in: 1...20, using: &generator)).map { _ in hash() }
            return .codes(try #require(CodesKey(near: hash(), hashes: hashes)))
        case 3: return .blockDiff(BlockDiffKey(trie: trie, point: point(), section: 4_095))
        case 4: return .crown(anchor)
        case 5: return .blockDiffs(try #require(BlockDiffsKey(trie: trie, point: point(), first: 17, last: 65_535)))
        default: return .availability
        }
    }

    @Test func keysSurviveAndFitAPacket() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<300 {
            let key = try key(&generator)
            #expect(try StateContentKey(decoding: key.encoded) == key)
            #expect(key.encoded.count <= 700)
        }
    }

    /// Whatever is accepted after a mutation encodes to the same bytes again.
    @Test func mutationsAreRefusedOrCanonical() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        var refused = 0
        for _ in 0..<2_000 {
            let original = try key(&generator)
            var bytes = original.encoded
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
            case 1: bytes.append(UInt8.random(in: 0...255, using: &generator))
            default:
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[place] ^= UInt8.random(in: 1...255, using: &generator)
            }
            guard let decoded = try? StateContentKey(decoding: bytes) else {
                refused += 1
                continue
            }
            #expect(decoded.encoded == bytes)
            #expect(decoded != original)
        }
        #expect(refused > 1_000)
    }

    @Test func namesWhatIsWrong() throws {
        #expect(throws: StateContentError.empty) { try StateContentKey(decoding: []) }
        #expect(throws: StateContentError.unknownContent(0x4D)) { try StateContentKey(decoding: [0x4D]) }
        #expect(throws: StateContentError.malformed(.wrongSize)) { try StateContentKey(decoding: [0x48, 0]) }
        #expect(throws: StateContentError.malformed(.wrongSize)) { try StateContentKey(decoding: [0x40]) }
        #expect(throws: StateContentError.keyTooLong(bytes: 1_025)) {
            try StateContentKey(decoding: [UInt8](repeating: 0x40, count: 1_025))
        }
        let anchor = Anchor(epoch: 1, hash: .max)
        #expect(RangeKey(anchor: anchor, origin: .last, limit: .first, maxBytes: 1) == nil)
        #expect(CodesKey(near: .zero, hashes: []) == nil)
        #expect(CodesKey(near: .zero, hashes: [Bytes32](repeating: .zero, count: 21)) == nil)
        let point = StatePoint(number: 1, hash: .max)
        func diffs(_ sections: [Int]) -> DiffsKey? {
            DiffsKey(from: point, to: point, sections: sections, maxBytes: 1, withProof: false)
        }
        #expect(diffs([]) == nil)
        #expect(diffs([2, 2]) == nil)
        #expect(diffs([3, 259]) == nil)
        #expect(diffs([3, 258])?.sections == [3, 258])
    }

    /// One set of sections has one key: a mask with zeros at an end is refused.
    @Test func masksHaveOneForm() throws {
        let point = StatePoint(number: 1, hash: .max)
        let key = try #require(
            DiffsKey(from: point, to: point, sections: [5, 6], maxBytes: 1, withProof: false))
        let encoded = StateContentKey.diffs(key).encoded
        // The bitlist of two bits is the last byte but for nothing behind it: 0b111.
        #expect(encoded.last == 0b111)
        #expect(throws: StateContentError.self) { try StateContentKey(decoding: encoded.dropLast() + [0b110]) }
        #expect(throws: StateContentError.self) { try StateContentKey(decoding: encoded.dropLast() + [0b101]) }
    }

    @Test func positions() throws {
        let origin = Cursor(account: Bytes32(7, 0, 0, 1), slot: .max)
        let anchor = Anchor(epoch: 1, hash: .max)
        let range = try #require(RangeKey(anchor: anchor, origin: origin, limit: .last, maxBytes: 1))
        #expect(StateContentKey.range(range).position(sectionDepth: 3) == Bytes32(7, 0, 0, 1))
        let point = StatePoint(number: 1, hash: .max)
        let diff = StateContentKey.blockDiff(BlockDiffKey(point: point, section: 0xabc))
        #expect(diff.position(sectionDepth: 3) == Bytes32(0xabc0_0000_0000_0000, 0, 0, 0))
        #expect(StateContentKey.crown(anchor).position(sectionDepth: 3) == nil)
    }
}

@Suite struct StatusTests {
    static let anchors = (1...6).map { Anchor(epoch: UInt64($0), hash: Bytes32(UInt64($0), 0, 0, 0)) }

    @Test(arguments: [
        StateStatus.notAtThisAnchor(served: []), .notAtThisAnchor(served: Array(anchors[..<4])), .busy(seconds: 7),
        .historyTooShort, .itemTooLarge, .placementNotSupported,
    ])
    func statusesSurvive(_ status: StateStatus) throws {
        #expect(try StateStatus(decoding: status.encoded) == status)
        #expect(throws: StateContentError.malformed(.wrongSize)) { try StateStatus(decoding: status.encoded + [1]) }
    }

    @Test func theNewestAnchorsAreListed() throws {
        let status = StateStatus.notAtThisAnchor(served: Self.anchors.reversed())
        #expect(try StateStatus(decoding: status.encoded) == .notAtThisAnchor(served: Array(Self.anchors[2...])))
    }

    @Test func namesWhatIsWrong() {
        #expect(throws: StateContentError.empty) { try StateStatus(decoding: []) }
        #expect(throws: StateContentError.unknownStatus(6)) { try StateStatus(decoding: [6]) }
        #expect(throws: StateContentError.malformed(.wrongSize)) { try StateStatus(decoding: [2, 1]) }
        #expect(throws: StateContentError.status(.busy(seconds: 9))) { try StateStatus.requireData([2, 9, 0]) }
    }

    @Test func patienceAskedForIsBounded() throws {
        #expect(
            try StateStatus(decoding: [2, 0xff, 0xff]) == .busy(seconds: StateContentLimits.busySeconds))
    }
}

@Suite struct AvailabilityTests {
    private let old = Anchor(epoch: 1, hash: Bytes32(1, 0, 0, 0))
    private let new = Anchor(epoch: 2, hash: Bytes32(2, 0, 0, 0))

    @Test func runsAreJoined() {
        let sections = AnchorSections(anchor: old, runs: [8..<9, 0..<2, 5..<5, 2..<4, 3..<6, 65_530..<70_000])
        #expect(sections.runs == [0..<6, 8..<9, 65_530..<65_536])
    }

    @Test func payloadsSurvive() throws {
        let served = [
            AnchorSections(anchor: old, runs: [0..<4_096]), AnchorSections(anchor: new, runs: [1..<2, 9..<12]),
        ]
        let head = StatePoint(number: 7, hash: .max)
        for head in [head, nil] {
            let payload = StatePingPayload(role: .walker, radius: .mask(bits: 255), head: head, served: served)
            #expect(try StatePingPayload(decoding: payload.encoded) == payload)
        }
        let whole = AvailabilityValue(served: served)
        #expect(try AvailabilityValue(decoding: whole.encoded) == whole)
        #expect(try AvailabilityValue(decoding: AvailabilityValue(served: []).encoded).served == [])
    }

    /// 700 bytes at most; the shortest runs go first, so what is left is as much as fits.
    @Test func theShortestRunsAreDropped() throws {
        var runs = (0..<200).map { (40 * $0)..<(40 * $0 + 1) }
        runs.append(20_000..<20_020)
        runs.append(30_000..<30_010)
        let payload = StatePingPayload(
            role: .holder, radius: .max, head: nil,
            served: [AnchorSections(anchor: old, runs: runs), AnchorSections(anchor: new, runs: [3..<50])])
        #expect(payload.encoded.count <= 700)
        #expect(payload.encoded.count > 690)
        #expect(payload.served[0].runs.contains(20_000..<20_020))
        #expect(payload.served[0].runs.contains(30_000..<30_010))
        #expect(payload.served[1].runs == [3..<50])
        #expect(try StatePingPayload(decoding: payload.encoded) == payload)
    }

    @Test func mutationsAreRefusedOrCanonical() throws {
        let payload = StatePingPayload(
            role: .holder, radius: .mask(bits: 254), head: StatePoint(number: 7, hash: .max),
            served: [AnchorSections(anchor: old, runs: [1..<3, 7..<9]), AnchorSections(anchor: new, runs: [2..<3])])
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<2_000 {
            var bytes = payload.encoded
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            guard let decoded = try? StatePingPayload(decoding: bytes) else { continue }
            #expect(decoded.encoded == bytes)
        }
        var reversed = payload.encoded
        // role, radius, head, offset, two offsets, then an anchor's epoch: both epochs exchanged.
        #expect(reversed[85] == 1)
        reversed[85] = 9
        #expect(throws: StateContentError.invalid("anchors out of order")) { try StatePingPayload(decoding: reversed) }
    }
}

/// What is written field by field is what the declared schemas say.
@Suite struct SchemaTests {
    @Test func keysAreTheirSchema() throws {
        let anchor = Anchor(epoch: 1 << 40, hash: .max)
        let point = StatePoint(number: 1 << 33, hash: .max)
        let storage = StateTrie.storage(account: .max, placement: 2)
        let range = try #require(
            RangeKey(trie: storage, anchor: anchor, origin: .first, limit: .last, maxBytes: 70_000))
        let diffs = try #require(
            DiffsKey(from: point, to: point, sections: [1, 4, 256], maxBytes: 7, withProof: true))
        let codes = try #require(CodesKey(near: .zero, hashes: [.zero, .max]))
        let keys: [StateContentKey] = [
            .range(range), .diffs(diffs), .codes(codes), .blockDiff(BlockDiffKey(point: point, section: 9)),
            .crown(anchor), .blockDiffs(try #require(BlockDiffsKey(point: point, first: 3, last: 9))),
        ]
        for key in keys {
            let schema = try #require(StateContentKey.schema(key.selector))
            let decoded = try SSZ.decode(key.encoded.dropFirst(), as: schema)
            #expect(try SSZ.encode(decoded, as: schema) == Array(key.encoded.dropFirst()))
        }
    }

    @Test func availabilityIsItsSchema() throws {
        let served = [
            AnchorSections(anchor: Anchor(epoch: 1, hash: .max), runs: [0..<65_536]),
            AnchorSections(anchor: Anchor(epoch: 2, hash: .max), runs: []),
        ]
        let value = AvailabilityValue(served: served).encoded.dropFirst()
        let decoded = try SSZ.decode(value, as: AvailabilityValue.schema)
        #expect(try SSZ.encode(decoded, as: AvailabilityValue.schema) == Array(value))
        let payload = StatePingPayload(role: .bridge, radius: .max, head: nil, served: served).encoded
        let ping = try SSZ.decode(payload, as: StatePingPayload.schema)
        #expect(try SSZ.encode(ping, as: StatePingPayload.schema) == payload)
        let status = StateStatus.notAtThisAnchor(served: served.map(\.anchor)).encoded.dropFirst()
        let anchors = try SSZ.decode(status, as: StateStatus.anchorsSchema)
        #expect(try SSZ.encode(anchors, as: StateStatus.anchorsSchema) == Array(status))
    }
}
