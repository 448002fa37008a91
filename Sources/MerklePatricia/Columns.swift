import Primitives

/// Leaves of a trie in columns: the keys, and the values one after the other in a single buffer. The keys strictly
/// ascend wherever a trie is built from them.
public struct LeafColumns: Hashable, Sendable {
    /// The keys, 32 bytes each.
    public private(set) var keys: [Bytes32] = []
    /// All values, joined. A value is the bytes that stand in the trie's leaf: an account's or a slot's RLP.
    public private(set) var valueBytes: [UInt8] = []
    /// Where each value ends in `valueBytes`, in bytes; it begins where the one before it ends.
    public private(set) var valueEnds: [Int] = []

    /// No leaves.
    public init() {}

    /// Leaves whose columns are there already: as many ends, rising, as keys; the last is the number of bytes.
    public init(keys: [Bytes32], valueBytes: [UInt8], valueEnds: [Int]) {
        precondition(keys.count == valueEnds.count && valueEnds.last ?? 0 == valueBytes.count, "columns of one length")
        self.keys = keys
        self.valueBytes = valueBytes
        self.valueEnds = valueEnds
    }

    /// Makes room for `count` leaves with `bytes` bytes of values in all.
    public mutating func reserveCapacity(_ count: Int, valueBytes bytes: Int) {
        keys.reserveCapacity(count)
        valueEnds.reserveCapacity(count)
        valueBytes.reserveCapacity(bytes)
    }

    /// How many leaves.
    public var count: Int { keys.count }
    /// Whether there is no leaf.
    public var isEmpty: Bool { keys.isEmpty }

    /// Adds a leaf behind the others.
    public mutating func append(key: Bytes32, value: some Collection<UInt8>) {
        keys.append(key)
        valueBytes.append(contentsOf: value)
        valueEnds.append(valueBytes.count)
    }

    /// Where value `index` lies in `valueBytes`.
    @inlinable
    public func valueRange(at index: Int) -> Range<Int> {
        (index == 0 ? 0 : valueEnds[index - 1])..<valueEnds[index]
    }

    /// Value `index`, copied.
    public func value(at index: Int) -> [UInt8] { Array(valueBytes[valueRange(at: index)]) }

    /// Runs `body` on the leaves as items of a builder.
    func withItems<R>(_ body: (LeafItems) -> R) -> R {
        keys.withUnsafeBufferPointer { keys in
            valueBytes.withUnsafeBytes { values in
                valueEnds.withUnsafeBufferPointer { ends in
                    body(LeafItems(keys: keys, values: values, ends: ends))
                }
            }
        }
    }

    /// The first index in `range` whose key is not below `key`.
    func firstIndex(notBelow key: Bytes32, in range: Range<Int>) -> Int {
        range.partitionPoint { keys[$0] < key }
    }

    /// The indices of the leaves whose keys are under `path`, where the keys strictly ascend.
    public func slice(under path: Nibbles) -> Range<Int> { slice(under: path, in: 0..<count) }

    /// The part of `range` whose keys are under `path`.
    func slice(under path: Nibbles, in range: Range<Int>) -> Range<Int> {
        let start = firstIndex(notBelow: path.lowestKey, in: range)
        let end = path.highestKey.successor.map { firstIndex(notBelow: $0, in: start..<range.upperBound) }
        return start..<(end ?? range.upperBound)
    }
}

/// Branch nodes in columns: the path of each from the root, and their RLP joined in a few large buffers. A builder
/// appends them in the order of their paths.
public struct BranchColumns: Hashable, Sendable {
    /// The full paths from the root.
    public private(set) var paths: [Nibbles] = []
    /// The nodes, in buffers as they were made: one for each batch of the builder, which writes into it once and lets
    /// it be. The first takes nodes that are added one by one.
    private var buffers: [[UInt8]] = [[]]
    private var places: [Place] = []

    /// Where a node lies.
    private struct Place: Sendable {
        var buffer: Int32 = 0
        var length: Int32 = 0
        var offset = 0
    }

    /// No branches.
    public init() {}

    /// How many branches.
    public var count: Int { paths.count }
    /// Whether there is no branch.
    public var isEmpty: Bool { paths.isEmpty }

    /// Bytes of all nodes together.
    public private(set) var byteCount = 0

    /// Forgets all branches, keeps the room for their places.
    public mutating func removeAll() {
        paths.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        buffers[0].removeAll(keepingCapacity: true)
        buffers.removeLast(buffers.count - 1)
        byteCount = 0
    }

    /// Adds a branch behind the others.
    public mutating func append(path: Nibbles, node: some Collection<UInt8>) {
        let slot = reserve(path: path)
        let start = buffers[0].count
        buffers[0].append(contentsOf: node)
        fill(slot, buffer: 0, offset: start, length: buffers[0].count - start)
    }

    /// The RLP of branch `index`, copied.
    public func node(at index: Int) -> [UInt8] { withNode(at: index) { Array($0) } }

    /// The RLP of branch `index` in place; the buffer is valid inside `body` only.
    func withNode<R, E: Error>(
        at index: Int, _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        let place = places[index]
        let result = buffers[Int(place.buffer)].withUnsafeBytes { bytes -> Result<R, E> in
            let node = bytes[place.offset..<place.offset + Int(place.length)]
            do throws(E) {
                return .success(try body(UnsafeRawBufferPointer(rebasing: node)))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Hands out every branch in order, its RLP in place.
    public func forEach(_ body: (_ path: Nibbles, _ node: UnsafeRawBufferPointer) -> Void) {
        for index in 0..<count { withNode(at: index) { body(paths[index], $0) } }
    }

    // For the builder: nodes are known only after those below them, but paths stand in order.

    /// Takes the place of a branch whose node is not known yet.
    mutating func reserve(path: Nibbles) -> Int {
        paths.append(path)
        places.append(Place())
        return paths.count - 1
    }

    /// Takes `count` places at once; gives the first.
    mutating func reserve(_ count: Int) -> Int {
        paths.append(contentsOf: repeatElement(.root, count: count))
        places.append(contentsOf: repeatElement(Place(), count: count))
        return paths.count - count
    }

    /// Gives the place its branch, by the path.
    mutating func setPath(_ slot: Int, _ path: Nibbles) { paths[slot] = path }

    /// The number that the next buffer will have.
    var nextBuffer: Int { buffers.count }

    /// Adds a buffer of nodes.
    mutating func append(buffer: [UInt8]) { buffers.append(buffer) }

    /// Gives the place its node, by where that lies in a buffer.
    mutating func fill(_ slot: Int, buffer: Int, offset: Int, length: Int) {
        places[slot] = Place(
            buffer: Int32(truncatingIfNeeded: buffer), length: Int32(truncatingIfNeeded: length), offset: offset)
        byteCount += length
    }

    mutating func fill(_ slot: Int, node: [UInt8]) {
        let start = buffers[0].count
        buffers[0].append(contentsOf: node)
        fill(slot, buffer: 0, offset: start, length: node.count)
    }

    public static func == (a: BranchColumns, b: BranchColumns) -> Bool {
        guard a.paths == b.paths else { return false }
        return (0..<a.count).allSatisfy { index in
            a.withNode(at: index) { mine in b.withNode(at: index) { mine.elementsEqual($0) } }
        }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(paths) }
}
