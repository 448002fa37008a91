import Chain
import Primitives

/// What a later point changes of the base, sorted for looking things up: keys as they are in the store. Copies share
/// their bytes.
public struct StateOverlay: Sendable {
    private let leaves: OverlayTable
    private let accountBranches: OverlayTable
    private let storageBranches: OverlayTable

    /// The state after `update`, over the one before it.
    public init(_ update: SectionUpdate) {
        leaves = OverlayTable(update.leaves.map { ($0.key.bytes, $0.after) })
        accountBranches = OverlayTable(update.accountBranches.map { ($0.key.storeKey, $0.after) })
        storageBranches = OverlayTable(update.storageBranches.map { ($0.key.bytes, $0.after) })
    }

    /// Both as one: where they differ, `newer` decides.
    init(older: StateOverlay, newer: StateOverlay) {
        leaves = OverlayTable(older: older.leaves, newer: newer.leaves)
        accountBranches = OverlayTable(older: older.accountBranches, newer: newer.accountBranches)
        storageBranches = OverlayTable(older: older.storageBranches, newer: newer.storageBranches)
    }

    /// A layer is of one section, or of one part: what it has of a table is of that.
    func table(_ kind: StateTable) -> OverlayTable {
        switch kind {
        case .leaves, .partLeaves: leaves
        case .accountBranches: accountBranches
        case .storageBranches, .partBranches: storageBranches
        }
    }

    /// Entries of all three tables.
    var count: Int { leaves.count + accountBranches.count + storageBranches.count }

    /// Bytes of memory.
    public var byteCount: Int { leaves.byteCount + accountBranches.byteCount + storageBranches.byteCount }
}

/// One table of an overlay: keys and values one after the other in one piece of memory. Never changes.
final class OverlayTable: @unchecked Sendable {
    /// One entry's place in the memory.
    private struct Place {
        let start: Int
        let keyEnd: Int
        let end: Int
        /// nothing is there at this point.
        let isGone: Bool
    }

    // Written by the initialisers only.
    private let bytes: UnsafeMutableRawBufferPointer
    private let places: [Place]

    /// Entries that strictly ascend; nil: not there at this point.
    init(_ entries: [(key: [UInt8], value: [UInt8]?)]) {
        let size = entries.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) }
        bytes = .allocate(byteCount: size, alignment: 8)
        var places: [Place] = []
        places.reserveCapacity(entries.count)
        var offset = 0
        for (key, value) in entries {
            let keyEnd = offset + key.count
            let end = keyEnd + (value?.count ?? 0)
            UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<keyEnd]).copyBytes(from: key)
            if let value { UnsafeMutableRawBufferPointer(rebasing: bytes[keyEnd..<end]).copyBytes(from: value) }
            places.append(Place(start: offset, keyEnd: keyEnd, end: end, isGone: value == nil))
            offset = end
        }
        self.places = places
    }

    /// Two tables as one: where both have a key, `newer` decides.
    init(older: OverlayTable, newer: OverlayTable) {
        let merged = UnsafeMutableRawBufferPointer.allocate(
            byteCount: older.bytes.count + newer.bytes.count, alignment: 8)
        var places: [Place] = []
        places.reserveCapacity(older.count + newer.count)
        var offset = 0
        func take(_ table: OverlayTable, _ index: Int) {
            let place = table.places[index]
            let size = place.end - place.start
            UnsafeMutableRawBufferPointer(rebasing: merged[offset..<offset + size])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: table.bytes[place.start..<place.end]))
            places.append(
                Place(
                    start: offset, keyEnd: offset + place.keyEnd - place.start, end: offset + size,
                    isGone: place.isGone))
            offset += size
        }
        var (i, j) = (0, 0)
        while i < older.count || j < newer.count {
            let order =
                i == older.count ? 1 : j == newer.count ? -1 : ByteOrder.compare(older.key(at: i), newer.key(at: j))
            if order < 0 { take(older, i) } else { take(newer, j) }
            if order <= 0 { i += 1 }
            if order >= 0 { j += 1 }
        }
        self.bytes = merged
        self.places = places
    }

    deinit { bytes.deallocate() }

    var count: Int { places.count }

    /// Bytes of memory.
    var byteCount: Int { bytes.count + places.count * MemoryLayout<Place>.stride }

    func key(at index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[places[index].start..<places[index].keyEnd])
    }

    func isGone(at index: Int) -> Bool { places[index].isGone }

    func entry(at index: Int) -> StoredEntry {
        let place = places[index]
        let value = UnsafeRawBufferPointer(rebasing: bytes[place.keyEnd..<place.end])
        return StoredEntry(key: key(at: index), value: value)
    }

    /// Index of the first entry at or after `key`.
    func lowerBound(_ key: [UInt8]) -> Int {
        key.withUnsafeBytes { key in
            (0..<count).partitionPoint { ByteOrder.compare(self.key(at: $0), key) < 0 }
        }
    }

    /// What it says of `key`: nil for nothing, `.some(nil)` that nothing is there.
    func lookUp(_ key: [UInt8]) -> [UInt8]?? {
        let index = lowerBound(key)
        guard index < count, key.withUnsafeBytes({ ByteOrder.compare(self.key(at: index), $0) == 0 }) else {
            return nil
        }
        return .some(isGone(at: index) ? nil : Array(entry(at: index).value))
    }
}
