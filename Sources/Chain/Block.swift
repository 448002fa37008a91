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
        let parts: (header: [UInt8], body: Parts)
        do throws(RLPError) {
            var reader = try RLPReader.list(rlp)
            parts = (try reader.nextRaw(), try Parts(&reader))
        } catch {
            throw .malformed(.block, error)
        }
        try self.init(header: try BlockHeader(rlp: parts.header), parts.body)
    }

    /// Reads a block whose body is apart from its header: RLP [transactions, uncles, withdrawals]. Strict, as above.
    public init(header: BlockHeader, body: [UInt8]) throws(ChainError) {
        guard body.count <= ChainLimits.blockBytes else { throw .tooLarge(.block, bytes: body.count) }
        let parts: Parts
        do throws(RLPError) {
            var reader = try RLPReader.list(body)
            parts = try Parts(&reader)
        } catch {
            throw .malformed(.block, error)
        }
        try self.init(header: header, parts)
    }

    private init(header: BlockHeader, _ parts: Parts) throws(ChainError) {
        var transactions: [Transaction] = []
        for envelope in parts.transactions { transactions.append(try Transaction(envelope: envelope)) }
        var uncles: [BlockHeader] = []
        for uncle in parts.uncles { uncles.append(try BlockHeader(rlp: uncle)) }
        self.init(header: header, transactions: transactions, uncles: uncles, withdrawals: parts.withdrawals)
    }

    /// What stands in a body, each transaction and uncle as its bytes.
    private struct Parts {
        var transactions: [[UInt8]] = []
        var uncles: [[UInt8]] = []
        var withdrawals: [Withdrawal]?

        /// Reads to the end of the list.
        init(_ reader: inout RLPReader) throws(RLPError) {
            var list = try reader.nextList()
            while !list.isAtEnd {
                // A legacy transaction stands in the body as its own list, a typed one as a string of its envelope.
                let isLegacy = try list.nextIsList()
                transactions.append(isLegacy ? try list.nextRaw() : try list.nextBytes())
            }
            list = try reader.nextList()
            while !list.isAtEnd { uncles.append(try list.nextRaw()) }
            if !reader.isAtEnd {
                list = try reader.nextList()
                var found: [Withdrawal] = []
                while !list.isAtEnd { found.append(try Withdrawal(&list)) }
                withdrawals = found
            }
            try reader.finish()
        }
    }

    /// The encoding that `init(rlp:)` reads.
    public var rlp: [UInt8] {
        RLPWriter.list { writer in
            writer.append(raw: header.rlp)
            appendBody(to: &writer)
        }
    }

    /// The encoding that `init(header:body:)` reads.
    public var bodyRLP: [UInt8] { RLPWriter.list { writer in appendBody(to: &writer) } }

    private func appendBody(to writer: inout RLPWriter) {
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
