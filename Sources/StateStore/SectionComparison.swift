import Chain
import MerklePatricia
import Primitives

/// Finds what of a held section is not what another state of it has, where nobody has the difference written down: the
/// two tries are compared from the top, and only what differs is gone into.
///
/// Nodes of the other state are asked for by their place, and given by whoever has them; each was named by its hash in
/// the one above it, so nothing here has to be believed. What an answer shows is `Found`, which `MixedSection` makes
/// part of what is held before the next answer is taken: so no place is gone into twice, and when none is open any more
/// the section is that of the other state. Of a partly fetched section only the part that is held is compared.
///
/// What is remembered here is only which places are open. It may be lost at any time, and the goal may be another one:
/// a comparison that begins anew finds what was taken over already to be equal, at the cost of the nodes above it.
public struct SectionComparison: Sendable {
    /// What is compared: a section, or a part.
    public let section: Section
    /// The working point of the record that is compared.
    public private(set) var from: StatePoint
    /// Up to which position the section is held; nil: whole.
    public let next: Cursor?
    /// The state it is compared with.
    public let goal: StatePoint
    /// How storage is placed; nil in a network that spreads none.
    public let rule: Placement?
    /// Whose storage and code is kept: that of others is not gone into.
    public let kept: KeptStorage

    /// A node of the goal that is not what is held in its place.
    private struct Open: Sendable {
        let place: StatePlace
        let hash: Bytes32
        /// Of a storage trie: whose it is.
        let account: Bytes32?
        /// Of a storage trie whose placement is still to be found out: its root, and the nodes known on the way.
        var placing: (root: Bytes32, way: [[UInt8]])?
    }

    /// The last ones are gone into first, so that their number stays small.
    private var open: [Open]
    /// Of the answer that is being taken.
    private var found = Found()
    /// Whether something was left out of it for want of room.
    private var isCut = false

    /// What an answer showed of the goal that is not what is held.
    public struct Found: Sendable {
        /// In no order. Bodies are the goal's; an account that is gone takes its slots with it.
        public fileprivate(set) var leaves: [LeafChange] = []
        /// Accounts whose storage is spread at the goal: its root, and the nodes that show that.
        var shown: [Bytes32: (root: Bytes32, nodes: [[UInt8]])] = [:]
        /// Accounts whose storage was spread, and whose slots are to stand with them.
        var gathered: Set<Bytes32> = []
        /// Accounts whose placement was seen, with that; 0: their storage is with them, or they are gone.
        public fileprivate(set) var placements: [Bytes32: Int] = [:]
        fileprivate var bytes = 0

        fileprivate mutating func gather(_ account: Bytes32) {
            gathered.insert(account)
            placements[account] = 0
        }
    }

    /// Nothing is known yet but the section hash at the goal, which is not the one of a section without leaves.
    public init(
        _ record: SectionRecord, goal: StatePoint, sectionHash: Bytes32, placing rule: Placement? = nil,
        keeping kept: KeptStorage = .all
    ) {
        self.kept = kept
        section = record.section
        from = record.working
        next = record.heldBelow
        self.goal = goal
        self.rule = record.section.owner == nil ? rule : nil
        let path = record.section.path
        let place =
            section.owner == nil ? StatePlace(account: path) : StatePlace(account: .root, storage: path)
        open = [Open(place: place, hash: sectionHash, account: section.owner)]
    }

    /// Why it cannot go on.
    public enum Failure: Error, Equatable, Sendable {
        /// A node that no state has at this place.
        case impossible(StatePlace)
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

    /// From where to where a range has to reach to show all that is open; nil where nothing is.
    public var stretch: (first: Cursor, last: Cursor)? {
        func first(_ open: Open) -> Cursor {
            Cursor(
                account: open.account ?? open.place.account.lowestKey, slot: open.place.storage?.lowestKey ?? .zero)
        }
        func last(_ open: Open) -> Cursor {
            Cursor(
                account: open.account ?? open.place.account.highestKey, slot: open.place.storage?.highestKey ?? .max)
        }
        guard let start = open.lazy.map(first).min(), let end = open.lazy.map(last).max() else { return nil }
        return (start, min(end, next ?? end))
    }

    /// The open places whose nodes are among these.
    public func places(among nodes: [Bytes32: TrieNode]) -> [StatePlace] {
        open.filter { nodes[$0.hash] != nil }.map(\.place)
    }

