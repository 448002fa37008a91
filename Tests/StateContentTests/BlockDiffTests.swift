import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

@Suite struct BlockDiffTests {
    private let pair: StatePair
    private let header: BlockHeader
    private let section: Section
    private let value: BlockDiffValue
    private let key: BlockDiffKey

    init() throws {
        var generator = SeededGenerator(seed: 7_001)
        let pair = try StatePair(&generator)
        func newCodeHashes(_ section: Section) throws -> [Bytes32] {
            var view = pair.before.view
            return try SectionChange.apply(pair.changes(in: section), to: section, in: &view).newCodeHashes
        }
        // A section in which an account with code is new or has other code.
        let section = try #require(try Section.all(depth: 1).first { try !newCodeHashes($0).isEmpty })
        let hashes = try newCodeHashes(section)
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: pair.after.root, number: 12, timestamp: 1_000))
        let claim = Claim(kind: .head, point: header.point, unixSeconds: 5)
        let certificate = try #require(
            Certificate([
                SignedClaim(claim: claim, signer: .zero, signature: [UInt8](repeating: 1, count: 64))
            ]))
        value = BlockDiffValue(
            header: header.rlp, certificate: certificate.encoded,
            sectionHashBefore: try pair.before.crown.sectionHash(section.index), changes: pair.changes(in: section),
            // Accounts of the test state with n slots have the code [n].
            codes: [[1], [2], [5], [40]].filter { hashes.contains(Keccak.hash($0)) },
            pathProof: try pair.after.crown.proofNodes(forSection: section.index))
        key = BlockDiffKey(point: header.point, section: section.index)
        self.pair = pair
        self.header = header
        self.section = section
    }

    private func changed(
        header: [UInt8]? = nil, certificate: [UInt8]? = nil, changes: [LeafChange]? = nil, codes: [[UInt8]]? = nil,
        proof: [[UInt8]]? = nil
    ) -> BlockDiffValue {
        BlockDiffValue(
            header: header ?? value.header, certificate: certificate ?? value.certificate,
            sectionHashBefore: value.sectionHashBefore, changes: changes ?? value.changes,
            codes: codes ?? value.codes, pathProof: proof ?? value.pathProof)
    }

    @Test func aDiffIsReadProvenAndApplied() throws {
        let encoded = try #require(value.encoded)
        let decoded = try BlockDiffValue(decoding: encoded)
        #expect(decoded == value)
        #expect(decoded.encoded == encoded)
        let claims = try BlockDiffCheck.verify(decoded, key: key, depth: 1)
        #expect(claims.header.header == header)
        #expect(claims.header.certificate?.claims.count == 1)
        #expect(claims.sectionHashAfter == (try pair.after.crown.sectionHash(section.index)))
        var view = pair.before.view
        let (update, codes) = try BlockDiffCheck.apply(
            decoded, to: section, expecting: claims.sectionHashAfter, in: &view)
        #expect(update.wireChanges == value.changes)
        #expect(codes.map(\.code) == value.codes)
        #expect(!codes.isEmpty)
    }

    @Test func columnsAreTheSchema() throws {
        let encoded = try #require(value.encoded)
        let decoded = try SSZ.decode(encoded.dropFirst(), as: BlockDiffValue.schema)
        #expect(try SSZ.encode(decoded, as: BlockDiffValue.schema) == Array(encoded.dropFirst()))
    }

    @Test func namesWhatIsWrong() throws {
        func failure(_ value: BlockDiffValue, _ key: BlockDiffKey) -> DiffError? {
            do throws(DiffError) {
                _ = try BlockDiffCheck.verify(value, key: key, depth: 1)
                return nil
            } catch {
                return error
            }
        }
        let other = BlockDiffKey(point: StatePoint(number: 12, hash: .max), section: section.index)
        #expect(failure(value, other) == .wrongHeader)
        #expect(failure(changed(header: [0xc0]), key) == .wrongHeader)
        #expect(failure(value, BlockDiffKey(point: key.point, section: 16)) == .wrongSections)
        #expect(
            failure(changed(certificate: [1]), key) == .malformedCertificate(.certificate(.wrongSize(bytes: 1))))
        #expect(failure(changed(proof: []), key) == .proof(.missingNode(.root)))
        #expect(failure(changed(proof: value.pathProof + [[0xc0]]), key) == .proof(.unusedNode))
        let hash = try pair.after.crown.sectionHash(section.index)
        var view = pair.before.view
        let foreign: [UInt8] = [0xfe]
        #expect(throws: DiffError.unexpectedCode(Keccak.hash(foreign))) {
            try BlockDiffCheck.apply(changed(codes: value.codes + [foreign]), to: section, expecting: hash, in: &view)
        }
        #expect(throws: DiffError.self) {
            try BlockDiffCheck.apply(
                changed(changes: Array(value.changes.dropLast())), to: section, expecting: hash, in: &view)
        }
        #expect(throws: DiffError.status(.status(.busy(seconds: 1)))) { try BlockDiffValue(decoding: [2, 1, 0]) }
        #expect(throws: DiffError.malformed(.wrongSize)) { try BlockDiffValue(decoding: [0]) }
    }

    @Test func whatBreaksALimitHasNoEncoding() {
        #expect(changed(header: [UInt8](repeating: 1, count: ChainLimits.headerBytes + 1)).encoded == nil)
        #expect(changed(proof: Array(repeating: [1], count: StateContentLimits.pathProofNodes + 1)).encoded == nil)
        #expect(changed(changes: [LeafChange(key: FlatKey(account: .zero, slot: .zero), value: [1])]).encoded == nil)
    }

    @Test func bytesAreRefusedOrCanonical() throws {
        let encoded = try #require(value.encoded)
        var generator = SeededGenerator(seed: 7_002)
        for _ in 0..<1_500 {
            var bytes = encoded
            bytes[Int.random(in: 1..<bytes.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            guard let decoded = try? BlockDiffValue(decoding: bytes) else { continue }
            _ = try? BlockDiffCheck.verify(decoded, key: key, depth: 1)
            let again = try SSZ.decode(bytes.dropFirst(), as: BlockDiffValue.schema)
            #expect(try SSZ.encode(again, as: BlockDiffValue.schema) == Array(bytes.dropFirst()))
        }
    }
}

@Suite struct CodesAndCrownTests {
    @Test func codesComeInTheOrderAskedFor() throws {
        let codes: [[UInt8]] = [[1], [2, 2], [3, 3, 3]]
        let hashes = codes.map { Keccak.hash($0) }
        let key = try #require(CodesKey(near: .zero, hashes: [hashes[2], .max, hashes[0]]))
        let value = CodesValue.serve(key) { hash in hashes.firstIndex(of: hash).map { codes[$0] } }
        let found = try CodesValue.verify(value, key: key)
        #expect(found.map(\.code) == [codes[2], codes[0]])
        #expect(found.map(\.hash) == [hashes[2], hashes[0]])
        let decoded = try SSZ.decode(value.dropFirst(), as: CodesValue.schema)
        #expect(try decoded.elements.map { element throws in try element.bytes } == [codes[2], codes[0]])
        let none = CodesValue.serve(key) { _ in nil }
        #expect(try CodesValue.verify(none, key: key).isEmpty)
        let reversed = try #require(CodesKey(near: .zero, hashes: [hashes[0], hashes[2]]))
        #expect(throws: ContentError.unaskedCode(hashes[0])) { try CodesValue.verify(value, key: reversed) }
        let other = try #require(CodesKey(near: .zero, hashes: [hashes[1]]))
        #expect(throws: ContentError.unaskedCode(hashes[2])) { try CodesValue.verify(value, key: other) }
        #expect(throws: ContentError.status(.status(.historyTooShort))) { try CodesValue.verify([3], key: key) }
    }

    @Test(arguments: [1, 2]) func crownsSurvive(depth: Int) throws {
        var generator = SeededGenerator(seed: 8_001)
        let state = try TestState.random(&generator, accounts: 80, depth: depth)
        let value = CrownValue.serve(state.crown)
        let crown = try CrownValue.verify(value, stateRoot: state.root, depth: depth)
        #expect(crown.root == state.root)
        for section in Section.all(depth: depth) {
            #expect(try crown.sectionHash(section.index) == state.crown.sectionHash(section.index))
        }
        #expect(throws: ContentError.crown(.missingNode(.root))) {
            try CrownValue.verify(value, stateRoot: .max, depth: depth)
        }
        #expect(throws: ContentError.self) {
            try CrownValue.verify(Array(value.dropLast()), stateRoot: state.root, depth: depth)
        }
    }
}
