/// The three tables that have layers.
enum StateTable: Int, CaseIterable {
    case leaves
    case accountBranches
    case storageBranches

    /// Where the base is.
    var base: Table {
        switch self {
        case .leaves: .leaves
        case .accountBranches: .accountBranches
        case .storageBranches: .storageBranches
        }
    }

    /// Where the undo layer is.
    var undo: Table {
        switch self {
        case .leaves: .undoLeaves
        case .accountBranches: .undoAccountBranches
        case .storageBranches: .undoStorageBranches
        }
    }

    /// [from, upTo) of a section's keys.
    func bounds(of section: Section) -> (from: [UInt8], upTo: [UInt8]?) {
        self == .accountBranches ? section.branchBounds : section.leafBounds
    }
}

/// How an undo entry says whether something was there.
enum UndoValue {
    static let gone: [UInt8] = [0]

    static func encode(_ value: [UInt8]?) -> [UInt8] { value.map { [1] + $0 } ?? gone }

    /// Whether the entry says that nothing was there; its value is what follows the first byte.
    static func isGone(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.first == 0 }
}
