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

    /// Whether a key lies in a section; false as well where it is too short to lie in any.
    @inline(__always)
    func has(_ key: UnsafeRawBufferPointer, in section: Section) -> Bool {
        guard self == .accountBranches else {
            guard key.count >= 32 else { return false }
            let word = UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
            let index = section.depth == 0 ? 0 : word &>> UInt64(64 &- 4 &* section.depth)
            return Int(truncatingIfNeeded: index) == section.index
        }
        guard key.count >= section.depth else { return false }
        var index = 0
        for nibble in key[..<section.depth] { index = index &<< 4 | Int(nibble) }
        return index == section.index
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
