import Chain
import MerklePatricia
import Primitives

/// Why content of the retired state network is refused.
enum PortalStateError: Error, Equatable {
    case selector
    /// A path with other flags than odd or even, or over 64 nibbles.
    case path
    case contentID
    case blockHash
    /// A proof without nodes.
    case emptyProof
    /// Node number `index` has not the hash that the one before it names.
    case nodeHash(Int)
    /// A leaf before the last node, or a node that leads elsewhere.
    case offPath
    /// The proof ends before or after the key's path does.
    case pathLength
    /// The last node is not the one the key names.
    case keyHash
    /// The account's proof does not end in its leaf.
    case notLeaf
    case codeHash
    case retrieval
}

/// A content key: selector byte, then a container.
enum PortalStateKey: Equatable {
    enum Kind: UInt8 {
        case accountNode = 0x20
        case storageNode = 0x21
        case code = 0x22
    }

    case accountNode(path: Nibbles, hash: Bytes32)
    case storageNode(account: Bytes32, path: Nibbles, hash: Bytes32)
    case code(account: Bytes32, hash: Bytes32)

    var kind: Kind {
        switch self {
        case .accountNode: .accountNode
        case .storageNode: .storageNode
        case .code: .code
        }
    }

    private static func type(of kind: Kind) -> SSZType {
        let path = ("path", SSZType.byteList(33))
        return switch kind {
        case .accountNode: .container([path, ("node_hash", .bytes32)])
        case .storageNode: .container([("address_hash", .bytes32), path, ("node_hash", .bytes32)])
        case .code: .container([("address_hash", .bytes32), ("code_hash", .bytes32)])
        }
    }

    /// Reads a path: a hex-prefix encoding without the leaf's flag.
    static func path(_ bytes: [UInt8]) throws(PortalStateError) -> Nibbles {
        guard let decoded = Nibbles.decodingCompact(bytes), !decoded.isLeaf else { throw .path }
        return decoded.path
    }

    init(decoding bytes: [UInt8]) throws {
        guard let kind = bytes.first.flatMap({ Kind(rawValue: $0) }) else { throw PortalStateError.selector }
        let fields = try SSZ.decode(bytes.dropFirst(), as: PortalStateKey.type(of: kind)).fields
        self =
            switch kind {
            case .accountNode:
                .accountNode(path: try PortalStateKey.path(try fields[0].bytes), hash: try fields[1].bytes32)
            case .storageNode:
                .storageNode(
                    account: try fields[0].bytes32, path: try PortalStateKey.path(try fields[1].bytes),
                    hash: try fields[2].bytes32)
            case .code: .code(account: try fields[0].bytes32, hash: try fields[1].bytes32)
            }
    }

    var encoded: [UInt8] {
        get throws {
            let fields: [SSZValue] =
                switch self {
                case .accountNode(let path, let hash): [.bytes(path.compact(isLeaf: false)), .bytes32(hash)]
                case .storageNode(let account, let path, let hash):
                    [.bytes32(account), .bytes(path.compact(isLeaf: false)), .bytes32(hash)]
                case .code(let account, let hash): [.bytes32(account), .bytes32(hash)]
                }
            return [kind.rawValue] + (try SSZ.encode(.fields(fields), as: PortalStateKey.type(of: kind)))
        }
    }
}

/// An offered value: the content with its proof from a block's state root.
enum PortalStateOffer: Equatable {
    case accountNode(proof: [[UInt8]], blockHash: Bytes32)
    case storageNode(proof: [[UInt8]], accountProof: [[UInt8]], blockHash: Bytes32)
    case code(code: [UInt8], accountProof: [[UInt8]], blockHash: Bytes32)

    private static let node = SSZType.byteList(MerklePatriciaLimits.nodeBytes)
    private static let proof = SSZType.list(node, limit: 65)
    private static let codeBytes = SSZType.byteList(32_768)

    private static func type(of kind: PortalStateKey.Kind) -> SSZType {
        switch kind {
        case .accountNode: .container([("proof", proof), ("block_hash", .bytes32)])
        case .storageNode:
            .container([("storage_proof", proof), ("account_proof", proof), ("block_hash", .bytes32)])
        case .code: .container([("code", codeBytes), ("account_proof", proof), ("block_hash", .bytes32)])
        }
    }

    /// The content alone, as it is given to one who asks.
    static func retrievalType(of kind: PortalStateKey.Kind) -> SSZType {
        .container([kind == .code ? ("code", codeBytes) : ("node", node)])
    }

