import Primitives

/// Lays out and hashes the nodes of some tries, or of the changed parts of one, many nodes in one call.
///
/// `add` reads the items of one trie from left to right: where two neighbours part is the depth of a branch, so one
/// pass with a stack of the branches that are open finds all of them, each with its children and with its height over
/// the items. The items' own nodes are written and hashed on the way. `finish` then writes and hashes one height after
/// the other, over all tries added: a node needs only lower ones, so everything of one height may be hashed at once.
///
/// A stored branch some of whose children change is added by `rewrite`: its node is the old one with pieces replaced.
struct NodeBatch: ~Copyable {
    /// Leaves of a part whose branch a store has already, however many there are: more than any twig's.
    static let many = 1 << 32

    /// A branch with more leaves is appended to the columns given; nil: none is, only their hashes are wanted.
    private let threshold: Int?
    private var nodes = ByteArena(capacity: 1 << 16)
    private var cells = CellTable()
    private var plans: [Plan] = []
    private var children: [Int32] = []
    private var originals: [[UInt8]] = []
    private var edits: [Edit] = []
    private var open: [Open] = []
    private var pending: [Pending] = []
    private var heads = [Heads](repeating: Heads(), count: MerklePatriciaLimits.keyNibbles + 2)
    /// Plans that are emitted.
    private var emittedCount = 0
    /// A plan that is not to be hashed; −1 for none.
    private var unhashed = -1
    /// Height of the branch closed last: of a whole trie that is the topmost.
    private var topHeight: UInt8 = 0
    private var runs: [Keccak.Run] = []
    /// Branches that begin at an item, then the place of the last of them that has none yet: how places are given in
    /// the order of paths although branches are closed from below.
    private var places: [Int32] = []

    init(emittingAbove threshold: Int?) { self.threshold = threshold }

    /// The same with room for tries of so many leaves, for one who has few.
    init(emittingAbove threshold: Int?, leaves: Int) {
        self.init(emittingAbove: threshold)
        plans.reserveCapacity(leaves)
        children.reserveCapacity(2 * leaves)
        pending.reserveCapacity(2 * leaves)
        runs.reserveCapacity(leaves)
        places.reserveCapacity(leaves)
        cells.makeRoom(for: 2 * leaves)
    }

    /// Items added since the last `finish`.
    private(set) var itemCount = 0

    /// Builds the items in `range`, two or more.
    mutating func build<Items: TrieItems>(
        _ items: Items, in range: Range<Int>, emitting branches: inout BranchColumns
    ) -> Subtree {
        begin()
        let root = add(items, in: range, emitting: &branches)
        finish(emitting: &branches)
        return subtree(root)
    }

    /// Forgets all tries.
    mutating func begin() {
        cells.removeAll()
        plans.removeAll(keepingCapacity: true)
        children.removeAll(keepingCapacity: true)
        originals.removeAll(keepingCapacity: true)
        edits.removeAll(keepingCapacity: true)
        runs.removeAll(keepingCapacity: true)
        nodes.removeAll()
        for height in heads.indices { heads[height] = Heads() }
        itemCount = 0
        emittedCount = 0
        unhashed = -1
    }

    /// Leaves the topmost branch of a trie without a hash: the caller knows its reference, and does not ask for it.
    mutating func leaveUnhashed(_ root: Root) { unhashed = root.plan }

    /// How a parent names what goes into a cell; after `finish`.
    func reference(_ cell: Int) -> NodeReference { cells.reference(cell) }

    /// The trie, after `finish`, where it was added without a place to be seen from.
    func subtree(_ root: Root) -> Subtree { .branch(path: root.path, node: cells.reference(root.cell)) }

    // Shape.

    /// Adds one leaf, to be seen by a parent that has consumed `seenAt` nibbles; there must be room for its cell, which
    /// it gives.
    @inline(__always)
    mutating func addLeaf(_ key: Bytes32, _ value: UnsafeRawBufferPointer, seenAt: Int) -> Int {
        let cell = cells.add()
        let size = LeafNode.write(key, value, at: seenAt, to: &nodes)
        enqueue(offset: nodes.count &- size, size: size, cell: cell)
        if runs.count >= MerklePatriciaLimits.hashBatch { flush() }
        return cell
    }

