import Chain
import MerklePatricia
import Primitives

/// Why a content of the retired state network is refused.
enum PortalStateError: Error, Equatable, CustomStringConvertible {
    /// A selector that names no kind.
    case selector
    /// A path in a key that is not in its packed form.
    case path
    /// The content id is not sha256 of the key.
    case contentID
    /// The offer is of another block than the header.
    case blockHash
    /// No proof nodes at all.
    case emptyProof
    /// Proof node `index` is not the one its parent, or the root, names.
    case unlinked(index: Int)
    /// The path does not lead through node `index`, or ends elsewhere than the last one stands.
    case offPath(index: Int)
    /// The last node, or the code, has not the key's hash.
    case itemHash
    /// The retrieved value is not the item that was proven.
    case retrieval

    var description: String {
        switch self {
        case .selector: "a selector that names no kind"
        case .path: "a path that is not packed"
        case .contentID: "the content id is not the key's"
        case .blockHash: "the offer is of another block"
        case .emptyProof: "no proof nodes"
        case .unlinked(let index): "proof node \(index) is not the one that is named"
        case .offPath(let index): "the path does not lead through proof node \(index)"
        case .itemHash: "the item has not the key's hash"
        case .retrieval: "the retrieved value is not the proven one"
        }
    }
}

/// The kinds of content, by their names in the vectors.
enum PortalStateKind: String {
    case accountTrieNode
    case contractStorageTrieNode
    case contractBytecode

    static let nodeBytes = 1_024
    static let codeBytes = 32_768
    static let proof = SSZType.list(.byteList(nodeBytes), limit: 65)

    /// What a request is answered with: a container of the item alone.
    var retrievalSchema: SSZType {
        let limit = self == .contractBytecode ? PortalStateKind.codeBytes : PortalStateKind.nodeBytes
        return .container([("item", .byteList(limit))])
    }

    static func retrieved(_ bytes: [UInt8], as kind: PortalStateKind) throws -> [UInt8] {
        try SSZ.decode(bytes, as: kind.retrievalSchema).fields[0].bytes
    }

    static func retrieval(_ item: [UInt8], as kind: PortalStateKind) throws -> [UInt8] {
        try SSZ.encode(.fields([.bytes(item)]), as: kind.retrievalSchema)
    }
}

/// A content key: a selector byte, then a container.
enum PortalStateKey: Equatable {
    case accountNode(path: Nibbles, node: Bytes32)
    case storageNode(address: Bytes32, path: Nibbles, node: Bytes32)
    case code(address: Bytes32, code: Bytes32)

    private static let packedPath = SSZType.byteList(33)
    private static let accountSchema = SSZType.container([("path", packedPath), ("node_hash", .bytes32)])
    private static let storageSchema = SSZType.container([
        ("address_hash", .bytes32), ("path", packedPath), ("node_hash", .bytes32),
    ])
    private static let codeSchema = SSZType.container([("address_hash", .bytes32), ("code_hash", .bytes32)])

    init(decoding bytes: [UInt8]) throws {
        let body = bytes.dropFirst()
        switch bytes.first {
        case 0x20:
            let fields = try SSZ.decode(body, as: PortalStateKey.accountSchema).fields
            self = .accountNode(path: try PortalStateKey.path(decoding: fields[0].bytes), node: try fields[1].bytes32)
        case 0x21:
            let fields = try SSZ.decode(body, as: PortalStateKey.storageSchema).fields
            self = .storageNode(
                address: try fields[0].bytes32, path: try PortalStateKey.path(decoding: fields[1].bytes),
                node: try fields[2].bytes32)
        case 0x22:
            let fields = try SSZ.decode(body, as: PortalStateKey.codeSchema).fields
            self = .code(address: try fields[0].bytes32, code: try fields[1].bytes32)
        default: throw PortalStateError.selector
        }
    }

    /// A packed path is the hex-prefix encoding without a terminator.
    static func path(decoding bytes: [UInt8]) throws -> Nibbles {
        guard let (path, isLeaf) = Nibbles.decodingCompact(bytes), !isLeaf else { throw PortalStateError.path }
        return path
    }

    var kind: PortalStateKind {
        switch self {
        case .accountNode: .accountTrieNode
        case .storageNode: .contractStorageTrieNode
        case .code: .contractBytecode
        }
    }

    func encoded() throws -> [UInt8] {
        switch self {
        case .accountNode(let path, let node):
            let value = SSZValue.fields([.bytes(path.compact(isLeaf: false)), .bytes32(node)])
            return [0x20] + (try SSZ.encode(value, as: PortalStateKey.accountSchema))
        case .storageNode(let address, let path, let node):
            let value = SSZValue.fields([.bytes32(address), .bytes(path.compact(isLeaf: false)), .bytes32(node)])
            return [0x21] + (try SSZ.encode(value, as: PortalStateKey.storageSchema))
        case .code(let address, let code):
            let value = SSZValue.fields([.bytes32(address), .bytes32(code)])
            return [0x22] + (try SSZ.encode(value, as: PortalStateKey.codeSchema))
        }
    }
}

/// A content as it is offered: with the proof from a block's state root.
enum PortalStateOffer: Equatable {
    case accountNode(proof: [[UInt8]], blockHash: Bytes32)
    case storageNode(storageProof: [[UInt8]], accountProof: [[UInt8]], blockHash: Bytes32)
    case code([UInt8], accountProof: [[UInt8]], blockHash: Bytes32)

