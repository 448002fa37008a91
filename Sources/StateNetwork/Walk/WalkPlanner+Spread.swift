import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

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
        for case let task? in operations.asks.lazy.map(\.task) {
            if case .storageCrown(let key, _) = task { asked.insert(key) }
            if case .directory(let indices, _) = task { sections.formUnion(indices) }
        }
        for key in directory.open(holdings)
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
}
