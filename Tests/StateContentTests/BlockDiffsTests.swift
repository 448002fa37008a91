import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Block diffs of a stretch of the ring: joined, taken apart, and every way in which they can be wrong.
@Suite("Block diffs of a stretch") struct BlockDiffsTests {
    private let pair: StatePair
    private let point: StatePoint
    /// Of every section that changed.
    private let diffs: [(section: Int, value: BlockDiffValue)]
    private let key: BlockDiffsKey
    private let value: BlockDiffsValue

    init() throws {
        var generator = SeededGenerator(seed: 7_101)
        let pair = try StatePair(&generator)
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: .max, stateRoot: pair.after.root, number: 12, timestamp: 1_000))
        let claim = Claim(kind: .head, point: header.point, unixSeconds: 5)
        let certificate = try #require(
            Certificate([SignedClaim(claim: claim, signer: .zero, signature: [UInt8](repeating: 1, count: 64))]))
        // Accounts of the test state with n slots have the code [n].
        let known = [[UInt8]]([[1], [2], [5], [40]])
        diffs = try Section.all(depth: 1).compactMap { section in
            let changes = pair.changes(in: section)
            guard !changes.isEmpty else { return nil }
            var view = pair.before.view
            let update = try SectionChange.apply(changes, to: section, in: &view)
            return (
                section.index,
                BlockDiffValue(
                    header: header.rlp, certificate: certificate.encoded,
                    sectionHashBefore: try pair.before.crown.sectionHash(section.index), changes: changes,
                    codes: known.filter { update.newCodeHashes.contains(Keccak.hash($0)) },
                    pathProof: try pair.after.crown.proofNodes(forSection: section.index))
            )
        }
        let joined = BlockDiffsServer.join(diffs, at: header.point)
        try #require(joined.count == 1 && diffs.count > 10)
        key = joined[0].key
        value = try BlockDiffsValue(decoding: joined[0].value)
        point = header.point
        self.pair = pair
    }

    // MARK: What is true

    @Test func takenApartItSaysWhatEachSectionsDiffSays() throws {
        #expect(key.first == diffs.first?.section && key.last == diffs.last?.section)
        let claims = try BlockDiffsCheck.verify(value, key: key, depth: 1)
        #expect(claims.header.point == point && claims.header.certificate?.claims.count == 1)
        #expect(claims.parts.map(\.section) == diffs.map(\.section))
        var codes: Set<[UInt8]> = []
        for (part, diff) in zip(claims.parts, diffs) {
            let section = Section(depth: 1, index: part.section)
            #expect(part.sectionHashAfter == (try pair.after.crown.sectionHash(part.section)))
            var view = pair.before.view
            let (update, found) = try BlockDiffCheck.apply(
                part.value, to: section, expecting: part.sectionHashAfter, leavingKnownCodes: true, in: &view)
            #expect(update.wireChanges == diff.value.changes)
            #expect(found.map(\.code) == diff.value.codes)
            codes.formUnion(found.map(\.code))
            let new = found.map(\.hash)
            #expect(part.value.keepingCodes { new.contains($0) } == diff.value)
        }
        #expect(!codes.isEmpty && value.codes.count == codes.count, "each code once")
        #expect(Set(value.proof).count == value.proof.count && value.proof.count < diffs.count, "each node once")
    }

    @Test func columnsAreTheSchema() throws {
        let decoded = try SSZ.decode(value.encoded.dropFirst(), as: BlockDiffsValue.schema)
        #expect(try SSZ.encode(decoded, as: BlockDiffsValue.schema) == Array(value.encoded.dropFirst()))
    }

    /// One block has one certificate for all sections, and the bytes that every section's diff repeats.
    @Test func whatIsSharedIsThereOnce() throws {
        let apart = diffs.reduce(0) { $0 + ($1.value.encoded?.count ?? 0) }
        let shared = value.header.count + value.certificate.count + value.proof.reduce(0) { $0 + $1.count }
        let changes = diffs.reduce(0) { $0 + (ChangeColumns($1.value.changes)?.encodedCount ?? 0) }
        #expect(value.encoded.count < shared + changes + 64 * diffs.count)
        #expect(value.encoded.count * 2 < apart)
    }

    @Test func theCertificateWithMostClaimsIsTaken() throws {
        var mixed = diffs
        mixed[0].value = mixed[0].value.certified(by: [])
        let joined = BlockDiffsServer.join(mixed, at: point)
        #expect(try BlockDiffsValue(decoding: joined[0].value) == value)
    }

    @Test func whatIsTooMuchGoesInSeveralStretches() throws {
        let limit = 6_000
        let joined = BlockDiffsServer.join(diffs, at: point, limit: limit)
        try #require(joined.count > 2)
        var sections: [Int] = []
        for (key, bytes) in joined {
            #expect(bytes.count <= limit)
            let claims = try BlockDiffsCheck.verify(try BlockDiffsValue(decoding: bytes), key: key, depth: 1)
            sections += claims.parts.map(\.section)
        }
        let whole = diffs.filter { one in BlockDiffsServer.join([one], at: point, limit: limit).count == 1 }
        #expect(sections == whole.map(\.section), "all that fits at all, in order, each once")
        #expect(BlockDiffsServer.join([], at: point).isEmpty)
    }

    /// The size that decides what fits is that of the bytes.
    @Test func theLimitIsMetToTheByte() {
        let size = value.encoded.count
        #expect(BlockDiffsServer.join(diffs, at: point, limit: size).count == 1)
        #expect(BlockDiffsServer.join(diffs, at: point, limit: size - 1).count == 2)
    }

    // MARK: What is false

    private func failure(_ value: BlockDiffsValue, _ key: BlockDiffsKey? = nil, depth: Int = 1) -> DiffError? {
        do throws(DiffError) {
            // As it comes: by its bytes.
            _ = try BlockDiffsCheck.verify(
                try BlockDiffsValue(decoding: value.encoded), key: key ?? self.key, depth: depth)
            return nil
        } catch {
            return error
        }
    }

    private func changed(
        header: [UInt8]? = nil, certificate: [UInt8]? = nil, hashes: [Bytes32]? = nil, changes: [LeafChange]? = nil,
        codes: [[UInt8]]? = nil, proof: [[UInt8]]? = nil
    ) throws -> BlockDiffsValue {
        BlockDiffsValue(
            header: header ?? value.header, certificate: certificate ?? value.certificate,
            sectionHashesBefore: hashes ?? value.sectionHashesBefore,
            columns: try #require(ChangeColumns(changes ?? value.changes)), codes: codes ?? value.codes,
            proof: proof ?? value.proof)
    }

    private func stretch(_ first: Int, _ last: Int) throws -> BlockDiffsKey {
        try #require(BlockDiffsKey(point: point, first: first, last: last))
    }

    @Test func theHeaderIsTheKeysAndTheCertificateReadable() throws {
        let other = try #require(BlockDiffsKey(point: StatePoint(number: 12, hash: .max), first: 0, last: 15))
        #expect(failure(value, other) == .wrongHeader)
        #expect(failure(try changed(header: [0xc0])) == .wrongHeader)
        #expect(failure(try changed(certificate: [1])) == .malformedCertificate(.certificate(.wrongSize(bytes: 1))))
    }

    @Test func theStretchBeginsAndEndsWithAChangedSection() throws {
        let (first, last) = (key.first, key.last)
        #expect(failure(value, try stretch(first, last + 1)) == .wrongSections, "15 is the last there is")
        #expect(failure(value, try stretch(first + 1, last)) == .wrongSections, "a section before the stretch")
        #expect(failure(value, try stretch(first, last - 1)) == .wrongSections, "a section after the stretch")
        let inner = value.changes.filter { Section(of: $0.key.account, depth: 1).index != last }
        #expect(failure(try changed(hashes: value.sectionHashesBefore.dropLast(), changes: inner)) == .wrongSections)
        #expect(failure(try changed(hashes: [], changes: [], codes: [], proof: [])) == .wrongSections, "empty")
        #expect(failure(value, depth: 0) == .wrongSections)
    }

    @Test func everySectionHasOneHashOfTheStateBefore() throws {
        let count = diffs.count
        #expect(
            failure(try changed(hashes: value.sectionHashesBefore.dropLast()))
                == .wrongHashCount(sections: count, hashes: count - 1))
        #expect(
            failure(try changed(hashes: value.sectionHashesBefore + [.zero]))
                == .wrongHashCount(sections: count, hashes: count + 1))
        // A section without its changes, between the first and the last.
        let middle = diffs[1].section
        let changes = value.changes.filter { Section(of: $0.key.account, depth: 1).index != middle }
        #expect(
            failure(try changed(changes: changes)) == .wrongHashCount(sections: count - 1, hashes: count))
    }

    @Test func theProofHasEveryNodeOnce() throws {
        let proof = value.proof
        #expect(failure(try changed(proof: [])) == .proof(.missingNode(.root)))
        for place in proof.indices {
            var fewer = proof
            fewer.remove(at: place)
            guard case .proof(.missingNode)? = failure(try changed(proof: fewer)) else {
                Issue.record("node \(place) is not missed")
                continue
            }
            #expect(failure(try changed(proof: proof + [proof[place]])) == .proof(.repeatedNode))
        }
        let foreign = TrieNode.leaf(suffix: Nibbles(.max), value: [UInt8](repeating: 7, count: 40)).encoded
        #expect(failure(try changed(proof: proof + [foreign])) == .proof(.unusedNode))
        var altered = proof
        altered[0][5] ^= 1
        #expect(failure(try changed(proof: altered)) == .proof(.missingNode(.root)))
    }

    @Test func codesAreThoseThatAccountsNameInOrder() throws {
        try #require(value.codes.count > 1)
        let foreign: [UInt8] = [0xfe]
        let codes = value.codes
        let last = try #require(codes.last)
        let isFirst = Keccak.hash(foreign) < Keccak.hash(codes[0])
        #expect(
            failure(try changed(codes: isFirst ? [foreign] + codes : codes + [foreign]))
                == .unexpectedCode(Keccak.hash(foreign)))
        #expect(failure(try changed(codes: codes + [last])) == .unexpectedCode(Keccak.hash(last)))
        let reversed = Array(codes.reversed())
        #expect(failure(try changed(codes: reversed)) == .unexpectedCode(Keccak.hash(reversed[1])))
        #expect(failure(try changed(codes: [])) == nil, "what lacks is asked for")
    }

    /// What its own words cannot show is found by applying it: a wrong leaf, a leaf left out.
    @Test func aWrongLeafIsFoundInItsSectionAlone() throws {
        var changes = value.changes
        let place = try #require(changes.firstIndex { $0.key.slot == nil && $0.value == nil })
        let removed = changes.remove(at: place)
        let wrong = Section(of: removed.key.account, depth: 1).index
        let lacksSection = !changes.contains { Section(of: $0.key.account, depth: 1).index == wrong }
        try #require(!lacksSection)
        let claims = try BlockDiffsCheck.verify(try changed(changes: changes), key: key, depth: 1)
        for part in claims.parts {
            var view = pair.before.view
            let outcome = Result {
                try BlockDiffCheck.apply(
                    part.value, to: Section(depth: 1, index: part.section), expecting: part.sectionHashAfter,
                    leavingKnownCodes: true, in: &view)
            }
            switch outcome {
            case .success: #expect(part.section != wrong)
            case .failure(let error):
                #expect(part.section == wrong)
                #expect(error as? DiffError == .sectionHashMismatch(section: wrong))
            }
        }
    }

    @Test func bytesThatAreNoneAreRefusedByName() throws {
        #expect(throws: DiffError.status(.status(.busy(seconds: 1)))) { try BlockDiffsValue(decoding: [2, 1, 0]) }
        #expect(throws: DiffError.malformed(.wrongSize)) { try BlockDiffsValue(decoding: [0]) }
        let size = StateContentLimits.offeredDiffBytes + 1
        #expect(throws: DiffError.overMaxBytes(size)) {
            try BlockDiffsValue(decoding: [UInt8](repeating: 0, count: size))
        }
        func decode(_ value: BlockDiffsValue) -> DiffError? {
            do throws(DiffError) {
                _ = try BlockDiffsValue(decoding: value.encoded)
                return nil
            } catch {
                return error
            }
        }
        let overLimit = DiffError.malformed(.overLimit)
        #expect(decode(try changed(header: [UInt8](repeating: 1, count: ChainLimits.headerBytes + 1))) == overLimit)
        #expect(
            decode(try changed(certificate: [UInt8](repeating: 1, count: BlockDiffValue.certificateBytes + 1)))
                == overLimit)
        let hashes = [Bytes32](repeating: .zero, count: StateContentLimits.stretchSections + 1)
        #expect(decode(try changed(hashes: hashes)) == overLimit)
        let codes = Array(repeating: [UInt8(1)], count: StateContentLimits.blockCodes + 1)
        #expect(decode(try changed(codes: codes)) == overLimit)
        #expect(decode(try changed(codes: [[UInt8](repeating: 1, count: ChainLimits.codeBytes + 1)])) == overLimit)
        #expect(
            decode(try changed(proof: [[UInt8](repeating: 1, count: StateContentLimits.nodeBytes + 1)])) == overLimit)
        #expect(
            decode(try changed(proof: Array(repeating: [1], count: StateContentLimits.crownNodes + 1))) == overLimit)
        // Accounts out of order, and so sections out of order.
        let reversed = diffs.reversed().flatMap(\.value.changes)
        #expect(decode(try changed(changes: reversed)) == .malformed(.wrongShape))
    }

    /// As many leaves as there may be, and one more.
    @Test func theLargestNumberOfLeavesIsTaken() throws {
        func columns(_ count: Int) -> ChangeColumns {
            var columns = ChangeColumns()
            for index in 0..<count {
                let change = LeafChange(key: FlatKey(account: Bytes32(UInt64(index), 0, 0, 0)), value: [0xc0])
                if let one = ChangeColumns([change]) { columns.append(one) }
            }
            return columns
        }
        func decode(_ columns: ChangeColumns) -> Result<BlockDiffsValue, DiffError> {
            let value = BlockDiffsValue(
                header: [], certificate: [], sectionHashesBefore: [], columns: columns, codes: [], proof: [])
            return Result { () throws(DiffError) in try BlockDiffsValue(decoding: value.encoded) }
        }
        var most = columns(StateContentLimits.leaves)
        #expect(try decode(most).get().columns.leafCount == StateContentLimits.leaves)
        let last = LeafChange(key: FlatKey(account: .max), value: [0xc0])
        most.append(try #require(ChangeColumns([last])))
        #expect(decode(most) == .failure(.malformed(.overLimit)))
    }

    @Test func bytesAreRefusedOrCanonical() throws {
        let encoded = value.encoded
        var generator = SeededGenerator(seed: 7_102)
        var refused = 0
        for _ in 0..<1_500 {
            var bytes = encoded
            bytes[Int.random(in: 1..<bytes.count, using: &generator)] ^= UInt8.random(in: 1...255, using: &generator)
            guard let decoded = try? BlockDiffsValue(decoding: bytes) else {
                refused += 1
                continue
            }
            _ = try? BlockDiffsCheck.verify(decoded, key: key, depth: 1)
            #expect(decoded.encoded == bytes)
        }
        #expect(refused > 0)
    }

    // MARK: Keys

    @Test func aKeyNamesAStretch() throws {
        let bytes = StateContentKey.blockDiffs(key).encoded
        #expect(bytes.first == 0x4a)
        #expect(try StateContentKey(decoding: bytes) == .blockDiffs(key))
        #expect(BlockDiffsKey(point: point, first: 4, last: 3) == nil)
        #expect(BlockDiffsKey(point: point, first: -1, last: 3) == nil)
        #expect(BlockDiffsKey(point: point, first: 0, last: 1 << 32) == nil)
        // The last section below the first, in bytes.
        var turned = StateContentKey.blockDiffs(try stretch(2, 3)).encoded
        let place = try #require(turned.indices.first { turned[$0...].starts(with: [2, 0, 0, 0, 3, 0, 0, 0]) })
        turned.swapAt(place, place + 4)
        #expect(throws: StateContentError.invalid("the bounds, sections, hashes or trie of a blockDiffs key")) {
            try StateContentKey(decoding: turned)
        }
        let position = StateContentKey.blockDiffs(try stretch(2, 3)).position(sectionDepth: 1)
        #expect(position == Section(depth: 1, index: 2).firstKey)
    }
}
