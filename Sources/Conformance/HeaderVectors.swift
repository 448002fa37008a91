import Chain
import Primitives

/// `headers.json`: block headers of every fork, by encoding, hash and every field.
public enum HeaderVectors: VectorSuite {
    /// The name of such files.
    public static let fileName = "headers.json"

    /// Runs every header.
    public static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.map { vector in
            CaseOutcome.judge(try vector["name"].string, vector) { try check(vector) }
        }
    }

    private static func check(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["rlp"].hex
        let header = try BlockHeader(rlp: bytes)
        var differences = [
            CaseOutcome.difference("re-encoding", bytes: try BlockHeader(header.fields).rlp, bytes)
        ]
        if let hash = vector["hash"].ifPresent {
            differences.append(CaseOutcome.difference("hash", header.hash, try hash.bytes32))
        }
        if let number = vector["number"].ifPresent {
            differences.append(CaseOutcome.difference("number", header.number, try number.uint64))
        }
        if let root = vector["stateRoot"].ifPresent {
            differences.append(CaseOutcome.difference("state root", header.stateRoot, try root.bytes32))
        }
        let found = values(of: header)
        if let count = vector["fieldCount"].ifPresent {
            differences.append(CaseOutcome.difference("field count", found.count, try count.int))
        }
        if let key = vector["headerWithProofKey"].ifPresent {
            differences.append(
                CaseOutcome.difference("hash, by the content key", bytes: [0] + header.hash.bytes, try key.hex))
        }
        if let fields = vector["fields"].ifPresent { differences.append(try compare(found, with: fields)) }
        return differences.compactMap { $0 }.first
    }

    private enum Value: Equatable {
        case bytes([UInt8])
        case integer(UInt256)
    }

    /// The names the vector files use for the fields of one header.
    private static func values(of header: BlockHeader) -> [String: Value] {
        func hash(_ value: Bytes32) -> Value { .bytes(value.bytes) }
        func integer(_ value: UInt64) -> Value { .integer(UInt256(value)) }
        var values: [String: Value] = [
            "parentHash": hash(header.parentHash), "sha3Uncles": hash(header.unclesHash),
            "miner": .bytes(header.miner.bytes), "stateRoot": hash(header.stateRoot),
            "transactionsRoot": hash(header.transactionsRoot), "receiptsRoot": hash(header.receiptsRoot),
            "logsBloom": .bytes(header.logsBloom), "difficulty": .integer(header.difficulty),
            "number": integer(header.number), "gasLimit": integer(header.gasLimit),
            "gasUsed": integer(header.gasUsed), "timestamp": integer(header.timestamp),
            "extraData": .bytes(header.extraData), "mixHash": hash(header.mixHash),
            "nonce": .bytes(withUnsafeBytes(of: header.nonce.bigEndian) { Array($0) }),
        ]
        if let fee = header.baseFeePerGas { values["baseFeePerGas"] = .integer(fee) }
        if let root = header.withdrawalsRoot { values["withdrawalsRoot"] = hash(root) }
        if let blob = header.blob {
            values["blobGasUsed"] = integer(blob.gasUsed)
            values["excessBlobGas"] = integer(blob.excessGas)
            values["parentBeaconBlockRoot"] = hash(blob.parentBeaconBlockRoot)
        }
        if let requests = header.requestsHash { values["requestsHash"] = hash(requests) }
        if let list = header.accessList {
            values["blockAccessListHash"] = hash(list.hash)
            values["slotNumber"] = integer(list.slotNumber)
        }
        return values
    }

    private static func compare(_ found: [String: Value], with fields: JSONValue) throws -> String? {
        let expected = try fields.object
        for name in Set(found.keys).union(expected.keys).sorted() {
            guard let given = expected[name] else { return "field \(name) is there, expected none" }
            let isEqual =
                switch found[name] {
                case .bytes(let bytes): bytes == (try given.hex)
                case .integer(let integer): integer == (try given.uint256)
                case nil: false
                }
            guard isEqual else { return "field \(name) differs from \(given)" }
        }
        return nil
    }
}
