import Chain
import Discovery
import Overlay
import Primitives
import StateNetwork
import StateStore
import Sync

// What the directory of holders wants of the wire, and what the rest of the node tells it.
extension Node {
    /// Lets the directory look at what is short, and does what it asks for.
    mutating func planSearches(at moment: Moment) {
        let now = moment.instant
        let isWalking = configuration.role != .bridge && holders.isReviewDue(at: now)
        holders.advance(to: now, urgent: isWalking ? sync.sectionsAhead : [])
        for directive in holders.drain() {
            switch directive {
            case .lookup(let search, let section, let width, let avoided):
                let id = overlay.lookup(
                    network: .state, target: holdings.section(section).firstKey, width: width, avoiding: avoided,
                    at: now)
                lookups[id] = search
            case .meet(let records): overlay.meet(network: .state, records, at: now)
            case .ask(let search, let peer, let section): ask(peer, whoHas: section, for: search, at: moment)
            case .keep(let id): if !overlay.keep(network: .state, peer: id, at: now) { holders.notKept(id) }
            case .release(let id): overlay.release(network: .state, peer: id, at: now)
            }
        }
    }

    /// Tells the directory at which anchors claims count.
    mutating func tellAnchors() {
        guard let newest = chain.newestAnchor else { return }
        let before = newest.epoch > 0 ? chain.anchor(epoch: newest.epoch - 1) : nil
        holders.anchorsAdvanced(to: [newest] + (before.map { [$0] } ?? []))
    }

    /// Asks a node that does not have a section for the least of it: it answers with records of those who cover it.
    private mutating func ask(
        _ peer: Bytes32, whoHas index: Int, for search: HolderDirectory.SearchID, at moment: Moment
    ) {
        let section = holdings.section(index)
        let anchor = sync.newest ?? Anchor(epoch: 0, hash: configuration.network.checkpoint.hash)
        let first = Cursor(account: section.firstKey, slot: .zero)
        guard let key = RangeKey(anchor: anchor, origin: first, limit: first, maxBytes: NodeLimits.namesBytes) else {
            return holders.named(search, [], at: moment.instant)
        }
        let id = overlay.findContent(
            network: .state, peer: peer, key: StateContentKey.range(key).encoded, limit: OverlayLimits.contentBytes,
            timeout: NodeLimits.namesTimeout, at: moment.instant)
        requests[id] = .holders(search)
    }

    /// Records of peers that cover a position, for an asker who gets no content of it here: who claims it first, then
    /// the nearest. A holder is told of a bridge too, since it may be the only one that can fill it.
    func namedHolders(of position: Bytes32, to asker: Bytes32) -> [NodeRecord] {
        let section = Section(of: position, depth: holdings.depth).index
        let askerRole = holders[asker]?.role ?? .holder
        let able = holders.covering(section).filter { peer in
            peer.id != asker && askerRole.takesState(from: peer.role) && !peer.isDoubtful
        }.map { peer in
            (peer: peer, claims: peer.isLiveClaimant(of: section))
        }
        let bridges = able.filter { $0.peer.role == .bridge }.prefix(1)
        let others = able.filter { $0.peer.role != .bridge }.sorted { a, b in
            a.claims == b.claims ? (a.peer.id ^ position) < (b.peer.id ^ position) : a.claims
        }
        var records = (bridges + others).map(\.peer.record)
        guard records.count < NodeLimits.recordsInAnswer else {
            return Array(records.prefix(NodeLimits.recordsInAnswer))
        }
        // Nobody who covers it, or few: those who live near it are the next to ask.
        let near = overlay.closestRecords(to: position, network: .state, besides: asker)
        records += near.filter { record in !records.contains { $0.id == record.id } }
        return Array(records.prefix(NodeLimits.recordsInAnswer))
    }
}
