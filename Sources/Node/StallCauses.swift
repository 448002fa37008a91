import Chain
import ChainNetwork
import Overlay
import Primitives
import StateContent
import StateNetwork

// Why a node verifies nothing: which of the reasons it is, by what its machines know. What each of them says is told in
// `StallReason`.
extension Standing {
    /// Why nothing was verified for a while; nil while things move or nothing is left to do.
    static func stall(of node: CarouselNode, at moment: Moment) -> Stall? {
        if let blocks = node.blocks { return stall(of: node, blocks, at: moment) }
        let quiet = node.state.verifiedBytes.quiet(at: moment.instant)
        guard node.configuration.role != .bridge, quiet >= WalkLimits.stallAfter else { return nil }
        let seconds = Int(quiet.seconds)
        if let gap = node.chain.gap {
            return Stall(seconds: seconds, cause: .headersPruned(wanted: gap.wanted, lowest: gap.lowest))
        }
        guard node.state.phase != .following || hasSectionsBehind(node) else {
            if let cause = staleness(node, at: moment) {
                return Stall(seconds: Int(clamping: headAge(node, at: moment) ?? 0), cause: cause)
            }
            return lag(node, at: moment.instant).map { Stall(seconds: seconds, cause: $0) }
        }
        return Stall(seconds: seconds, cause: cause(node, at: moment.instant))
    }

    /// The same for one that goes block by block. Of state it gets no byte: the time since its start is how long it has
    /// waited for headers.
    private static func stall(of node: CarouselNode, _ blocks: BlockSync, at moment: Moment) -> Stall? {
        let (now, chain) = (moment.instant, node.chain)
        let (waited, quiet) = (node.state.verifiedBytes.quiet(at: now), blocks.quiet(at: now))
        let hasPeers = hasChainPeers(node)
        var cause: StallReason?
        if waited >= WalkLimits.stallAfter {
            if chain.head == node.configuration.network.checkpoint {
                cause = hasPeers ? .noAttestedHead(hasChainPeers: true) : .noPeers(tried: families(node))
            } else if let gap = chain.gap {
                cause = .headersPruned(wanted: gap.wanted, lowest: gap.lowest)
            }
        }
        if cause == nil, quiet >= WalkLimits.stallAfter, let standing = blocks.standing(chain.attested) {
            let (wrong, peers) = (standing.wrong, standing.peers)
            cause =
                if !hasPeers {
                    .noPeers(tried: families(node))
                } else if let lowest = standing.pruned {
                    .blocksPruned(block: standing.next, lowest: lowest, peers: peers)
                } else {
                    .blockNotHad(block: wrong ?? standing.next, peers: peers, isRefused: wrong != nil)
                }
        }
        if let cause { return Stall(seconds: Int((quiet == .zero ? waited : quiet).seconds), cause: cause) }
        guard waited >= WalkLimits.stallAfter, quiet == .zero, let cause = staleness(node, at: moment) else {
            return nil
        }
        return Stall(seconds: Int(clamping: headAge(node, at: moment) ?? 0), cause: cause)
    }

    /// Why a walk, or the way of what is held to a new anchor, does not go on.
    private static func cause(_ node: CarouselNode, at now: Instant) -> StallReason {
        let (chain, state) = (node.chain, node.state)
        guard node.overlay.peerCount(network: .state).all > 0 else { return .noPeers(tried: families(node)) }
        guard let newest = chain.newestAnchor else { return noAnchor(node) }
        if let epoch = epochAhead(node, of: newest) {
            return .headersBehind(
                served: epoch, newest: newest, head: chain.head.number, hasChainPeers: hasChainPeers(node))
        }
        if state.isShortOfRoom { return .storeFull }
        if let rate = state.limitHoldingBack(at: now) { return .downloadLimited(bytesPerSecond: rate) }
        return missingSection(node, newest, at: now) ?? sectionBehind(node, newest)
            ?? .codeMissing(count: state.missingCodes)
    }

    /// No anchor is final yet: whether that is for want of headers, or because no epoch's first block is.
    static func noAnchor(_ node: CarouselNode) -> StallReason {
        let (chain, network) = (node.chain, node.configuration.network)
        guard chain.head.number > network.checkpoint.number else {
            return .noAttestedHead(hasChainPeers: hasChainPeers(node))
        }
        return .noFinalEpoch(
            head: chain.head.number, final: chain.final.number,
            next: network.epochs.boundary(after: chain.final.number))
    }

    private static func hasChainPeers(_ node: CarouselNode) -> Bool { node.overlay.peerCount(network: .chain).all > 0 }