    init(decoding bytes: [UInt8], of kind: PortalStateKey.Kind) throws {
        let fields = try SSZ.decode(bytes, as: PortalStateOffer.type(of: kind)).fields
        func nodes(_ index: Int) throws -> [[UInt8]] {
            try fields[index].elements.map { node throws in try node.bytes }
        }
        self =
            switch kind {
            case .accountNode: .accountNode(proof: try nodes(0), blockHash: try fields[1].bytes32)
            case .storageNode:
                .storageNode(proof: try nodes(0), accountProof: try nodes(1), blockHash: try fields[2].bytes32)
            case .code:
                .code(code: try fields[0].bytes, accountProof: try nodes(1), blockHash: try fields[2].bytes32)
            }
    }

    var encoded: [UInt8] {
        get throws {
            func proof(_ nodes: [[UInt8]]) -> SSZValue { .elements(nodes.map { .bytes($0) }) }
            switch self {
            case .accountNode(let nodes, let hash):
                return try SSZ.encode(
                    .fields([proof(nodes), .bytes32(hash)]), as: PortalStateOffer.type(of: .accountNode))
            case .storageNode(let nodes, let account, let hash):
                return try SSZ.encode(
                    .fields([proof(nodes), proof(account), .bytes32(hash)]),
                    as: PortalStateOffer.type(of: .storageNode))
            case .code(let code, let account, let hash):
                return try SSZ.encode(
                    .fields([.bytes(code), proof(account), .bytes32(hash)]), as: PortalStateOffer.type(of: .code))
            }
        }
    }

    var blockHash: Bytes32 {
        switch self {
        case .accountNode(_, let hash), .storageNode(_, _, let hash), .code(_, _, let hash): hash
        }
    }

    /// Checks the value against its key and the state root of its block. Gives the content: the node or the code.
    func verify(_ key: PortalStateKey, stateRoot: Bytes32) throws -> [UInt8] {
        switch (self, key) {
        case (.accountNode(let proof, _), .accountNode(let path, let hash)):
            return try PathProof.node(root: stateRoot, proof: proof, path: path, hash: hash)
        case (.storageNode(let proof, let accountProof, _), .storageNode(let account, let path, let hash)):
            let body = try PathProof.account(account, root: stateRoot, proof: accountProof)
            return try PathProof.node(root: body.storageRoot, proof: proof, path: path, hash: hash)
        case (.code(let code, let accountProof, _), .code(let account, let hash)):
            let body = try PathProof.account(account, root: stateRoot, proof: accountProof)
            guard Keccak.hash(code) == hash, body.codeHash == hash else { throw PortalStateError.codeHash }
            return code
        default: throw PortalStateError.selector
        }
    }
}

/// Proofs as Portal's state network had them: the nodes from the root on, in order, none left over.
private enum PathProof {
    /// The last node, which stands at `path` and has this hash.
    static func node(root: Bytes32, proof: [[UInt8]], path: Nibbles, hash: Bytes32) throws -> [UInt8] {
        let (consumed, bytes) = try walk(root: root, proof: proof, path: path)
        guard consumed == path.count else { throw PortalStateError.pathLength }
        guard Keccak.hash(bytes) == hash else { throw PortalStateError.keyHash }
        return bytes
    }

    /// The account whose leaf is the last node.
    static func account(_ key: Bytes32, root: Bytes32, proof: [[UInt8]]) throws -> StateAccount {
        let path = Nibbles(key)
        let (consumed, bytes) = try walk(root: root, proof: proof, path: path)
        guard case .leaf(let suffix, let value) = try TrieNode(decoding: bytes) else { throw PortalStateError.notLeaf }
        guard suffix == path.dropFirst(consumed) else { throw PortalStateError.offPath }
        return try StateAccount(rlp: value)
    }

    /// Follows `path` through all nodes; gives how many nibbles stand before the last node, and that node.
    private static func walk(root: Bytes32, proof: [[UInt8]], path: Nibbles) throws -> (Int, [UInt8]) {
        guard let last = proof.last else { throw PortalStateError.emptyProof }
        var expected = NodeReference.hash(root)
        var consumed = 0
        for (index, bytes) in proof.enumerated() {
            guard case .hash(let hash) = expected, hash == Keccak.hash(bytes) else {
                throw PortalStateError.nodeHash(index)
            }
            let node = try TrieNode(decoding: bytes)
            if index == proof.count - 1 { break }
            switch node {
            case .leaf: throw PortalStateError.offPath
            case .extension(let steps, let child):
                guard path.dropFirst(consumed).hasPrefix(steps) else { throw PortalStateError.offPath }
                consumed += steps.count
                expected = child
            case .branch(let branch):
                guard consumed < path.count, let child = branch[path[consumed]] else { throw PortalStateError.offPath }
                consumed += 1
                expected = child
            }
        }
        return (consumed, last)
    }
}