    /// Adds a subtree whose reference is known.
    mutating func add(_ subtree: Subtree, seenAt: Int) -> Int {
        switch subtree {
        case .leaf(let key, let value):
            cells.makeRoom(for: 1)
            return value.withUnsafeBytes { addLeaf(key, $0, seenAt: seenAt) }
        default:
            cells.makeRoom(for: 1)
            let cell = cells.add()
            if let node = subtree.encodedNode(at: seenAt) {
                let room = nodes.room(for: node.count)
                room.copyBytes(from: node)
                nodes.commit(node.count)
                enqueue(offset: nodes.count &- node.count, size: node.count, cell: cell)
            } else if case .branch(_, let reference) = subtree {
                cells.set(cell, reference)
            }
            return cell
        }
    }

    /// Adds one item by itself, to be seen by a parent that has consumed `seenAt` nibbles. Gives the cell.
    mutating func add<Items: TrieItems>(_ items: Items, at index: Int, seenAt: Int) -> Int {
        itemCount += 1
        cells.makeRoom(for: 1)
        return items.place(index, at: seenAt, in: &self).cell
    }

    /// Lets a trie added before be seen by a parent that has consumed `depth` nibbles. Gives the cell.
    mutating func see(_ root: Root, at depth: Int) -> Int {
        plans[root.plan].seenAt = UInt8(truncatingIfNeeded: depth)
        return root.cell
    }

    /// Adds a stored branch with some children replaced: `node` is its RLP as it was, the edits ascend, `height` is
    /// that of the highest new child; its new node goes to `slot` of the columns.
    mutating func rewrite(
        path: Nibbles, node: [UInt8], edits new: some Collection<Edit>, height: UInt8, slot: Int
    ) -> Root {
        cells.makeRoom(for: 1)
        let cell = cells.add()
        let number = plans.count
        plans.append(
            Plan(
                key: path.lowestKey, depth: UInt8(truncatingIfNeeded: path.count),
                seenAt: UInt8(truncatingIfNeeded: path.count), mask: UInt16(truncatingIfNeeded: new.count),
                firstChild: Int32(truncatingIfNeeded: edits.count),
                original: Int32(truncatingIfNeeded: originals.count), cell: Int32(truncatingIfNeeded: cell),
                next: heads[Int(height) + 1].emitted, slot: slot))
        heads[Int(height) + 1].emitted = Int32(truncatingIfNeeded: number)
        emittedCount += 1
        originals.append(node)
        edits.append(contentsOf: new)
        return Root(
            cell: cell, path: path, height: height &+ 1, leafCount: NodeBatch.many, plan: number)
    }

    /// Adds the trie of the items in `range`, two or more, and takes the places of its branches in the columns.
    /// `seenAt`: nibbles that a parent above has consumed; nil where its cell is to name the topmost branch itself.
    mutating func add<Items: TrieItems>(
        _ items: Items, in range: Range<Int>, seenAt: Int? = nil, emitting branches: inout BranchColumns
    ) -> Root {
        precondition(range.count > 1, "a trie of fewer items has no branch")
        itemCount += range.count
        let firstPlan = plans.count
        places.removeAll(keepingCapacity: true)
        places.append(contentsOf: repeatElement(0, count: range.count))
        cells.makeRoom(for: 2 * range.count)
        open.removeAll(keepingCapacity: true)
        pending.removeAll(keepingCapacity: true)
        let emittedBefore = emittedCount
        var left = -1
        var leaves = 0
        var key = items.key(range.lowerBound)
        for index in range {
            var right = -1
            var next = key
            if index &+ 1 < range.upperBound {
                next = items.key(index &+ 1)
                right = key.commonNibbles(next)
                precondition(right < MerklePatriciaLimits.keyNibbles, "items ascend strictly")
            }
            if right > left {
                open.append(
                    Open(depth: right, firstItem: index, firstPending: pending.count, leavesBefore: leaves))
            }
            let depth = max(left, right)
            let (cell, height) = items.place(index, at: depth &+ 1, in: &self)
            pending.append(
                Pending(cell: Int32(truncatingIfNeeded: cell), nibble: nibble(key, depth), height: height))
            leaves &+= items.leafCount(index)
            if right < left { close(to: right, range: range, items: items, leaves: leaves) }
            left = right
            key = next
        }
        let last = plans.count - 1
        if let seenAt { plans[last].seenAt = UInt8(truncatingIfNeeded: seenAt) }
        let top = plans[last]
        if emittedCount > emittedBefore {
            givePlaces(emittedCount &- emittedBefore, from: firstPlan, emitting: &branches)
        }
        return Root(
            cell: Int(top.cell), path: Nibbles(top.key, count: Int(top.depth)), height: topHeight, leafCount: leaves,
            plan: last)
    }

