import Chain
import Primitives

/// `transactions.json`: envelopes of the five kinds with their hash, their sender and what all kinds have.
enum TransactionVectors: VectorSuite {
    static let fileName = "transactions.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        try file["cases"].array.map { vector in
            CaseOutcome.judge(try vector["name"].string, vector) { try judge(vector) }
        }
    }

    private static func judge(_ vector: JSONValue) throws -> String? {
        let envelope = try vector["envelope"].hex
        let transaction = try Transaction(envelope: envelope)
        let again = Transaction(transaction.kind, transaction.fields, signature: transaction.signature)
        if let difference = CaseOutcome.difference("re-encoded", bytes: again.envelope, envelope) { return difference }
        guard vector.has("hash") else { return nil }
        let fields = transaction.fields
        let differences = [
            CaseOutcome.difference("kind", Int(transaction.kind.rawValue), try vector["kind"].int),
            CaseOutcome.difference("hash", transaction.hash, try vector["hash"].bytes32),
            CaseOutcome.difference("sender", bytes: try transaction.sender().bytes, try vector["sender"].hex),
            CaseOutcome.difference("chain id", fields.chainID, try vector["chainId"].ifPresent?.uint64),
            CaseOutcome.difference("nonce", fields.nonce, try vector["nonce"].uint64),
            CaseOutcome.difference("gas limit", fields.gasLimit, try vector["gasLimit"].uint64),
            CaseOutcome.difference("value", fields.value, try vector["value"].uint256),
            CaseOutcome.difference("data", bytes: fields.data, try vector["data"].hex),
            CaseOutcome.difference("receiver", bytes: fields.to?.bytes ?? [], try vector["to"].ifPresent?.hex ?? []),
            CaseOutcome.difference("r", transaction.signature.r, try vector["r"].uint256),
            CaseOutcome.difference("s", transaction.signature.s, try vector["s"].uint256),
        ]
        return differences.compactMap { $0 }.first
    }
}
