import MerklePatricia
import Primitives

/// `range-proof.json`: runs of leaves with the nodes that prove them complete. One verifier stands behind all modes;
/// order and repetition of the nodes are not judged.
enum RangeProofVectors: VectorSuite {
    static let fileName = "range-proof.json"

    /// A claim that cannot even be put to the verifier.
    private enum ClaimError: Error {
        /// A key that has not 32 bytes.
        case keySize(Int)
        /// Leaves in a claim that there are none.
        case leavesInRest
        /// Proof nodes for a whole trie, which needs none.
        case nodesForWhole
    }

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.enumerated().map { index, vector in
            CaseOutcome.judge(TrieVectors.name(of: vector, "cases", index), vector) { try judge(vector) }
        }
    }

    private static func judge(_ vector: JSONValue) throws -> String? {
        var leaves = LeafColumns()
        for row in try vector["leaves"].array {
            let row = try row.array
            guard row.count == 2 else { throw VectorError.malformed("a leaf is a key and a value") }
            let key = try row[0].hex
            guard let key32 = Bytes32(key) else { throw ClaimError.keySize(key.count) }
            leaves.append(key: key32, value: try row[1].hex)
        }
        let nodes = try vector["edgeNodes"].array.map { node throws in try node.hex }
        var first = try vector["first"].bytes32
        var last = try vector["last"].ifPresent?.bytes32 ?? .max
        switch try vector["mode"].string {
        case "range", "bounded": break
        case "whole":
            guard nodes.isEmpty else { throw ClaimError.nodesForWhole }
            (first, last) = (.zero, .max)
        case "rest":
            guard leaves.isEmpty else { throw ClaimError.leavesInRest }
            last = .max
        case let mode: throw VectorError.malformed("no mode \(mode)")
        }
        let range = try RangeVerifier.verify(
            root: try vector["root"].bytes32, proof: nodes, leaves: leaves, first: first, last: last, rule: .tolerant)
        guard let more = vector["moreAfter"].ifPresent else { return nil }
        return CaseOutcome.difference("moreAfter", range.moreAfter, try more.bool)
    }
}
