import Primitives

/// A withdrawal from the consensus layer. Source: EIP-4895.
public struct Withdrawal: Hashable, Sendable {
    public let index: UInt64
    public let validatorIndex: UInt64
    public let address: Address
    /// In gwei.
    public let amount: UInt64

    public init(index: UInt64, validatorIndex: UInt64, address: Address, amount: UInt64) {
        self.index = index
        self.validatorIndex = validatorIndex
        self.address = address
        self.amount = amount
    }

    /// RLP [index, validator index, address, amount].
    public var rlp: [UInt8] {
        RLPWriter.list { writer in
            writer.append(index)
            writer.append(validatorIndex)
            writer.append(address.bytes)
            writer.append(amount)
        }
    }

    init(_ reader: inout RLPReader) throws(RLPError) {
        var inner = try reader.nextList()
        index = try inner.nextUInt64()
        validatorIndex = try inner.nextUInt64()
        address = try inner.nextAddress()
        amount = try inner.nextUInt64()
        try inner.finish()
    }
}

/// A whole block without its access list: RLP [header, transactions, uncles, withdrawals], the last one since Shanghai.
public struct Block: Sendable {
    public let header: BlockHeader
    public let transactions: [Transaction]
    public let uncles: [BlockHeader]
    /// nil before Shanghai.
    public let withdrawals: [Withdrawal]?

    /// Hash of a list of no uncles.
    static let emptyUnclesHash = Keccak.hash([0xc0])

    public init(
        header: BlockHeader, transactions: [Transaction], uncles: [BlockHeader] = [], withdrawals: [Withdrawal]?
    ) {
        self.header = header
        self.transactions = transactions
        self.uncles = uncles
        self.withdrawals = withdrawals
    }

    /// Reads one block, strictly. What the header says of the body is checked by `verifyBody()`.
    public init(rlp: [UInt8]) throws(ChainError) {
        guard rlp.count <= ChainLimits.blockBytes else { throw .tooLarge(.block, bytes: rlp.count) }
        let parts = try Block.split(rlp)
        header = try BlockHeader(rlp: parts.header)
        var transactions: [Transaction] = []
        for envelope in parts.transactions { transactions.append(try Transaction(envelope: envelope)) }
        self.transactions = transactions
        var uncles: [BlockHeader] = []
        for uncle in parts.uncles { uncles.append(try BlockHeader(rlp: uncle)) }
        self.uncles = uncles
        withdrawals = parts.withdrawals
    }

    private struct Parts {
        var header: [UInt8]
        var transactions: [[UInt8]] = []
        var uncles: [[UInt8]] = []
        var withdrawals: [Withdrawal]?
    }

    private static func split(_ rlp: [UInt8]) throws(ChainError) -> Parts {
        do throws(RLPError) {
            var reader = try RLPReader.list(rlp)
            var parts = Parts(header: try reader.nextRaw())
            var transactions = try reader.nextList()
            while !transactions.isAtEnd {
                // A legacy transaction stands in the body as its own list, a typed one as a string of its envelope.
                let isLegacy = try transactions.nextIsList()
                parts.transactions.append(isLegacy ? try transactions.nextRaw() : try transactions.nextBytes())
            }
            var uncles = try reader.nextList()
            while !uncles.isAtEnd { parts.uncles.append(try uncles.nextRaw()) }
            if !reader.isAtEnd {
                var list = try reader.nextList()
                var withdrawals: [Withdrawal] = []
                while !list.isAtEnd { withdrawals.append(try Withdrawal(&list)) }
                parts.withdrawals = withdrawals
            }
            try reader.finish()
            return parts
        } catch {
            throw .malformed(.block, error)
        }
    }

    /// The encoding that `init(rlp:)` reads.
    public var rlp: [UInt8] {
        RLPWriter.list { writer in
            writer.append(raw: header.rlp)
            writer.appendList { list in
                for transaction in transactions {
                    if transaction.kind == .legacy {
                        list.append(raw: transaction.envelope)
                    } else {
                        list.append(transaction.envelope)
                    }
                }
            }
            writer.appendList { list in for uncle in uncles { list.append(raw: uncle.rlp) } }
            if let withdrawals {
                writer.appendList { list in for withdrawal in withdrawals { list.append(raw: withdrawal.rlp) } }
            }
        }
    }

    /// Root over the transactions' envelopes.
    public var transactionsRoot: Bytes32 { IndexedRoot.root(of: transactions.map(\.envelope)) }

    /// Root over the withdrawals; nil before Shanghai.
    public var withdrawalsRoot: Bytes32? { withdrawals.map { IndexedRoot.root(of: $0.map(\.rlp)) } }

    /// keccak256 of the list of uncles.
    public var unclesHash: Bytes32 {
        if uncles.isEmpty { return Block.emptyUnclesHash }
        return Keccak.hash(RLPWriter.list { writer in for uncle in uncles { writer.append(raw: uncle.rlp) } })
    }

    /// Throws unless the body is the one that the header commits to.
    public func verifyBody() throws(ChainError) {
        guard unclesHash == header.unclesHash else { throw .unclesHashMismatch(block: header.number) }
        guard (withdrawals == nil) == (header.withdrawalsRoot == nil) else {
            throw .withdrawalsPresence(block: header.number)
        }
        guard withdrawalsRoot == header.withdrawalsRoot else { throw .withdrawalsRootMismatch(block: header.number) }
        guard transactionsRoot == header.transactionsRoot else { throw .transactionsRootMismatch(block: header.number) }
    }
}
