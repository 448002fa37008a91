import Chain
import Foundation
import Primitives
import TestSupport
import Testing

/// Every block of the recorded chains.
@Suite(.enabled(if: RecordedChain.areThere, "needs the shared folder")) struct RecordedChainTests {
    @Test(arguments: RecordedChain.names)
    func everyBlockIsReadAndWrittenAsItStands(name: String) throws {
        let chain = try RecordedChain(name)
        var parent = chain.genesis
        #expect(parent.rlp == (try BlockHeader(parent.fields).rlp))
        for (block, raw) in zip(chain.blocks, chain.raw) {
            #expect(block.rlp == raw)
            #expect(block.header.parentHash == parent.hash)
            #expect(block.header.number == parent.number + 1)
            #expect(try BlockHeader(block.header.fields).hash == block.header.hash)
            try block.verifyBody()
            parent = block.header
        }
        #expect(chain.blocks.count >= 400)
    }

    @Test(arguments: RecordedChain.names)
    func theHeadIsTheRecordedOne(name: String) throws {
        let chain = try RecordedChain(name)
        let data = try Data(contentsOf: chain.folder.appendingPathComponent("headblock.json"))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(chain.blocks.last?.header.hash.description == object["hash"] as? String)
    }

    @Test(arguments: RecordedChain.names)
    func transactionsAreWrittenAgainFromTheirFields(name: String) throws {
        for block in try RecordedChain(name).blocks {
            for transaction in block.transactions {
                let again = Transaction(transaction.kind, transaction.fields, signature: transaction.signature)
                #expect(again.envelope == transaction.envelope)
            }
        }
    }

    /// A sender has the nonce of its transaction: over the first blocks every account's nonces count up one by one.
    @Test(arguments: RecordedChain.names)
    func sendersAreRecovered(name: String) throws {
        let chain = try RecordedChain(name)
        var next: [Address: UInt64] = [:]
        var kinds: Set<Transaction.Kind> = []
        for block in chain.blocks.prefix(120) {
            for transaction in block.transactions {
                let sender = try transaction.sender()
                kinds.insert(transaction.kind)
                // A set-code transaction also raises the nonces of those who authorized it; count on from there.
                let nonce = next[sender] ?? transaction.fields.nonce
                #expect(transaction.fields.nonce >= nonce)
                next[sender] = transaction.fields.nonce + 1
            }
        }
        #expect(kinds.count >= 3)
        // A wrong recovery would give every transaction a sender of its own.
        #expect(next.count <= 64)
    }

    @Test func accessListsAreThoseOfTheHeaders() throws {
        let chain = try RecordedChain("bal-chain")
        let lists = try chain.accessLists()
        #expect(lists.count == chain.blocks.count)
        for (block, raw) in zip(chain.blocks, lists) {
            let list = try BlockAccessList(rlp: raw)
            #expect(list.rlp == raw)
            try list.verify(for: block)
        }
        let first = try BlockAccessList(rlp: lists[0])
        #expect(
            throws: ChainError.accessListHashMismatch(
                expected: try #require(chain.blocks[1].header.accessListHash), found: first.hash)
        ) { try first.verify(for: chain.blocks[1]) }
    }

    /// Balances of plain senders, followed by the access lists alone, are never short of what they then pay.
    @Test func accessListsSayWhatTheSenderHasLeft() throws {
        let chain = try RecordedChain("bal-chain")
        for (block, raw) in zip(chain.blocks, try chain.accessLists()).prefix(50) {
            let changes = try BlockAccessList(rlp: raw).accountChanges
            let byAddress = Dictionary(uniqueKeysWithValues: changes.map { ($0.address, $0) })
            for transaction in block.transactions {
                let change = byAddress[try transaction.sender()]
                let nonce = try #require(change?.nonce)
                #expect(nonce > transaction.fields.nonce)
                #expect(change?.balance != nil)
            }
        }
    }

    @Test func aBodyThatIsNotTheHeadersIsRefused() throws {
        let chain = try RecordedChain("bal-chain")
        let full = try #require(chain.blocks.first { $0.transactions.count > 2 && $0.withdrawals?.isEmpty == false })
        let number = full.header.number
        func altered(_ transactions: [Transaction], _ withdrawals: [Withdrawal]?) -> Block {
            Block(header: full.header, transactions: transactions, withdrawals: withdrawals)
        }
        #expect(throws: ChainError.transactionsRootMismatch(block: number)) {
            try altered(Array(full.transactions.dropLast()), full.withdrawals).verifyBody()
        }
        #expect(throws: ChainError.transactionsRootMismatch(block: number)) {
            try altered(full.transactions.reversed(), full.withdrawals).verifyBody()
        }
        #expect(throws: ChainError.withdrawalsRootMismatch(block: number)) {
            try altered(full.transactions, []).verifyBody()
        }
        #expect(throws: ChainError.withdrawalsPresence(block: number)) {
            try altered(full.transactions, nil).verifyBody()
        }
        let uncle = Block(
            header: full.header, transactions: full.transactions, uncles: [chain.genesis],
            withdrawals: full.withdrawals)
        #expect(throws: ChainError.unclesHashMismatch(block: number)) { try uncle.verifyBody() }
    }

    /// No prefix and no single flipped bit of a block's beginning is taken for the same block.
    @Test func damagedBlocksNeverPass() throws {
        let chain = try RecordedChain("ethtest-chain")
        let block = try #require(chain.blocks.first { !$0.transactions.isEmpty })
        for length in stride(from: 0, to: block.rlp.count, by: 7) {
            #expect(throws: ChainError.self) { try Block(rlp: Array(block.rlp.prefix(length))) }
        }
        for offset in 0..<block.rlp.count {
            var bytes = block.rlp
            bytes[offset] ^= 1 << UInt8(offset % 8)
            guard let damaged = try? Block(rlp: bytes) else { continue }
            let isCaught = damaged.header.hash != block.header.hash || (try? damaged.verifyBody()) == nil
            #expect(isCaught)
        }
    }
}
