import Chain
import MerklePatricia
import Primitives
import StateStore

/// Nodes of the state at an anchor, by their places: for those who compare what they hold with it.
public struct SubtreesKey: Hashable, Sendable {
    /// The account trie, with all storage beside its accounts.
    public let trie: StateTrie
    public let anchor: Anchor
    /// All below the sections and in one section, strictly ascending. Of a storage trie without an account path.
    public let places: [StatePlace]
    /// Nodes from each place down: 1 is the node there alone, 2 those that it names besides, …
    public let levels: Int
    /// Largest value the asker takes, status byte included.
    public let maxBytes: UInt32

    /// nil unless there are 1 to 128 places, which strictly ascend, and 1 to 3 levels.
    public init?(
        trie: StateTrie = .accounts, anchor: Anchor, places: [StatePlace], levels: Int, maxBytes: UInt32
    ) {
        guard (1...StateContentLimits.subtreePlaces).contains(places.count),
            (1...StateContentLimits.subtreeLevels).contains(levels),
            zip(places, places.dropFirst()).allSatisfy({ $0 < $1 })
        else { return nil }
        self.trie = trie
        self.anchor = anchor
        self.places = places
        self.levels = levels
        self.maxBytes = maxBytes
    }

    /// The section that all places lie in, of a storage trie the part; nil where one lies above the sections or in
    /// another one. `depth`: the network's d. Places of a storage trie that the key names have no account path.
    public func section(depth: Int) -> Section? {
        let depth = trie.depth(depth)
        guard (1...15).contains(depth) else { return nil }
        func section(of place: StatePlace) -> Section? {
            guard let owner = trie.owner else { return Section(of: place.account, depth: depth) }
            guard place.account.isEmpty, let path = place.storage else { return nil }
            return Section(of: path, depth: depth, owner: owner)
        }
        guard let first = places.first.flatMap(section) else { return nil }
        return places.allSatisfy { section(of: $0) == first } ? first : nil
    }

    /// How many of these places, from the first on, fit a key about this trie.
    public static func fitting(_ places: [StatePlace], of trie: StateTrie = .accounts) -> Int {
        // The selector, the container's places and its parts of fixed size, the trie, and an offset before each place.
        var room = StateContentLimits.keyBytes - 1 - 40 - 4 - 4 - 1 - 4 - trie.encoded.count
        var count = 0
        for place in places.prefix(StateContentLimits.subtreePlaces) {
            room -= 4 + place.encoded.count
            guard room >= 0 else { break }
            count += 1
        }
        return count
    }
}

// The form on the wire.
extension SubtreesKey {
    static let schema = SSZType.container([
        ("trie", StateTrie.schema), ("anchor", StateContentKey.anchorSchema),
        (
            "places",
            .list(.byteList(StateContentLimits.placeBytes), limit: StateContentLimits.subtreePlaces)
        ), ("levels", .uint8), ("max_bytes", .uint32),
    ])

    /// nil where a place is malformed or the places, or the levels, cannot be.
    init?(_ fields: [SSZValue]) throws(SSZError) {
        var places: [StatePlace] = []
        for element in try fields[2].elements {
            guard let place = StatePlace(encoded: try element.bytes) else { return nil }
            places.append(place)
        }
        self.init(
            trie: try StateTrie(fields[0]), anchor: try StateContentKey.anchor(fields[1]), places: places,
            levels: Int(truncatingIfNeeded: try fields[3].uint64),
            maxBytes: UInt32(truncatingIfNeeded: try fields[4].uint64))
    }

    var fields: [ColumnWriter.Field] {
        [
            .variable(trie.encoded), .inPlace(StateContentKey.bytes(anchor)),
            .variable(ColumnWriter.items(places.map(\.encoded))), .inPlace([UInt8(truncatingIfNeeded: levels)]),
            .inPlace(ColumnWriter.integer(maxBytes)),
        ]
    }
}

extension StatePlace {
    /// The number of nibbles and the nibbles, two a byte, of the account path; then the same of the storage path, where
    /// there is one.
    var encoded: [UInt8] { account.packed + (storage?.packed ?? []) }

    /// nil for anything that `encoded` does not give.
    init?(encoded bytes: [UInt8]) {
        guard let (account, rest) = Nibbles.unpacking(bytes[...]) else { return nil }
        guard !rest.isEmpty else {
            self.init(account: account)
            return
        }
        guard let (storage, end) = Nibbles.unpacking(rest), end.isEmpty else { return nil }
        self.init(account: account, storage: storage)
    }
}

extension Nibbles {
    /// How many, then two a byte; an odd last one has a zero beside it.
    fileprivate var packed: [UInt8] {
        [UInt8(truncatingIfNeeded: count)] + lowestKey.bytes.prefix((count + 1) / 2)
    }

    /// Reads what `packed` gives, and gives what stands behind it.
    fileprivate static func unpacking(_ bytes: ArraySlice<UInt8>) -> (Nibbles, rest: ArraySlice<UInt8>)? {
        guard let count = bytes.first.map(Int.init), count <= MerklePatriciaLimits.keyNibbles,
            bytes.count > (count + 1) / 2
        else { return nil }
        let packed = bytes.dropFirst().prefix((count + 1) / 2)
        guard let key = Bytes32(packed + [UInt8](repeating: 0, count: 32 - packed.count)) else { return nil }
        let path = Nibbles(key, count: count)
        // What stands beside an odd last nibble is a zero: one path has one form.
        guard path.lowestKey == key else { return nil }
        return (path, bytes.dropFirst(1 + packed.count))
    }
}
