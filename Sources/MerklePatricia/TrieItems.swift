import Primitives

/// What a trie is built from: leaves, or whole subtrees, in ascending order, none under another.
protocol TrieItems {
    /// A key under item `index`; all of the item's keys share more with it than with any other item.
    func key(_ index: Int) -> Bytes32
    /// The item by itself.
    func subtree(_ index: Int) -> Subtree
    /// Writes the node that stands for the item under a parent that has consumed `depth` nibbles; nil where there is
    /// nothing to write because the reference is known already.
    func write(_ index: Int, at depth: Int, to arena: inout ByteArena) -> Int?
}

/// Leaves in columns. Holds pointers into them: it must not outlive the closure it is made in.
struct LeafItems: TrieItems {
    let keys: UnsafeBufferPointer<Bytes32>
    let values: UnsafeRawBufferPointer
    let ends: UnsafeBufferPointer<Int>

    @inline(__always)
    func key(_ index: Int) -> Bytes32 { keys[index] }

    @inline(__always)
    private func value(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: values[(index == 0 ? 0 : ends[index &- 1])..<ends[index]])
    }

    func subtree(_ index: Int) -> Subtree { .leaf(key: keys[index], value: Array(value(index))) }

    func write(_ index: Int, at depth: Int, to arena: inout ByteArena) -> Int? {
        let value = value(index)
        let key = keys[index]
        let nibbles = 64 &- depth
        // The flag byte and the nibbles; one byte alone is below 0x80 and stands without a header.
        let path = nibbles / 2 &+ 1
        let content = (path == 1 ? 1 : path &+ 1) &+ NodeWriter.stringSize(value)
        var writer = NodeWriter(arena.room(for: content &+ NodeWriter.headerSize(content)))
        writer.header(length: content, short: 0xc0)
        if path > 1 { writer.header(length: path, short: 0x80) }
        writer.byte(nibbles & 1 == 0 ? 0x20 : 0x30 | UInt8(truncatingIfNeeded: key.nibble(depth)))
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            guard let target = scratch.baseAddress else { return }
            key.store(to: target)
            writer.copy(UnsafeRawBufferPointer(rebasing: scratch[(33 &- path)...]))
        }
        writer.string(value)
        arena.commit(writer.count)
        return writer.count
    }
}

/// Whole subtrees, none of them empty.
struct SubtreeItems: TrieItems {
    let subtrees: [Subtree]

    func key(_ index: Int) -> Bytes32 { subtrees[index].lowestKey ?? .zero }

    func subtree(_ index: Int) -> Subtree { subtrees[index] }

    func write(_ index: Int, at depth: Int, to arena: inout ByteArena) -> Int? {
        guard let node = subtrees[index].encodedNode(at: depth) else { return nil }
        var writer = NodeWriter(arena.room(for: node.count))
        node.withUnsafeBytes { writer.copy($0) }
        arena.commit(writer.count)
        return writer.count
    }
}
