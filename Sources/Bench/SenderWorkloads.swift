import CSecp256k1
import Chain
import Primitives

extension Workloads {
    /// Checking who signed transactions, and the same by the curve's library alone.
    static let senders: [any Workload] = [
        SendersWorkload(name: "chain.senders", isLibraryAlone: false),
        SendersWorkload(name: "chain.senders.library", isLibraryAlone: true),
    ]
}

/// Public keys out of signatures. What the library alone takes is a transaction's least: beside it there is only the
/// reading of the signature and two hashes.
struct SendersWorkload: Workload {
    let name: String
    let isLibraryAlone: Bool
    let items = "signatures"
    let scales = true

    var summary: String {
        isLibraryAlone
            ? "the same signatures by libsecp256k1's recovery and nothing else, to be set beside it"
            : "the senders of \(BenchLimits.signatures) transactions, by their signatures"
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let signed = try material.shared("signed") { try SignedTransactions() }
        return SendersTrial(name: name, isLibraryAlone: isLibraryAlone, threads: threads, signed: signed)
    }
}

/// Transfers of some accounts, with their signatures as the library has them.
private final class SignedTransactions: Sendable {
    let transactions: [Transaction]
    let senders: [Address]
    /// r and s, each signature's 64 bytes; and what was signed.
    let compact: [[UInt8]]
    let messages: [[UInt8]]

    init() throws {
        let keys = (1...64).compactMap { TransactionKey(secret: Bytes32(0, 0, 0, UInt64($0))) }
        var (transactions, senders): ([Transaction], [Address]) = ([], [])
        for index in 0..<BenchLimits.signatures {
            let key = keys[index % keys.count]
            var fields = Transaction.Fields(
                chainID: 1, nonce: UInt64(index / keys.count), maxFeePerGas: UInt256(30_000_000_000), gasLimit: 21_000,
                to: keys[(index + 1) % keys.count].address, value: UInt256(UInt64(index)))
            fields.maxPriorityFeePerGas = UInt256(1_000_000_000)
            transactions.append(try key.sign(.dynamicFee, fields))
            senders.append(key.address)
        }
        self.transactions = transactions
        self.senders = senders
        compact = transactions.map { $0.signature.r.big.bytes + $0.signature.s.big.bytes }
        messages = transactions.indices.map { Keccak.hash([UInt8(truncatingIfNeeded: $0)]).bytes }
    }
}

private struct SendersTrial: Trial {
    let name: String
    let isLibraryAlone: Bool
    let threads: Int
    let signed: SignedTransactions

    func run() throws -> Work {
        let count = signed.transactions.count
        try BenchThreads.run(threads) { thread in
            let part = count * thread / threads..<count * (thread + 1) / threads
            if isLibraryAlone { try recover(part) } else { try senders(part) }
        }
        return Work(items: count, bytes: count * 65)
    }

    private func senders(_ part: Range<Int>) throws {
        for index in part {
            guard try signed.transactions[index].sender() == signed.senders[index] else {
                throw BenchError.wrongResult(workload: name, what: "transaction \(index) is somebody else's")
            }
        }
    }

    private func recover(_ part: Range<Int>) throws {
        guard let context = secp256k1_context_create(UInt32(SECP256K1_CONTEXT_NONE)) else {
            throw BenchError.wrongResult(workload: name, what: "the library has no context")
        }
        defer { secp256k1_context_destroy(context) }
        for index in part {
            var signature = secp256k1_ecdsa_recoverable_signature()
            var key = secp256k1_pubkey()
            guard
                secp256k1_ecdsa_recoverable_signature_parse_compact(
                    context, &signature, signed.compact[index], Int32(signed.transactions[index].signature.parity))
                    == 1, secp256k1_ecdsa_recover(context, &key, &signature, signed.messages[index]) == 1
            else { throw BenchError.wrongResult(workload: name, what: "signature \(index) gives no key") }
        }
    }
}
