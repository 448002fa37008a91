import Chain
import MerklePatricia
import Primitives

/// `portal-state.json`: content of Portal's retired state network, which nobody serves any more but whose proofs are
/// of mainnet. `cases` (key, offer and header must fit together), `serialization` and `nibbles`.
enum PortalStateVectors: VectorSuite {
    static let fileName = "portal-state.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        let cases = try file["cases"].array
        for (index, vector) in cases.enumerated() {
            outcomes.append(
                CaseOutcome.judge(TrieVectors.name(of: vector, "cases", index), vector) { try content(vector) })
        }
        for (index, vector) in try file["serialization"].ifPresent?.array.enumerated() ?? [].enumerated() {
            let name = "serialization " + TrieVectors.name(of: vector, "serialization", index)
            outcomes.append(CaseOutcome.judge(name, vector) { try serialization(vector, cases) })
        }
        for (index, vector) in try file["nibbles"].ifPresent?.array.enumerated() ?? [].enumerated() {
            outcomes.append(CaseOutcome.judge("nibbles[\(index)]", vector) { try nibbles(vector) })
        }
        return outcomes
    }

    private static func content(_ vector: JSONValue) throws -> String? {
        let keyBytes = try vector["contentKey"].hex
        let key = try PortalStateKey(decoding: keyBytes)
        guard SHA256.hash(keyBytes) == (try vector["contentId"].bytes32) else { throw PortalStateError.contentID }
        guard try key.encoded == keyBytes else { return "the key re-encodes differently" }
        let offerBytes = try vector["contentValueOffer"].hex
        let offer = try PortalStateOffer(decoding: offerBytes, of: key.kind)
        guard try offer.encoded == offerBytes else { return "the offer re-encodes differently" }
        let headerBytes = try vector["blockHeader"].hex
        guard Keccak.hash(headerBytes) == offer.blockHash else { throw PortalStateError.blockHash }
        let header = try BlockHeader(rlp: headerBytes)
        if let root = vector["stateRoot"].ifPresent,
            let difference = CaseOutcome.difference("state root", header.stateRoot, try root.bytes32)
        {
            return difference
        }
        let item = try offer.verify(key, stateRoot: header.stateRoot)
        if let retrieval = vector["contentValueRetrieval"].ifPresent {
            let value = try SSZ.decode(try retrieval.hex, as: PortalStateOffer.retrievalType(of: key.kind))
            guard try value.fields[0].bytes == item else { throw PortalStateError.retrieval }
        }
        return nil
    }

    private static func serialization(_ vector: JSONValue, _ cases: [JSONValue]) throws -> String? {
        if let name = vector["sameAsCase"].ifPresent {
            guard let same = cases.first(where: { $0["name"] == name }) else {
                throw VectorError.malformed("no case of that name")
            }
            return try reencoding(vector, same)
        }
        let inputs = vector["inputs"]
        if let node = inputs["trieNode"].ifPresent {
            let value = SSZValue.fields([.bytes(try node.hex)])
            let encoded = try SSZ.encode(value, as: PortalStateOffer.retrievalType(of: .accountNode))
            return CaseOutcome.difference("value", bytes: encoded, try vector["contentValue"].hex)
        }
        let path = try inputs["path"].ifPresent.map { try nibbles(of: $0) } ?? .root
        let address = try inputs["address"].ifPresent.map { Keccak.hash(try $0.hex) }
        let key: PortalStateKey =
            switch (address, inputs["codeHash"].ifPresent) {
            case (let address?, let code?): .code(account: address, hash: try code.bytes32)
            case (let address?, nil): .storageNode(account: address, path: path, hash: try inputs["nodeHash"].bytes32)
            default: .accountNode(path: path, hash: try inputs["nodeHash"].bytes32)
            }
        let encoded = try key.encoded
        let id = try vector["contentId"].bytes32
        return CaseOutcome.difference("key", bytes: encoded, try vector["contentKey"].hex)
            ?? CaseOutcome.difference("content id", SHA256.hash(encoded), id)
    }

    /// Encodes what the other case's `decoded` lists; without a block hash it is the retrieval value.
    private static func reencoding(_ vector: JSONValue, _ same: JSONValue) throws -> String? {
        let decoded = same["decoded"]
        func nodes(_ name: String) throws -> [[UInt8]] { try decoded[name].array.map { node throws in try node.hex } }
        guard let blockHash = try vector["blockHash"].ifPresent?.bytes32 else {
            let value = SSZValue.fields([.bytes(try decoded["code"].hex)])
            let encoded = try SSZ.encode(value, as: PortalStateOffer.retrievalType(of: .code))
            return CaseOutcome.difference("value", bytes: encoded, try same["contentValueRetrieval"].hex)
        }
        let offer: PortalStateOffer =
            switch try same["kind"].string {
            case "accountTrieNode": .accountNode(proof: try nodes("proof"), blockHash: blockHash)
            case "contractStorageTrieNode":
                .storageNode(
                    proof: try nodes("storageProof"), accountProof: try nodes("accountProof"), blockHash: blockHash)
            case "contractBytecode":
                .code(
                    code: try decoded["code"].hex, accountProof: try nodes("accountProof"), blockHash: blockHash)
            case let kind: throw VectorError.malformed("no kind \(kind)")
            }
        return CaseOutcome.difference("offer", bytes: try offer.encoded, try same["contentValueOffer"].hex)
    }

    private static func nibbles(of json: JSONValue) throws -> Nibbles {
        let nibbles = try json.array.map { nibble throws in UInt8(truncatingIfNeeded: try nibble.int) }
        guard let path = Nibbles(storeKey: nibbles) else { throw VectorError.malformed("no path of nibbles") }
        return path
    }

    private static func nibbles(_ vector: JSONValue) throws -> String? {
        let encoded = try vector["encoded"].hex
        let path = try PortalStateKey.path(encoded)
        let expected = try nibbles(of: vector["nibbles"])
        return CaseOutcome.difference("nibbles", path, expected)
            ?? CaseOutcome.difference("encoded", bytes: path.compact(isLeaf: false), encoded)
    }
}