    /// Whether more than the nodes at these places can be asked for. Of storage that may be spread only those nodes are
    /// with the account that show it.
    public func mayGoDeeper(_ places: [StatePlace]) -> Bool {
        !open.contains { $0.placing != nil && places.contains($0.place) }
    }

    // MARK: What came

    /// Takes nodes of the goal in. `nodes` has those at the places given, and may have more of those below them, each
    /// under its own hash. The view has what is held of the section. Gives what is to be taken over.
    ///
    /// Throws `Failure`, or what reading throws.
    public mutating func take(
        _ places: [StatePlace], _ nodes: [Bytes32: TrieNode], in view: inout StateView<some StoreSnapshot>
    ) throws -> Found {
        let given = Set(places)
        let taken = open.filter { given.contains($0.place) }
        open.removeAll { given.contains($0.place) }
        found = Found()
        for (index, entry) in taken.enumerated() {
            guard found.bytes < StateStoreLimits.comparedBytes else {
                open += taken[index...]
                break
            }
            let before = open.count
            isCut = false
            try take(entry, nodes, in: &view)
            guard isCut else { continue }
            // It is asked for again once what was found of it is taken over.
            open.removeSubrange(before...)
            open.append(entry)
        }
        defer { found = Found() }
        return found
    }

    /// What was found last is part of what is held now, whose record has the goal as its working point.
    public mutating func isTakenOver() { from = goal }

    private mutating func take(
        _ entry: Open, _ nodes: [Bytes32: TrieNode], in view: inout StateView<some StoreSnapshot>
    ) throws {
        guard let node = nodes[entry.hash] else { throw Failure.impossible(entry.place) }
        guard let account = entry.account, let path = entry.place.storage else {
            return try accounts(node, at: entry.place.account, nodes, in: &view)
        }
        let owner = Owner(key: account, path: entry.place.account)
        if let (root, way) = entry.placing {
            try place(root, shownBy: way, of: owner, nodes, in: &view)
        } else {
            try storage(node, at: path, owner, nodes, in: &view)
        }
    }

    private mutating func add(_ key: FlatKey, _ value: [UInt8]?) {
        found.leaves.append(LeafChange(key: key, value: value))
        found.bytes += 96 + (value?.count ?? 0)
    }

    // MARK: Accounts

    /// The first account key of which nothing, or not all, is held; nil where all are.
    private var end: Bytes32? { section.owner == nil ? next?.account : nil }

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

    /// Accounts that are held under a path, and not under `other`, are gone with all their slots. One with very many
    /// slots goes piece by piece.
    private mutating func removeAccounts(
        under path: Nibbles, except other: Nibbles?, in view: inout StateView<some StoreSnapshot>
    ) throws {
        var leaves = TwigLeaves()
        var trie = view.accountTrie
        try trie.leaves(under: path, limit: .max, into: &leaves)
        for key in leaves.keys where !(other?.contains(key) ?? false) {
            guard end.map({ key <= $0 }) ?? true else { continue }
            guard found.bytes < StateStoreLimits.comparedBytes else {
                isCut = true
                return
            }
            var slots = TwigLeaves()
            var storage = view.storageTrie(of: key)
            try storage.leaves(under: .root, limit: StateStoreLimits.comparedRemovals, into: &slots)
            guard slots.count == StateStoreLimits.comparedRemovals else {
                add(FlatKey(account: key), nil)
                found.bytes += 96 * slots.count
                continue
            }
            for slot in slots.keys { add(FlatKey(account: key, slot: slot), nil) }
            isCut = true
            return
        }
    }

    /// An account of the goal, whose leaf stands at `path`.
    private mutating func account(
        _ key: Bytes32, _ body: StateAccount, leafAt path: Nibbles, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        if let next, key > next.account || (key == next.account && next.slot == .zero) { return }
        let held = try view.account(key)
        // Of the account that the held part ends in the body comes with the next range.
        let isCutInside = key == end
        guard held != body || isCutInside else { return }
        if !isCutInside { add(FlatKey(account: key), body.slim) }
        guard kept.keeps(key) else { return }
        guard held?.storageRoot ?? StateAccount.emptyRoot != body.storageRoot || isCutInside else { return }
        let owner = Owner(key: key, path: path)
        guard body.storageRoot != StateAccount.emptyRoot else {
            if rule != nil, try view.isSpread(key) { found.gather(key) }
            return try removeSlots(of: owner, under: .root, except: nil, in: &view)
        }
        guard rule == nil else { return try place(body.storageRoot, shownBy: [], of: owner, nodes, in: &view) }
        try storage(.hash(body.storageRoot), at: .root, owner, nodes, in: &view)
    }

