// Storage crowns and the wide directory: how somebody who holds neither an account nor its storage learns that this
// storage is spread round the ring, where its parts lie, and what each of them hashes to.
//
//      state root ── way to the account ── its leaf names the storage root
//                                              ├── the nodes that show the placement j
//                                              └── the ways to parts p … q ── their hashes
//
// A storage crown proves all of that from the anchor's state root and can be passed on as it came. The directory only
// says which accounts to ask about: nothing in it is believed, a false entry is found out by its first storage crown.

import Chain
import MerklePatricia
import Primitives
import StateStore

/// The crown of a stretch of parts of one storage trie at an anchor.
public struct StorageCrownKey: Hashable, Sendable {
    public let anchor: Anchor
    /// The account of whose storage trie they are parts, and the depth at which these parts begin: what the asker takes
    /// the placement to be.
    public let account: Bytes32
    public let placement: Int
    /// The first and the last part; at most 256 in all.
    public let first: Int
    public let last: Int

    /// nil where the stretch is none, or too long.
    public init?(anchor: Anchor, account: Bytes32, placement: Int, first: Int, last: Int) {
        guard (1...ChainLimits.sectionDepth).contains(placement), first >= 0, first <= last,
            last < Section.count(depth: placement), last - first < StateContentLimits.maskBits
        else { return nil }
        self.anchor = anchor
        self.account = account
        self.placement = placement
        self.first = first
        self.last = last
    }

    /// The trie as a key names it.
    public var trie: StateTrie { .storage(account: account, placement: UInt8(truncatingIfNeeded: placement)) }

    static let schema = SSZType.container([
        ("trie", StateTrie.schema), ("anchor", StateContentKey.anchorSchema), ("first_part", .uint32),
        ("last_part", .uint32),
    ])

    init?(_ fields: [SSZValue]) throws(SSZError) {
        guard case .storage(let account, let placement) = try StateTrie(fields[0]) else { return nil }
        self.init(
            anchor: try StateContentKey.anchor(fields[1]), account: account, placement: Int(placement),
            first: Int(truncatingIfNeeded: try fields[2].uint64), last: Int(truncatingIfNeeded: try fields[3].uint64))
    }

    var fields: [ColumnWriter.Field] {
        [
            .variable(trie.encoded), .inPlace(StateContentKey.bytes(anchor)),
            .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: first))),
            .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: last))),
        ]
    }
}

/// What a storage crown proves: the account, the placement of its storage, and what some of its parts hash to.
public struct StorageCrown: Sendable {
    public let key: StorageCrownKey
    /// The account at the anchor; nil where there is none.
    public let account: StateAccount?
    /// At which depth its storage is placed at the anchor; 0: with the account.
    public let placement: Int
    /// The nodes on the way to the account, the root's first.
    public let accountNodes: [[UInt8]]
    /// Those that show the placement, the storage root's first.
    public let placementNodes: [[UInt8]]
    /// All nodes of the storage trie.
    public let storageNodes: [[UInt8]]
    private let hashes: [Bytes32]

    /// The nodes' list after the status byte.
    package static let schema = SSZType.list(
        .byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.storageCrownNodes)

    /// Reads nodes under the state root of the key's anchor.
    public init(
        _ nodes: [[UInt8]], key: StorageCrownKey, stateRoot: Bytes32, rule: Placement
    ) throws(ProofError) {
        let proof = try PartsProof(
            nodes,
            for: PartsProof.Question(
                root: stateRoot, account: key.account, depth: key.placement, parts: Array(key.first...key.last),
                placement: rule)
        ) { try? StateAccount(rlp: $0).storageRoot }
        self.key = key
        account = proof.account.flatMap { try? StateAccount(rlp: $0) }
        placement = proof.placement
        accountNodes = proof.accountNodes
        placementNodes = proof.placementNodes
        storageNodes = proof.storageNodes
        hashes = proof.hashes
    }

    /// The root of the account's storage trie.
    public var storageRoot: Bytes32 { account?.storageRoot ?? Subtree.emptyRoot }

    /// The hash of a part; nil for one outside the key's stretch.
    public func hash(ofPart index: Int) -> Bytes32? {
        (key.first...key.last).contains(index) ? hashes[index - key.first] : nil
    }

    /// The nodes that lead to a part: through its account, and from its storage root.
    public func way(toPart index: Int) -> [[UInt8]] {
        guard storageRoot != Subtree.emptyRoot, let way = try? crown.proofNodes(forSection: index) else {
            return accountNodes
        }
        return accountNodes + way
    }

    /// All nodes, as they travel.
    public var nodes: [[UInt8]] { accountNodes + storageNodes }

