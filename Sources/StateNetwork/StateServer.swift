import Chain
import Discovery
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateStore

/// What a request for content gets: an answer at once, from memory; a job on a snapshot; or the names of others. A
/// bridge gives state to holders that fill their arcs and to nobody else, so that the network carries the load.
struct StateServer: Sendable {
    /// What comes of a request.
    enum Reply: Sendable {
        case content([UInt8])
        case job(StateJob)
        /// No content of this position here: those who cover it, or live near it, are named; nil: near the asker.
        case names(near: Bytes32?)
    }

    private let role: Role
    private let depth: Int

    init(role: Role, depth: Int) {
        self.role = role
        self.depth = depth
    }

    /// The reply to a request of `asker`.
    func reply(
        to key: StateContentKey, from asker: StatePeer?, _ holdings: Holdings, _ ready: ReadySections,
        _ gossip: DiffGossip,
        _ chain: some AttestedHeaders
    ) -> Reply {
        if let trie = key.trie, trie != .accounts {
            guard mayServe(key, to: asker) else { return .names(near: key.position(sectionDepth: depth)) }
            return parts(key, trie, holdings, gossip, chain)
        }
        guard mayServe(key, to: asker) else { return .names(near: key.position(sectionDepth: depth)) }
        switch key {
        case .availability: return .content(AvailabilityValue(served: holdings.servedAnchors()).encoded)
        case .crown(let anchor):
            return .content(holdings.crowns.crown(at: anchor).map { CrownValue.serve($0) } ?? notHere(holdings).encoded)
        case .blockDiff(let key): return .content(gossip.recentDiff(key) ?? notHere(holdings).encoded)
        case .blockDiffs(let key): return blockDiffs(key, holdings, gossip)
        case .range(let key): return range(key, holdings)
        case .diffs(let key): return diffs(key, holdings, chain)
        case .codes(let key): return .job(.serveCodes(ServeCodes(key: key)))
        case .sections(let key): return sections(key, holdings, ready)
        case .subtrees(let key): return subtrees(key, holdings)
        case .wideDirectory(let key):
            guard holdings.servedAnchors().contains(where: { $0.anchor == key.anchor }) else {
                return .content(notHere(holdings).encoded)
            }
            return .content(WideDirectoryValue.serve(SpreadHeld.directory(of: key.sections, at: key.anchor, holdings)))
        // Keys that name a storage trie were answered above.
        case .storageCrown: return .content(StateStatus.placementNotSupported.encoded)
        }
    }

    private func mayServe(_ key: StateContentKey, to asker: StatePeer?) -> Bool {
        guard role == .bridge else { return true }
        if case .availability = key { return true }
        guard let asker, asker.role == .holder else { return false }
        // They are about the whole ring, and small.
        if case .wideDirectory = key { return true }
        if case .storageCrown = key { return true }
        // The arc beside too: a holder announces a larger one only once it is filled, and nobody else may have it.
        let sections = asker.arc.parent.sections
        if case .blockDiffs(let key) = key {
            let last = BlockDiffKey(trie: key.trie, point: key.point, section: key.last)
            guard sections.contains(last.place(sectionDepth: depth)) else { return false }
        }
        if case .sections(let key) = key, !key.sections.allSatisfy({ sections.contains($0) }) { return false }
        return key.position(sectionDepth: depth).map { sections.contains(Section(of: $0, depth: depth).index) } ?? true
    }

    private func notHere(_ holdings: Holdings) -> StateStatus {
        .notAtThisAnchor(served: holdings.servedAnchors().map(\.anchor))
    }

    /// Who keeps the storage of few accounts is offered nothing and asks for all that a block changed. Nothing shows it
    /// what an answer lacks, so it gets none while diffs of the block may still come here: only up to the head that
    /// this node has verified. A section that was caught up here by a section diff is missing in it all the same.
    private func blockDiffs(_ key: BlockDiffsKey, _ holdings: Holdings, _ gossip: DiffGossip) -> Reply {
        let isWhole = holdings.verifiedHead.map { $0.number >= key.point.number } ?? false
        let value = isWhole || key.kept.isAll ? gossip.recentDiffs(key) : nil
        return .content(value ?? notHere(holdings).encoded)
    }

