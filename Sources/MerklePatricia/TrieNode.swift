import Primitives

/// One node, read from its RLP. No values in branches: every key has 64 nibbles.
public enum TrieNode: Hashable, Sendable {
    /// The rest of a key and its value.
    case leaf(suffix: Nibbles, value: [UInt8])
    /// Nibbles that all leaves below share, at least one, and the branch behind them.
    case `extension`(path: Nibbles, child: NodeReference)
    /// Two children or more, by the next nibble.
    case branch(BranchNode)

    /// Reads one node, strictly: what a correct trie would not have written is an error.
    public init(decoding bytes: [UInt8]) throws(TrieNodeError) {
        guard bytes.count <= MerklePatriciaLimits.nodeBytes else { throw .tooLarge }
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(TrieNodeError) in try TrieNode(in: buffer, at: 0, limit: buffer.count, whole: true) }
        }
        self = try result.get()
    }

    /// Reads the node that stands at `offset`; `whole`: and ends at `limit`.
    init(in buffer: UnsafeRawBufferPointer, at offset: Int, limit: Int, whole: Bool) throws(TrieNodeError) {
        let list = try TrieNode.item(in: buffer, at: offset, limit: limit)
        guard list.isList else { throw .itemCount }
        guard !whole || list.end == limit else { throw .rlp(.trailingBytes) }
        var count = 0
        var position = list.contentStart
        var first: RLPItem?
        var second: RLPItem?
        while position < list.end {
            let item = try TrieNode.item(in: buffer, at: position, limit: list.end)
            if count == 0 { first = item } else if count == 1 { second = item }
            count += 1
            guard count <= 17 else { throw .itemCount }
            position = item.end
        }
        if count == 17 {
            self = .branch(try BranchNode(in: buffer, list: list))
            return
        }
        guard count == 2, let first, let second else { throw .itemCount }
        guard !first.isList,
            let (path, isLeaf) = Nibbles.decodingCompact(buffer[first.contentStart..<first.end])
        else { throw .hexPrefix }
        if isLeaf {
            guard !second.isList, second.contentStart < second.end else { throw .emptyValue }
            self = .leaf(suffix: path, value: Array(buffer[second.contentStart..<second.end]))
        } else {
            guard !path.isEmpty else { throw .emptyExtension }
            guard let child = try TrieNode.reference(to: second, in: buffer) else { throw .childReference }
            if second.isList {
                guard case .branch = try TrieNode(in: buffer, at: second.start, limit: second.end, whole: true)
                else { throw .extensionChild }
            }
            self = .extension(path: path, child: child)
        }
    }

    static func item(
        in buffer: UnsafeRawBufferPointer, at offset: Int, limit: Int
    ) throws(TrieNodeError) -> RLPItem {
        do throws(RLPError) { return try RLPItem(in: buffer, at: offset, limit: limit) } catch { throw .rlp(error) }
    }

    /// The reference an item is: nil for an empty string. An embedded node is read too, so that nothing is passed on
    /// that was not checked; it has fewer than 32 bytes, which bounds the depth.
    static func reference(to item: RLPItem, in buffer: UnsafeRawBufferPointer) throws(TrieNodeError) -> NodeReference? {
        if item.isList {
            guard item.end - item.start < 32 else { throw .childReference }
            _ = try TrieNode(in: buffer, at: item.start, limit: item.end, whole: true)
            return .embedded(Array(buffer[item.start..<item.end]))
        }
        switch item.end - item.contentStart {
        case 0: return nil
        case 32: return buffer.baseAddress.map { .hash(Bytes32(loading: $0 + item.contentStart)) }
        default: throw .childReference
        }
    }

    /// The RLP of the node.
    public var encoded: [UInt8] {
        switch self {
        case .leaf(let suffix, let value):
            return RLPWriter.list { list in
                list.append(suffix.compact(isLeaf: true))
                list.append(value)
            }
        case .extension(let path, let child):
            return RLPWriter.list { list in
                list.append(path.compact(isLeaf: false))
                list.append(reference: child)
            }
        case .branch(let branch): return branch.encoded
        }
    }
}

/// The 16 children of a branch.
public struct BranchNode: Hashable, Sendable {
    /// By nibble; nil where there is no leaf.
    public private(set) var children: [NodeReference?]

    /// A branch without children, to be filled.
    init() { children = Array(repeating: nil, count: 16) }

    /// The child at `nibble`, 0…15.
    public subscript(nibble: Int) -> NodeReference? {
        get { children[nibble] }
        set { children[nibble] = newValue }
    }

    /// Reads the RLP of a branch.
    public init(decoding bytes: [UInt8]) throws(TrieNodeError) {
        guard case .branch(let branch) = try TrieNode(decoding: bytes) else { throw .itemCount }
        self = branch
    }

    /// Reads a list that is known to have 17 items.
    init(in buffer: UnsafeRawBufferPointer, list: RLPItem) throws(TrieNodeError) {
        self.init()
        var position = list.contentStart
        var count = 0
        for nibble in 0..<16 {
            let item = try TrieNode.item(in: buffer, at: position, limit: list.end)
            position = item.end
            guard let child = try TrieNode.reference(to: item, in: buffer) else { continue }
            children[nibble] = child
            count += 1
        }
        let value = try TrieNode.item(in: buffer, at: position, limit: list.end)
        guard !value.isList, value.contentStart == value.end else { throw .branchValue }
        guard count >= 2 else { throw .tooFewChildren }
    }

    /// The RLP of the branch.
    public var encoded: [UInt8] {
        var content = 1
        for child in children {
            switch child {
            case nil: content += 1
            case .hash: content += 33
            case .embedded(let node): content += node.count
            }
        }
        let size = content + NodeWriter.headerSize(content)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var writer = NodeWriter(UnsafeMutableRawBufferPointer(buffer))
            writer.header(length: content, short: 0xc0)
            for child in children {
                switch child {
                case nil: writer.byte(0x80)
                case .hash(let hash): writer.hash(hash)
                case .embedded(let node): node.withUnsafeBytes { writer.copy($0) }
                }
            }
            writer.byte(0x80)
            count = writer.count
        }
    }
}

extension RLPWriter {
    /// A child as its parent has it.
    mutating func append(reference: NodeReference) {
        switch reference {
        case .hash(let hash): append(hash)
        case .embedded(let node): append(raw: node)
        }
    }
}
