import Chain
import ChainForge
import MerklePatricia
import Primitives
import Testing

/// Chains made from seeds: the same from the same, right in every block, shaped as they say.
@Suite struct ChainForgeTests {
    private static let small = ForgeShape(accounts: 600, blocks: 45, transactions: 40)

    private func headHash(_ shape: ForgeShape, seed: UInt64) throws -> Bytes32 {
        var forge = try ChainForge(shape: shape, seed: seed)
        while try forge.next() != nil {}
        return forge.head.hash
    }

    @Test func aSeedMeansOneChain() throws {
        let hash = try headHash(ChainForgeTests.small, seed: 11)
        #expect(try headHash(ChainForgeTests.small, seed: 11) == hash)
        #expect(try headHash(ChainForgeTests.small, seed: 12) != hash)
        var other = ChainForgeTests.small
        other.accounts += 1
        #expect(try headHash(other, seed: 11) != hash)
    }

    /// Held over versions and machines: who has a figure made with a seed can make the same chain again.
    @Test func theFirstSeedsChainIsTheOneItWas() throws {
        let shape = ForgeShape(accounts: 200, blocks: 3, transactions: 5)
        #expect(try headHash(shape, seed: 1).description == ChainForgeTests.firstHead)
    }

    private static let firstHead = "0x6f0fed6d5acc0302ac44fa1392fe136c67cb83af164ec824985380eb8c145b7d"