    @inline(__always)
    private func nibble(_ key: Bytes32, _ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: key.nibble(index)) }

    /// Closes the branches that nothing more comes under: those deeper than where the next key parts. `leaves`: of all
    /// items so far.
    private mutating func close<Items: TrieItems>(to depth: Int, range: Range<Int>, items: Items, leaves: Int) {
        while let top = open.last, top.depth > depth {
            open.removeLast()
            let parentDepth = max(open.last?.depth ?? -1, depth)
            var mask: UInt16 = 0
            var height: UInt8 = 0
            let firstChild = children.count
            for place in top.firstPending..<pending.count {
                let child = pending[place]
                mask |= 1 &<< UInt16(child.nibble)
                height = max(height, child.height)
                children.append(child.cell)
            }
            height &+= 1
            topHeight = height
            pending.removeLast(pending.count - top.firstPending)
            let cell = cells.add()
            let key = items.key(top.firstItem)
            let number = Int32(truncatingIfNeeded: plans.count)
            let item = top.firstItem &- range.lowerBound
            let isEmitted = threshold.map { leaves &- top.leavesBefore > $0 } ?? false
            plans.append(
                Plan(
                    key: key, depth: UInt8(truncatingIfNeeded: top.depth),
                    // The topmost is seen where it stands; whoever is above looks from there.
                    seenAt: UInt8(truncatingIfNeeded: parentDepth < 0 ? top.depth : parentDepth &+ 1), mask: mask,
                    firstChild: Int32(truncatingIfNeeded: firstChild), cell: Int32(truncatingIfNeeded: cell),
                    next: isEmitted ? heads[Int(height)].emitted : heads[Int(height)].quiet,
                    slot: isEmitted ? item : -1))
            if isEmitted {
                heads[Int(height)].emitted = number
                places[item] &+= 1
                emittedCount &+= 1
            } else {
                heads[Int(height)].quiet = number
            }
            guard parentDepth >= 0 else { return }
            if open.last.map({ $0.depth < depth }) ?? true, parentDepth == depth {
                open.append(
                    Open(
                        depth: depth, firstItem: top.firstItem, firstPending: top.firstPending,
                        leavesBefore: top.leavesBefore))
            }
            pending.append(
                Pending(
                    cell: Int32(truncatingIfNeeded: cell), nibble: nibble(key, parentDepth), height: height))
        }
    }

    /// Gives the branches added last their places: by first item, then by depth, which is the order of paths. Until
    /// then a plan's slot is its first item. Branches of one first item were closed from below.
    private mutating func givePlaces(_ count: Int, from firstPlan: Int, emitting branches: inout BranchColumns) {
        let base = branches.reserve(count)
        var sum: Int32 = 0
        for index in places.indices {
            sum &+= places[index]
            places[index] = sum
        }
        for index in firstPlan..<plans.count where plans[index].slot >= 0 {
            let item = plans[index].slot
            places[item] &-= 1
            let slot = base &+ Int(places[item])
            plans[index].slot = slot
            branches.setPath(slot, Nibbles(plans[index].key, count: Int(plans[index].depth)))
        }
    }

    // Nodes.

    /// Writes and hashes all branches added since `begin`.
    mutating func finish(emitting branches: inout BranchColumns) {
        flush()
        guard emittedCount > 0 else {
            for height in 1..<heads.count where heads[height].quiet >= 0 { encodeQuiet(height) }
            return
        }
        var room = NodeBatch.slack
        for plan in plans where plan.slot >= 0 {
            room &+=
                plan.original < 0
                ? 20 &+ 32 &* plan.mask.nonzeroBitCount
                : originals[Int(plan.original)].count &+ 3 &+ 33 &* Int(plan.mask)
        }
        let number = branches.nextBuffer
        let buffer = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            for height in 1..<heads.count where !heads[height].isEmpty {
                encode(height, at: base, count: &count, number: number, emitting: &branches)
                if heads[height].quiet >= 0 { encodeQuiet(height) }
            }
        }
        branches.append(buffer: buffer)
    }

    /// Writes reach at most so far behind what they write: nodes are laid down in whole words.
    private static let slack = 64
    /// Bytes of a branch at most: header of 3, 16 children of 33, an empty value.
    private static let branchBytes = 3 + 16 * 33 + 1

    /// One height, the branches that are emitted: left in a buffer of the columns, `count` bytes of which are used.
    private mutating func encode(
        _ height: Int, at base: UnsafeMutableRawPointer, count: inout Int, number: Int,
        emitting branches: inout BranchColumns
    ) {
        var index = Int(heads[height].emitted)
        guard index >= 0 else { return }
        while index >= 0 {
            let size = writeBranch(index, to: base + count)
            branches.fill(plans[index].slot, buffer: number, offset: count, length: size)
            if index != unhashed {
                enqueue(offset: count, size: size, cell: Int(plans[index].cell), from: base)
            }
            count &+= size
            index = Int(plans[index].next)
        }
        hash(base)
        encodeExtensions(heads[height].emitted)
    }

    /// One height, the branches that are not: forgotten once they are hashed.
    private mutating func encodeQuiet(_ height: Int) {
        var index = Int(heads[height].quiet)
        while index >= 0 {
            let room = nodes.room(for: NodeBatch.branchBytes + NodeBatch.slack)
            if let base = room.baseAddress {
                let size = writeBranch(index, to: base)
                nodes.commit(size)
                enqueue(offset: nodes.count &- size, size: size, cell: Int(plans[index].cell))
                if runs.count >= MerklePatriciaLimits.hashBatch { flush() }
            }
            index = Int(plans[index].next)
        }
        flush()
        encodeExtensions(heads[height].quiet)
    }

    /// The extensions above the branches of a list: they take over the branches' cells.
    private mutating func encodeExtensions(_ first: Int32) {
        var index = Int(first)
        while index >= 0 {
            if plans[index].depth > plans[index].seenAt {
                let size = writeExtension(index)
                enqueue(offset: nodes.count &- size, size: size, cell: Int(plans[index].cell))
            }
            index = Int(plans[index].next)
        }
        flush()
    }

    /// Writes a branch at `target`; gives its size. Everything is laid down in whole words of which only a part counts:
    /// a node costs no call and hardly a jump.
    private func writeBranch(_ index: Int, to target: UnsafeMutableRawPointer) -> Int {
        let plan = plans[index]
        guard plan.original < 0 else { return rewriteBranch(plan, to: target) }
        let first = Int(plan.firstChild)
        let childCount = plan.mask.nonzeroBitCount
        var content = 17 &- childCount
        for child in 0..<childCount { content &+= cells.size(Int(children[first &+ child])) }
        var position = target + NodeWriter.listHeader(content, at: target)
        var mask = UInt32(plan.mask)
        var child = first
        while mask != 0 {
            let gap = mask.trailingZeroBitCount
            NodeBatch.writeEmpty(to: position)
            position += gap
            position += cells.copy(Int(children[child]), to: position)
            child &+= 1
            mask &>>= UInt32(gap &+ 1)
        }
        let last = 15 &- (15 &- plan.mask.leadingZeroBitCount)
        NodeBatch.writeEmpty(to: position)
        position.storeBytes(of: 0x80, toByteOffset: 16, as: UInt8.self)
        position += last &+ 1
        return position - target
    }

    /// Writes a stored branch with its edits at `target`; gives its size.
    private func rewriteBranch(_ plan: Plan, to target: UnsafeMutableRawPointer) -> Int {
        originals[Int(plan.original)].withUnsafeBytes { old in
            let new = edits[Int(plan.firstChild)..<Int(plan.firstChild) + Int(plan.mask)]
            // A branch of the store has two children or more, so its content begins behind a header of at most three.
            let start = old.count < 57 ? 1 : old.count < 258 ? 2 : 3
            var content = old.count - start
            for edit in new { content += (edit.cell < 0 ? 1 : cells.size(edit.cell)) - edit.size }
            var position = target + NodeWriter.listHeader(content, at: target)
            var copied = start
            for edit in new {
                let kept = UnsafeRawBufferPointer(rebasing: old[copied..<edit.offset])
                UnsafeMutableRawBufferPointer(start: position, count: kept.count).copyMemory(from: kept)
                position += kept.count
                if edit.cell < 0 {
                    position.storeBytes(of: 0x80, as: UInt8.self)
                    position += 1
                } else {
                    position += cells.copy(edit.cell, to: position)
                }
                copied = edit.offset + edit.size
            }
            let rest = UnsafeRawBufferPointer(rebasing: old[copied...])
            UnsafeMutableRawBufferPointer(start: position, count: rest.count).copyMemory(from: rest)
            return position + rest.count - target
        }
    }

    /// Sixteen empty strings.
    @inline(__always)
    private static func writeEmpty(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: 0x8080_8080_8080_8080, as: UInt64.self)
        target.storeBytes(of: 0x8080_8080_8080_8080, toByteOffset: 8, as: UInt64.self)
    }

    /// Writes the extension between a branch and the parent above it.
    private mutating func writeExtension(_ index: Int) -> Int {
        let plan = plans[index]
        let path = Nibbles(plan.key, count: Int(plan.depth)).dropFirst(Int(plan.seenAt)).compact(isLeaf: false)
        return path.withUnsafeBytes { path in
            let content = NodeWriter.stringSize(path) + cells.size(Int(plan.cell))
            var writer = NodeWriter(nodes.room(for: content + NodeWriter.headerSize(content)))
            writer.header(length: content, short: 0xc0)
            writer.string(path)
            cells.withReference(Int(plan.cell)) { writer.copy($0) }
            nodes.commit(writer.count)
            return writer.count
        }
    }

    /// Takes a node just written: its reference will stand in `cell` once it is hashed.
    @inline(__always)
    private mutating func enqueue(offset: Int, size: Int, cell: Int) {
        if size < 32 {
            cells.embed(UnsafeRawBufferPointer(rebasing: nodes.bytes[offset..<offset &+ size]), in: cell)
        } else {
            runs.append(Keccak.Run(offset: offset, length: size, target: cells.expectHash(cell)))
        }
    }

    @inline(__always)
    private mutating func enqueue(offset: Int, size: Int, cell: Int, from base: UnsafeMutableRawPointer) {
        if size < 32 {
            cells.embed(UnsafeRawBufferPointer(start: base + offset, count: size), in: cell)
        } else {
            runs.append(Keccak.Run(offset: offset, length: size, target: cells.expectHash(cell)))
        }
    }

    /// Hashes what is queued and lies at `base`.
    private mutating func hash(_ base: UnsafeRawPointer) {
        guard let target = cells.base else { return }
        runs.withUnsafeBufferPointer { Keccak.hash(base, runs: $0, into: target) }
        runs.removeAll(keepingCapacity: true)
    }

    /// Hashes what is queued of the nodes of our own, and forgets them.
    private mutating func flush() {
        if !runs.isEmpty, let base = nodes.bytes.baseAddress { hash(base) }
        nodes.removeAll()
    }
}
