import Primitives

// The words of this target's errors: what is wrong with a block that is replayed, with a job, with a bridge's keys.

extension BridgeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongRoot(_, let expected, let found):
            "the changes lead to the state root \(found), but the header's is \(expected)"
        case .wrongCodeHash(_, let account, let expected, let found):
            "the code of account \(account) is said to hash to \(expected) and is not brought, but the account's "
                + "hashes to \(found)"
        case .noChanges(let section): "nothing changes in section \(section)"
        case .notWhole(let sections): "only \(sections) sections are held whole, and a block needs all"
        }
    }
}

extension StateJobError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .lie(let what), .falseDiff(let what): what
        case .replaced: "the storage of an account may have another place after the block"
        case .outdated: "the store has gone on meanwhile"
        case .store(let error): "the store: \(error)"
        }
    }
}

extension BridgeKeyError: CustomStringConvertible {
    /// Why the bridge cannot begin, and what helps.
    public var description: String {
        switch self {
        case .seed(let index): "signing key \(index + 1) is no secret key: make one with 'carousel key signing'"
        case .notOfNetwork(_, let key):
            "the signing key \(key) is not among rule.keys of the network: nobody would believe it"
        case .givenTwice(_, let key): "the signing key \(key) is given twice: give each once"
        }
    }
}
