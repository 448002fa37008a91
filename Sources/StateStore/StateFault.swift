import Chain
import Primitives

/// Where stored state is not what its hashes say: nothing that this program wrote, so the disk, the memory or somebody
/// else changed it. The description names the thing; what helps is the same for all and is said by who reports it.
public enum StateFault: Error, Hashable, Sendable {
    /// Something under a key that is no leaf's, or that is not above the one before it.
    case notALeaf(section: Int)
    /// An account's body that does not decode.
    case malformedAccount(Bytes32)
    /// A slot whose value no slot has, or that stands without its account.
    case malformedSlot(account: Bytes32, slot: Bytes32)
    /// An account's slots do not hash to the root that the account names.
    case storageRoot(account: Bytes32, expected: Bytes32, found: Bytes32)
    /// A section's leaves do not hash to what its record says; at which block.
    case sectionHash(section: Int, block: UInt64, expected: Bytes32, found: Bytes32)
    /// A section's record says another hash than the state root of the block's header.
    case recordHash(section: Int, block: UInt64, expected: Bytes32, found: Bytes32)
    /// All sections together do not hash to the state root of the block's header.
    case stateRoot(block: UInt64, expected: Bytes32, found: Bytes32)
    /// What leads a section back to the anchor before, at this block, does not.
    case undo(section: Int, block: UInt64)
    /// Code that hashes to something else than its key.
    case code(hash: Bytes32, found: Bytes32)
    /// Code that an account names is not here, nor noted as still to be fetched.
    case missingCode(account: Bytes32, hash: Bytes32)
    /// A header that does not decode, or hashes to something else than its key.
    case header(block: UInt64)
    /// The crown of an anchor does not decode under its header's state root.
    case crown(block: UInt64)
    /// A record of this table does not decode.
    case record(table: String)
}

extension StateFault: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notALeaf(let section): return "section \(section) has an entry that is no leaf, or out of order"
        case .malformedAccount(let key): return "the account \(key) does not decode"
        case .malformedSlot(let account, let slot): return "slot \(slot) of account \(account) is none"
        case .storageRoot(let account, let expected, let found):
            return "the slots of account \(account) hash to \(found), not to its storage root \(expected)"
        case .sectionHash(let section, let block, let expected, let found):
            return "section \(section) at block \(block) hashes to \(found), not to \(expected)"
        case .recordHash(let section, let block, let expected, let found):
            return "section \(section) is recorded as \(found), but is \(expected) under the state root of block "
                + "\(block)"
        case .stateRoot(let block, let expected, let found):
            return "the state hashes to \(found), not to \(expected), the state root of block \(block)"
        case .undo(let section, let block):
            return "the undo layer of section \(section) does not lead back to its state at block \(block)"
        case .code(let hash, let found): return "the code \(hash) hashes to \(found)"
        case .missingCode(let account, let hash): return "the code \(hash) of account \(account) is not there"
        case .header(let block): return "the header of block \(block) is not what its hash says"
        case .crown(let block): return "the crown of block \(block) does not lead to its state root"
        case .record(let table): return "a record in the table '\(table)' does not decode"
        }
    }
}
