import Primitives

/// A block with its access list as it travels and is stored: exact bytes, of which nothing has been checked.
public struct BlockBytes: Hashable, Sendable {
    /// The header's RLP.
    public let header: [UInt8]
    /// RLP [transactions, uncles, withdrawals], the last one since Shanghai.
    public let body: [UInt8]
    /// The block access list's RLP.
    public let accessList: [UInt8]

    public init(header: [UInt8], body: [UInt8], accessList: [UInt8]) {
        self.header = header
        self.body = body
        self.accessList = accessList
    }

    /// The bytes of a block and its list.
    public init(_ block: Block, _ accessList: BlockAccessList) {
        self.init(header: block.header.rlp, body: block.bodyRLP, accessList: accessList.rlp)
    }

    /// Bytes of the three together.
    public var count: Int { header.count + body.count + accessList.count }
}

/// A block that was checked by itself: every byte of it is what its header commits to. What remains to be shown is the
/// state root after its changes; for a header that does not commit to an access list that alone proves the list.
public struct CheckedBlock: Sendable {
    public let header: BlockHeader
    public let bytes: BlockBytes
    /// What the block leaves of the accounts that it changes, by account key, rising.
    public let changes: [AccountChange]

    /// Whether the header commits to the access list. Where it does, nobody could have sent another one.
    public var commitsToList: Bool { header.accessListHash != nil }

    /// Checks the bytes of the block with this hash: header, uncles, withdrawals, transactions with their signatures,
    /// and the access list's form, limits and, where the header commits to it, hash.
    ///
    /// Costs some 40 µs a transaction, nearly all of it for the signature.
    public init(_ bytes: BlockBytes, expecting hash: Bytes32) throws(ChainError) {
        let header = try BlockHeader(rlp: bytes.header)
        guard header.hash == hash else { throw .anotherBlock(expected: hash, found: header.hash) }
        let block = try Block(header: header, body: bytes.body)
        try block.verifyBody()
        // The list is cheap to refuse, so it comes before the signatures.
        let list = try BlockAccessList(rlp: bytes.accessList)
        try list.verify(for: block)
        if header.accessListHash == nil {
            try list.verifyLimits(transactionCount: block.transactions.count, gasLimit: header.fields.gasLimit)
        }
        for transaction in block.transactions { _ = try transaction.sender() }
        self.header = header
        self.bytes = bytes
        changes = list.accountChanges
    }
}

/// Checks blocks of one answer, one after the other: a job without a look at the store.
public struct BlockCheck: Sendable {
    /// What came of it: the blocks before the first that does not hold, and what is wrong with that one.
    public struct Outcome: Sendable {
        public var blocks: [CheckedBlock] = []
        /// nil where all hold.
        public var fault: ChainError?

        /// Nothing yet.
        public init() {}
    }

    let blocks: [BlockBytes]
    let hashes: [Bytes32]

    /// `blocks` are to be those of `hashes`, in order; where there are fewer of one than of the other the rest is left.
    public init(_ blocks: [BlockBytes], expecting hashes: [Bytes32]) {
        self.blocks = blocks
        self.hashes = hashes
    }

    /// Does the work.
    public func run() -> Outcome {
        var outcome = Outcome()
        for (bytes, hash) in zip(blocks, hashes) {
            do throws(ChainError) {
                outcome.blocks.append(try CheckedBlock(bytes, expecting: hash))
            } catch {
                outcome.fault = error
                break
            }
        }
        return outcome
    }
}
