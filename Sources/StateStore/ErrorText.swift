// The words of errors that arise where changes meet what is stored.

extension StateChangeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsorted(let key): "the change of \(key) is out of order"
        case .foreignKey(let key): "the change of \(key) is of another section"
        case .noChange(let key): "the change of \(key) changes nothing"
        case .malformedBody(let key): "the account \(key) is none"
        case .malformedSlot(let key): "the value of slot \(key) is none"
        case .bodyMissing(let account): "slots of account \(account) change, and it is not listed"
        case .impliedSlot(let key): "the slot \(key) is listed, and its account is deleted"
        case .slotNotKept(let key): "the slot \(key) is listed, and storage of its account is not kept"
        case .storageRootMismatch(let account): "the slots of account \(account) do not hash to its storage root"
        case .sectionNotHeld(let section): "section \(section) is not held"
        case .store(let error): "the store: \(error)"
        case .trie(let error): "the store: \(error): \(StoreError.renewal)"
        }
    }
}

extension StoragePlacing.Failure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .placementUnknown(let account): "where the storage of account \(account) is placed is not known here"
        case .slotsMissing(let account): "the slots of account \(account) are not here"
        }
    }
}

extension MemoryState.Failure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformedBody(let key): "the account \(key) is none"
        case .storageRoot(let key): "the slots of account \(key) do not hash to its storage root"
        case .slotsWithoutAccount(let key): "there are slots of the account \(key), which is not there"
        }
    }
}
