import Chain
import Primitives

extension ChainForge {
    /// What a transaction does, beside paying for it.
    private enum Deed {
        case transfer(to: Int, UInt128)
        /// A contract is called; it and another may write storage.
        case call(Int)
        case create(code: [UInt8])
        /// An account that has nothing but money is made a contract that destroys itself, by a contract's CREATE2.
        case destroy(Int, by: Int, heir: Int)
    }

    /// Gas of a transaction as such; of a byte of data that is not zero. Sources: yellow paper, EIP-2028.
    private static let transferGas: UInt64 = 21_000
    private static let dataGas: UInt64 = 16
    /// About what a slot read and a slot written cost, with what surrounds them.
    private static let readGas: UInt64 = 2_500
    private static let writeGas: UInt64 = 9_000
    /// A contract's creation, and a byte of its code. Source: yellow paper, app. G.
    private static let createGas: UInt64 = 53_000
    private static let codeByteGas: UInt64 = 200
    private static let gwei: UInt128 = 1_000_000_000

    /// Makes one transaction by some sender who can pay it. Does nothing where the block has no room or nobody can.
    mutating func makeTransaction(_ work: inout BlockWork) throws {
        guard work.gasLeft > ForgeLimits.leastGasLimit / 8 else { return }
        let tip = ChainForge.gwei / 10 * UInt128(work.draw.within(1...20))
        // More than the dearest deed here may ask for, a large contract's creation, with a sixteenth of it sent on.
        let reserve = (2 * work.baseFee + tip) * UInt128(ForgeLimits.leastGasLimit * 4 / 3)
        guard let sender = sender(holding: reserve, &work) else { return }
        work.place = UInt32(work.transactions.count) + 1
        let deed = deed(of: sender, &work)
        let nonce = state.accounts[sender].nonce
        raiseNonce(sender, &work)
        var fields = Transaction.Fields(
            chainID: ChainForge.chainID, nonce: nonce, maxFeePerGas: UInt256(2 * work.baseFee + tip),
            gasLimit: 0, to: nil, value: .zero)
        fields.maxPriorityFeePerGas = UInt256(tip)
        let gas = perform(deed, by: sender, nonce: nonce, &fields, &work)
        let isTransfer = if case .transfer = deed { true } else { false }
        fields.gasLimit = isTransfer ? gas : min(gas + gas / 8, work.gasLeft, ForgeLimits.transactionGas)
        work.gasUsed += gas
        setBalance(sender, state.accounts[sender].balance - (work.baseFee + tip) * UInt128(gas), &work)
        credit(work.miner, tip * UInt128(gas), &work)
        work.transactions.append(try keys[sender - state.plan.senders.lowerBound].sign(.dynamicFee, fields))
        work.receipts.append(ChainForge.receipt(gasUsedSoFar: work.gasUsed))
    }

    /// A sender with more than `amount`; nil where a few tries find none.
    private func sender(holding amount: UInt128, _ work: inout BlockWork) -> Int? {
        for _ in 0..<16 {
            let index = state.plan.senders.lowerBound + work.draw.lowBelow(state.plan.senders.count)
            if state.accounts[index].balance > amount { return index }
        }
        return nil
    }

    private mutating func deed(of sender: Int, _ work: inout BlockWork) -> Deed {
        switch work.draw.below(1_000) {
        case ..<500: return .call(contract(&work))
        case ..<512:
            let known = work.draw.oneIn(10) ? nil : state.codes[work.draw.lowBelow(state.plan.codes.count)].bytes
            let code = known ?? GenesisPlan.code(seed, state.codes.count, isClone: false)
            guard ChainForge.creationGas(code) < min(work.gasLeft, ForgeLimits.transactionGas) else { break }
            return .create(code: code)
        case ..<522:
            if let target = forsaken(&work), target != work.miner {
                return .destroy(target, by: contract(&work), heir: person(&work))
            }
        case ..<600: return .transfer(to: newPerson(&work), amount(of: sender, &work))
        default: break
        }
        let receiver = person(&work)
        return .transfer(to: receiver == sender ? newPerson(&work) : receiver, amount(of: sender, &work))
    }

    /// What a sender sends on: never more than a sixteenth of what it has.
    private func amount(of sender: Int, _ work: inout BlockWork) -> UInt128 {
        min(work.draw.wei(decimals: 9...15), state.accounts[sender].balance / 16)
    }

    /// An account that was sent money and has never sent any itself; nil where a few tries find none.
    private func forsaken(_ work: inout BlockWork) -> Int? {
        for _ in 0..<16 {
            let index = state.plan.others.lowerBound + work.draw.below(state.plan.others.count)
            let account = state.accounts[index]
            if account.nonce == 0 && account.balance > 0 && account.code < 0 { return index }
        }
        return nil
    }

