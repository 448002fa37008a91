import Chain
import ChainNetwork
import Overlay
import Primitives
import StateNetwork

/// Where a node stands, and why nothing is verified where nothing is: what only the whole can tell. What is not known
/// is not told as something that is.
enum Standing {
    /// Where it stands, composed of what its machines say; the only place where that is done.
    static func progress(of node: CarouselNode, at moment: Moment) -> NodeProgress {
        let (state, now) = (node.state, moment.instant)
        var progress = NodeProgress(phase: phase(of: node, at: moment))
        progress.anchor = node.chain.newestAnchor
        progress.keyspace = KeyspaceHeld(state, newest: node.chain.newestAnchor)
        progress.isRootVerified = state.wasComplete
        progress.sectionsInFlight = state.sectionsInFlight
        progress.stateBytes = state.verifiedBytes.total
        progress.bytesPerSecond = state.verifiedBytes.rate(at: now)
        if progress.phase == .walking { progress.remaining = node.reporting.estimate.remaining() }
        progress.peerCounts = state.peerCounts
        progress.peerCounts.connected = node.overlay.peerCount(network: .state).all
        progress.lanes = LaneStatus.all(of: state, at: now)
        progress.searches = state.holders.activeSearches
        progress.ready = state.ready
        progress.waiting = waiting(node, at: now)
        progress.lacking.unheld = state.holders.unheld(at: now)
        progress.lacking.underHeld = node.configuration.role == .holder ? state.underHeld : nil
        progress.headAge = headAge(node, at: moment)
        progress.isStale = node.chain.attested.isStale(at: moment.unixSeconds)
        progress.head = node.chain.head.number
        progress.verifiedHead = (node.blocks == nil ? state.verifiedPoint : state.replayedHead)?.number ?? 0
        progress.sync = SyncStanding(node, at: now)
        progress.stall = stall(of: node, at: moment)
        return progress
    }

    /// What a node is at. To follow takes somebody who brings the blocks, and a head that is not too old.
    private static func phase(of node: CarouselNode, at moment: Moment) -> NodeProgress.Phase {
        guard node.configuration.role != .bridge else { return .replaying }
        if let phase = BlockCarrying.phase(of: node, at: moment) { return phase }
        switch node.state.phase {
        case .waiting: return .headers
        case .walking: return .walking
        case .following:
            if node.overlay.peerCount(network: .state).all == 0 { return .alone }
            return node.chain.attested.isStale(at: moment.unixSeconds) ? .outdated : .following
        }
    }

    /// The first section that a lane is on and nobody known has; else the one that a peer lets wait longest.
    private static func waiting(_ node: CarouselNode, at now: Instant) -> NodeProgress.Waiting? {
        guard node.configuration.role != .bridge, node.chain.newestAnchor != nil else { return nil }
        let (holders, book) = (node.state.holders, node.state.holdings.book)
        func waiting(for index: Int, _ why: String) -> NodeProgress.Waiting {
            let place = book.place(of: index)
            return NodeProgress.Waiting(
                section: "\(book.section(index))", providers: holders.providers(of: place),
                keepers: holders.keepers(of: place), why: why)
        }
        if let index = node.state.idleSections.first(where: { holders.providers(of: book.place(of: $0)) == 0 }) {
            let place = book.place(of: index)
            let worthless = WorthlessHolders(of: place, in: holders)
            return waiting(for: index, search(node, for: place, at: now) + text(of: worthless))
        }
        return node.state.operations.slowest(at: now).map { slow in
            let seconds = Int(slow.since.seconds)
            return waiting(
                for: slow.section ?? node.arc.lowerBound, "peer \(slow.peer.short) was asked for it \(seconds) s ago")
        }
    }

    /// That there are some whose word for a section is worth nothing.
    private static func text(of worthless: WorthlessHolders) -> String {
        guard worthless.count > 0 else { return "" }
        let epochs = worthless.epochs.map(String.init).joined(separator: ", ")
        return "; \(worthless.count) said that they have it (epochs \(epochs)) and gave nothing that holds"
    }

    /// What is being done to find somebody who has a section.
    static func search(_ node: CarouselNode, for index: Int, at now: Instant) -> String {
        func ordinal(_ attempt: Int) -> String { attempt > 0 ? " (search \(attempt + 1))" : "" }
        return switch node.state.holders.state(of: index, at: now) {
        case .supplied: "waiting for its holders to answer"
        case .due: "a search for more is about to begin"
        case .searching(.lookup, let attempt): "looking up the nodes near it\(ordinal(attempt))"
        case .searching(.meeting, let attempt): "asking found nodes what they have\(ordinal(attempt))"
        case .searching(.asking, let attempt): "asking its neighbours for names\(ordinal(attempt))"
        case .pausing(let rest, let attempts):
            "nobody found who has it in \(attempts) searches; the next in \(Int(rest.seconds.rounded(.up))) s"
        }
    }

    /// No peer has the header that is needed next, and what helps.
    static func text(of gap: HeaderGap) -> String {
        "block \(gap.wanted)'s header is needed next, and no peer serves any below block \(gap.lowest): give a boot "
            + "node that keeps older headers (without --prune-headers), or a network file with a newer checkpoint and "
            + "a new --data-dir"
    }
}
