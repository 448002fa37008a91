import Chain
import Primitives

/// A block while it is made.
struct BlockWork {
    var fields: BlockHeader.Fields
    var draw: Draw
    var list = AccessRecorder()
    /// Index of what is being done: 0 before the transactions, 1… the transactions, then one more.
    var place: UInt32 = 0
    /// Account of the block's fee recipient.
    let miner: Int
    let baseFee: UInt128
    var gasUsed: UInt64 = 0
    var transactions: [Transaction] = []
    var receipts: [[UInt8]] = []

    var gasLeft: UInt64 { fields.gasLimit - gasUsed }
}

extension ChainForge {
    /// One block in so many is without transactions.
    private static let emptyEvery = 40

    mutating func makeBlock(at seconds: UInt64?, salt: UInt64) throws -> MadeBlock {
        let fields = childFields(at: seconds)
        var draw = Draw(seed: seed ^ salt, .block, Int(fields.number))
        let plan = state.plan
        let miner = plan.senders.lowerBound + draw.below(min(3, plan.senders.count))
        var work = BlockWork(
            fields: fields, draw: draw, miner: miner, baseFee: UInt128(fields.baseFeePerGas?.big.word3 ?? 0))
        // Which maker's it is, and of which line, for those who make it again.
        if salt > 0 { work.fields.extraData = UInt256(salt).minimalBytes }
        work.fields.miner = state.accounts[miner].address
        work.fields.mixHash = work.draw.bytes32()
        work.fields.blob?.parentBeaconBlockRoot = work.draw.bytes32()
        work.fields.accessList?.slotNumber = fields.number
        writeSystemContracts(&work)
        writeWide(&work)
        let isEmpty = fields.number.isMultiple(of: UInt64(ChainForge.emptyEvery))
        for _ in 0..<(isEmpty ? 0 : shape.transactions) { try makeTransaction(&work) }
        work.place = UInt32(work.transactions.count) + 1
        let withdrawals = makeWithdrawals(&work)
        return try seal(&work, withdrawals)
    }

    private mutating func seal(_ work: inout BlockWork, _ withdrawals: [Withdrawal]) throws -> MadeBlock {
        let list = try work.list.list()
        work.fields.stateRoot = try state.commit()
        work.fields.transactionsRoot = IndexedRoot.root(of: work.transactions.map(\.envelope))
        work.fields.receiptsRoot = IndexedRoot.root(of: work.receipts)
        work.fields.withdrawalsRoot = IndexedRoot.root(of: withdrawals.map(\.rlp))
        work.fields.gasUsed = work.gasUsed
        work.fields.accessList?.hash = list.hash
        let sealed = try sealer.seal(work.fields)
        let block = Block(header: sealed.header, transactions: work.transactions, withdrawals: withdrawals)
        return MadeBlock(block: block, accessList: list, certificate: sealed.certificate)
    }

    // MARK: Before and after the transactions

    /// The parent's hash and the beacon root go into their ring buffers. Sources: EIP-2935, EIP-4788.
    private mutating func writeSystemContracts(_ work: inout BlockWork) {
        let ring = ForgeLimits.ringSlots
        let number = work.fields.number
        let time = work.fields.timestamp
        let beaconRoot = UInt256(big: work.fields.blob?.parentBeaconBlockRoot ?? .zero)
        let hashSlot = UInt256((number - 1) % ring)
        write(SystemContract.blockHashes, hashSlot, UInt256(big: work.fields.parentHash), &work)
        write(SystemContract.beaconRoots, UInt256(time % ring), UInt256(time), &work)
        write(SystemContract.beaconRoots, UInt256(time % ring + ring), beaconRoot, &work)
    }

    /// The widest contract changes in every block, where it was asked for.
    private mutating func writeWide(_ work: inout BlockWork) {
        guard shape.wideSlots > 0 else { return }
        let index = SystemContract.all.count
        for _ in 0..<ForgeLimits.wideWrites {
            let slot = state.slot(index, at: work.draw.below(state.slotCount(index)))
            write(index, slot, work.draw.slotValue(), &work)
        }
    }

    /// Rewards to stakers' accounts, now and then a whole stake, now and then to a new account.
    private mutating func makeWithdrawals(_ work: inout BlockWork) -> [Withdrawal] {
        let gwei: UInt128 = 1_000_000_000
        return (0..<min(ForgeLimits.withdrawals, shape.accounts / 32)).map { _ in
            let stake: UInt64 = 32_000_000_000
            let amount = work.draw.oneIn(200) ? stake : UInt64(work.draw.within(10_000_000...20_000_000))
            let index = work.draw.oneIn(64) ? newPerson(&work) : person(&work)
            credit(index, UInt128(amount) * gwei, &work)
            defer { nextWithdrawal += 1 }
            return Withdrawal(
                index: nextWithdrawal, validatorIndex: UInt64(work.draw.below(1_000_000)),
                address: state.accounts[index].address, amount: amount)
        }
    }

    // MARK: Picking accounts

    /// Any account without code, few of them most of the time.
    func person(_ work: inout BlockWork) -> Int {
        let plan = state.plan
        if !newPeople.isEmpty, work.draw.oneIn(8) { return newPeople[work.draw.below(newPeople.count)] }
        if work.draw.oneIn(3) { return plan.senders.lowerBound + work.draw.lowBelow(plan.senders.count) }
        return plan.others.lowerBound + work.draw.below(plan.others.count)
    }

    /// An account that is not there: one that never was or, at times, one that was deleted.
    mutating func newPerson(_ work: inout BlockWork) -> Int {
        if !deleted.isEmpty, work.draw.oneIn(12) {
            let place = work.draw.below(deleted.count)
            return deleted.remove(at: place)
        }
        let index = state.add(CompactAccount.address(seed: seed, state.accounts.count))
        newPeople.append(index)
        return index
    }

    /// Any contract, few of them most of the time.
    func contract(_ work: inout BlockWork) -> Int {
        if !newContracts.isEmpty, work.draw.oneIn(16) { return newContracts[work.draw.below(newContracts.count)] }
        return state.plan.contracts.lowerBound + work.draw.lowBelow(state.plan.contracts.count)
    }

    // MARK: Changing accounts, and recording it

    func touch(_ index: Int, _ work: inout BlockWork) { work.list.touch(index, state.accounts[index].address) }

    mutating func setBalance(_ index: Int, _ balance: UInt128, _ work: inout BlockWork) {
        touch(index, &work)
        state.change(index) { $0.balance = balance }
        work.list.balance(index, at: work.place, balance)
    }

    mutating func credit(_ index: Int, _ amount: UInt128, _ work: inout BlockWork) {
        guard amount > 0 else { return touch(index, &work) }
        setBalance(index, state.accounts[index].balance + amount, &work)
    }

    mutating func raiseNonce(_ index: Int, _ work: inout BlockWork) {
        touch(index, &work)
        state.change(index) { $0.nonce += 1 }
        work.list.nonce(index, at: work.place, state.accounts[index].nonce)
    }

    mutating func write(_ index: Int, _ slot: UInt256, _ value: UInt256, _ work: inout BlockWork) {
        touch(index, &work)
        state.write(index, slot, value)
        work.list.write(index, slot, at: work.place, value)
    }
}
