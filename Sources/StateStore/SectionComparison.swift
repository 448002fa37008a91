import Chain
import MerklePatricia
import Primitives

/// Finds the changes that lead a held section to another state of it, where nobody has them written down: the two tries
/// are compared from the top, and only what differs is gone into.
///
/// What is held of the section is not touched. Nodes of the other state are asked for by their place, and given by
/// whoever has them; each was named by its hash in the one above it, so nothing here has to be believed. When no place
/// is open any more, `changes` is the difference of the two states, as somebody with a history would have sent it. Of a
/// partly fetched section only the part that is held is compared.
public struct SectionComparison: Sendable {
    /// What is compared.
    public let section: Section
    /// Where the held section stands, and up to which position it is held; nil: whole.
    public let from: StatePoint
    public let next: Cursor?
    /// The state it is compared with.
    public let goal: StatePoint

    /// A node of the goal that is not what is held in its place.
    private struct Open: Sendable {
        let place: StatePlace
        let hash: Bytes32
        /// Of a storage trie: whose it is.
        let account: Bytes32?
    }

    /// The last ones are gone into first, so that their number stays small.
    private var open: [Open]
    private var found: [LeafChange] = []
    /// Bytes of what was found so far, about.
    private var foundBytes = 0

    /// Nothing is known yet but the section hash at the goal, which is not the one of a section without leaves.
    public init(_ record: SectionRecord, goal: StatePoint, sectionHash: Bytes32) {
        section = record.section
        from = record.working
        next = if case .partial(let next) = record.coverage { next } else { nil }
        self.goal = goal
        open = [Open(place: StatePlace(account: record.section.path), hash: sectionHash, account: nil)]
    }

    /// Why it cannot go on.
    public enum Failure: Error, Equatable, Sendable {
        /// A node that no state has at this place.
        case impossible(StatePlace)
        /// More was found than is kept in memory (`StateStoreLimits.comparedBytes`).
        case tooMuch
    }

    // MARK: What is asked for

    /// Whether nothing is left to compare.
    public var isFinished: Bool { open.isEmpty }

    /// The next places to ask for, at most `limit` of them, ascending.
    public func places(_ limit: Int) -> [StatePlace] { open.suffix(limit).map(\.place).sorted() }

    /// What the nodes at these places hash to; nil where one of them is not open.
    public func hashes(of places: [StatePlace]) -> [Bytes32]? {
        let known = Dictionary(open.map { ($0.place, $0.hash) }, uniquingKeysWith: { first, _ in first })
        let hashes = places.compactMap { known[$0] }
        return hashes.count == places.count ? hashes : nil
    }

    /// The changes that were found, as they travel.
    public var changes: [LeafChange] { found.sorted { $0.key < $1.key } }

    // MARK: What came

    /// Takes nodes of the goal in. `nodes` has those at the places given, and may have more of those below them, each
    /// under its own hash. The view has what is held of the section.
    ///
    /// Throws `Failure`, or what reading throws.
    public mutating func take(
        _ places: [StatePlace], _ nodes: [Bytes32: TrieNode], in view: inout StateView<some StoreSnapshot>
    ) throws {
        let given = Set(places)
        let taken = open.filter { given.contains($0.place) }
        open.removeAll { given.contains($0.place) }
        for entry in taken {
            guard let node = nodes[entry.hash] else { throw Failure.impossible(entry.place) }
            if let account = entry.account, let path = entry.place.storage {
                try storage(node, at: path, Owner(key: account, path: entry.place.account), nodes, in: &view)
            } else {
                try accounts(node, at: entry.place.account, nodes, in: &view)
            }
        }
    }

    private mutating func add(_ key: FlatKey, _ value: [UInt8]?) throws {
        found.append(LeafChange(key: key, value: value))
        foundBytes += 96 + (value?.count ?? 0)
        guard foundBytes <= StateStoreLimits.comparedBytes else { throw Failure.tooMuch }
    }

    // MARK: Accounts

    /// The first account key of which nothing, or not all, is held; nil where all are.
    private var end: Bytes32? { next?.account }

    /// Goes into what the goal has at a path of the account trie, unless the same is held.
    private mutating func accounts(
        _ reference: NodeReference?, at path: Nibbles, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        // The account that the held part ends in counts as held as far as its slots do.
        if let next, path.lowestKey > next.account || (path.lowestKey == next.account && next.slot == .zero) { return }
        if end.map({ path.highestKey < $0 }) ?? true {
            var trie = view.accountTrie
            if try trie.subtree(under: path).reference(at: path.count) == reference { return }
        }
        switch reference {
        case nil: try removeAccounts(under: path, except: nil, in: &view)
        case .embedded(let node):
            try accounts(try decoded(node, StatePlace(account: path)), at: path, nodes, in: &view)
        case .hash(let hash):
            if let node = nodes[hash] { return try accounts(node, at: path, nodes, in: &view) }
            open.append(Open(place: StatePlace(account: path), hash: hash, account: nil))
        }
    }