    private func range(_ key: RangeKey, _ holdings: Holdings) -> Reply {
        let section = Section(of: key.origin.account, depth: depth)
        guard let held = holdings.held(section.index), held.isComplete else {
            return .names(near: key.origin.account)
        }
        let point = holdings.book.point(of: key.anchor)
        guard held.isWhole(at: point), let crown = holdings.crowns.crown(at: key.anchor) else {
            return .content(notHere(holdings).encoded)
        }
        return .job(
            .serveRange(
                ServeRange(
                    key: key, section: section, point: point, crown: .accounts(crown), otherwise: notHere(holdings))))
    }

    private func sections(_ key: SectionsKey, _ holdings: Holdings, _ ready: ReadySections) -> Reply {
        guard key.sections.allSatisfy({ $0 < Section.count(depth: depth) }) else {
            return .content(StateStatus.placementNotSupported.encoded)
        }
        let point = holdings.book.point(of: key.anchor)
        let held = key.sections.filter { holdings.held($0)?.isWhole(at: point) ?? false }
        // As for subtree hashes: names are given by those alone who do not know the key.
        guard !held.isEmpty, let crown = holdings.crowns.crown(at: key.anchor) else {
            return .content(notHere(holdings).encoded)
        }
        return .job(
            .serveSections(
                ServeSections(
                    key: key, sections: held.map { holdings.book.section($0) }, point: point, crown: crown,
                    // What is ready has all storage in it.
                    ready: key.kept.isAll ? ready.ready(held, at: key.anchor) : [:], otherwise: notHere(holdings))))
    }

    private func subtrees(_ key: SubtreesKey, _ holdings: Holdings) -> Reply {
        // Above the sections everybody has the crown.
        guard let section = key.section(depth: depth) else {
            return .content(StateStatus.placementNotSupported.encoded)
        }
        // Names are what nodes answer that do not know the key: whoever knows it says plainly that it is not here.
        let point = holdings.book.point(of: key.anchor)
        guard let held = holdings.held(section.index), held.isWhole(at: point) else {
            return .content(notHere(holdings).encoded)
        }
        return .job(
            .serveSubtrees(ServeSubtrees(key: key, section: section, point: point, otherwise: notHere(holdings))))
    }

    private func diffs(_ key: DiffsKey, _ holdings: Holdings, _ chain: some AttestedHeaders) -> Reply {
        guard chain.isAttested(key.to), let header = chain.header(of: key.to) else {
            return .content(notHere(holdings).encoded)
        }
        // Nothing leads on from a block of another line, whatever is held at its height.
        if let start = chain.header(at: key.from.number), start.point != key.from {
            return .content(StateStatus.historyTooShort.encoded)
        }
        var sections: [ServeDiffs.Section] = []
        for index in key.sections {
            guard let held = holdings.held(index), held.isComplete,
                let proven = holdings.crowns.provenHash(of: index, root: header.stateRoot),
                holdings.canLead(index, to: key.to, proven: proven)
            else { break }
            let layers = held.layers.filter { $0.point.number <= key.to.number }
            let proof = key.withProof ? holdings.crowns.proofNodes(of: index, root: header.stateRoot) : []
            sections.append(ServeDiffs.Section(section: holdings.book.section(index), layers: layers, proof: proof))
        }
        guard !sections.isEmpty else { return .content(notHere(holdings).encoded) }
        return .job(
            .serveDiffs(
                ServeDiffs(
                    key: key, depth: depth, sections: sections, otherwise: notHere(holdings),
                    spread: holdings.spread.accounts(in: sections.map(\.section)))))
    }

    /// The reply to a key that names a storage trie.
    private func parts(
        _ key: StateContentKey, _ trie: StateTrie, _ holdings: Holdings, _ gossip: DiffGossip,
        _ chain: some AttestedHeaders
    ) -> Reply {
        let unknown = Reply.content(StateStatus.placementNotSupported.encoded)
        guard let rule = holdings.spread.rule, let owner = trie.owner, (1...depth).contains(trie.depth(depth)) else {
            return unknown
        }
        let placement = trie.depth(depth)
        switch key {
        case .blockDiff(let key): return .content(gossip.recentDiff(key) ?? notHere(holdings).encoded)
        case .storageCrown(let key):
            let known = holdings.spread.crown(of: owner, depth: placement, part: key.first, at: key.anchor)
            if let crown = known?.narrowed(to: key, rule: rule) { return .content(crown.encoded) }
            return narrow(key, rule, holdings)
        case .range(let key):
            let part = Section(of: key.origin.slot, depth: placement, owner: owner)
            let point = holdings.book.point(of: key.anchor)
            guard let id = holdings.book.id(of: part), let held = holdings.held(id), held.isWhole(at: point),
                let crown = holdings.spread.crown(of: owner, depth: placement, part: part.index, at: key.anchor)
            else { return .content(notHere(holdings).encoded) }
            return .job(
                .serveRange(
                    ServeRange(
                        key: key, section: part, point: point, crown: .parts(crown), otherwise: notHere(holdings))))
        case .diffs(let key): return diffs(key, of: owner, placement, holdings, chain)
        case .subtrees(let key):
            guard let part = key.section(depth: depth) else { return unknown }
            let point = holdings.book.point(of: key.anchor)
            guard let id = holdings.book.id(of: part), let held = holdings.held(id), held.isWhole(at: point) else {
                return .content(notHere(holdings).encoded)
            }
            return .job(
                .serveSubtrees(
                    ServeSubtrees(key: key, section: part, point: point, otherwise: notHere(holdings))))
        case .blockDiffs(let key): return blockDiffs(key, holdings, gossip)
        case .crown, .availability, .codes, .wideDirectory, .sections: return unknown
        }
    }

