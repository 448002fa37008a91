import Chain
import ChainNetwork
import Primitives

/// Records `chain-wire.json`.
struct ChainRecorder {
    var lists = RecordedLists()
    private let context: ClaimContext
    private let seeds: [Bytes32]
    private let keys: [AttestingKey]
    /// Genesis and eight blocks above it.
    let headers: [BlockHeader]

    init() throws {
        var generator = SeededGenerator(seed: 0x4342)
        seeds = (0..<3).map { _ in generator.hash() }
        keys = seeds.compactMap { AttestingKey(seed: $0) }
        guard keys.count == seeds.count else { throw VectorError.malformed("no keys can be made") }
        var headers: [BlockHeader] = []
        var parent = Bytes32.zero
        for number in 0...8 as ClosedRange<UInt64> {
            let header = try BlockHeader(
                BlockHeader.Fields(
                    parentHash: parent, stateRoot: generator.hash(), number: number, timestamp: 1_000 + 12 * number))
            headers.append(header)
            parent = header.hash
        }
        self.headers = headers
        context = ClaimContext(chainID: 7_001, genesisHash: headers[0].hash)
    }

    func document() throws -> JSONValue {
        var recorder = self
        return try recorder.recorded()
    }

    private mutating func recorded() throws -> JSONValue {
        recordKeys()
        recordPings()
        recordClaims()
        recordCertificates()
        recordHeaders()
        recordNewBlocks()
        try recordBlocks()
        try recordChains()
        return lists.document([
            "context": .object([
                "chainId": WireFields.integer(context.chainID), "genesisHash": WireFields.hash(context.genesisHash),
            ])
        ])
    }

    // MARK: Keys, pings