    private static let accountSchema = SSZType.container([("proof", PortalStateKind.proof), ("block_hash", .bytes32)])
    private static let storageSchema = SSZType.container([
        ("storage_proof", PortalStateKind.proof), ("account_proof", PortalStateKind.proof), ("block_hash", .bytes32),
    ])
    private static let codeSchema = SSZType.container([
        ("code", .byteList(PortalStateKind.codeBytes)), ("account_proof", PortalStateKind.proof),
        ("block_hash", .bytes32),
    ])

    init(decoding bytes: [UInt8], kind: PortalStateKind) throws {
        func proof(_ value: SSZValue) throws -> [[UInt8]] { try value.elements.map { try $0.bytes } }
        switch kind {
        case .accountTrieNode:
            let fields = try SSZ.decode(bytes, as: PortalStateOffer.accountSchema).fields
            self = .accountNode(proof: try proof(fields[0]), blockHash: try fields[1].bytes32)
        case .contractStorageTrieNode:
            let fields = try SSZ.decode(bytes, as: PortalStateOffer.storageSchema).fields
            self = .storageNode(
                storageProof: try proof(fields[0]), accountProof: try proof(fields[1]),
                blockHash: try fields[2].bytes32)
        case .contractBytecode:
            let fields = try SSZ.decode(bytes, as: PortalStateOffer.codeSchema).fields
            self = .code(
                try fields[0].bytes, accountProof: try proof(fields[1]), blockHash: try fields[2].bytes32)
        }
    }

    var blockHash: Bytes32 {
        switch self {
        case .accountNode(_, let hash), .storageNode(_, _, let hash), .code(_, _, let hash): hash
        }
    }

    func encoded() throws -> [UInt8] {
        func list(_ proof: [[UInt8]]) -> SSZValue { .elements(proof.map { .bytes($0) }) }
        switch self {
        case .accountNode(let proof, let hash):
            return try SSZ.encode(.fields([list(proof), .bytes32(hash)]), as: PortalStateOffer.accountSchema)
        case .storageNode(let storage, let account, let hash):
            return try SSZ.encode(
                .fields([list(storage), list(account), .bytes32(hash)]), as: PortalStateOffer.storageSchema)
        case .code(let code, let account, let hash):
            return try SSZ.encode(
                .fields([.bytes(code), list(account), .bytes32(hash)]), as: PortalStateOffer.codeSchema)
        }
    }

    /// Checks the proof of what `key` names; gives the node or the code.
    func verify(_ key: PortalStateKey, stateRoot: Bytes32) throws -> [UInt8] {
        switch (self, key) {
        case (.accountNode(let proof, _), .accountNode(let path, let node)):
            return try PathProof(proof, root: stateRoot).node(at: path, hash: node)
        case (.storageNode(let storage, let account, _), .storageNode(let address, let path, let node)):
            let account = try PathProof(account, root: stateRoot).account(address)
            return try PathProof(storage, root: account.storageRoot).node(at: path, hash: node)
        case (.code(let code, let account, _), .code(let address, let codeHash)):
            let account = try PathProof(account, root: stateRoot).account(address)
            guard account.codeHash == codeHash, Keccak.hash(code) == codeHash else { throw PortalStateError.itemHash }
            return code
        default: throw PortalStateError.selector
        }
    }
}

/// A list of nodes from a root down, each named by the one before it, none too many.
private struct PathProof {
    let proof: [[UInt8]]
    let root: Bytes32

    init(_ proof: [[UInt8]], root: Bytes32) {
        self.proof = proof
        self.root = root
    }

    /// The last node, which must stand exactly at `path` and have this hash.
    func node(at path: Nibbles, hash: Bytes32) throws -> [UInt8] {
        let (last, _, position) = try walk(along: path)
        guard position == path else { throw PortalStateError.offPath(index: proof.count - 1) }
        guard Keccak.hash(last) == hash else { throw PortalStateError.itemHash }
        return last
    }

    /// The account whose leaf must be the last node.
    func account(_ address: Bytes32) throws -> StateAccount {
        let (_, node, position) = try walk(along: Nibbles(address))
        guard case .leaf(let suffix, let value) = node, suffix == Nibbles(address).dropFirst(position.count) else {
            throw PortalStateError.offPath(index: proof.count - 1)
        }
        return try StateAccount(rlp: value)
    }

    /// Follows `path` through all nodes; gives the last one and where it stands.
    private func walk(along path: Nibbles) throws -> (bytes: [UInt8], node: TrieNode, position: Nibbles) {
        var expected = root
        var position = Nibbles.root
        for (index, bytes) in proof.enumerated() {
            guard Keccak.hash(bytes) == expected else { throw PortalStateError.unlinked(index: index) }
            let node = try TrieNode(decoding: bytes)
            if index == proof.count - 1 { return (bytes, node, position) }
            let child: NodeReference?
            switch node {
            case .leaf: throw PortalStateError.offPath(index: index)
            case .extension(let steps, let reference):
                guard path.dropFirst(position.count).hasPrefix(steps) else {
                    throw PortalStateError.offPath(index: index)
                }
                position = position.appending(steps)
                child = reference
            case .branch(let branch):
                guard position.count < path.count else { throw PortalStateError.offPath(index: index) }
                let nibble = path[position.count]
                position = position.appending(nibble)
                child = branch[nibble]
            }
            // An embedded child is no node of its own, and holds no hash of one.
            guard case .hash(let hash) = child else { throw PortalStateError.offPath(index: index) }
            expected = hash
        }
        throw PortalStateError.emptyProof
    }
}
