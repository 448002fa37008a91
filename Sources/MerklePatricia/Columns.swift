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

    /// The first index in `range` whose key is not below `key`.
    func firstIndex(notBelow key: Bytes32, in range: Range<Int>) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
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

/// Branch nodes in columns: the path of each from the root, and their RLP in a single buffer. A builder appends them in
/// the order of their paths.
public struct BranchColumns: Hashable, Sendable {
    /// The full paths from the root.
    public private(set) var paths: [Nibbles] = []
    private var nodeBytes: [UInt8] = []
    private var nodeRanges: [Range<Int>] = []

    /// No branches.
    public init() {}

    /// How many branches.
    public var count: Int { paths.count }
    /// Whether there is no branch.
    public var isEmpty: Bool { paths.isEmpty }

    /// Adds a branch behind the others.
    public mutating func append(path: Nibbles, node: some Collection<UInt8>) {
        paths.append(path)
        let start = nodeBytes.count
        nodeBytes.append(contentsOf: node)
        nodeRanges.append(start..<nodeBytes.count)
    }

    /// The RLP of branch `index`, copied.
    public func node(at index: Int) -> [UInt8] { Array(nodeBytes[nodeRanges[index]]) }

    /// Hands out every branch in order, its RLP in place.
    public func forEach(_ body: (_ path: Nibbles, _ node: UnsafeRawBufferPointer) -> Void) {
        nodeBytes.withUnsafeBytes { bytes in
            for (path, range) in zip(paths, nodeRanges) { body(path, UnsafeRawBufferPointer(rebasing: bytes[range])) }
        }
    }

    /// Bytes of all nodes together.
    public var byteCount: Int { nodeBytes.count }

    /// Takes the place of a branch whose node is known only after those below it; `fill` gives the node. So the paths
    /// stand in order although hashes rise from the leaves.
    mutating func reserve(path: Nibbles) -> Int {
        paths.append(path)
        nodeRanges.append(0..<0)
        return paths.count - 1
    }

    mutating func fill(_ slot: Int, node: UnsafeRawBufferPointer) {
        let start = nodeBytes.count
        nodeBytes.append(contentsOf: node)
        nodeRanges[slot] = start..<nodeBytes.count
    }

    public static func == (a: BranchColumns, b: BranchColumns) -> Bool {
        guard a.paths == b.paths else { return false }
        return (0..<a.count).allSatisfy { a.nodeBytes[a.nodeRanges[$0]] == b.nodeBytes[b.nodeRanges[$0]] }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(paths) }
}
