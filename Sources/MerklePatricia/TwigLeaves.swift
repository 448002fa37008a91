import Primitives

/// The leaves of a twig, or of another part that has few: read one after the other, then changed in place. The room
/// is kept from one twig to the next, so that reading one costs no allocation and a leaf no more than its bytes.
public struct TwigLeaves: ~Copyable {
    /// Where a value lies.
    @usableFromInline
    struct Place {
        @usableFromInline var offset: Int
        @usableFromInline var length: Int

        @usableFromInline
        init(offset: Int, length: Int) {
            self.offset = offset
            self.length = length
        }
    }

    @usableFromInline var keyRoom: UnsafeMutablePointer<Bytes32>
    @usableFromInline var places: UnsafeMutablePointer<Place>
    /// Leaves there is room for.
    @usableFromInline var capacity: Int
    /// The values, in the order in which they came.
    @usableFromInline var values: UnsafeMutableRawBufferPointer
    /// Bytes of them.
    @usableFromInline var used = 0
    /// How many leaves.
    public var count: Int { filled }
    @usableFromInline var filled = 0

    /// No leaves.
    public init() {
        capacity = 2 * MerklePatriciaLimits.twigLeaves
        keyRoom = .allocate(capacity: capacity)
        places = .allocate(capacity: capacity)
        values = .allocate(byteCount: 4_096, alignment: 8)
    }

    deinit {
        keyRoom.deallocate()
        places.deallocate()
        values.deallocate()
    }

    /// Whether there is no leaf.
    public var isEmpty: Bool { count == 0 }

    /// The keys, copied.
    public var keys: [Bytes32] { Array(UnsafeBufferPointer(start: keyRoom, count: count)) }

    /// The key of leaf `index`.
    public func key(at index: Int) -> Bytes32 {
        precondition(index >= 0 && index < count, "a leaf that is there")
        return keyRoom[index]
    }

    /// The value of leaf `index`, copied.
    public func value(at index: Int) -> [UInt8] {
        precondition(index >= 0 && index < count, "a leaf that is there")
        return Array(items.value(index))
    }

    /// Forgets all leaves, keeps the room.
    public mutating func removeAll() { (filled, used) = (0, 0) }

    /// Adds a leaf behind the others, whose keys are lower.
    public mutating func append(key: Bytes32, value: [UInt8]) {
        value.withUnsafeBytes { append(key: key, bytes: $0) }
    }

    /// The same of a value in place.
    public mutating func append(key: Bytes32, bytes value: UnsafeRawBufferPointer) {
        append(key: key, room: value.count) { target in
            UnsafeMutableRawBufferPointer(start: target, count: value.count).copyMemory(from: value)
            return value.count
        }
    }

    /// The same of a value that `write` puts at the pointer it gets, where there is room for `room` bytes; it gives
    /// how many it wrote.
    @inlinable
    public mutating func append(key: Bytes32, room: Int, _ write: (UnsafeMutableRawPointer) -> Int) {
        if filled == capacity || used &+ room > values.count { grow(room) }
        guard let base = values.baseAddress else { return }
        let length = write(base + used)
        precondition(length >= 0 && length <= room, "what is written keeps to its room")
        keyRoom[filled] = key
        places[filled] = Place(offset: used, length: length)
        used &+= length
        filled &+= 1
    }

    /// Makes room for another leaf with a value of `bytes` bytes.
    @usableFromInline
    mutating func grow(_ bytes: Int) {
        if count == capacity {
            let keys = UnsafeMutablePointer<Bytes32>.allocate(capacity: 2 * capacity)
            keys.update(from: keyRoom, count: count)
            keyRoom.deallocate()
            keyRoom = keys
            let moved = UnsafeMutablePointer<Place>.allocate(capacity: 2 * capacity)
            moved.update(from: places, count: count)
            places.deallocate()
            places = moved
            capacity *= 2
        }
        guard used + bytes > values.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(2 * values.count, used + bytes), alignment: 8)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: values[..<used]))
        values.deallocate()
        values = larger
    }

    /// Sets the leaf of `key`, or takes it away; nothing happens where that changes nothing. `place`: no leaf before it
    /// has a key of this or above; it is moved on, for the next key.
    mutating func change(_ key: Bytes32, to value: [UInt8]?, from place: inout Int) {
        while place < count, keyRoom[place] < key { place += 1 }
        let isThere = place < count && keyRoom[place] == key
        guard let value else {
            if isThere { remove(place) }
            return
        }
        // Behind the others; then it is brought to its place.
        append(key: key, value: value)
        let new = places[count - 1]
        if isThere {
            filled -= 1
        } else {
            for index in stride(from: count - 1, to: place, by: -1) {
                keyRoom[index] = keyRoom[index - 1]
                places[index] = places[index - 1]
            }
            keyRoom[place] = key
        }
        places[place] = new
        place += 1
    }

    private mutating func remove(_ place: Int) {
        filled -= 1
        for index in place..<count {
            keyRoom[index] = keyRoom[index + 1]
            places[index] = places[index + 1]
        }
    }

    /// The first of those whose keys are under `prefix`; nil where there is none.
    func first(under prefix: Nibbles) -> Int? { (0..<count).first { prefix.contains(keyRoom[$0]) } }

    /// The leaves as items of a builder: valid until something is added or changed.
    var items: Items { Items(keys: keyRoom, places: places, values: values.baseAddress) }

    struct Items: TrieLeaves {
        fileprivate let keys: UnsafePointer<Bytes32>
        fileprivate let places: UnsafePointer<Place>
        fileprivate let values: UnsafeRawPointer?

        fileprivate init(
            keys: UnsafePointer<Bytes32>, places: UnsafePointer<Place>, values: UnsafeMutableRawPointer?
        ) {
            (self.keys, self.places, self.values) = (keys, places, values.map { UnsafeRawPointer($0) })
        }

        @inline(__always)
        func key(_ index: Int) -> Bytes32 { keys[index] }

        @inline(__always)
        func value(_ index: Int) -> UnsafeRawBufferPointer {
            let place = places[index]
            return UnsafeRawBufferPointer(start: values.map { $0 + place.offset }, count: place.length)
        }
    }

    /// The trie of these leaves.
    public var subtree: Subtree {
        guard count > 1 else { return isEmpty ? .empty : items.subtree(0) }
        var none = BranchColumns()
        var batch = NodeBatch(emittingAbove: nil, leaves: count)
        return TrieBuilder.build(items, in: 0..<count, with: &batch, emitting: &none)
    }
}