    /// The newest epoch that peers serve, where it is later than the newest anchor here and nobody serves that one.
    static func epochAhead(_ node: CarouselNode, of newest: Anchor) -> UInt64? {
        let served = node.holders.peers.values.filter { node.configuration.role.takesState(from: $0.role) }
            .flatMap(\.served).filter { !$0.runs.isEmpty }.map(\.anchor)
        guard let last = served.max(), last.epoch > newest.epoch, !served.contains(newest) else { return nil }
        return last.epoch
    }

    /// The first section that is missing, and how it stands with those who have it.
    static func missingSection(_ node: CarouselNode, _ newest: Anchor, at now: Instant) -> StallReason? {
        let book = node.state.holdings.book
        guard let missing = node.arc.first(where: { !book.isComplete($0) }) else { return nil }
        let section = "\(book.section(missing))"
        let able = node.holders.covering(missing).filter { node.configuration.role.takesState(from: $0.role) }
        let holders = able.filter { $0.announces(missing, at: newest) }
        guard holders.isEmpty else {
            let areBusy = holders.allSatisfy { $0.saidBusy }
            return areBusy
                ? .holdersBusy(section: section, newest, holders: holders.count)
                : .holdersSilent(section: section, newest, holders: holders.count)
        }
        let doing = search(node, for: missing, at: now)
        let worthless = WorthlessHolders(of: missing, in: node.holders)
        let banned = node.overlay.bans.count { worthless.left.contains($0.id) }
        guard worthless.disbelieved + banned == 0 else {
            return .holdersLied(
                section: section, newest, disbelieved: worthless.disbelieved, banned: banned, search: doing)
        }
        let before = newest.epoch > 0 ? node.chain.attested.anchor(epoch: newest.epoch - 1) : nil
        let elsewhere = before.map { anchor in able.count { $0.announces(missing, at: anchor) } } ?? 0
        return .noHolders(section: section, newest, elsewhere: elsewhere, search: doing)
    }

    /// Whether sections are complete at an older anchor than the newest, which they cannot be led on from.
    private static func hasSectionsBehind(_ node: CarouselNode) -> Bool {
        node.chain.newestAnchor.map { node.state.holdings.book.firstBehind($0) != nil } ?? false
    }

    private static func sectionBehind(_ node: CarouselNode, _ newest: Anchor) -> StallReason? {
        let book = node.state.holdings.book
        guard let (behind, anchor) = book.firstBehind(newest) else { return nil }
        let holders = node.holders.covering(behind).count { peer in
            node.configuration.role.takesState(from: peer.role) && peer.announces(behind, at: newest)
        }
        return .notLedOn(section: "\(book.section(behind))", from: anchor, to: newest, holders: holders)
    }

    /// How the families of addresses fared at which nodes were tried.
    private static func families(_ node: CarouselNode) -> String {
        node.overlay.familyReport.map { "\($0.family): \($0.tally)" }.joined(separator: "; ")
    }

    /// Seconds since the newest attestation of the head was made.
    static func headAge(_ node: CarouselNode, at moment: Moment) -> UInt64? {
        node.chain.attestedAt.map { moment.unixSeconds - min($0, moment.unixSeconds) }
    }

    /// Everything is held and nothing new is attested, for longer than the network's rule allows: the head may be far
    /// from here. nil while it is not that old.
    private static func staleness(_ node: CarouselNode, at moment: Moment) -> StallReason? {
        guard node.chain.attested.isStale(at: moment.unixSeconds) else { return nil }
        let reach: StallReason.Reach =
            if hasChainPeers(node) {
                .nothingNewer
            } else if node.overlay.peerCount(network: .state).all > 0 {
                .noChainPeers
            } else {
                .nobody(tried: families(node))
            }
        return .headTooOld(
            age: headAge(node, at: moment) ?? 0, limit: node.configuration.network.rule.maxAgeSeconds, reach)
    }

    /// Everything is held, the head has gone on, and what it changed does not come.
    private static func lag(_ node: CarouselNode, at now: Instant) -> StallReason? {
        let (head, book) = (node.chain.head.number, node.state.holdings.book)
        let verified = node.state.verifiedPoint?.number ?? 0
        guard verified < head else { return nil }
        let behind = book.gaps(at: now)
        let lacking = behind.first.map { first in
            let holders = node.holders.covering(book.place(of: first)).count { peer in
                node.configuration.role.takesState(from: peer.role) && (peer.head?.number ?? 0) > verified
            }
            return StallReason.Lacking(
                sections: behind.count, first: "\(book.section(first))", holders: holders,
                search: holders == 0 ? search(node, for: book.place(of: first), at: now) : nil)
        }
        return .blocksMissing(verified: verified, head: head, lacking: lacking)
    }
}
