import Primitives

// The words of this target's errors. They name what is wrong and what was expected; whoever read the bytes says where
// they are from, and what helps.

extension ChainError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let part, let error): return "the \(part.rawValue) does not decode: \(error)"
        case .tooLarge(let part, let bytes): return "the \(part.rawValue) has \(bytes) bytes, more than any may have"
        case .headerFieldCount(let count): return "a header of \(count) fields, which no fork has"
        case .unknownTransactionType(let type): return "a transaction of the unknown type \(type)"
        case .invalidSignature: return "a transaction's signature is none"
        case .missingReceiver: return "a blob or set-code transaction has no receiver"
        case .transactionsRootMismatch(let block): return "the transactions of block \(block) are not its header's"
        case .withdrawalsRootMismatch(let block): return "the withdrawals of block \(block) are not its header's"
        case .unclesHashMismatch(let block): return "the uncles of block \(block) are not its header's"
        case .withdrawalsPresence(let block):
            return "block \(block) has withdrawals and its header none, or the other way round"
        case .accessList(let error): return "the access list breaks a rule: \(error)"
        case .accessListHashMismatch(let expected, let found):
            return "the access list hashes to \(found), but its header names \(expected)"
        case .anotherBlock(let expected, let found): return "block \(expected) was asked for, and this one is \(found)"
        case .invalidConfiguration(let why): return why
        case .certificate(let error): return "the certificate is refused: \(error)"
        case .unknownParent(let number, let hash): return "the parent \(hash) of block \(number) is not known"
        case .wrongNumber(let expected, let found): return "block \(expected) was expected, and it is block \(found)"
        case .notTheCheckpoint(let expected, let found):
            return "the checkpoint's block hashes to \(found), but the network's configuration names \(expected)"
        case .belowFinal(let number): return "block \(number) leaves the line below the final block"
        case .tooManyUnverified(let limit): return "more than \(limit) headers above the final block"
        case .conflictingFinals(let one, let other):
            return "blocks \(one) and \(other) are both attested final, and not on one line"
        case .tooDeep(let fork, let rival):
            return "the line of block \(rival) has more work and leaves this one at block \(fork), deeper than "
                + "rule.undoDepth lets it: see which line is the right one, and begin anew from a checkpoint on it"
        case .work(let error): return "\(error)"
        case .ahead(let number, let timestamp, let now):
            return "block \(number) is dated \(timestamp), and the clock here says \(now): is it right?"
        case .committee(let error): return "\(error)"
        case .lostFloor(let point):
            return "the store's chain stands on block \(point), whose header is not there: 'carousel run --rebuild'"
        }
    }
}

extension AccessListError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .addressOrder(let address): return "the address \(address) is out of order or stands twice"
        case .slotOrder(let address, let slot): return "slot \(text(slot)) of \(address) is out of order or twice"
        case .readOrder(let address, let slot):
            return "slot \(text(slot)), read, of \(address) is out of order or twice"
        case .readAndWritten(let address, let slot):
            return "slot \(text(slot)) of \(address) is listed as read and as written"
        case .indexOrder(let address, let index): return "index \(index) at \(address) is out of order or twice"
        case .indexTooHigh(let address, let index): return "index \(index) at \(address) is above the transactions"
        case .emptySlotChanges(let address, let slot): return "slot \(text(slot)) of \(address) has no change"
        case .codeTooLarge(let address, let bytes): return "the code of \(address) has \(bytes) bytes, too many"
        case .tooManyItems(let count, let limit): return "\(count) items, and the gas limit pays for \(limit)"
        }
    }

    private func text(_ slot: UInt256) -> String { Hex.prefixed(slot.big.bytes) }
}

extension CertificateError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongSize(let bytes): "\(bytes) bytes are no whole number of claims, or too many"
        case .unknownKind(let kind): "a claim of the unknown kind \(kind)"
        case .claimOrder: "the claims are out of order, or one stands twice"
        case .unknownSigner(let key): "the key \(key) is not among the network's"
        case .badSignature(let signer): "the signature of \(signer) does not fit"
        case .notOfThisHeader(let point): "a claim is of block \(point), not of the header it came with"
        }
    }
}