    private mutating func accounts(
        _ node: TrieNode, at path: Nibbles, _ nodes: [Bytes32: TrieNode], in view: inout StateView<some StoreSnapshot>
    ) throws {
        switch node {
        case .branch(let branch):
            guard path.count < MerklePatriciaLimits.keyNibbles else {
                throw Failure.impossible(StatePlace(account: path))
            }
            for nibble in 0..<16 { try accounts(branch[nibble], at: path.appending(nibble), nodes, in: &view) }
        case .extension(let rest, let child):
            guard path.count + rest.count < MerklePatriciaLimits.keyNibbles else {
                throw Failure.impossible(StatePlace(account: path))
            }
            let below = path.appending(rest)
            try removeAccounts(under: path, except: below, in: &view)
            try accounts(child, at: below, nodes, in: &view)
        case .leaf(let rest, let value):
            guard path.count + rest.count == MerklePatriciaLimits.keyNibbles, let body = try? StateAccount(rlp: value)
            else { throw Failure.impossible(StatePlace(account: path)) }
            let below = path.appending(rest)
            try removeAccounts(under: path, except: below, in: &view)
            try account(below.lowestKey, body, leafAt: path, nodes, in: &view)
        }
    }

    /// Accounts that are held under a path, and not under `other`, are gone with all their slots.
    private mutating func removeAccounts(
        under path: Nibbles, except other: Nibbles?, in view: inout StateView<some StoreSnapshot>
    ) throws {
        var leaves = TwigLeaves()
        var trie = view.accountTrie
        try trie.leaves(under: path, limit: .max, into: &leaves)
        for key in leaves.keys where !(other?.contains(key) ?? false) {
            guard end.map({ key <= $0 }) ?? true else { continue }
            try add(FlatKey(account: key), nil)
        }
    }

    /// An account of the goal, whose leaf stands at `path`.
    private mutating func account(
        _ key: Bytes32, _ body: StateAccount, leafAt path: Nibbles, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        if let next, key > next.account || (key == next.account && next.slot == .zero) { return }
        let held = try view.account(key)
        guard held != body || key == end else { return }
        try add(FlatKey(account: key), body.slim)
        guard held?.storageRoot ?? StateAccount.emptyRoot != body.storageRoot || key == end else { return }
        let owner = Owner(key: key, path: path)
        guard body.storageRoot != StateAccount.emptyRoot else {
            return try removeSlots(of: key, under: .root, except: nil, in: &view)
        }
        try storage(.hash(body.storageRoot), at: .root, owner, nodes, in: &view)
    }

    // MARK: Storage

    /// Whose storage it is, and where its leaf stands.
    private struct Owner {
        let key: Bytes32
        let path: Nibbles
    }

    /// Slots of an account that are held are those before this one; nil: all.
    private func end(of account: Bytes32) -> Bytes32? { next.flatMap { $0.account == account ? $0.slot : nil } }

    private mutating func storage(
        _ reference: NodeReference?, at path: Nibbles, _ owner: Owner, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        let end = end(of: owner.key)
        if let end, path.lowestKey >= end { return }
        if end.map({ path.highestKey < $0 }) ?? true {
            var trie = view.storageTrie(of: owner.key)
            if try trie.subtree(under: path).reference(at: path.count) == reference { return }
        }
        switch reference {
        case nil: try removeSlots(of: owner.key, under: path, except: nil, in: &view)
        case .embedded(let node):
            let place = StatePlace(account: owner.path, storage: path)
            try storage(try decoded(node, place), at: path, owner, nodes, in: &view)
        case .hash(let hash):
            if let node = nodes[hash] { return try storage(node, at: path, owner, nodes, in: &view) }
            let place = StatePlace(account: owner.path, storage: path)
            open.append(Open(place: place, hash: hash, account: owner.key))
        }
    }

    private mutating func storage(
        _ node: TrieNode, at path: Nibbles, _ owner: Owner, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        let impossible = Failure.impossible(StatePlace(account: owner.path, storage: path))
        switch node {
        case .branch(let branch):
            guard path.count < MerklePatriciaLimits.keyNibbles else { throw impossible }
            for nibble in 0..<16 { try storage(branch[nibble], at: path.appending(nibble), owner, nodes, in: &view) }
        case .extension(let rest, let child):
            guard path.count + rest.count < MerklePatriciaLimits.keyNibbles else { throw impossible }
            let below = path.appending(rest)
            try removeSlots(of: owner.key, under: path, except: below, in: &view)
            try storage(child, at: below, owner, nodes, in: &view)
        case .leaf(let rest, let value):
            guard path.count + rest.count == MerklePatriciaLimits.keyNibbles, let slot = SlotValue.stored(rlp: value)
            else { throw impossible }
            let below = path.appending(rest)
            try removeSlots(of: owner.key, under: path, except: below, in: &view)
            let key = FlatKey(account: owner.key, slot: below.lowestKey)
            if let end = end(of: owner.key), below.lowestKey >= end { return }
            if try view.leaf(key) != slot { try add(key, slot) }
        }
    }

    private mutating func removeSlots(
        of account: Bytes32, under path: Nibbles, except other: Nibbles?, in view: inout StateView<some StoreSnapshot>
    ) throws {
        var leaves = TwigLeaves()
        var trie = view.storageTrie(of: account)
        try trie.leaves(under: path, limit: .max, into: &leaves)
        let end = end(of: account)
        for slot in leaves.keys where !(other?.contains(slot) ?? false) {
            guard end.map({ slot < $0 }) ?? true else { continue }
            try add(FlatKey(account: account, slot: slot), nil)
        }
    }

    private func decoded(_ node: [UInt8], _ place: StatePlace) throws -> TrieNode {
        guard let node = try? TrieNode(decoding: node) else { throw Failure.impossible(place) }
        return node
    }
}
