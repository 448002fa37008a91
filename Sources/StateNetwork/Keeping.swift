import StateStore

/// What of the state a node keeps: how much of the ring, and of the accounts there whose storage.
public struct Keeping: Sendable {
    /// How much of the ring is kept, round the id.
    public var arcPlan: ArcPlan
    /// Whose storage and code is kept; of a walker alone it may be less than that of all accounts.
    public var storage: KeptStorage

    /// All storage, unless some is named.
    public init(arcPlan: ArcPlan, storage: KeptStorage = .all) {
        self.arcPlan = arcPlan
        self.storage = storage
    }
}
