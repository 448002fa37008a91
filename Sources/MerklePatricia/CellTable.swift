import Primitives

/// References to nodes as they stand in their parents, each in a cell of its own: a length, then a string of 32 bytes
/// with its header, or an embedded node. A table to be written into by the hash kernels and copied from by whole words.
struct CellTable: ~Copyable {
    /// Bytes of a cell: the length and 33 bytes, rounded up to words; the last words of a copy may reach behind them.
    private static let stride = 40
    private static let slack = 8

    private var storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 8)
    /// Cells in use.
    private(set) var count = 0

    deinit { storage.deallocate() }

    /// Where targets count from.
    var base: UnsafeMutableRawPointer? { storage.baseAddress }

    /// Forgets all cells, keeps the room.
    mutating func removeAll() { count = 0 }

    /// Makes sure that `more` cells can be added.
    mutating func makeRoom(for more: Int) {
        let needed = (count + more) * CellTable.stride + CellTable.slack
        guard storage.count < needed else { return }
        precondition(needed <= UInt32.max, "targets have 32 bits")
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: max(needed, 2 * storage.count), alignment: 8)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[..<(count * CellTable.stride)]))
        storage.deallocate()
        storage = larger
    }

    /// A new cell; there must be room.
    @inline(__always)
    mutating func add() -> Int {
        count &+= 1
        assert(count * CellTable.stride + CellTable.slack <= storage.count, "room was made")
        return count &- 1
    }

    @inline(__always)
    private func start(_ cell: Int) -> UnsafeMutableRawPointer? {
        storage.baseAddress.map { $0 + cell &* CellTable.stride }
    }

    /// Bytes of the reference.
    @inline(__always)
    func size(_ cell: Int) -> Int { Int(start(cell)?.load(as: UInt8.self) ?? 0) }

    /// Makes the cell one of a hash, which is written at the offset given back.
    @inline(__always)
    mutating func expectHash(_ cell: Int) -> Int {
        start(cell)?.storeBytes(of: 33 | 0xa0 << 8, as: UInt16.self)
        return cell &* CellTable.stride &+ 2
    }

    /// Puts a node of fewer than 32 bytes.
    mutating func embed(_ node: UnsafeRawBufferPointer, in cell: Int) {
        precondition(node.count < 32, "an embedded node is short")
        guard let start = start(cell), let source = node.baseAddress else { return }
        start.storeBytes(of: UInt8(node.count), as: UInt8.self)
        (start + 1).copyMemory(from: source, byteCount: node.count)
    }

    /// Puts a known reference.
    mutating func set(_ cell: Int, _ reference: NodeReference) {
        switch reference {
        case .hash(let hash):
            let target = expectHash(cell)
            if let base { hash.store(to: base + target) }
        case .embedded(let node): node.withUnsafeBytes { embed($0, in: cell) }
        }
    }

    /// Copies the reference to `target`, where 40 bytes may be written, and gives its size.
    @inline(__always)
    func copy(_ cell: Int, to target: UnsafeMutableRawPointer) -> Int {
        guard let start = start(cell) else { return 0 }
        typealias Words = SIMD4<UInt64>
        target.storeBytes(of: start.loadUnaligned(fromByteOffset: 1, as: Words.self), as: Words.self)
        let last = start.loadUnaligned(fromByteOffset: 33, as: UInt8.self)
        target.storeBytes(of: last, toByteOffset: 32, as: UInt8.self)
        return Int(start.load(as: UInt8.self))
    }

    /// Runs `body` on the reference as it stands in a parent.
    func withReference(_ cell: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let start = start(cell) else { return }
        body(UnsafeRawBufferPointer(start: start + 1, count: size(cell)))
    }

    /// The reference by itself.
    func reference(_ cell: Int) -> NodeReference {
        var result = NodeReference.embedded([])
        withReference(cell) { bytes in
            if bytes.count == 33, let hash = Bytes32(bytes.dropFirst()) {
                result = .hash(hash)
            } else {
                result = .embedded(Array(bytes))
            }
        }
        return result
    }
}
