import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// The storage tries that are spread round the ring, as far as this node has to do with them: it keeps the account, or
/// parts. Each was proven: by a range or a diff of the account's section, or by a storage crown.
///
/// At every anchor a trie's storage crown says anew how far it is spread, and what its parts hash to. It is asked for
/// once, kept as long as the anchor is served, and passed on. A section with accounts whose storage is spread goes to
/// an anchor only with their crowns there: they have the nodes that show the placement.
public struct SpreadTries: Sendable {
    /// A trie.
    private struct Trie: Sendable {
        /// The placement at the newest anchor at which it is known, and that anchor.
        var depth: Int
        var anchor: Anchor
        /// By anchor: the crowns of its stretches, by their first part.
        var crowns: [Anchor: [Int: StorageCrown]] = [:]
    }

    /// What a storage crown changes of what is known.
    enum News: Equatable {
        /// As before.
        case same
        /// The trie is placed at another depth from this anchor on; 0: with its account.
        case placed(Bytes32, depth: Int, Anchor)

        /// The book wants the parts that follow from it.
        func apply(to book: inout SectionBook) {
            if case .placed(let account, let depth, let anchor) = self {
                book.want(partsOf: account, depth: depth, from: anchor)
            }
        }
    }

    /// What is known of a trie, as if it were news.
    func standing(of account: Bytes32) -> News {
        tries[account].map { .placed(account, depth: $0.depth, $0.anchor) } ?? .same
    }

    /// How the network places storage; nil: with its account, whatever its size.
    let rule: Placement?
    private var tries: [Bytes32: Trie] = [:]
    /// Their accounts, in order.
    public private(set) var accounts: [Bytes32] = []
    /// Counts what changes, so that what was worked out of all this can be kept until then.
    private(set) var revision = 0

    init(rule: Placement?) { self.rule = rule }

    /// How many there are.
    public var count: Int { tries.count }

    /// The accounts in a section: they stand together.
    private func accounts(in section: Section) -> ArraySlice<Bytes32> {
        let first = accounts.partitionPoint { $0 < section.firstKey }
        return accounts[first...].prefix { section.contains($0) }
    }

    /// Those in some sections, with such as were spread lately.
    func accounts(in sections: [Section]) -> Set<Bytes32> {
        accounts.isEmpty ? [] : Set(sections.flatMap { accounts(in: $0) })
    }

    /// How far a trie is spread at the newest anchor at which it is known; 0 where it is not known as spread.
    public func depth(of account: Bytes32) -> Int { tries[account]?.depth ?? 0 }

    /// The anchor at which that is known.
    func knownAt(_ account: Bytes32) -> Anchor? { tries[account]?.anchor }

    /// The first parts of the stretches in which crowns come.
    static func stretches(depth: Int) -> StrideTo<Int> {
        stride(from: 0, to: Section.count(depth: depth), by: StateContentLimits.maskBits)
    }

    /// The first part of the stretch that a part lies in.
    static func stretch(of part: Int) -> Int { part / StateContentLimits.maskBits * StateContentLimits.maskBits }

    /// What asks for a stretch's crown.
    static func key(_ account: Bytes32, depth: Int, stretch: Int, at anchor: Anchor) -> StorageCrownKey? {
        let last = min(stretch + StateContentLimits.maskBits, Section.count(depth: depth)) - 1
        return StorageCrownKey(anchor: anchor, account: account, placement: depth, first: stretch, last: last)
    }

    // MARK: Changing

    /// The trie is spread so far at an anchor, by what was proven; 0: its storage is with the account.
    mutating func learn(_ account: Bytes32, depth: Int, at anchor: Anchor) -> News {
        guard depth != 0 || tries[account] != nil else { return .same }
        if let known = tries[account], known.anchor.epoch > anchor.epoch { return .same }
        let before = tries[account]?.depth ?? 0
        revision += 1
        if tries[account] == nil {
            tries[account] = Trie(depth: depth, anchor: anchor)
            accounts.insert(account, at: accounts.partitionPoint { $0 < account })
        } else {
            tries[account]?.depth = depth
            tries[account]?.anchor = anchor
        }
        return before == depth ? .same : .placed(account, depth: depth, anchor)
    }

    /// Keeps a verified crown.
    mutating func store(_ crown: StorageCrown) -> News {
        let (account, anchor) = (crown.key.account, crown.key.anchor)
        let news = learn(account, depth: crown.placement, at: anchor)
        guard tries[account] != nil else { return news }
        tries[account]?.crowns[anchor, default: [:]][crown.key.first] = crown
        revision += 1
        return news
    }

    /// Only crowns of these anchors are kept, and no trie that is spread no more and has none.
    mutating func keep(anchors isKept: (Anchor) -> Bool) {
        guard !tries.isEmpty else { return }
        tries = tries.mapValues { trie in
            var trie = trie
            trie.crowns = trie.crowns.filter { isKept($0.key) }
            return trie
        }
        tries = tries.filter { $0.value.depth > 0 || !$0.value.crowns.isEmpty }
        accounts.removeAll { tries[$0] == nil }
        revision += 1
    }

    // MARK: Reading

    /// The crown of the stretch of a part at an anchor, as it was asked for at this placement.
    func crown(of account: Bytes32, depth: Int, part: Int, at anchor: Anchor) -> StorageCrown? {
        guard let crown = tries[account]?.crowns[anchor]?[SpreadTries.stretch(of: part)],
            crown.key.placement == depth
        else { return nil }
        return crown
    }

    /// Any crown of a trie at an anchor.
    func crown(of account: Bytes32, at anchor: Anchor) -> StorageCrown? {
        tries[account]?.crowns[anchor]?.values.first
    }

    /// The hash of a part at an anchor; nil where its crown is not here, or the trie is placed otherwise there.
    func provenHash(of part: Section, at anchor: Anchor) -> Bytes32? {
        guard let owner = part.owner,
            let crown = crown(of: owner, depth: part.depth, part: part.index, at: anchor),
            crown.placement == part.depth
        else { return nil }
        return crown.hash(ofPart: part.index)
    }

    /// The tries of accounts in a section, and what shows their placement at an anchor.
    func shown(in section: Section, at anchor: Anchor) -> [Bytes32: [[UInt8]]] {
        var shown: [Bytes32: [[UInt8]]] = [:]
        for account in accounts(in: section) {
            if let crown = crown(of: account, at: anchor) { shown[account] = crown.placementNodes }
        }
        return shown
    }

    /// The crowns of tries of accounts in a section whose storage is with them at an anchor, and was spread before.
    func gathered(in section: Section, at anchor: Anchor) -> [StorageCrown] {
        accounts(in: section).compactMap { account in
            guard let crown = crown(of: account, at: anchor), crown.placement == 0,
                crown.account != nil
            else { return nil }
            return crown
        }
    }

    /// Whether what shows the placement at an anchor is here of all tries of accounts in a section.
    func areShown(in section: Section, at anchor: Anchor) -> Bool {
        accounts(in: section).allSatisfy { account in
            guard let trie = tries[account] else { return true }
            return trie.depth == 0 || trie.crowns[anchor] != nil || trie.anchor == anchor
        }
    }
}
