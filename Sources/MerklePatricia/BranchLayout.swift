import Primitives

/// Where the children of a stored branch lie in its RLP: read once, without a copy.
struct BranchLayout {
    /// Bit n: there is a child at nibble n.
    private(set) var mask: UInt16 = 0
    /// Where each of the 17 items begins; then the end. All below 1,024.
    private var starts: InlineArray<18, UInt16> = .init(repeating: 0)

    /// nil for anything but a branch with two children or more.
    init?(_ node: [UInt8]) {
        guard node.count <= MerklePatriciaLimits.nodeBytes else { return nil }
        let isBranch = node.withUnsafeBytes { read($0) }
        guard isBranch, mask.nonzeroBitCount >= 2 else { return nil }
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let list = try? RLPItem(in: bytes, at: 0, limit: bytes.count), list.isList, list.end == bytes.count else {
            return false
        }
        var position = list.contentStart
        for index in 0..<17 {
            guard position < list.end else { return false }
            starts[index] = UInt16(truncatingIfNeeded: position)
            switch bytes[position] {
            case 0x80: position &+= 1
            case 0xa0 where index < 16:
                position &+= 33
                mask |= 1 &<< UInt16(index)
            default:
                guard index < 16, let end = embedded(in: bytes, at: position, limit: list.end) else { return false }
                position = end
                mask |= 1 &<< UInt16(index)
            }
        }
        starts[17] = UInt16(truncatingIfNeeded: position)
        return position == list.end
    }

    /// Where the node embedded at `offset` ends; nil where there is none.
    private func embedded(in bytes: UnsafeRawBufferPointer, at offset: Int, limit: Int) -> Int? {
        guard let item = try? RLPItem(in: bytes, at: offset, limit: limit), item.isList,
            (try? TrieNode.reference(to: item, in: bytes)) != nil
        else { return nil }
        return item.end
    }

    /// Where the reference to the child at `nibble` lies, or the empty string in its stead.
    func range(of nibble: Int) -> Range<Int> { Int(starts[nibble])..<Int(starts[nibble + 1]) }
}

extension BranchLayout {
    /// How the branch, whose RLP is `node`, names its child at `nibble`; nil for none.
    func child(at nibble: Int, of node: [UInt8]) -> NodeReference? {
        guard mask & 1 << nibble != 0 else { return nil }
        return node.withUnsafeBytes { node in
            let bytes = UnsafeRawBufferPointer(rebasing: node[range(of: nibble)])
            if bytes.count == 33, let base = bytes.baseAddress { return .hash(Bytes32(loading: base + 1)) }
            return .embedded(Array(bytes))
        }
    }
}

/// Bytes compared by words.
enum EqualBytes {
    /// Whether both have the same bytes.
    static func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        var offset = 0
        while offset &+ 8 <= a.count {
            let mine = a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard mine == b.loadUnaligned(fromByteOffset: offset, as: UInt64.self) else { return false }
            offset &+= 8
        }
        while offset < a.count {
            guard a[offset] == b[offset] else { return false }
            offset &+= 1
        }
        return true
    }
}
