import Primitives

// The words of this target's errors: what is wrong with a key or a value.

extension StateContentError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .empty: "no bytes at all"
        case .unknownContent(let byte): "no content begins with \(byte)"
        case .keyTooLong(let bytes): "a content key of \(bytes) bytes"
        case .valueTooLong(let bytes): "a value of \(bytes) bytes"
        case .malformed(let error): "it does not decode: \(error)"
        case .invalid(let field): "the field \(field) has an impossible value"
        case .unknownStatus(let byte): "the status \(byte) is not known"
        case .status(let status): "no data: \(status)"
        }
    }
}

extension StateStatus: CustomStringConvertible {
    public var description: String {
        switch self {
        case .data: "data follows"
        case .notAtThisAnchor: "not at this anchor"
        case .busy(let seconds): "busy for \(seconds) s"
        case .historyTooShort: "the changes begin before what is kept"
        case .itemTooLarge: "no item fits"
        case .placementNotSupported: "no such trie or placement"
        }
    }
}

extension RangeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the range does not decode: \(error)"
        case .overMaxBytes(let bytes): "the range has \(bytes) bytes, more than asked for"
        case .wrongEnd(let end): "the range ends at \(end), where it cannot"
        case .accountOrder(let key): "the account \(key) is out of order or outside the range"
        case .malformedBody(let key): "the account \(key) is none"
        case .wrongKind(let account, _): "the storage of account \(account) is given as another kind than it is"
        case .slotOrder(let account): "slots of account \(account) are out of order or outside the range"
        case .storageRootMismatch(let account): "the slots of account \(account) do not hash to its storage root"
        case .storageProof(let account, let error): "the storage of account \(account) is not proven: \(error)"
        case .accountProof(let error): "the accounts are not proven: \(error)"
        }
    }
}

extension ContentError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the value does not decode: \(error)"
        case .unaskedCode(let hash): "the code \(hash) was not asked for, or not in this place"
        case .crown(let error): "the nodes are not the crown of the state root: \(error)"
        }
    }
}

extension DiffError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the diff does not decode: \(error)"
        case .overMaxBytes(let bytes): "the diff has \(bytes) bytes, more than asked for"
        case .wrongSections: "the diff is of other sections than asked for"
        case .wrongHashCount(let sections, let hashes):
            "\(sections) sections are changed, and \(hashes) hashes of the state before came with them"
        case .unaskedProof: "the diff has a proof that was not asked for"
        case .unaskedStorage(let account): "the diff has slots of account \(account), which were not asked for"
        case .wrongOwner(let account): "the diff of a part does not begin with account \(account) as it is"
        case .proof(let error): "the diff's section hashes are not proven: \(error)"
        case .change(let section, let error): "the diff of section \(section) cannot be applied: \(error)"
        case .sectionHashMismatch(let section): "section \(section), changed, does not hash to what is proven"
        case .wrongHeader: "the header is not that of the block"
        case .malformedCertificate(let error): "the certificate does not decode: \(error)"
        case .unexpectedCode(let hash): "the code \(hash) belongs to no changed account, or stands out of order"
        }
    }
}

extension SectionsError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the sections do not decode: \(error)"
        case .overMaxBytes(let bytes): "the sections have \(bytes) bytes, more than asked for"
        case .wrongSections: "they are other sections than asked for"
        case .proof(let error): "the section hashes are not proven: \(error)"
        case .accountOrder(let key): "the account \(key) is out of order or in no section that is given"
        case .malformedBody(let key): "the account \(key) is none"
        case .wrongCounts(let accounts, let counts):
            "\(accounts) accounts have storage, and \(counts) numbers of slots came with them"
        case .slotOrder(let account): "slots of account \(account) are out of order"
        case .elsewhere(let account): "the slots of account \(account) do not belong with it"
        case .storageRootMismatch(let account): "the slots of account \(account) do not hash to its storage root"
        case .sectionHashMismatch(let section): "section \(section) does not hash to what is proven"
        }
    }
}

extension SubtreesError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the nodes do not decode: \(error)"
        case .overMaxBytes(let bytes): "the nodes have \(bytes) bytes, more than asked for"
        case .wrongNode(let place, let level): "node \(level) at place \(place) is not the one that its parent names"
        case .malformedNode(let place, let error): "a node at place \(place) is none: \(error)"
        case .wrongCount: "there are fewer nodes than one place has, or more than all have"
        }
    }
}

extension WideDirectoryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .status(let error): "\(error)"
        case .malformed(let error): "the directory does not decode: \(error)"
        case .placement(let account, let depth): "the directory places account \(account) at depth \(depth)"
        case .unasked(let account): "the directory has account \(account), which was not asked for"
        case .order(let account): "account \(account) stands twice in the directory, or out of order"
        }
    }
}

extension StateQueryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .range(let error): "\(error)"
        case .path(let error): "its nodes do not lead to the account or slot: \(error)"
        case .code(let error): "\(error)"
        case .contradiction: "it says something else of the account than its nodes"
        }
    }
}
