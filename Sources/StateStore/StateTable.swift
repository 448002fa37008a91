import Primitives

/// The tables that have layers.
enum StateTable: Int, CaseIterable {
    case leaves
    case accountBranches
    case storageBranches
    case partLeaves
    case partBranches

    /// Those in which something of a section stands.
    static func tables(of section: Section) -> [StateTable] {
        section.owner == nil ? [.leaves, .accountBranches, .storageBranches] : [.partLeaves, .partBranches]
    }

    /// Where the leaves of sections of a trie stand, and the branches of storage tries over them.
    static func leaves(ofPart isPart: Bool) -> StateTable { isPart ? .partLeaves : .leaves }
    static func storageBranches(ofPart isPart: Bool) -> StateTable { isPart ? .partBranches : .storageBranches }

    /// Where the base is.
    var base: Table {
        switch self {
        case .leaves: .leaves
        case .accountBranches: .accountBranches
        case .storageBranches: .storageBranches
        case .partLeaves: .partLeaves
        case .partBranches: .partBranches
        }
    }

    /// Where the undo layer is.
    var undo: Table {
        switch self {
        case .leaves: .undoLeaves
        case .accountBranches: .undoAccountBranches
        case .storageBranches: .undoStorageBranches
        case .partLeaves: .undoPartLeaves
        case .partBranches: .undoPartBranches
        }
    }

    /// Whether a key lies in a section; false as well where it is too short to lie in any.
    @inline(__always)
    func has(_ key: UnsafeRawBufferPointer, in section: Section) -> Bool {
        switch self {
        case .leaves, .storageBranches: StateTable.begins(key, at: 0, with: section)
        case .accountBranches: StateTable.leads(key, from: 0, to: section)
        case .partLeaves: StateTable.isOwned(key, in: section) && StateTable.begins(key, at: 32, with: section)
        case .partBranches: StateTable.isOwned(key, in: section) && StateTable.leads(key, from: 32, to: section)
        }
    }

    /// Whether the hash at `offset` begins with the section's nibbles.
    @inline(__always)
    private static func begins(_ key: UnsafeRawBufferPointer, at offset: Int, with section: Section) -> Bool {
        guard key.count >= offset &+ 32 else { return false }
        let word = UInt64(bigEndian: key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let index = section.depth == 0 ? 0 : word &>> UInt64(64 &- 4 &* section.depth)
        return Int(truncatingIfNeeded: index) == section.index
    }

    /// Whether the path from `offset` on, one byte a nibble, leads into the section.
    private static func leads(_ key: UnsafeRawBufferPointer, from offset: Int, to section: Section) -> Bool {
        guard key.count >= offset + section.depth else { return false }
        var index = 0
        for nibble in key[offset..<(offset + section.depth)] { index = index &<< 4 | Int(nibble) }
        return index == section.index
    }

    private static func isOwned(_ key: UnsafeRawBufferPointer, in section: Section) -> Bool {
        key.count >= 32 && key.baseAddress.map { Bytes32(loading: $0) } == section.owner
    }

    /// [from, upTo) of a section's keys.
    func bounds(of section: Section) -> (from: [UInt8], upTo: [UInt8]?) {
        self == .accountBranches || self == .partBranches ? section.branchBounds : section.leafBounds
    }
}

/// How an undo entry says whether something was there.
enum UndoValue {
    static let gone: [UInt8] = [0]

    static func encode(_ value: [UInt8]?) -> [UInt8] { value.map { [1] + $0 } ?? gone }

    /// Whether the entry says that nothing was there; its value is what follows the first byte.
    static func isGone(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.first == 0 }
}