    /// Whoever has an account can show that its storage is not spread, or that there is no such account.
    private func narrow(_ key: StorageCrownKey, _ rule: Placement, _ holdings: Holdings) -> Reply {
        let section = Section(of: key.account, depth: depth)
        let point = holdings.book.point(of: key.anchor)
        guard let held = holdings.held(section.index), held.isWhole(at: point),
            let crown = holdings.crowns.crown(at: key.anchor)
        else { return .content(notHere(holdings).encoded) }
        return .job(
            .serveStorageCrown(
                ServeStorageCrown(
                    key: key, section: section, point: point, crown: crown, rule: rule,
                    otherwise: notHere(holdings))))
    }

    private func diffs(
        _ key: DiffsKey, of owner: Bytes32, _ placement: Int, _ holdings: Holdings, _ chain: some AttestedHeaders
    ) -> Reply {
        guard chain.isAttested(key.to) else { return .content(notHere(holdings).encoded) }
        if let start = chain.header(at: key.from.number), start.point != key.from {
            return .content(StateStatus.historyTooShort.encoded)
        }
        let anchor = holdings.book.epochs.anchor(at: key.to)
        var sections: [ServeDiffs.Section] = []
        for index in key.sections where index < Section.count(depth: placement) {
            let part = Section(depth: placement, index: index, of: owner)
            guard let id = holdings.book.id(of: part), let held = holdings.held(id), held.isComplete else { break }
            let layers = held.layers.filter { $0.point.number <= key.to.number }
            // At an anchor the storage crown proves it; after a block the diff that brought it there.
            if let proven = holdings.spread.provenHash(of: part, at: anchor),
                let crown = holdings.spread.crown(of: owner, depth: placement, part: index, at: anchor),
                holdings.book.point(of: anchor) == key.to
            {
                guard holdings.canLead(id, to: key.to, proven: proven) else { break }
                sections.append(
                    ServeDiffs.Section(
                        section: part, layers: layers, proof: key.withProof ? crown.way(toPart: index) : [],
                        owner: crown.account?.slim))
            } else if let layer = layers.last, layer.point == key.to, key.withProof, !layer.pathProof.isEmpty {
                sections.append(
                    ServeDiffs.Section(
                        section: part, layers: layers, proof: layer.pathProof,
                        owner: layer.owner(index, depth: placement, of: owner, header: chain.header(of: key.to))))
            } else {
                break
            }
        }
        guard !sections.isEmpty else { return .content(notHere(holdings).encoded) }
        return .job(
            .serveDiffs(ServeDiffs(key: key, depth: placement, sections: sections, otherwise: notHere(holdings))))
    }

    /// Records of peers that cover a position, for an asker who gets no content of it here: its providers first, then
    /// the nearest. A holder is told of a bridge too, since it may be the only one that can fill it.
    func names(near position: Bytes32, for asker: Bytes32, _ peers: HolderDirectory) -> [NodeRecord] {
        let section = Section(of: position, depth: depth).index
        let askerRole = peers[asker]?.role ?? .holder
        let able = peers.covering(section).filter { peer in
            peer.id != asker && askerRole.takesState(from: peer.role) && !peer.isDoubtful
        }.map { (peer: $0, provides: $0.isLiveProvider(of: section)) }
        let bridges = able.filter { $0.peer.role == .bridge }.prefix(1)
        let others = able.filter { $0.peer.role != .bridge }.sorted { a, b in
            a.provides == b.provides ? (a.peer.id ^ position) < (b.peer.id ^ position) : a.provides
        }
        return (bridges + others).map(\.peer.record)
    }
}
