import Chain
import ChainNetwork
import Primitives

/// `chain-wire.json`: the chain network's own wire (`Specs/wire.md`): keys, values, ping payloads, signed claims,
/// certificates, and what a rule makes of them.
enum ChainWireVectors: VectorSuite {
    static let fileName = "chain-wire.json"

    private typealias Check = (_ vector: JSONValue) throws -> String?

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        let context = ClaimContext(
            chainID: try file["context"]["chainId"].uint64, genesisHash: try file["context"]["genesisHash"].bytes32)
        let lists: [(String, Check)] = [
            ("keys", key), ("pings", ping), ("claims", { try claim($0, context) }),
            ("certificates", { try certificate($0, context) }), ("headers", headers), ("blocks", blocks),
            ("newBlocks", newBlock),
            ("chains", { try chain($0, context) }),
        ]
        var outcomes: [CaseOutcome] = []
        for (list, check) in lists {
            for (index, vector) in try (file[list].ifPresent?.array ?? []).enumerated() {
                let name = "\(list) \(name(of: vector, list, index))"
                outcomes.append(CaseOutcome.judge(name, vector) { try check(vector) })
            }
        }
        guard !outcomes.isEmpty else { throw VectorError.expected("lists of cases", found: "none of them") }
        return outcomes
    }

    private static func key(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let key = try ChainContentKey(decoding: bytes)
        if let schema = WireSchemas.key(bytes[0]),
            let difference = try WireSchemas.difference(bytes.dropFirst(), schema)
        {
            return difference
        }
        return WireFields.difference(WireFields.object(key), vector)
            ?? CaseOutcome.difference("re-encoding", bytes: key.encoded, bytes)
    }

    private static func ping(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let payload = try ChainPingPayload(decoding: bytes)
        return try WireFields.difference(WireFields.object(payload), vector)
            ?? WireSchemas.difference(bytes, WireSchemas.chainPing)
            ?? CaseOutcome.difference("re-encoding", bytes: payload.encoded, bytes)
    }

    // MARK: Claims and certificates

    private static func readClaim(_ value: JSONValue) throws -> Claim {
        guard let kind = Claim.Kind(rawValue: UInt8(truncatingIfNeeded: try value["kind"].uint64)) else {
            throw VectorError.malformed("the kind of a claim")
        }
        let point = StatePoint(
            number: try value["block"]["number"].uint64, hash: try value["block"]["hash"].bytes32)
        return Claim(kind: kind, point: point, unixSeconds: try value["unixSeconds"].uint64)
    }

    /// The signed message, and the signature checked; made again where the case gives the key's seed.
    private static func claim(_ vector: JSONValue, _ context: ClaimContext) throws -> String? {
        let claim = try readClaim(vector["claim"])
        if let message = vector["message"].ifPresent,
            let difference = CaseOutcome.difference("message", bytes: context.message(claim), try message.hex)
        {
            return difference
        }
        let signed = SignedClaim(
            claim: claim, signer: try vector["key"].bytes32, signature: try vector["signature"].hex)
        guard signed.isValid(in: context) else { throw WireRefusal.signature }
        guard let seed = vector["seed"].ifPresent else { return nil }
        guard let key = AttestingKey(seed: try seed.bytes32) else { throw VectorError.malformed("a seed") }
        return CaseOutcome.difference("key", key.publicKey, signed.signer)
            ?? CaseOutcome.difference("signature", bytes: key.sign(claim, in: context).signature, signed.signature)
    }

    private static func certificate(_ vector: JSONValue, _ context: ClaimContext) throws -> String? {
        let bytes = try vector["encoded"].hex
        let certificate = try Certificate(decoding: bytes)
        return WireFields.difference(WireFields.array(certificate, in: context), vector)
            ?? CaseOutcome.difference("re-encoding", bytes: certificate.encoded, bytes)
    }

    // MARK: Headers

    private static func headers(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let value = try HeadersValue(decoding: bytes)
        let schema =
            switch value {
            case .headers: WireSchemas.headers
            case .notServed: WireSchemas.heights
            case .busy: "uint16"
            }
        return try WireFields.difference(WireFields.object(value), vector)
            ?? WireSchemas.difference(bytes.dropFirst(), schema)
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded(), bytes)
    }

    /// The value decodes; and where the case names the hashes that were asked for, its blocks hold, each by itself.
    private static func blocks(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let value = try BlocksValue(decoding: bytes)
        let schema =
            switch value {
            case .blocks: WireSchemas.blocks
            case .notServed: WireSchemas.heights
            case .busy: "uint16"
            }
        if case .blocks(let blocks) = value, let asked = vector["asked"].ifPresent {
            let outcome = BlockCheck(blocks, expecting: try asked.array.map { try $0.bytes32 }).run()
            if let fault = outcome.fault { throw fault }
        }
        return try WireFields.difference(WireFields.object(value), vector)
            ?? WireSchemas.difference(bytes.dropFirst(), schema)
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded, bytes)
    }

    private static func newBlock(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let given = try vector["key"].hex
        let key: ChainContentKey
        do throws(ChainNetworkError) {
            key = try ChainContentKey(decoding: given)
        } catch {
            throw VectorError.malformed("the case's key: \(error)")
        }
        guard case .newBlock(let point) = key else { throw VectorError.malformed("not the key of a new block") }
        let entry = try NewBlockValue.decode(bytes, point: point)
        return try WireFields.difference(WireFields.object(entry), vector)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.newBlock)
            ?? CaseOutcome.difference("re-encoding", bytes: NewBlockValue.encode(entry), bytes)
    }

    /// What the rule *attested* makes of headers answers, taken in one after the other.
    private static func chain(_ vector: JSONValue, _ context: ClaimContext) throws -> String? {
        let point = StatePoint(
            number: try vector["checkpoint"]["number"].uint64, hash: try vector["checkpoint"]["hash"].bytes32)
        let keys = try vector["keys"].array.map { try $0.bytes32 }
        let (length, threshold) = (try vector["epochLength"].uint64, try vector["threshold"].int)
        let configuration: NetworkConfiguration
        do throws(ChainError) {
            configuration = try NetworkConfiguration(
                name: "vectors", chainID: context.chainID, genesisHash: context.genesisHash, checkpoint: point,
                epochLength: length, sectionDepth: 1,
                rule: try NetworkConfiguration.Rule(keys: keys, threshold: threshold, maxAgeSeconds: 60))
        } catch {
            throw VectorError.malformed("the rule: \(error)")
        }
        var chain = AttestedChain(configuration: configuration)
        var anchors: [Anchor] = []
        for value in try vector["answers"].array {
            guard case .headers(let entries) = try HeadersValue(decoding: try value.hex) else {
                throw VectorError.malformed("an answer without headers")
            }
            anchors += try chain.accept(entries).anchors
        }
        let found = JSONValue.object([
            "head": WireFields.object(chain.head), "final": WireFields.object(chain.final),
            "anchors": .array(anchors.map { WireFields.object($0) }),
        ])
        return WireFields.difference(found, vector)
    }
}
