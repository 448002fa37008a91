import Chain
import MerklePatricia
import Primitives
import StateStore

/// Why an answer with subtree hashes is not what was asked for. Everything but `status` is the sender's fault.
public enum SubtreesError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    case malformed(SSZError)
    /// Longer than asked for.
    case overMaxBytes(Int)
    /// A node does not have the hash by which it is named above: the place by number, and the node by number there.
    case wrongNode(place: Int, Int)
    /// It has the right hash, but is no node.
    case malformedNode(place: Int, TrieNodeError)
    /// Not even the first place has all its nodes, or some are left over.
    case wrongCount
}

/// Subtree hashes: nodes of the state by their places, each level after the one above it.
public enum SubtreesValue {
    /// The list after the status byte.
    package static let schema = SSZType.list(
        .byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.subtreeNodes)

    /// The answer to `key`, status byte included: all nodes of as many places, from the first on, as fit. nil where the
    /// view does not hold their section. A place where nothing stands gives an empty node, which its asker will not
    /// believe: who knows the hash of a node knows that there is one.
    public static func serve(_ key: SubtreesKey, view: inout StateView<some StoreSnapshot>) throws -> [UInt8]? {
        guard let section = key.section(depth: view.depth), view.holds(section) else { return nil }
        let maxBytes = min(Int(key.maxBytes), StateContentLimits.servedSubtreeBytes)
        var gathering = Gathering(view)
        var nodes: [[UInt8]] = []
        var size = 1
        for place in key.places {
            guard let found = try gathering.nodes(at: place, levels: key.levels) else {
                if nodes.isEmpty { return StateStatus.placementNotSupported.encoded }
                break
            }
            size += found.reduce(0) { $0 + 4 + $1.count }
            guard size <= maxBytes, nodes.count + found.count <= StateContentLimits.subtreeNodes else { break }
            nodes += found
        }
        return nodes.isEmpty ? StateStatus.itemTooLarge.encoded : [0] + ColumnWriter.items(nodes)
    }

    /// What an answer brought: how many places it has all nodes of, and all nodes by their hash.
    public struct Verified: Sendable {
        public let placeCount: Int
        public let nodes: [Bytes32: TrieNode]
    }

    /// Checks an answer (status byte included): `hashes` are those of the nodes at the key's places, one each; every
    /// other node is named by one above it.
    public static func verify(
        _ value: [UInt8], key: SubtreesKey, hashes: [Bytes32]
    ) throws(SubtreesError) -> Verified {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= Int(key.maxBytes) else { throw .overMaxBytes(value.count) }
        let items: [[UInt8]]
        do throws(SSZError) {
            items = try ColumnReader(bytes: value).byteLists(
                1..<value.count, limit: StateContentLimits.subtreeNodes, itemLimit: StateContentLimits.nodeBytes)
        } catch {
            throw .malformed(error)
        }
        var rest = items[...]
        var nodes: [Bytes32: TrieNode] = [:]
        var places = 0
        while !rest.isEmpty {
            guard places < min(hashes.count, key.places.count) else { throw .wrongCount }
            try take(&rest, place: places, hash: hashes[places], levels: key.levels, into: &nodes)
            places += 1
        }
        guard places > 0 else { throw .wrongCount }
        return Verified(placeCount: places, nodes: nodes)
    }

    /// Takes the nodes of one place off the front.
    private static func take(
        _ rest: inout ArraySlice<[UInt8]>, place: Int, hash: Bytes32, levels: Int,
        into nodes: inout [Bytes32: TrieNode]
    ) throws(SubtreesError) {
        var named = [hash]
        var number = 0
        for _ in 0..<levels {
            var below: [Bytes32] = []
            for hash in named {
                guard let bytes = rest.popFirst() else { throw .wrongCount }
                guard Keccak.hash(bytes) == hash else { throw .wrongNode(place: place, number) }
                let node: TrieNode
                do throws(TrieNodeError) {
                    node = try TrieNode(decoding: bytes)
                } catch {
                    throw .malformedNode(place: place, error)
                }
                nodes[hash] = node
                below += node.namedByHash
                number += 1
            }
            named = below
        }
    }
}

extension TrieNode {
    /// The children that it names by their hash, in order.
    fileprivate var namedByHash: [Bytes32] {
        switch self {
        case .leaf: []
        case .extension(_, let child): child.named.map { [$0] } ?? []
        case .branch(let branch): branch.children.compactMap { $0?.named }
        }
    }

    /// The same with the path of each, seen from this node.
    fileprivate var childrenNamedByHash: [Nibbles] {
        switch self {
        case .leaf: []
        case .extension(let path, let child): child.named == nil ? [] : [path]
        case .branch(let branch):
            (0..<16).filter { branch[$0]?.named != nil }.map { Nibbles.root.appending($0) }
        }
    }
}

extension NodeReference {
    /// The hash, where it is named by that.
    fileprivate var named: Bytes32? { if case .hash(let hash) = self { hash } else { nil } }
}

/// Gathers the nodes of an answer.
private struct Gathering<Snapshot: StoreSnapshot>: ~Copyable {
    private let view: StateView<Snapshot>
    private var accounts: AccountTrie
    private var reader = NodeReader()

    init(_ view: StateView<Snapshot>) {
        self.view = view
        accounts = view.accountTrie
    }

    /// The nodes of one place, level by level; nil where some of them are elsewhere: of storage that is spread only
    /// those that show it are here.
    mutating func nodes(at place: StatePlace, levels: Int) throws -> [[UInt8]]? {
        guard let path = place.storage else {
            return try Gathering.nodes(at: place.account, levels: levels, of: &accounts, by: &reader)
        }
        if let owner = view.owner {
            var storage = view.storageTrie(of: owner)
            return try Gathering.nodes(at: path, levels: levels, of: &storage, by: &reader)
        }
        guard case .leaf(let account, _) = try accounts.subtree(under: place.account) else { return [[]] }
        var storage = view.storageTrie(of: account)
        let nodes = try Gathering.nodes(at: path, levels: levels, of: &storage, by: &reader)
        return try nodes.contains([]) && view.isSpread(account) ? nil : nodes
    }

    private static func nodes(
        at path: Nibbles, levels: Int, of source: inout some TrieSource, by reader: inout NodeReader
    ) throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        var paths = [path]
        for level in 1...levels {
            var below: [Nibbles] = []
            for path in paths {
                guard let node = try reader.node(at: path, of: &source) else {
                    found.append([])
                    continue
                }
                found.append(node)
                guard level < levels else { continue }
                guard let decoded = try? TrieNode(decoding: node) else { throw TrieError.corruptRecord(path) }
                below += decoded.childrenNamedByHash.map { path.appending($0) }
            }
            paths = below
        }
        return found
    }
}