    private mutating func recordKeys() {
        func key(_ name: String, _ key: ChainContentKey) {
            lists.add("keys", name, key.encoded, ["decoded": WireFields.object(key)])
        }
        let cases: [(String, HeadersKey?)] = [
            ("headers-up-from-number", HeadersKey(start: .number(5), count: 100)),
            ("headers-from-hash-down", HeadersKey(start: .hash(headers[8].hash), count: 1, direction: .downward)),
            ("headers-doubling", HeadersKey(start: .number(.max), count: 64, stride: 0, direction: .downward)),
            ("headers-most", HeadersKey(start: .number(0), count: 1_000, stride: .max)),
        ]
        for (name, headers) in cases { if let headers { key(name, .headers(headers)) } }
        key("new-block", .newBlock(headers[3].point))
        let blocks: [(String, BlocksKey?)] = [
            ("blocks-up", BlockRun(start: headers[5].hash, count: 256).map { .run($0) }),
            ("blocks-down-most", BlockRun(start: .max, count: 1_000, direction: .downward).map { .run($0) }),
            ("blocks-one-hash", BlocksKey(of: [headers[1].hash])),
            ("blocks-most-hashes", BlocksKey(of: (0..<20).map { Bytes32(UInt64($0), 0, 0, 1) })),
        ]
        for (name, blocks) in blocks { if let blocks { key(name, .blocks(blocks)) } }
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("keys", "bad-\(name)", bytes, valid: false) }
        guard let base = cases[0].1 else { return }
        let bytes = ChainContentKey.headers(base).encoded
        func changed(_ edits: [Int: UInt8]) -> [UInt8] {
            var changed = bytes
            for (place, byte) in edits { changed[place] = byte }
            return changed
        }
        refused("empty", [])
        refused("blocks-0x51", [0x51] + bytes.dropFirst())
        recordBadBlocksKeys()
        refused("selector-0x53", [0x53] + bytes.dropFirst())
        refused("selector-0x40", [0x40] + bytes.dropFirst())
        refused("headers-cut", Array(bytes.dropLast()))
        refused("headers-a-byte-more", bytes + [0])
        // After the selector: offset 4, count 2, stride 2, direction 1, then the union.
        refused("headers-offset", changed([1: 10]))
        refused("headers-count-0", changed([5: 0, 6: 0]))
        refused("headers-count-1001", changed([5: 0xe9, 6: 0x03]))
        refused("headers-direction-2", changed([9: 2]))
        refused("headers-start-2", changed([10: 2]))
        let block = ChainContentKey.newBlock(headers[3].point).encoded
        refused("new-block-cut", Array(block.dropLast()))
        refused("new-block-a-byte-more", block + [0])
    }

    private mutating func recordPings() {
        func ping(_ name: String, _ lowest: UInt64, _ highest: UInt64, _ head: BlockHeader) {
            let payload = ChainPingPayload(
                genesisHash: context.genesisHash, lowest: lowest, highest: highest, headHash: head.hash,
                certified: head.number)
            lists.add("pings", name, payload.encoded, ["decoded": WireFields.object(payload)])
            guard name == "all" else { return }
            lists.add("pings", "bad-cut", Array(payload.encoded.dropLast()), valid: false)
            lists.add("pings", "bad-a-byte-more", payload.encoded + [0], valid: false)
        }
        ping("all", 0, 8, headers[8])
        ping("nothing-served", 1, 0, headers[0])
        ping("largest", .max, .max, headers[1])
        lists.add("pings", "bad-empty", [], valid: false)
    }

    // MARK: Claims, certificates

    private func claim(_ kind: Claim.Kind, _ number: Int, seconds: UInt64 = 2_000) -> Claim {
        Claim(kind: kind, point: headers[number].point, unixSeconds: seconds)
    }

    private func signed(_ key: Int, _ kind: Claim.Kind, _ number: Int, seconds: UInt64 = 2_000) -> SignedClaim {
        keys[key].sign(claim(kind, number, seconds: seconds), in: context)
    }

    private mutating func recordClaims() {
        for (name, place, kind, number) in [
            ("head", 0, Claim.Kind.head, 8), ("final", 1, .final, 6), ("genesis", 2, .head, 0),
        ] {
            let signed = signed(place, kind, number)
            let fields: [String: JSONValue] = [
                "claim": WireFields.object(signed.claim), "key": WireFields.hash(signed.signer),
                "signature": WireFields.hex(signed.signature),
            ]
            lists.add(
                "claims", name, nil,
                fields.merging([
                    "seed": WireFields.hash(seeds[place]), "message": WireFields.hex(context.message(signed.claim)),
                ]) { $1 })
            var broken = signed.signature
            broken[40] ^= 1
            let other = ClaimContext(chainID: context.chainID + 1, genesisHash: context.genesisHash)
            let elsewhere = keys[place].sign(signed.claim, in: other).signature
            let later = claim(kind, number, seconds: 2_001)
            for (lie, change) in [
                ("signature-bit", ["signature": WireFields.hex(broken)]),
                ("signature-cut", ["signature": WireFields.hex(Array(signed.signature.dropLast()))]),
                ("for-another-chain", ["signature": WireFields.hex(elsewhere)]),
                ("at-another-time", ["claim": WireFields.object(later)]),
                ("by-another-key", ["key": WireFields.hash(keys[(place + 1) % 3].publicKey)]),
            ] {
                lists.add("claims", "\(name)-\(lie)", nil, valid: false, fields.merging(change) { $1 })
            }
        }
    }

    private mutating func recordCertificates() {
        func certificate(_ name: String, _ claims: [SignedClaim]) -> [UInt8] {
            guard let certificate = Certificate(claims) else { return [] }
            lists.add(
                "certificates", name, certificate.encoded,
                ["decoded": WireFields.array(certificate, in: context)])
            return certificate.encoded
        }
        _ = certificate("one-head", [signed(0, .head, 8)])
        let forged = SignedClaim(
            claim: claim(.head, 8), signer: keys[2].publicKey, signature: [UInt8](repeating: 9, count: 64))
        _ = certificate("forged-signature-is-read", [signed(0, .head, 8), forged])
        let all = certificate(
            "heads-and-finals-of-three", [0, 1, 2].flatMap { [signed($0, .head, 8), signed($0, .final, 6)] })
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("certificates", "bad-\(name)", bytes, valid: false) }
        let size = SignedClaim.byteCount
        refused("empty", [])
        refused("cut", Array(all.dropLast()))
        refused("a-byte-more", all + [0])
        refused("kind-2", [2] + all.dropFirst())
        refused("claims-swapped", Array(all[size..<(2 * size)] + all[..<size] + all[(2 * size)...]))
        refused("claim-twice", Array(all[..<size] + all[..<size]))
        refused("129-claims", (0..<129).flatMap { _ in Array(all[..<size]) })
    }

    // MARK: Headers, new blocks

    private func certified(_ number: Int, _ claims: [SignedClaim] = []) -> CertifiedHeader {
        CertifiedHeader(header: headers[number], certificate: Certificate(claims))
    }

    private mutating func recordHeaders() {
        func value(_ name: String, _ value: HeadersValue) -> [UInt8] {
            let bytes = value.encoded()
            lists.add("headers", name, bytes, ["decoded": WireFields.object(value)])
            return bytes
        }
        _ = value("three-one-certified", .headers([certified(1), certified(2), certified(3, [signed(0, .head, 3)])]))
        let one = value("one", .headers([certified(8, [signed(1, .head, 8), signed(1, .final, 6)])]))
        _ = value("not-served", .notServed(lowest: 3, highest: 2))
        _ = value("busy", .busy(seconds: 5))
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("headers", "bad-\(name)", bytes, valid: false) }
        refused("empty", [])
        refused("none", [0])
        refused("status-3", [3])
        refused("cut", Array(one.dropLast()))
        refused("a-byte-more", one + [0])
        refused("not-served-cut", [1] + [UInt8](repeating: 0, count: 15))
        refused("busy-cut", [2, 0])
        // Item's offset 4, header's and certificate's offsets 8, then the header's RLP.
        var header = one
        header[13] = 0x80
        refused("header", header)
        var offset = one
        offset[5] = 9
        refused("offset", offset)
    }

    private mutating func recordNewBlocks() {
        func field(_ point: StatePoint) -> [String: JSONValue] {
            ["key": WireFields.hex(ChainContentKey.newBlock(point).encoded)]
        }
        for (name, entry) in [
            ("certified", certified(4, [signed(0, .head, 4), signed(2, .head, 4)])),
            ("without-certificate", certified(5)),
        ] {
            lists.add(
                "newBlocks", name, NewBlockValue.encode(entry),
                field(entry.point).merging(["decoded": WireFields.object(entry)]) { $1 })
        }
        let entry = certified(4, [signed(0, .head, 4)])
        let bytes = NewBlockValue.encode(entry)
        func refused(_ name: String, _ bytes: [UInt8], _ number: Int = 4) {
            lists.add("newBlocks", "bad-\(name)", bytes, valid: false, field(headers[number].point))
        }
        refused("of-another-block", bytes, 5)
        refused("cut", Array(bytes.dropLast()))
        refused("a-byte-more", bytes + [0])
        refused("status-1", [1] + bytes.dropFirst())
        refused("empty", [])
    }

    // MARK: The rule

    private mutating func recordChains() throws {
        let line = (1...8).map { certified($0) }
        func with(_ claims: [SignedClaim], at number: Int) -> [CertifiedHeader] {
            line.map { $0.header.number == UInt64(number) ? certified(number, claims) : $0 }
        }
        let heads = [0, 1].map { signed($0, .head, 7) }
        let finals = [0, 1].map { signed($0, .final, 5) }
        let forged = SignedClaim(
            claim: claim(.head, 7), signer: keys[1].publicKey, signature: signed(0, .head, 7).signature)
        for (name, entries, head, final) in [
            ("two-of-three", with(heads + finals, at: 7), 7, 5), ("one-is-not-enough", with([heads[0]], at: 7), 0, 0),
            ("head-without-final", with(heads, at: 7), 7, 0),
        ] {
            let anchors = [2, 4, 6, 8].filter { $0 <= final }.map { number in
                WireFields.object(Anchor(epoch: UInt64(number / 2), hash: headers[number].hash))
            }
            add(
                name, [Array(entries[..<4]), Array(entries[4...])],
                decoded: .object([
                    "head": WireFields.object(headers[head].point), "final": WireFields.object(headers[final].point),
                    "anchors": .array(anchors),
                ]))
        }
        add("forged-claim", [with([heads[0], forged], at: 7)], decoded: nil)
        let other = try BlockHeader(
            BlockHeader.Fields(parentHash: headers[4].hash, stateRoot: .max, number: 5, timestamp: 1_060))
        let fork = CertifiedHeader(
            header: other,
            certificate: Certificate(
                [0, 1].map { keys[$0].sign(Claim(kind: .final, point: other.point, unixSeconds: 3), in: context) }))
        add("two-finals-not-on-one-line", [with(heads + finals, at: 7), [fork]], decoded: nil)
        add("does-not-join", [Array(line[1...])], decoded: nil)
    }

    /// An answer a batch; refused where `decoded` is nil.
    private mutating func add(_ name: String, _ batches: [[CertifiedHeader]], decoded: JSONValue?) {
        var fields: [String: JSONValue] = [
            "checkpoint": WireFields.object(headers[0].point), "threshold": .integer(2), "epochLength": .integer(2),
            "keys": .array(keys.map { WireFields.hash($0.publicKey) }),
            "answers": .array(batches.map { WireFields.hex(HeadersValue.headers($0).encoded()) }),
        ]
        if let decoded { fields["decoded"] = decoded }
        lists.add("chains", name, nil, valid: decoded != nil, fields)
    }
}
