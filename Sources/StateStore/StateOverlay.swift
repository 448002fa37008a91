import Chain
import Primitives

/// What a later point changes of the base, sorted for looking things up: keys as they are in the store.
public struct StateOverlay: Sendable {
    /// nil: not there at this point.
    struct Entry: Sendable {
        let key: [UInt8]
        let value: [UInt8]?
    }

    let leaves: [Entry]
    let accountBranches: [Entry]
    let storageBranches: [Entry]

    /// The state after `update`, over the one before it.
    public init(_ update: SectionUpdate) {
        leaves = update.leaves.map { Entry(key: $0.key.bytes, value: $0.after) }
        accountBranches = update.accountBranches.map { Entry(key: $0.key.storeKey, value: $0.after) }
        storageBranches = update.storageBranches.map { Entry(key: $0.key.bytes, value: $0.after) }
    }

    func entries(_ kind: StateTable) -> [Entry] {
        switch kind {
        case .leaves: leaves
        case .accountBranches: accountBranches
        case .storageBranches: storageBranches
        }
    }
}

extension [StateOverlay.Entry] {
    /// Index of the first entry at or after `key`.
    func lowerBound(_ key: [UInt8]) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if ByteOrder.isLess(self[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

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

/// Through which layers one section is read: the base alone is its working point.
public struct SectionLayering: Sendable {
    /// Look through the undo layer first: the point before the working one.
    public let readsUndo: Bool
    /// Looked through before that, the newest first: block layers since.
    public let overlays: [StateOverlay]

    /// The base with these layers over it.
    public init(readsUndo: Bool = false, overlays: [StateOverlay] = []) {
        self.readsUndo = readsUndo
        self.overlays = overlays
    }

    /// The base as it is.
    public static let base = SectionLayering()
    /// The point before the working one.
    public static let previous = SectionLayering(readsUndo: true)

    /// The way to read a complete section at `point`: from its working point or the one before, and through `layers`
    /// (this section's, in any order) where they lead on to `point` without a gap. `point` is one of the section's own:
    /// a served anchor, or the last block up to the wanted one, on its line, that has a layer. nil where it is not held
    /// at that point.
    public init?(of record: SectionRecord, at point: StatePoint, layers: [BlockLayer] = []) {
        guard record.isComplete else { return nil }
        if record.working == point {
            self = .base
        } else if record.previous == point {
            self = .previous
        } else {
            guard let (start, chain) = BlockLayer.chain(to: point, in: layers, of: record),
                let update = SectionUpdate.merged(chain.map(\.update))
            else { return nil }
            self.init(readsUndo: start != record.working, overlays: [StateOverlay(update)])
        }
    }
}