    /// The crown over the key's parts, to prove what is below it by.
    var crown: Crown {
        var proof = ProofNodes()
        for node in storageNodes { proof.insert(node) }
        return Crown(covering: proof, root: storageRoot, depth: key.placement)
    }

    /// The answer, status byte included.
    public var encoded: [UInt8] { [0] + ColumnWriter.items(nodes) }

    /// The crown in an answer.
    public static func verify(
        _ value: [UInt8], key: StorageCrownKey, stateRoot: Bytes32, rule: Placement
    ) throws(ContentError) -> StorageCrown {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        let nodes: [[UInt8]]
        do throws(SSZError) {
            nodes = try ColumnReader(bytes: value).byteLists(
                1..<value.count, limit: StateContentLimits.storageCrownNodes, itemLimit: StateContentLimits.nodeBytes)
        } catch {
            throw .malformed(error)
        }
        do throws(ProofError) {
            return try StorageCrown(nodes, key: key, stateRoot: stateRoot, rule: rule)
        } catch {
            throw .crown(error)
        }
    }

    /// The crown of a stretch that lies in this one's; nil where it does not.
    public func narrowed(to key: StorageCrownKey, rule: Placement) -> StorageCrown? {
        guard key.account == self.key.account, key.anchor == self.key.anchor, key.placement == self.key.placement,
            self.key.first <= key.first, key.last <= self.key.last
        else { return nil }
        if key == self.key { return self }
        guard let root = accountNodes.first.map({ Keccak.hash($0) }) else { return nil }
        var kept = ProofNodes()
        for node in accountNodes + placementNodes { kept.insert(node) }
        let crown = crown
        for index in key.first...key.last {
            guard let way = try? crown.proofNodes(forSection: index) else { return nil }
            for node in way { kept.insert(node) }
        }
        return try? StorageCrown(kept.nodes, key: key, stateRoot: root, rule: rule)
    }
}

/// Makes storage crowns of what is held.
public enum StorageCrownServer {
    /// The crown of a key, out of a view that has the account at the key's anchor, the crown there, and all parts of
    /// the storage: what they hash to, in order. nil where the number of parts is not that of the key's placement.
    ///
    /// - Parameter placementNodes: what shows the placement, where the view has it of another anchor.
    public static func make<Snapshot: StoreSnapshot>(
        _ key: StorageCrownKey, view: inout StateView<Snapshot>, crown: Crown, parts: [Subtree], rule: Placement,
        placementNodes: [[UInt8]]? = nil
    ) throws -> StorageCrown? {
        guard parts.count == Section.count(depth: key.placement) else { return nil }
        var nodes = ProofNodes()
        var accounts = view.accountTrie
        var prover = TrieProver()
        try prover.prove(key.account, upper: crown, source: &accounts, into: &nodes)
        for node in try placementNodes ?? view.placementNodes(of: key.account) { nodes.insert(node) }
        let upper = Crown(sections: parts, depth: key.placement)
        guard upper.root != Subtree.emptyRoot else {
            return try StorageCrown(nodes.nodes, key: key, stateRoot: crown.root, rule: rule)
        }
        for index in key.first...key.last {
            for node in try upper.proofNodes(forSection: index) { nodes.insert(node) }
        }
        return try StorageCrown(nodes.nodes, key: key, stateRoot: crown.root, rule: rule)
    }
}

extension StorageCrownServer {
    /// The crown of a key about an account that is not there, or whose storage is with it: it shows that nothing is
    /// spread. Out of a view that has the account's section at the key's anchor, and the crown there. nil where the
    /// storage is spread: then it takes the parts.
    public static func showNarrow<Snapshot: StoreSnapshot>(
        _ key: StorageCrownKey, view: inout StateView<Snapshot>, crown: Crown, rule: Placement
    ) throws -> StorageCrown? {
        guard try !view.isSpread(key.account) else { return nil }
        var (nodes, storage) = (ProofNodes(), ProofNodes())
        var (accounts, slots) = (view.accountTrie, view.storageTrie(of: key.account))
        var prover = TrieProver()
        try prover.prove(key.account, upper: crown, source: &accounts, into: &nodes)
        if let root = try view.account(key.account)?.storageRoot, root != Subtree.emptyRoot {
            try prover.prove(.zero, upper: nil, source: &slots, into: &storage)
            for index in key.first...key.last {
                let first = Section(depth: key.placement, index: index).firstKey
                try prover.prove(first, upper: nil, source: &slots, into: &storage)
            }
            let upper = Crown(covering: storage, root: root, depth: key.placement)
            for node in try rule.show(root: root, in: storage.nodes).nodes { nodes.insert(node) }
            for index in key.first...key.last {
                for node in try upper.proofNodes(forSection: index) { nodes.insert(node) }
            }
        }
        return try StorageCrown(nodes.nodes, key: key, stateRoot: crown.root, rule: rule)
    }
}

