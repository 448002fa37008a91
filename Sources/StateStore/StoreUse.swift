/// What a store takes up, by what becomes of it where a node keeps more or less of the ring.
public struct StoreUse: Hashable, Sendable {
    /// Bytes of all tables.
    public var all: Int
    /// Bytes of what grows with the arc and cannot be given up without it: leaves, branches, undo, layers, code.
    public var state: Int
    /// Bytes of the changes of past epochs.
    public var history: Int
    /// Whether some of those lead to no served anchor, so that they can be given up.
    public var hasOldHistory: Bool

    /// These figures.
    public init(all: Int, state: Int, history: Int, hasOldHistory: Bool) {
        self.all = all
        self.state = state
        self.history = history
        self.hasOldHistory = hasOldHistory
    }

    /// The tables that grow with the arc.
    private static let stateTables: [Table] = [
        .leaves, .accountBranches, .storageBranches, .undoLeaves, .undoAccountBranches, .undoStorageBranches, .sections,
        .partLeaves, .partBranches, .undoPartLeaves, .undoPartBranches, .layers, .codes, .wantedCodes,
    ]

    /// Of this snapshot. The ends of folds are read only where `all` is more than `bytes`.
    public static func measure(
        in snapshot: some StoreSnapshot, lookingForHistoryAbove bytes: Int
    ) throws(StoreError) -> StoreUse {
        let all = try snapshot.liveBytes(of: Table.allCases)
        return StoreUse(
            all: all, state: try snapshot.liveBytes(of: stateTables), history: try snapshot.liveBytes(of: [.history]),
            hasOldHistory: all > bytes ? try StorageRelief.oldHistory(in: snapshot) != nil : false)
    }
}
