import Primitives

/// What was being read when an encoding was found wrong.
public enum ChainPart: String, Sendable {
    case header, block, transaction, uncle, withdrawal
    case accessList = "access list"
    case account, certificate
}

/// Everything that may be wrong with a chain's data.
public enum ChainError: Error, Equatable, Sendable {
    /// The RLP of `part` is not what it must be.
    case malformed(ChainPart, RLPError)
    /// More bytes than `ChainLimits` allow.
    case tooLarge(ChainPart, bytes: Int)
    /// A header of 18, 19, 22 or another impossible number of fields.
    case headerFieldCount(Int)

    case unknownTransactionType(UInt8)
    /// A signature value out of range, or a `v` that means nothing.
    case invalidSignature
    /// A blob or set-code transaction without a receiver.
    case missingReceiver
    /// The block's body does not give the root its header states.
    case transactionsRootMismatch(block: UInt64)
    case withdrawalsRootMismatch(block: UInt64)
    case unclesHashMismatch(block: UInt64)
    /// The header commits to withdrawals and the body has none, or the other way round.
    case withdrawalsPresence(block: UInt64)

    case accessList(AccessListError)
    /// The list's hash is not the one in the header.
    case accessListHashMismatch(expected: Bytes32, found: Bytes32)

    /// Another block than the one that was asked for.
    case anotherBlock(expected: Bytes32, found: Bytes32)

    /// A configuration value that cannot be; the text says which and why.
    case invalidConfiguration(String)

    case certificate(CertificateError)

    /// The header's parent is neither known nor the one before it in the run.
    case unknownParent(number: UInt64, parentHash: Bytes32)
    /// A header's number is not its parent's plus one.
    case wrongNumber(expected: UInt64, found: UInt64)
    /// The header at the checkpoint's number has another hash.
    case notTheCheckpoint(expected: Bytes32, found: Bytes32)
    /// A run that leaves the final line below its end, without claims that would make that a conflict.
    case belowFinal(number: UInt64)
    /// No room for this many headers that no certificate covers.
    case tooManyUnverified(limit: Int)
    /// Two blocks are attested final by enough keys and do not lie on one line. Nothing goes on after this.
    case conflictingFinals(StatePoint, StatePoint)
    /// A line with more work than the one followed leaves it below what may be undone. Nothing goes on after this.
    case tooDeep(fork: StatePoint, rival: StatePoint)

    case work(WorkError)
    /// A header that is dated too far after the clock here, Unix seconds. It may be taken later.
    case ahead(number: UInt64, timestamp: UInt64, now: UInt64)
    case committee(CommitteeError)
    /// The store names a block as its chain's floor and has no header of it.
    case lostFloor(StatePoint)
}

/// What is wrong with a block access list.
public enum AccessListError: Error, Equatable, Sendable {
    /// Addresses out of order or twice.
    case addressOrder(Address)
    /// Slots with changes out of order or twice.
    case slotOrder(Address, UInt256)
    /// Slots read out of order or twice.
    case readOrder(Address, UInt256)
    /// A slot listed as read and as written.
    case readAndWritten(Address, UInt256)
    /// Indices of one list out of order or twice.
    case indexOrder(Address, UInt32)
    /// An index above the number of transactions plus one.
    case indexTooHigh(Address, UInt32)
    /// A slot listed as written without a change.
    case emptySlotChanges(Address, UInt256)
    case codeTooLarge(Address, bytes: Int)
    /// More addresses and slots than the gas limit pays for.
    case tooManyItems(count: Int, limit: UInt64)
}

/// What is wrong with a certificate.
public enum CertificateError: Error, Equatable, Sendable {
    /// Not a whole number of claims, none, or too many.
    case wrongSize(bytes: Int)
    case unknownKind(UInt8)
    /// Claims out of order or one twice.
    case claimOrder
    /// A key that the network's rule does not name.
    case unknownSigner(Bytes32)
    /// The signature does not fit key and claim.
    case badSignature(signer: Bytes32)
    /// A head claim of another block than the header it came with, or a final claim above it.
    case notOfThisHeader(StatePoint)
}