/// Which storage tries are spread, of accounts in some sections.
public struct WideDirectoryKey: Hashable, Sendable {
    public let anchor: Anchor
    /// Indices of the sections in which the accounts lie: ascending, at least one, the last less than 256 above the
    /// first.
    public let sections: [Int]

    /// nil where the sections are not as they must be.
    public init?(anchor: Anchor, sections: [Int]) {
        guard SectionMask.holds(sections) else { return nil }
        self.anchor = anchor
        self.sections = sections
    }

    static let schema = SSZType.container([
        ("anchor", StateContentKey.anchorSchema), ("first_section", .uint32),
        ("sections", .bitlist(StateContentLimits.maskBits)),
    ])

    init?(_ fields: [SSZValue]) throws(SSZError) {
        let first = Int(truncatingIfNeeded: try fields[1].uint64)
        guard let sections = SectionMask.sections(try fields[2].bits, from: first) else { return nil }
        self.init(anchor: try StateContentKey.anchor(fields[0]), sections: sections)
    }

    var fields: [ColumnWriter.Field] {
        [
            .inPlace(StateContentKey.bytes(anchor)),
            .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: sections.first ?? 0))),
            .variable(SectionMask.bytes(sections, from: sections.first ?? 0)),
        ]
    }
}

/// A storage trie that somebody says is spread.
public struct WideEntry: Hashable, Sendable {
    public let account: Bytes32
    /// At which depth it is placed: 1…d.
    public let placement: Int
    public let storageRoot: Bytes32

    public init(account: Bytes32, placement: Int, storageRoot: Bytes32) {
        self.account = account
        self.placement = placement
        self.storageRoot = storageRoot
    }

    /// The widest first; of equals by account.
    static func precedes(_ a: WideEntry, _ b: WideEntry) -> Bool {
        a.placement == b.placement ? a.account < b.account : a.placement > b.placement
    }
}

/// Why a directory is none.
public enum WideDirectoryError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    /// Not a whole number of entries, or more than there may be.
    case malformed(SSZError)
    /// A placement that no trie of this network has.
    case placement(account: Bytes32, Int)
    /// An account in a section that was not asked for.
    case unasked(account: Bytes32)
    /// Entries out of order, or an account twice.
    case order(account: Bytes32)
}

/// The wide directory: a hint which accounts to ask about.
public enum WideDirectoryValue {
    /// The list after the status byte.
    package static let schema = SSZType.list(
        .container([("account", .bytes32), ("placement", .uint8), ("storage_root", .bytes32)]),
        limit: StateContentLimits.wideEntries)
    private static let entryBytes = 65
    /// Bytes of the largest one.
    static let byteLimit = 1 + StateContentLimits.wideEntries * entryBytes

    /// The answer, status byte included: as many of the entries as there may be, the widest first.
    public static func serve(_ entries: [WideEntry]) -> [UInt8] {
        var bytes: [UInt8] = [0]
        for entry in entries.sorted(by: WideEntry.precedes).prefix(StateContentLimits.wideEntries) {
            bytes += entry.account.bytes + [UInt8(truncatingIfNeeded: entry.placement)] + entry.storageRoot.bytes
        }
        return bytes
    }

    /// The entries of an answer to `key`, of which nothing is believed but that they are in form.
    public static func verify(
        _ value: [UInt8], key: WideDirectoryKey, depth: Int
    ) throws(WideDirectoryError) -> [WideEntry] {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        let bytes = value.dropFirst()
        guard bytes.count % entryBytes == 0 else { throw .malformed(.wrongSize) }
        guard bytes.count / entryBytes <= StateContentLimits.wideEntries else { throw .malformed(.overLimit) }
        let asked = Set(key.sections)
        var entries: [WideEntry] = []
        entries.reserveCapacity(bytes.count / entryBytes)
        var seen: Set<Bytes32> = []
        for start in stride(from: bytes.startIndex, to: bytes.endIndex, by: entryBytes) {
            let account = Bytes32(bytes[start..<start + 32]) ?? .zero
            let entry = WideEntry(
                account: account, placement: Int(bytes[start + 32]),
                storageRoot: Bytes32(bytes[(start + 33)..<(start + entryBytes)]) ?? .zero)
            guard (1...depth).contains(entry.placement) else { throw .placement(account: account, entry.placement) }
            guard asked.contains(Section(of: account, depth: depth).index) else { throw .unasked(account: account) }
            guard entries.last.map({ WideEntry.precedes($0, entry) }) ?? true, seen.insert(account).inserted else {
                throw .order(account: account)
            }
            entries.append(entry)
        }
        return entries
    }
}
