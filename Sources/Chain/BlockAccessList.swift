import Primitives

/// What one block touched and what it left there. Source: EIP-7928.
///
/// RLP list of accounts by address, each [address, storage changes, storage reads, balance changes, nonce changes, code
/// changes]. Every change carries the index of what made it: 0 before the transactions, 1…n the transactions, n + 1
/// after them. Exactly one encoding is right: all lists are sorted, nothing occurs twice.
public struct BlockAccessList: Hashable, Sendable {
    /// A value and the index of what left it there.
    public struct Change<Value: Hashable & Sendable>: Hashable, Sendable {
        public let index: UInt32
        public let value: Value

        public init(index: UInt32, value: Value) {
            self.index = index
            self.value = value
        }
    }

    /// All that was written to one slot; at least one change.
    public struct SlotChanges: Hashable, Sendable {
        public let slot: UInt256
        public let changes: [Change<UInt256>]

        public init(slot: UInt256, changes: [Change<UInt256>]) {
            self.slot = slot
            self.changes = changes
        }
    }

    /// One account. All lists may be empty: then it was only looked at, and may not exist.
    public struct Account: Hashable, Sendable {
        public let address: Address
        public var storageChanges: [SlotChanges] = []
        public var storageReads: [UInt256] = []
        public var balanceChanges: [Change<UInt256>] = []
        public var nonceChanges: [Change<UInt64>] = []
        public var codeChanges: [Change<[UInt8]>] = []

        public init(address: Address) { self.address = address }
    }

    public let accounts: [Account]

    /// The list of these accounts; throws where one breaks a rule.
    public init(_ accounts: [Account]) throws(ChainError) {
        self.accounts = accounts
        do throws(AccessListError) {
            try checkStructure()
        } catch {
            throw .accessList(error)
        }
    }

    /// Reads one list, strictly: encoding, order, no repetition.
    public init(rlp: [UInt8]) throws(ChainError) {
        guard rlp.count <= ChainLimits.accessListBytes else { throw .tooLarge(.accessList, bytes: rlp.count) }
        var accounts: [Account] = []
        do throws(RLPError) {
            var reader = try RLPReader.list(rlp)
            while !reader.isAtEnd { accounts.append(try Account(&reader)) }
        } catch {
            throw .malformed(.accessList, error)
        }
        try self.init(accounts)
    }

    /// The encoding that `init(rlp:)` reads.
    public var rlp: [UInt8] {
        RLPWriter.list { writer in for account in accounts { account.append(to: &writer) } }
    }

    /// keccak256 of the encoding: what the header commits to.
    public var hash: Bytes32 { Keccak.hash(rlp) }

    /// Addresses and distinct slots, read and written: what the gas limit bounds.
    public var itemCount: Int {
        accounts.reduce(0) { $0 + 1 + $1.storageChanges.count + $1.storageReads.count }
    }

    /// Throws where an index is above `transactionCount` + 1 or the block's gas limit does not pay for the list.
    public func verifyLimits(transactionCount: Int? = nil, gasLimit: UInt64? = nil) throws(ChainError) {
        if let transactionCount {
            for account in accounts {
                let last = account.lastIndex
                guard UInt64(last) <= UInt64(transactionCount) + 1 else {
                    throw .accessList(.indexTooHigh(account.address, last))
                }
            }
        }
        if let gasLimit {
            let limit = gasLimit / ChainLimits.accessListItemGas
            guard UInt64(itemCount) <= limit else {
                throw .accessList(.tooManyItems(count: itemCount, limit: limit))
            }
        }
    }

    /// Throws unless this is the list that `block`'s header commits to and keeps its limits. For a header without a
    /// commitment there is nothing to compare with: only the state root after applying the list proves it.
    public func verify(for block: Block) throws(ChainError) {
        guard let expected = block.header.accessListHash else { return }
        let found = hash
        guard found == expected else { throw .accessListHashMismatch(expected: expected, found: found) }
        try verifyLimits(transactionCount: block.transactions.count, gasLimit: block.header.gasLimit)
    }

    private func checkStructure() throws(AccessListError) {
        for (previous, account) in zip(accounts, accounts.dropFirst()) where previous.address >= account.address {
            throw .addressOrder(account.address)
        }
        for account in accounts { try account.check() }
    }
}

