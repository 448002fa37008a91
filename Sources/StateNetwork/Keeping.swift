import StateContent
import StateStore

/// What of the state a node keeps: how much of the ring, and of the accounts there whose storage.
public struct Keeping: Sendable {
    /// How much of the ring is kept, round the id.
    public var arcPlan: ArcPlan
    /// Whose storage and code is kept; of a walker alone it may be less than that of all accounts.
    public var storage: KeptStorage
    /// Whether a bridge keeps the addresses and slots of what its blocks change, by their hashes.
    public var preimages = false
    /// Which blocks are kept, and whether the state comes from blocks.
    public var blocks = BlockPlan()

    /// All storage, unless some is named.
    public init(arcPlan: ArcPlan, storage: KeptStorage = .all) {
        self.arcPlan = arcPlan
        self.storage = storage
    }
}

extension KeptStorage {
    /// Whose storage is asked for in a request about these sections, or parts: those have no accounts beside them.
    func asked(of indices: [Int], _ book: SectionBook) -> KeptStorage {
        guard !isAll, let first = indices.first, !book.isPart(first) else { return .all }
        return within(indices.map { book.section($0) })
    }

    /// Whether content of this kind is given to others: who leaves storage out has no section as they want it.
    func serves(_ key: StateContentKey) -> Bool {
        switch key {
        case .crown, .codes, .availability: true
        default: isAll
        }
    }
}