    /// Does what the transaction does; gives the gas it used.
    private mutating func perform(
        _ deed: Deed, by sender: Int, nonce: UInt64, _ fields: inout Transaction.Fields, _ work: inout BlockWork
    ) -> UInt64 {
        switch deed {
        case .transfer(let receiver, let value):
            fields.to = state.accounts[receiver].address
            fields.value = UInt256(value)
            move(value, from: sender, to: receiver, &work)
            return ChainForge.transferGas
        case .call(let target):
            fields.to = state.accounts[target].address
            fields.data = work.draw.bytes(4 + 32 * work.draw.below(6))
            if work.draw.oneIn(5) {
                let value = amount(of: sender, &work)
                fields.value = UInt256(value)
                move(value, from: sender, to: target, &work)
            }
            touch(target, &work)
            var gas = callGas(fields.data) + useStorage(of: target, &work)
            if work.draw.oneIn(3) {
                let other = contract(&work)
                touch(other, &work)
                if other != target { gas += useStorage(of: other, &work) }
            }
            return gas
        case .create(let code):
            fields.data = ChainForge.creation(of: code)
            create(code, by: sender, nonce: nonce, &work)
            return ChainForge.creationGas(code)
        case .destroy(let target, let factory, let heir):
            fields.to = state.accounts[factory].address
            fields.data = work.draw.bytes(4 + 64)
            raiseNonce(factory, &work)
            let balance = state.accounts[target].balance
            setBalance(target, 0, &work)
            deleted.append(target)
            // Money sent to an account that goes in the same breath would be lost; it stays with the factory.
            credit(heir == target ? factory : heir, balance, &work)
            return callGas(fields.data) + 2 * ChainForge.createGas
        }
    }

    private func callGas(_ data: [UInt8]) -> UInt64 {
        ChainForge.transferGas + UInt64(data.count) * ChainForge.dataGas
    }

    private mutating func move(_ value: UInt128, from sender: Int, to receiver: Int, _ work: inout BlockWork) {
        guard value > 0 else { return touch(receiver, &work) }
        setBalance(sender, state.accounts[sender].balance - value, &work)
        credit(receiver, value, &work)
    }

    // MARK: Contracts

    /// Reads some slots of a contract and changes, sets or clears some; gives the gas that took.
    private mutating func useStorage(of index: Int, _ work: inout BlockWork) -> UInt64 {
        let count = state.slotCount(index)
        if count > 0 && count <= 24 && work.draw.oneIn(150) { return clearAll(of: index, count, &work) }
        var gas: UInt64 = 0
        for _ in 0..<(count == 0 ? 0 : work.draw.below(5)) {
            work.list.read(index, state.slot(index, at: work.draw.below(count)))
            gas += ChainForge.readGas
        }
        var written: Set<UInt256> = []
        for _ in 0..<work.draw.below(6) {
            let present = state.slotCount(index)
            let kind = work.draw.below(100)
            let isNew = present == 0 || kind < 22
            let slot =
                isNew ? UInt256(big: work.draw.bytes32()) : state.slot(index, at: work.draw.below(present))
            let value = !isNew && kind >= 88 ? UInt256.zero : work.draw.slotValue()
            // One write a slot and transaction, and none that leaves what was there.
            guard written.insert(slot).inserted, state.value(index, slot) != value else { continue }
            write(index, slot, value, &work)
            gas += ChainForge.writeGas
        }
        return gas
    }

    private mutating func clearAll(of index: Int, _ count: Int, _ work: inout BlockWork) -> UInt64 {
        for slot in (0..<count).map({ state.slot(index, at: $0) }) { write(index, slot, .zero, &work) }
        return UInt64(count) * ChainForge.writeGas
    }

    private mutating func create(_ code: [UInt8], by sender: Int, nonce: UInt64, _ work: inout BlockWork) {
        let index = state.add(Address(createdBy: state.accounts[sender].address, nonce: nonce))
        newContracts.append(index)
        raiseNonce(index, &work)
        let hash = Keccak.hash(code)
        let number = state.codes.firstIndex { $0.hash == hash }.map { Int32($0) } ?? state.add(code: code)
        state.change(index) { $0.code = number }
        work.list.code(index, at: work.place, code)
        for number in 0..<work.draw.below(7) { write(index, UInt256(UInt64(number)), work.draw.slotValue(), &work) }
    }

    /// Initialisation code that returns `code`: PUSH2 its length, DUP1, PUSH1 where it begins, PUSH0, CODECOPY, PUSH0,
    /// RETURN.
    private static func creation(of code: [UInt8]) -> [UInt8] {
        [0x61, UInt8(code.count >> 8), UInt8(code.count & 255), 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3] + code
    }

    private static func creationGas(_ code: [UInt8]) -> UInt64 {
        createGas + UInt64(code.count) * (codeByteGas + dataGas)
    }

    /// A receipt of success without logs. Source: EIP-2718, EIP-658.
    private static func receipt(gasUsedSoFar gas: UInt64) -> [UInt8] {
        [Transaction.Kind.dynamicFee.rawValue]
            + RLPWriter.list { writer in
                writer.append(1 as UInt64)
                writer.append(gas)
                writer.append([UInt8](repeating: 0, count: 256))
                writer.appendList { _ in }
            }
    }
}
