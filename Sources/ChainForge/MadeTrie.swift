import MerklePatricia
import Primitives

/// A trie that changes block by block: sections of the size at which a sorted array is cheap to insert into, joined by
/// their crown.
struct MadeTrie: Sendable {
    private let depth: Int
    private var sections: [MemoryTrie]
    private(set) var root: Bytes32

    /// Leaves of a section at most, about, when the trie is made.
    private static let sectionLeaves = 2_048

    /// The trie of these leaves, which strictly ascend.
    init(_ leaves: LeafColumns) {
        var depth = 0
        while depth < 3, leaves.count / Nibbles.sectionCount(depth: depth) > MadeTrie.sectionLeaves { depth += 1 }
        self.depth = depth
        var columns = [LeafColumns](repeating: LeafColumns(), count: Nibbles.sectionCount(depth: depth))
        for index in 0..<leaves.count {
            let key = leaves.keys[index]
            columns[Nibbles.section(of: key, depth: depth)].append(
                key: key, value: leaves.valueBytes[leaves.valueRange(at: index)])
        }
        sections = columns.map { MemoryTrie($0) }
        root = .zero
        join()
    }

    /// Applies changes, strictly ascending by key; nil deletes.
    mutating func apply(_ changes: [TrieUpdate.LeafChange]) throws {
        var start = 0
        while start < changes.count {
            let section = Nibbles.section(of: changes[start].key, depth: depth)
            var end = start + 1
            while end < changes.count, Nibbles.section(of: changes[end].key, depth: depth) == section { end += 1 }
            try sections[section].apply(Array(changes[start..<end]))
            start = end
        }
        if !changes.isEmpty { join() }
    }

    private mutating func join() {
        root = depth == 0 ? sections[0].root : Crown(sections: sections.map(\.subtree), depth: depth).root
    }
}

/// The storage of a contract that some block reads or writes: its slots in the order in which they came, a slot's place
/// among them, and the trie.
struct MadeStorage: Sendable {
    private(set) var slots: [UInt256] = []
    private(set) var values: [UInt256] = []
    private var places: [UInt256: Int] = [:]
    private var trie: MadeTrie
    /// Slots written since the last commit.
    private var written: Set<UInt256> = []

    init(_ storage: [(slot: UInt256, value: UInt256)]) {
        slots = storage.map(\.slot)
        values = storage.map(\.value)
        places.reserveCapacity(slots.count)
        for (place, slot) in slots.enumerated() { places[slot] = place }
        trie = MadeTrie(MadeStorage.leaves(storage))
    }

    /// The trie's leaves of this storage.
    static func leaves(_ storage: [(slot: UInt256, value: UInt256)]) -> LeafColumns {
        var buffer: [UInt8] = []
        buffer.reserveCapacity(32 * storage.count)
        for entry in storage { buffer += entry.slot.big.bytes }
        let keys = Keccak.hash(buffer, ranges: (0..<storage.count).map { 32 * $0..<32 * $0 + 32 })
        var leaves = LeafColumns()
        leaves.reserveCapacity(keys.count, valueBytes: 20 * keys.count)
        for index in keys.indices.sorted(by: { keys[$0] < keys[$1] }) {
            leaves.append(key: keys[index], value: RLPWriter.integer(storage[index].value))
        }
        return leaves
    }

    /// The value of a slot; zero where there is none.
    subscript(slot: UInt256) -> UInt256 { places[slot].map { values[$0] } ?? .zero }

    /// Writes a slot; zero removes it.
    mutating func write(_ slot: UInt256, _ value: UInt256) {
        written.insert(slot)
        guard let place = places[slot] else {
            guard value != .zero else { return }
            places[slot] = slots.count
            slots.append(slot)
            values.append(value)
            return
        }
        if value != .zero {
            values[place] = value
            return
        }
        // The last takes the place of the one that goes.
        let last = slots.count - 1
        slots[place] = slots[last]
        values[place] = values[last]
        places[slots[place]] = place
        places[slot] = nil
        slots.removeLast()
        values.removeLast()
    }

    /// Brings the trie to what was written; gives its root.
    mutating func commit() throws -> Bytes32 {
        var changes: [TrieUpdate.LeafChange] = []
        for slot in written {
            let value = self[slot]
            changes.append((Keccak.hash(slot.big.bytes), value == .zero ? nil : RLPWriter.integer(value)))
        }
        written.removeAll(keepingCapacity: true)
        try trie.apply(changes.sorted { $0.key < $1.key })
        return trie.root
    }

    /// All slots with their values, by slot.
    var sorted: [(slot: UInt256, value: UInt256)] {
        zip(slots, values).map { ($0, $1) }.sorted { $0.0 < $1.0 }
    }
}
