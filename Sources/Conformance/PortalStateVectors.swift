import Chain
import MerklePatricia
import Primitives

/// `portal-state.json`: content of Portal's retired state network, trie nodes and code with proofs from a block's state
/// root. The network here does not speak it; the proofs are of the real chain, so its nodes and paths are read with
/// what the node itself uses.
enum PortalStateVectors: VectorSuite {
    static let fileName = "portal-state.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        let cases = try file["cases"].array
        var outcomes: [CaseOutcome] = []
        for vector in cases {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try content(vector) })
        }
        for vector in try file["serialization"].array {
            let name = "serialization-\(try vector["name"].string)"
            outcomes.append(CaseOutcome.judge(name, vector) { try serialization(vector, cases: cases) })
        }
        for (index, vector) in try file["nibbles"].array.enumerated() {
            outcomes.append(CaseOutcome.judge("nibbles-\(index)", vector) { try nibbles(vector) })
        }
        return outcomes
    }

    // MARK: Content with its proof

    private static func content(_ vector: JSONValue) throws -> String? {
        let keyBytes = try vector["contentKey"].hex
        let key = try PortalStateKey(decoding: keyBytes)
        guard SHA256.hash(keyBytes) == (try vector["contentId"].bytes32) else { throw PortalStateError.contentID }
        let offerBytes = try vector["contentValueOffer"].hex
        let offer = try PortalStateOffer(decoding: offerBytes, kind: key.kind)
        let header = try BlockHeader(rlp: try vector["blockHeader"].hex)
        guard header.hash == offer.blockHash else { throw PortalStateError.blockHash }
        let item = try offer.verify(key, stateRoot: header.stateRoot)
        if let retrieval = vector["contentValueRetrieval"].ifPresent {
            guard try PortalStateKind.retrieved(try retrieval.hex, as: key.kind) == item else {
                throw PortalStateError.retrieval
            }
        }
        if let name = vector["kind"].ifPresent,
            let difference = CaseOutcome.difference("kind", key.kind.rawValue, try name.string)
        {
            return difference
        }
        if let hash = vector["blockHash"].ifPresent,
            let difference = CaseOutcome.difference("block hash", header.hash, try hash.bytes32)
        {
            return difference
        }
        if let number = vector["blockNumber"].ifPresent,
            let difference = CaseOutcome.difference("block number", header.number, try number.uint64)
        {
            return difference
        }
        if let root = vector["stateRoot"].ifPresent,
            let difference = CaseOutcome.difference("state root", header.stateRoot, try root.bytes32)
        {
            return difference
        }
        return try CaseOutcome.difference("key encoding", bytes: key.encoded(), keyBytes)
            ?? CaseOutcome.difference("offer encoding", bytes: offer.encoded(), offerBytes)
    }

    // MARK: Encodings

    private static func serialization(_ vector: JSONValue, cases: [JSONValue]) throws -> String? {
        if let name = vector["sameAsCase"].ifPresent {
            guard let other = try cases.first(where: { try $0["name"].string == (try name.string) }) else {
                throw VectorError.malformed("sameAsCase")
            }
            return try sameAs(other, vector)
        }
        let inputs = vector["inputs"]
        if let node = inputs["trieNode"].ifPresent {
            let encoded = try PortalStateKind.retrieval(try node.hex, as: .accountTrieNode)
            return CaseOutcome.difference("value", bytes: encoded, try vector["contentValue"].hex)
        }
        let key: PortalStateKey
        switch (inputs.has("address"), inputs.has("path"), inputs.has("codeHash")) {
        case (false, true, false):
            key = .accountNode(path: try path(inputs["path"]), node: try inputs["nodeHash"].bytes32)
        case (true, true, false):
            key = .storageNode(
                address: Keccak.hash(try inputs["address"].hex), path: try path(inputs["path"]),
                node: try inputs["nodeHash"].bytes32)
        case (true, false, true):
            key = .code(address: Keccak.hash(try inputs["address"].hex), code: try inputs["codeHash"].bytes32)
        default: throw VectorError.malformed("inputs")
        }
        let encoded = try key.encoded()
        return try CaseOutcome.difference("key", bytes: encoded, vector["contentKey"].hex)
            ?? CaseOutcome.difference("content id", SHA256.hash(encoded), vector["contentId"].bytes32)
    }

    /// Encodes from the parts that the other case lists, and compares with its bytes: the offer where this case names a
    /// block, otherwise the retrieved value.
    private static func sameAs(_ other: JSONValue, _ vector: JSONValue) throws -> String? {
        let kind = try PortalStateKey(decoding: try other["contentKey"].hex).kind
        let parts = other["decoded"]
        func proof(_ name: String) throws -> [[UInt8]] { try parts[name].array.map { try $0.hex } }
        guard let block = vector["blockHash"].ifPresent else {
            let item = kind == .contractBytecode ? try parts["code"].hex : (try proof("proof").last ?? [])
            let encoded = try PortalStateKind.retrieval(item, as: kind)
            return CaseOutcome.difference("value", bytes: encoded, try other["contentValueRetrieval"].hex)
        }
        let offer: PortalStateOffer
        switch kind {
        case .accountTrieNode: offer = .accountNode(proof: try proof("proof"), blockHash: try block.bytes32)
        case .contractStorageTrieNode:
            offer = .storageNode(
                storageProof: try proof("storageProof"), accountProof: try proof("accountProof"),
                blockHash: try block.bytes32)
        case .contractBytecode:
            offer = .code(
                try parts["code"].hex, accountProof: try proof("accountProof"), blockHash: try block.bytes32)
        }
        return try CaseOutcome.difference("offer", bytes: offer.encoded(), other["contentValueOffer"].hex)
    }

    private static func path(_ list: JSONValue) throws -> Nibbles {
        guard let path = Nibbles(storeKey: try list.array.map { UInt8(truncatingIfNeeded: try $0.int) }) else {
            throw VectorError.malformed("a path")
        }
        return path
    }

    private static func nibbles(_ vector: JSONValue) throws -> String? {
        let encoded = try vector["encoded"].hex
        let decoded = try PortalStateKey.path(decoding: encoded)
        guard let list = vector["nibbles"].ifPresent else { return nil }
        let path = try path(list)
        return CaseOutcome.difference("path", decoded, path)
            ?? CaseOutcome.difference("encoded", bytes: path.compact(isLeaf: false), encoded)
    }
}
