import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Which storage is spread, as others say: asked for at each anchor by nodes that keep a part of the ring, since parts
/// of any account's storage may lie in it. Nothing of it is believed: an entry says whom to ask a storage crown about,
/// and what that shows is known.
struct SpreadDirectory: Sendable {
    /// What somebody says of an account.
    private struct Hint: Sendable {
        let depth: Int
        var sayers: Set<Bytes32>
    }

    /// The anchor that is asked about, and since when that is the newest.
    private(set) var anchor: Anchor?
    private(set) var since = Instant.zero
    /// By section: who has said what is spread of it.
    private var answered: [Int: Set<Bytes32>] = [:]
    /// By account: what is said and not looked into yet.
    private var hints: [Bytes32: Hint] = [:]

    /// This anchor is the newest.
    mutating func follow(_ newest: Anchor, at now: Instant) {
        guard anchor != newest else { return }
        (anchor, since) = (newest, now)
        (answered, hints) = ([:], [:])
    }

    /// Whether a peer may still be asked about a section.
    func isOpen(_ section: Int, to peer: Bytes32) -> Bool {
        guard let peers = answered[section] else { return true }
        return peers.count < WalkLimits.directoriesPerSection && !peers.contains(peer)
    }

    /// A peer was asked about these sections, whatever came of it.
    mutating func ended(_ sections: [Int], of peer: Bytes32) {
        for section in sections { answered[section, default: []].insert(peer) }
    }

    /// A peer says that this storage is spread at an anchor. What is known, or has nothing to do with what is kept
    /// here, is passed over, and all of it where another anchor is asked about by now.
    mutating func came(_ entries: [WideEntry], at named: Anchor, from peer: Bytes32, _ holdings: Holdings) {
        guard named == anchor else { return }
        for entry in entries where holdings.spread.depth(of: entry.account) != entry.placement {
            let parts = 0..<Section.count(depth: entry.placement)
            let isOfUse = parts.contains { index in
                holdings.book.arc.contains(
                    Placement.section(
                        of: index, depth: entry.placement, account: entry.account, sectionDepth: holdings.book.depth))
            }
            guard isOfUse else { continue }
            if hints[entry.account]?.depth == entry.placement {
                hints[entry.account]?.sayers.insert(peer)
            } else if hints[entry.account] == nil, hints.count < StateContentLimits.wideEntries {
                hints[entry.account] = Hint(depth: entry.placement, sayers: [peer])
            }
        }
    }

    /// What to ask about, with who said so.
    func open(_ holdings: Holdings) -> [StorageCrownKey] {
        guard let anchor else { return [] }
        return hints.sorted { $0.key < $1.key }.compactMap { account, hint in
            // The first of its parts that lies here: any crown shows the placement.
            let part = (0..<Section.count(depth: hint.depth)).first { index in
                holdings.book.arc.contains(
                    Placement.section(
                        of: index, depth: hint.depth, account: account, sectionDepth: holdings.book.depth))
            }
            return part.flatMap {
                SpreadTries.key(account, depth: hint.depth, stretch: SpreadTries.stretch(of: $0), at: anchor)
            }
        }
    }

    /// A storage crown shows how an account's storage is placed. Gives those who said otherwise of this anchor.
    mutating func looked(into crown: StorageCrown) -> Set<Bytes32> {
        guard crown.key.anchor == anchor, let hint = hints.removeValue(forKey: crown.key.account) else { return [] }
        return hint.depth == crown.placement ? [] : hint.sayers
    }
}

// Storage that is spread round the ring, as the walk goes on with it.
extension WalkPlanner {
    /// Asks for the storage crowns that are needed at the newest anchor, and which storage is spread.
    mutating func planSpread(
        at newest: Anchor, _ holdings: Holdings, _ operations: OperationTable, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard holdings.spread.rule != nil else { return }
        directory.follow(newest, at: draft.now)
        draft.lookAgain(at: directory.since + WalkLimits.crownPatience)
        var asked: Set<StorageCrownKey> = []
        var sections: Set<Int> = []
        for case let task? in operations.asks.filter({ !draft.isOverdue($0) }).map(\.task) {
            if case .storageCrown(let key, _) = task { asked.insert(key) }
            if case .directory(let indices, _) = task { sections.formUnion(indices) }
        }
        for key in SpreadHeld.crownsLacking(at: newest, holdings) + directory.open(holdings)
        where asked.insert(key).inserted {
            let part = Section(depth: key.placement, index: key.first, of: key.account)
            // Who has the account or any of these parts has the crown, or will soon.
            let homes = Set(
                (key.first...key.last).map {
                    Placement.section(
                        of: $0, depth: key.placement, account: key.account, sectionDepth: holdings.book.depth)
                } + [Section(of: key.account, depth: holdings.book.depth).index])
            let home = holdings.book.id(of: part) ?? Section(of: key.account, depth: holdings.book.depth).index
            let peer = draft.choose(by: &chooser) { peer in
                !peer.lacks.contains(home)
                    && peer.served.contains {
                        $0.anchor == newest && $0.runs.contains { homes.contains(where: $0.contains) }
                    }
            }
            if let peer { draft.ask(.storageCrown(key, home: home), of: peer) }
        }
        planDirectory(at: newest, holdings, sections, &draft, by: &chooser)
    }

    /// Who keeps the whole ring learns of spread storage with its accounts.
    private func planDirectory(
        at newest: Anchor, _ holdings: Holdings, _ underWay: Set<Int>, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        let ring = Section.count(depth: holdings.book.depth)
        guard configuration.role == .holder, holdings.book.arc.count < ring else { return }
        var taken = underWay
        var first = 0
        while let section = (first..<ring).first(where: { !taken.contains($0) && !holdings.book.isComplete($0) }) {
            first = section + 1
            let peer = draft.choose(by: &chooser) { [directory] peer in
                directory.isOpen(section, to: peer.id) && peer.holds(section, at: newest)
            }
            guard let peer, let candidate = draft.candidate(peer) else { continue }
            let group = (section..<min(section + StateContentLimits.maskBits, ring)).filter {
                !taken.contains($0) && directory.isOpen($0, to: peer) && candidate.holds($0, at: newest)
            }
            taken.formUnion(group)
            draft.ask(.directory(group, anchor: newest), of: peer)
        }
    }

    /// Whether a section or part waits for storage crowns at the newest anchor, by which it goes there without a diff.
    func awaitsCrowns(_ id: Int, at newest: Anchor, _ holdings: Holdings, now: Instant) -> Bool {
        guard holdings.spread.count > 0, directory.anchor == newest, now - directory.since < WalkLimits.crownPatience
        else { return false }
        guard holdings.book.isPart(id) else {
            return !holdings.spread.areShown(in: holdings.book.section(id), at: newest)
        }
        return holdings.provenHash(of: id, at: newest) == nil
    }

    /// Parts that miss blocks: each is led to a block of which a peer has said that it has its changes.
    func partTargets(_ gaps: [Int], _ book: SectionBook, _ chain: some AttestedHeaders) -> [StatePoint: [Int]] {
        var targets: [StatePoint: [Int]] = [:]
        for id in gaps where book.isPart(id) {
            guard let known = book.read(id, { $0.knownAt }), known.number > book.top(of: id), chain.isAttested(known)
            else { continue }
            targets[known, default: []].append(id)
        }
        return targets
    }
}