extension BlockAccessList.Account {
    /// The highest index in any of the account's lists; 0 for none.
    var lastIndex: UInt32 {
        let slots = storageChanges.compactMap { $0.changes.last?.index }
        let others = [balanceChanges.last?.index, nonceChanges.last?.index, codeChanges.last?.index].compactMap { $0 }
        return (slots + others).max() ?? 0
    }

    func check() throws(AccessListError) {
        for (a, b) in zip(storageChanges, storageChanges.dropFirst()) where a.slot >= b.slot {
            throw .slotOrder(address, b.slot)
        }
        for (a, b) in zip(storageReads, storageReads.dropFirst()) where a >= b { throw .readOrder(address, b) }
        let written = Set(storageChanges.map(\.slot))
        if let both = storageReads.first(where: written.contains) { throw .readAndWritten(address, both) }
        for slot in storageChanges {
            guard !slot.changes.isEmpty else { throw .emptySlotChanges(address, slot.slot) }
            try checkOrder(slot.changes)
        }
        try checkOrder(balanceChanges)
        try checkOrder(nonceChanges)
        try checkOrder(codeChanges)
        for change in codeChanges where change.value.count > ChainLimits.codeBytes {
            throw .codeTooLarge(address, bytes: change.value.count)
        }
    }

    private func checkOrder<Value>(_ changes: [BlockAccessList.Change<Value>]) throws(AccessListError) {
        for (a, b) in zip(changes, changes.dropFirst()) where a.index >= b.index { throw .indexOrder(address, b.index) }
    }

    init(_ reader: inout RLPReader) throws(RLPError) {
        typealias Change = BlockAccessList.Change
        var item = try reader.nextList()
        self.init(address: try item.nextAddress())
        var slots = try item.nextList()
        while !slots.isAtEnd {
            var slot = try slots.nextList()
            let key = try slot.nextUInt256()
            storageChanges.append(
                BlockAccessList.SlotChanges(
                    slot: key,
                    changes: try slot.nextChanges { (inner) throws(RLPError) in try inner.nextUInt256() }))
            try slot.finish()
        }
        var reads = try item.nextList()
        while !reads.isAtEnd { storageReads.append(try reads.nextUInt256()) }
        balanceChanges = try item.nextChanges { (inner) throws(RLPError) in try inner.nextUInt256() }
        nonceChanges = try item.nextChanges { (inner) throws(RLPError) in try inner.nextUInt64() }
        codeChanges = try item.nextChanges { (inner) throws(RLPError) in try inner.nextBytes() }
        try item.finish()
    }

    func append(to writer: inout RLPWriter) {
        writer.appendList { item in
            item.append(address.bytes)
            item.appendList { list in
                for slot in storageChanges {
                    list.appendList { entry in
                        entry.append(slot.slot)
                        entry.append(slot.changes) { $0.append($1) }
                    }
                }
            }
            item.appendList { list in for slot in storageReads { list.append(slot) } }
            item.append(balanceChanges) { $0.append($1) }
            item.append(nonceChanges) { $0.append($1) }
            item.append(codeChanges) { $0.append($1) }
        }
    }
}

extension RLPReader {
    /// A list of [index, value].
    fileprivate mutating func nextChanges<Value>(
        _ value: (inout RLPReader) throws(RLPError) -> Value
    ) throws(RLPError) -> [BlockAccessList.Change<Value>] {
        var list = try nextList()
        var changes: [BlockAccessList.Change<Value>] = []
        while !list.isAtEnd {
            var item = try list.nextList()
            guard let index = UInt32(exactly: try item.nextUInt64()) else { throw .integerTooLarge }
            changes.append(BlockAccessList.Change(index: index, value: try value(&item)))
            try item.finish()
        }
        return changes
    }
}

extension RLPWriter {
    fileprivate mutating func append<Value>(
        _ changes: [BlockAccessList.Change<Value>], _ value: (inout RLPWriter, Value) -> Void
    ) {
        appendList { list in
            for change in changes {
                list.appendList { item in
                    item.append(UInt64(change.index))
                    value(&item, change.value)
                }
            }
        }
    }
}