    // MARK: Spread storage

    /// Finds out where the storage of an account is at the goal, and goes into it where that is beside the account.
    private mutating func place(
        _ root: Bytes32, shownBy known: [[UInt8]], of owner: Owner, _ nodes: [Bytes32: TrieNode],
        in view: inout StateView<some StoreSnapshot>
    ) throws {
        guard let rule else { return }
        var way = known
        while true {
            switch Result(catching: { () throws(ProofError) in try rule.show(root: root, in: way) }) {
            case .success(let (depth, shown)) where depth > 0:
                found.shown[owner.key] = (root, shown)
                found.placements[owner.key] = depth
                found.bytes += shown.reduce(96) { $0 + $1.count }
                return
            case .success:
                guard try !view.isSpread(owner.key) else {
                    // What showed the old placement is no part of the trie that its slots make.
                    found.gather(owner.key)
                    isCut = true
                    return
                }
                var nodes = nodes
                for node in way { nodes[Keccak.hash(node)] = try decoded(node, StatePlace(account: owner.path)) }
                return try storage(.hash(root), at: .root, owner, nodes, in: &view)
            case .failure(.missingNode(let path)):
                let place = StatePlace(account: owner.path, storage: path)
                guard let hash = try SectionComparison.next(root, way, place) else { throw Failure.impossible(place) }
                guard let node = nodes[hash] else {
                    open.append(Open(place: place, hash: hash, account: owner.key, placing: (root, way)))
                    return
                }
                way.append(node.encoded)
            case .failure: throw Failure.impossible(StatePlace(account: owner.path, storage: .root))
            }
        }
    }

    /// The hash of the node behind those on a way along zeros.
    private static func next(_ root: Bytes32, _ way: [[UInt8]], _ place: StatePlace) throws(Failure) -> Bytes32? {
        guard let last = way.last else { return root }
        guard case .branch(let branch)? = try? TrieNode(decoding: last), case .hash(let hash)? = branch[0] else {
            throw .impossible(place)
        }
        return hash
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
        case nil: try removeSlots(of: owner, under: path, except: nil, in: &view)
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
            try removeSlots(of: owner, under: path, except: below, in: &view)
            try storage(child, at: below, owner, nodes, in: &view)
        case .leaf(let rest, let value):
            guard path.count + rest.count == MerklePatriciaLimits.keyNibbles, let slot = SlotValue.stored(rlp: value)
            else { throw impossible }
            let below = path.appending(rest)
            try removeSlots(of: owner, under: path, except: below, in: &view)
            let key = FlatKey(account: owner.key, slot: below.lowestKey)
            if let end = end(of: owner.key), below.lowestKey >= end { return }
            if try view.leaf(key) != slot { add(key, slot) }
        }
    }

    /// Slots that are held under a path, and not under `other`, are gone; very many piece by piece.
    private mutating func removeSlots(
        of owner: Owner, under path: Nibbles, except other: Nibbles?, in view: inout StateView<some StoreSnapshot>
    ) throws {
        var leaves = TwigLeaves()
        var trie = view.storageTrie(of: owner.key)
        let limit = StateStoreLimits.comparedRemovals
        try trie.leaves(under: path, limit: other == nil ? limit : .max, into: &leaves)
        let end = end(of: owner.key)
        for slot in leaves.keys where !(other?.contains(slot) ?? false) {
            guard end.map({ slot < $0 }) ?? true else { continue }
            guard found.bytes < StateStoreLimits.comparedBytes else {
                isCut = true
                return
            }
            add(FlatKey(account: owner.key, slot: slot), nil)
        }
        // Slots from the end of the held part on are not there: a full piece has more behind it.
        if other == nil, leaves.count == limit { isCut = true }
    }

    private func decoded(_ node: [UInt8], _ place: StatePlace) throws -> TrieNode {
        guard let node = try? TrieNode(decoding: node) else { throw Failure.impossible(place) }
        return node
    }
}
