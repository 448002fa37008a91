import Primitives

/// Lays out and hashes the nodes of one batch of items. First the shape: a pass over the keys finds the branches, each
/// with its height over the items. Then the nodes of one height after the other, all written into one arena and hashed
/// in one call: a node needs only lower ones, so everything of one height may be hashed at once.
struct NodeForge: ~Copyable {
    /// A branch whose place is known. `next` chains the branches of one height.
    private struct Plan {
        var key: Bytes32
        var depth: Int
        var parentDepth: Int
        var slot: Int
        var next: Int
    }

    /// Room for a reference as it stands in a parent: a length, then up to 33 bytes.
    private static let cellSize = 40
    /// Bytes of a branch at most: header of 3, 16 children of 33, an empty value.
    private static let branchBytes = 3 + 16 * 33 + 1

    private let emits: Bool
    private var arena = ByteArena(capacity: 1 << 10)
    private var cells = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 8)
    private var plans: [Plan] = []
    /// 16 a branch: the cell of each child, −1 for none. Items come first, then branches.
    private var children: [Int] = []
    /// The depth at which each item is seen by its parent.
    private var itemDepths: [Int] = []
    private var heads = [Int](repeating: -1, count: MerklePatriciaLimits.keyNibbles + 2)
    private var queue: [Range<Int>] = []
    private var targets: [Int] = []
    private var hashes: [Bytes32] = []

    /// `emits`: whether branches are appended to the columns given, or only their hashes are wanted.
    init(emits: Bool) { self.emits = emits }

    deinit { cells.deallocate() }

    /// Builds the items in `range`, two or more.
    mutating func build<Items: TrieItems>(
        _ items: Items, in range: Range<Int>, emitting branches: inout BranchColumns
    ) -> Subtree {
        prepare(count: range.count)
        _ = plan(items, range, offset: range.lowerBound, parentDepth: nil, emitting: &branches)
        makeCells(range.count + plans.count)
        hashItems(items, in: range)
        for height in 1..<heads.count where heads[height] >= 0 {
            hashBranches(at: height, itemCount: range.count, emitting: &branches)
        }
        let top = plans[0]
        return .branch(path: Nibbles(top.key, count: top.depth), node: reference(in: range.count))
    }

    private mutating func prepare(count: Int) {
        plans.removeAll(keepingCapacity: true)
        children.removeAll(keepingCapacity: true)
        itemDepths.removeAll(keepingCapacity: true)
        itemDepths.append(contentsOf: repeatElement(0, count: count))
        for height in heads.indices { heads[height] = -1 }
    }

    private mutating func makeCells(_ count: Int) {
        guard cells.count < count * NodeForge.cellSize else { return }
        cells.deallocate()
        cells = .allocate(byteCount: count * NodeForge.cellSize, alignment: 8)
    }

    /// Finds the branch over two or more items and all branches below it; gives its number and its height.
    private mutating func plan<Items: TrieItems>(
        _ items: Items, _ range: Range<Int>, offset: Int, parentDepth: Int?, emitting branches: inout BranchColumns
    ) -> (index: Int, height: Int) {
        let key = items.key(range.lowerBound)
        let depth = key.commonNibbles(items.key(range.upperBound &- 1))
        precondition(depth < MerklePatriciaLimits.keyNibbles, "items ascend strictly")
        let index = plans.count
        let slot = emits ? branches.reserve(path: Nibbles(key, count: depth)) : 0
        plans.append(Plan(key: key, depth: depth, parentDepth: parentDepth ?? depth &- 1, slot: slot, next: -1))
        let base = children.count
        children.append(contentsOf: repeatElement(-1, count: 16))
        var height = 0
        var start = range.lowerBound
        while start < range.upperBound {
            let nibble = items.key(start).nibble(depth)
            var end = start &+ 1
            while end < range.upperBound && items.key(end).nibble(depth) == nibble { end &+= 1 }
            if end &- start == 1 {
                children[base &+ nibble] = start &- offset
                itemDepths[start &- offset] = depth &+ 1
            } else {
                let child = plan(items, start..<end, offset: offset, parentDepth: depth, emitting: &branches)
                children[base &+ nibble] = itemDepths.count &+ child.index
                height = max(height, child.height)
            }
            start = end
        }
        height &+= 1
        plans[index].next = heads[height]
        heads[height] = index
        return (index, height)
    }

    private mutating func hashItems<Items: TrieItems>(_ items: Items, in range: Range<Int>) {
        for index in range {
            let cell = index &- range.lowerBound
            if let size = items.write(index, at: itemDepths[cell], to: &arena) {
                enqueue(size: size, cell: cell)
            } else if case .branch(_, let node) = items.subtree(index) {
                store(node, in: cell)
            }
        }
        flush()
    }

    private mutating func hashBranches(at height: Int, itemCount: Int, emitting branches: inout BranchColumns) {
        var index = heads[height]
        while index >= 0 {
            let size = writeBranch(index)
            if emits {
                let node = UnsafeRawBufferPointer(rebasing: arena.bytes[(arena.count &- size)...])
                branches.fill(plans[index].slot, node: node)
            }
            enqueue(size: size, cell: itemCount &+ index)
            index = plans[index].next
        }
        flush()
        index = heads[height]
        while index >= 0 {
            if plans[index].depth > plans[index].parentDepth &+ 1 {
                enqueue(size: writeExtension(index, child: itemCount &+ index), cell: itemCount &+ index)
            }
            index = plans[index].next
        }
        flush()
    }

    private mutating func writeBranch(_ index: Int) -> Int {
        var content = 1
        for child in children[(16 * index)..<(16 * index + 16)] {
            content &+= child < 0 ? 1 : Int(cells[child &* NodeForge.cellSize])
        }
        var writer = NodeWriter(arena.room(for: NodeForge.branchBytes))
        writer.header(length: content, short: 0xc0)
        for child in children[(16 * index)..<(16 * index + 16)] {
            if child < 0 { writer.byte(0x80) } else { writer.copy(cell(child)) }
        }
        writer.byte(0x80)
        arena.commit(writer.count)
        return writer.count
    }

    /// Writes the extension between a branch and the parent above it.
    private mutating func writeExtension(_ index: Int, child: Int) -> Int {
        let plan = plans[index]
        let path = Nibbles(plan.key, count: plan.depth).dropFirst(plan.parentDepth + 1).compact(isLeaf: false)
        let target = cell(child)
        return path.withUnsafeBytes { path in
            let content = NodeWriter.stringSize(path) + target.count
            var writer = NodeWriter(arena.room(for: content + NodeWriter.headerSize(content)))
            writer.header(length: content, short: 0xc0)
            writer.string(path)
            writer.copy(target)
            arena.commit(writer.count)
            return writer.count
        }
    }

    /// The reference in a cell, as it stands in a parent.
    private func cell(_ index: Int) -> UnsafeRawBufferPointer {
        let start = index &* NodeForge.cellSize
        return UnsafeRawBufferPointer(rebasing: cells[(start &+ 1)..<(start &+ 1 &+ Int(cells[start]))])
    }

    private func reference(in index: Int) -> NodeReference {
        let bytes = cell(index)
        if bytes.count == 33, let hash = Bytes32(bytes.dropFirst()) { return .hash(hash) }
        return .embedded(Array(bytes))
    }

    private func store(_ reference: NodeReference, in cell: Int) {
        switch reference {
        case .hash(let hash): store(hash, in: cell)
        case .embedded(let node): node.withUnsafeBytes { storeEmbedded($0, in: cell) }
        }
    }

    private func storeEmbedded(_ node: UnsafeRawBufferPointer, in cell: Int) {
        let start = cell &* NodeForge.cellSize
        cells[start] = UInt8(node.count)
        UnsafeMutableRawBufferPointer(rebasing: cells[(start &+ 1)..<(start &+ 1 &+ node.count)]).copyMemory(from: node)
    }

    private func store(_ hash: Bytes32, in cell: Int) {
        let start = cell &* NodeForge.cellSize
        guard let target = cells.baseAddress else { return }
        cells[start] = 33
        cells[start &+ 1] = 0xa0
        hash.store(to: target + (start &+ 2))
    }

    /// Takes the node of `size` bytes just written: its reference will stand in `cell` after the next flush.
    private mutating func enqueue(size: Int, cell: Int) {
        let start = arena.count &- size
        if size < 32 {
            storeEmbedded(UnsafeRawBufferPointer(rebasing: arena.bytes[start...]), in: cell)
        } else {
            queue.append(start..<(start &+ size))
            targets.append(cell)
        }
    }

    /// Hashes what is queued, and forgets the nodes.
    private mutating func flush() {
        hashes.removeAll(keepingCapacity: true)
        Keccak.hash(arena.bytes, ranges: queue, into: &hashes)
        for (hash, target) in zip(hashes, targets) { store(hash, in: target) }
        queue.removeAll(keepingCapacity: true)
        targets.removeAll(keepingCapacity: true)
        arena.removeAll()
    }
}
