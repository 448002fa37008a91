import MerklePatricia
import Primitives

/// `range-proof.json`: whether a run of leaves is all that a trie has between two keys.
enum RangeProofVectors: VectorSuite {
    static let fileName = "range-proof.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.map { vector in
            CaseOutcome.judge(try vector["name"].string, vector) { try judge(vector) }
        }
    }

    /// What refuses a claim before the verifier sees it: there a key always has 32 bytes.
    private enum ClaimError: Error, CustomStringConvertible {
        case keySize(Int)
        /// The whole trie is claimed, so nodes are not needed and mean something else.
        case proofOfWholeTrie

        var description: String {
            switch self {
            case .keySize(let bytes): "a key of \(bytes) bytes"
            case .proofOfWholeTrie: "proof nodes for a whole trie"
            }
        }
    }

    private static func judge(_ vector: JSONValue) throws -> String? {
        let root = try vector["root"].bytes32
        let first = try vector["first"].bytes32
        var last = try vector["last"].ifPresent?.bytes32 ?? .max
        let nodes = try vector["edgeNodes"].array.map { try $0.hex }
        switch try vector["mode"].string {
        case "whole":
            // `last` is only the last leaf there: nothing may come after it, so the claim goes to the end.
            guard nodes.isEmpty else { throw ClaimError.proofOfWholeTrie }
            last = .max
        case "range", "bounded", "rest": break
        default: throw VectorError.malformed("mode")
        }
        var leaves = LeafColumns()
        for row in try vector["leaves"].array {
            let pair = try row.array
            guard pair.count == 2 else { throw VectorError.malformed("a leaf is a key and a value") }
            let bytes = try pair[0].hex
            guard let key = Bytes32(bytes) else { throw ClaimError.keySize(bytes.count) }
            leaves.append(key: key, value: try pair[1].hex)
        }
        // Repetition is not judged, nodes that are not needed are: the node reads its answers so.
        var proof = ProofNodes()
        for node in nodes { proof.insert(node) }
        let verified = try RangeVerifier.verify(
            root: root, proof: proof.nodes, leaves: leaves, first: first, last: last)
        guard let moreAfter = try vector["moreAfter"].ifPresent?.bool else { return nil }
        return CaseOutcome.difference("moreAfter", verified.moreAfter, moreAfter)
    }
}