    /// Whole blocks, mined or signed: the chain's own rule takes their headers.
    @Test func blocksAreSealedAsTheirRuleAsks() throws {
        let shape = ForgeShape(accounts: 200, blocks: 9, transactions: 5)
        let terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 0, undoDepth: 6, minimumWork: 0)
        let committees = MadeCommittees(seed: 3, size: 4, termLength: 4)
        let first = try CommitteeTerms(first: committees.committee(of: 0), termLength: 4)
        let rules = [
            try NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 60),
            try NetworkConfiguration.Rule(committee: first, maxAgeSeconds: 60),
        ]
        for rule in rules {
            func make() throws -> (genesis: BlockHeader, blocks: [MadeBlock]) {
                var forge = try ChainForge(shape: shape, seed: 1, difficulty: 16) { genesis in
                    rule.kind == .committee
                        ? HeaderSealer(
                            committees: committees,
                            in: ClaimContext(chainID: ChainForge.chainID, genesisHash: genesis.hash))
                        : HeaderSealer(work: ProofOfWork(terms, maxAgeSeconds: 60), above: genesis)
                }
                var blocks: [MadeBlock] = []
                while let made = try forge.next() { blocks.append(made) }
                return (forge.genesis, blocks)
            }
            let (genesis, blocks) = try make()
            #expect(try make().blocks.map(\.block.header) == blocks.map(\.block.header))
            let configuration = try NetworkConfiguration(
                name: "made", chainID: ChainForge.chainID, genesisHash: genesis.hash, checkpoint: genesis.point,
                epochLength: 4, sectionDepth: 1, rule: rule)
            var chain = AttestedChain(configuration: configuration)
            let entries = blocks.map { CertifiedHeader(header: $0.block.header, certificate: $0.certificate) }
            _ = try chain.accept([CertifiedHeader(header: genesis)] + entries, at: 1_800_000_000)
            #expect(chain.head.number == 9)
            for made in blocks { #expect(throws: Never.self) { try made.block.verifyBody() } }
        }
    }

    @Test func moreBlocksBeginWithTheSame() throws {
        var longer = try ChainForge(shape: ForgeShape(accounts: 300, blocks: 20, transactions: 10), seed: 13)
        var shorter = try ChainForge(shape: ForgeShape(accounts: 300, blocks: 5, transactions: 10), seed: 13)
        while let made = try shorter.next() { #expect(try longer.next()?.block.header == made.block.header) }
        #expect(shorter.head.number == 5)
    }

    @Test func numbersOutOfRangeAreNamed() {
        #expect(throws: ForgeError.shape("accounts", 63, allowed: ForgeLimits.accounts)) {
            try ChainForge(shape: ForgeShape(accounts: 63), seed: 1)
        }
        #expect(throws: ForgeError.shape("blocks", 0, allowed: ForgeLimits.blocks)) {
            try ChainForge(shape: ForgeShape(accounts: 64, blocks: 0), seed: 1)
        }
        #expect(throws: ForgeError.shape("transactions", 5_001, allowed: ForgeLimits.transactions)) {
            try ChainForge(shape: ForgeShape(accounts: 64, transactions: 5_001), seed: 1)
        }
    }

    // MARK: Blocks

    @Test(arguments: [(64, 1), (600, 40), (2_000, 300)])
    func everyBlockIsRight(accounts: Int, transactions: Int) throws {
        let shape = ForgeShape(accounts: accounts, blocks: 42, transactions: transactions)
        var forge = try ChainForge(shape: shape, seed: 21)
        var parent = forge.genesis
        var empty = 0
        while let made = try forge.next() {
            let block = try Block(rlp: made.block.rlp)
            #expect(block.header.parentHash == parent.hash && block.header.number == parent.number + 1)
            #expect(block.header.timestamp > parent.timestamp)
            try block.verifyBody()
            try BlockAccessList(rlp: made.accessList.rlp).verify(for: block)
            #expect(block.header.gasUsed <= block.header.gasLimit)
            #expect(block.header.fields.accessList?.slotNumber == block.header.number)
            empty += block.transactions.isEmpty ? 1 : 0
            parent = block.header
        }
        #expect(parent.number == 42 && empty == 1)
    }

    /// Who sends has the nonce, pays what the block's base fee and its tip ask for, and the list says what is left.
    @Test func sendersAreThoseOfTheirKeysAndCanPay() throws {
        var forge = try ChainForge(shape: ChainForgeTests.small, seed: 22)
        var state = Plain()
        forge.forEachAccount { state.load($0) }
        var kinds: Set<Transaction.Kind> = []
        while let made = try forge.next() {
            let header = made.block.header
            let baseFee = try #require(header.baseFeePerGas)
            var nonces: [Address: UInt64] = [:]
            for transaction in made.block.transactions {
                let sender = try transaction.sender()
                let nonce = nonces[sender] ?? state.accounts[sender]?.nonce
                #expect(transaction.fields.nonce == nonce && transaction.fields.chainID == ChainForge.chainID)
                #expect(transaction.fields.maxFeePerGas >= baseFee)
                nonces[sender] = transaction.fields.nonce + 1
                kinds.insert(transaction.kind)
            }
            state.apply(made.accessList.accountChanges)
            for (sender, nonce) in nonces { #expect(state.accounts[sender]?.nonce == nonce) }
        }
        #expect(kinds == [.dynamicFee])
    }

    /// Plain transfers and withdrawals are what a machine would make of them: of ether nothing appears but withdrawals,
    /// and nothing goes but the base fee burnt.
    @Test func etherIsKept() throws {
        var forge = try ChainForge(shape: ChainForgeTests.small, seed: 23)
        var state = Plain()
        forge.forEachAccount { state.load($0) }
        var sum = state.sum
        while let made = try forge.next() {
            let header = made.block.header
            state.apply(made.accessList.accountChanges)
            let fee = try #require(header.baseFeePerGas?.big.word3)
            let gwei = made.block.withdrawals?.reduce(UInt64(0)) { $0 + $1.amount } ?? 0
            sum = sum + UInt128(gwei) * 1_000_000_000 - UInt128(fee) * UInt128(header.gasUsed)
            #expect(state.sum == sum, "block \(header.number)")
        }
    }

    /// The base fee follows the gas used. Source: EIP-1559.
    @Test func theBaseFeeFollowsTheGas() throws {
        var forge = try ChainForge(shape: ChainForgeTests.small, seed: 24)
        var parent = forge.genesis
        while let made = try forge.next() {
            let header = made.block.header
            let before = try #require(parent.baseFeePerGas?.big.word3)
            let after = try #require(header.baseFeePerGas?.big.word3)
            let target = parent.gasLimit / 2
            if parent.gasUsed < target { #expect(after <= before) } else { #expect(after >= before) }
            let bound = before / 8 + 1
            #expect(after <= before + bound && after + bound >= before)
            parent = header
        }
    }

    /// Creations, deletions, cleared slots, wiped contracts, new accounts, new code: all of it happens.
    @Test func everyKindOfChangeHappens() throws {
        var forge = try ChainForge(shape: ForgeShape(accounts: 1_500, blocks: 120, transactions: 60), seed: 25)
        var state = Plain()
        forge.forEachAccount { state.load($0) }
        var created = 0, deleted = 0, revived = 0, contracts = 0, set = 0, cleared = 0, changed = 0, wiped = 0
        var gone: Set<Address> = []
        while let made = try forge.next() {
            for change in made.accessList.accountChanges {
                let before = state.accounts[change.address]
                contracts += change.code == nil ? 0 : 1
                for slot in change.storage {
                    let old = before?.storage[slot.slot]
                    if old == nil && slot.value != .zero { set += 1 }
                    if old != nil { if slot.value == .zero { cleared += 1 } else { changed += 1 } }
                }
                state.apply([change])
                let after = state.accounts[change.address]
                if before == nil, after != nil {
                    created += 1
                    revived += gone.remove(change.address) == nil ? 0 : 1
                }
                if before != nil, after == nil {
                    deleted += 1
                    gone.insert(change.address)
                }
                if before?.storage.isEmpty == false, after?.storage.isEmpty == true { wiped += 1 }
            }
        }
        for (name, count) in [
            ("created", created), ("deleted", deleted), ("revived", revived), ("contracts", contracts), ("set", set),
            ("cleared", cleared), ("changed", changed), ("wiped", wiped),
        ] { #expect(count > 0, "\(name)") }
        // The head as it is written down is what the lists lead to.
        var count = 0
        forge.forEachAccount { account in
            count += 1
            let plain = state.accounts[account.address]
            #expect(plain?.nonce == account.nonce && plain?.balance == account.balance)
            #expect(plain?.code == account.code && plain?.storage.count == account.storage.count)
            #expect(account.storage.allSatisfy { plain?.storage[$0.slot] == $0.value })
        }
        #expect(count == state.accounts.count)
    }

    // MARK: Shape

    /// The proportions of mainnet, as `ForgeLimits` gives them with their sources, at a size where they can show.
    @Test func genesisHasTheShapeOfMainnet() throws {
        let forge = try ChainForge(shape: ForgeShape(accounts: 20_000, blocks: 1), seed: 31)
        var accounts = 0, contracts = 0, slots = 0, codeBytes = 0
        var widths: [Int] = []
        var codes: [Bytes32: (uses: Int, size: Int)] = [:]
        forge.forEachAccount { account in
            accounts += 1
            guard !account.code.isEmpty else { return }
            contracts += 1
            slots += account.storage.count
            widths.append(account.storage.count)
            codes[account.codeHash, default: (0, account.code.count)].uses += 1
        }
        codeBytes = codes.values.reduce(0) { $0 + $1.size }
        #expect(accounts == 20_000)
        #expect((0.19...0.21).contains(Double(contracts) / Double(accounts)))
        #expect((3.6...4.05).contains(Double(slots) / Double(accounts)))
        widths.sort()
        #expect(widths[widths.count / 2] == 0, "the median contract has no slots")
        #expect((0.04...0.06).contains(Double(widths.last ?? 0) / Double(slots)), "the widest has a twentieth")
        let top = widths.suffix(widths.count / 100).reduce(0, +)
        #expect(Double(top) / Double(slots) > 0.3, "one contract in a hundred has a third of the slots")
        #expect((0.9...1.1).contains(Double(codes.count) / (Double(accounts) / 276)))
        #expect((3_500...9_500).contains(codeBytes / codes.count), "\(codeBytes / codes.count)")
        let most = codes.values.max { $0.uses < $1.uses }
        #expect((most?.uses ?? 0) > contracts / 4 && (most?.size ?? 0) < 500, "the most shared code is a small one")
    }

    @Test func blocksAreAsBusyAsTheyShouldBe() throws {
        var forge = try ChainForge(shape: ForgeShape(accounts: 5_000, blocks: 30), seed: 32)
        var accounts = 0, slots = 0, reads = 0, transactions = 0
        while let made = try forge.next() {
            let changes = made.accessList.accountChanges
            accounts += changes.count
            slots += changes.reduce(0) { $0 + $1.storage.count }
            reads += made.accessList.accounts.reduce(0) { $0 + $1.storageReads.count }
            transactions += made.block.transactions.count
        }
        #expect(transactions == 30 * 120)
        #expect((150...350).contains(accounts / 30), "\(accounts / 30) accounts a block")
        #expect((100...350).contains(slots / 30), "\(slots / 30) slots a block")
        #expect((50...300).contains(reads / 30), "\(reads / 30) reads a block")
    }
}

/// A state by address, which follows access lists.
private struct Plain {
    var accounts: [Address: PlainAccount] = [:]

    mutating func load(_ account: MadeAccount) {
        var plain = PlainAccount()
        (plain.nonce, plain.balance, plain.code) = (account.nonce, account.balance, account.code)
        plain.storage = Dictionary(uniqueKeysWithValues: account.storage.map { ($0.slot, $0.value) })
        accounts[account.address] = plain
    }

    mutating func apply(_ changes: [AccountChange]) {
        for change in changes {
            accounts[change.address] = (accounts[change.address] ?? PlainAccount()).applying(change)
        }
    }

    /// Wei in all: below 2^128.
    var sum: UInt128 {
        accounts.values.reduce(0) { $0 + (UInt128($1.balance.big.word2) << 64 | UInt128($1.balance.big.word3)) }
    }
}
