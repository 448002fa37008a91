import Primitives

/// What a trie is built from: leaves, or whole subtrees, in ascending order, none under another.
protocol TrieItems {
    /// A key under item `index`; all of the item's keys share more with it than with any other item.
    func key(_ index: Int) -> Bytes32
    /// The item by itself.
    func subtree(_ index: Int) -> Subtree
    /// Leaves under it; `NodeBatch.many` where a store has a branch of it already.
    func leafCount(_ index: Int) -> Int
    /// Sees to it that the batch gets the item's reference under a parent that has consumed `depth` nibbles: writes its
    /// node, or gives the reference where it is known. Gives its cell, and how many heights of nodes must be hashed
    /// before; there must be room for a cell.
    func place(_ index: Int, at depth: Int, in batch: inout NodeBatch) -> (cell: Int, height: UInt8)
}

/// Items that are leaves.
protocol TrieLeaves: TrieItems {
    /// The value of leaf `index` as it stands in the trie, in place.
    func value(_ index: Int) -> UnsafeRawBufferPointer
}

extension TrieLeaves {
    func subtree(_ index: Int) -> Subtree { .leaf(key: key(index), value: Array(value(index))) }

    @inline(__always)
    func leafCount(_ index: Int) -> Int { 1 }

    @inline(__always)
    func place(_ index: Int, at depth: Int, in batch: inout NodeBatch) -> (cell: Int, height: UInt8) {
        (batch.addLeaf(key(index), value(index), seenAt: depth), 0)
    }
}

/// Leaves in columns. Holds pointers into them: it must not outlive the closure it is made in.
struct LeafItems: TrieLeaves {
    let keys: UnsafeBufferPointer<Bytes32>
    let values: UnsafeRawBufferPointer
    let ends: UnsafeBufferPointer<Int>

    @inline(__always)
    func key(_ index: Int) -> Bytes32 { keys[index] }

    @inline(__always)
    func value(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: values[(index == 0 ? 0 : ends[index &- 1])..<ends[index]])
    }
}

/// The node of one leaf.
enum LeafNode {
    /// Bytes a leaf node takes beside its value, at most: three headers of four bytes and a path of 33. And the 32 that
    /// the key is laid down in, however much of it counts, must find room where the value is short.
    private static let overhead = 64

    /// Writes the leaf of `key` under a parent that has consumed `depth` nibbles; gives its size.
    @inline(__always)
    static func write(
        _ key: Bytes32, _ value: UnsafeRawBufferPointer, at depth: Int, to arena: inout ByteArena
    ) -> Int {
        let room = arena.room(for: value.count &+ overhead)
        guard let base = room.baseAddress else { return 0 }
        let nibbles = 64 &- depth
        // The flag byte and the nibbles; one byte alone is below 0x80 and stands without a header.
        let path = nibbles / 2 &+ 1
        let content = (path == 1 ? 1 : path &+ 1) &+ NodeWriter.stringSize(value)
        var position = base + NodeWriter.listHeader(content, at: base)
        if path > 1 {
            position.storeBytes(of: 0x80 &+ UInt8(truncatingIfNeeded: path), as: UInt8.self)
            position += 1
        }
        let flag = nibbles & 1 == 0 ? 0x20 : 0x30 | UInt8(truncatingIfNeeded: key.nibble(depth))
        position.storeBytes(of: flag, as: UInt8.self)
        position += 1
        // The last path − 1 bytes of the key; the words written reach behind them, where the value goes.
        key.store(from: 33 &- path, to: position)
        position += path &- 1
        if !NodeWriter.standsForItself(value) { position += NodeWriter.stringHeader(value.count, at: position) }
        value.copyInWords(to: position)
        let size = position - base &+ value.count
        arena.commit(size)
        return size
    }
}

extension Bytes32 {
    /// Writes the bytes from `first` on to `target`, and zeros behind them: 32 bytes in all; 0 ≤ first ≤ 32.
    @inline(__always)
    func store(from first: Int, to target: UnsafeMutableRawPointer) {
        let bits = UInt64(truncatingIfNeeded: 8 &* (first & 7))
        func word(_ high: UInt64, _ low: UInt64) -> UInt64 {
            bits == 0 ? high : high &<< bits | low &>> (64 &- bits)
        }
        let words: (UInt64, UInt64, UInt64, UInt64, UInt64)
        switch first &>> 3 {
        case 0: words = (word0, word1, word2, word3, 0)
        case 1: words = (word1, word2, word3, 0, 0)
        case 2: words = (word2, word3, 0, 0, 0)
        case 3: words = (word3, 0, 0, 0, 0)
        default: words = (0, 0, 0, 0, 0)
        }
        target.storeBytes(of: word(words.0, words.1).bigEndian, as: UInt64.self)
        target.storeBytes(of: word(words.1, words.2).bigEndian, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: word(words.2, words.3).bigEndian, toByteOffset: 16, as: UInt64.self)
        target.storeBytes(of: word(words.3, words.4).bigEndian, toByteOffset: 24, as: UInt64.self)
    }
}

/// Whole subtrees, none of them empty.
struct SubtreeItems: TrieItems {
    let subtrees: [Subtree]

    func key(_ index: Int) -> Bytes32 { subtrees[index].lowestKey ?? .zero }

    func subtree(_ index: Int) -> Subtree { subtrees[index] }

    func leafCount(_ index: Int) -> Int { subtrees[index].leafCount }

    func place(_ index: Int, at depth: Int, in batch: inout NodeBatch) -> (cell: Int, height: UInt8) {
        (batch.add(subtrees[index], seenAt: depth), 0)
    }
}
