import Chain
import ChainNetwork
import Overlay
import Primitives
import StateNetwork

/// Where a node stands, and why nothing is verified where nothing is: what only the whole can tell. What is not known
/// is not told as something that is.
enum Standing {
    /// The line that a person reads.
    static func progress(of node: CarouselNode, at moment: Moment) -> NodeProgress {
        let (state, now) = (node.state, moment.instant)
        let phase: NodeProgress.Phase =
            switch state.phase {
            case .waiting: .headers
            case .walking: .walking
            case .following: .following
            }
        var progress = NodeProgress(phase: phase)
        progress.anchor = node.chain.newestAnchor
        (progress.held, progress.atNewestAnchor) = state.heldFraction(newest: node.chain.newestAnchor)
        progress.sectionsComplete = state.holdings.book.completeCount
        progress.sectionsWanted = state.arc.count
        progress.stateBytes = state.verifiedBytes.total
        progress.bytesPerSecond = state.verifiedBytes.rate(at: now)
        progress.peers = node.overlay.peerCount(network: .state).all
        progress.usefulPeers = state.usefulPeers
        progress.lanes = state.activeLanes
        progress.searches = state.holders.activeSearches
        progress.ready = state.ready
        progress.waiting = waiting(node, at: now)
        progress.lacking.unheld = state.holders.unheld(at: now)
        progress.lacking.underHeld = node.configuration.role == .holder ? state.underHeld : nil
        progress.headAge = headAge(node, at: moment)
        progress.isStale = node.chain.attested.isStale(at: moment.unixSeconds)
        progress.head = node.chain.head.number
        progress.verifiedHead = state.verifiedPoint?.number ?? 0
        progress.stall = stall(of: node, at: moment)
        return progress
    }

    /// The first section that a lane is on and nobody known has; else the one that a peer lets wait longest.
    private static func waiting(_ node: CarouselNode, at now: Instant) -> NodeProgress.Waiting? {
        guard node.configuration.role != .bridge, node.chain.newestAnchor != nil else { return nil }
        let (holders, book) = (node.state.holders, node.state.holdings.book)
        func waiting(for index: Int, _ why: String) -> NodeProgress.Waiting {
            let place = book.place(of: index)
            var waiting = NodeProgress.Waiting(
                section: "\(book.section(index))", providers: holders.providers(of: place),
                keepers: holders.keepers(of: place), why: why)
            waiting.supply = SectionSupply(of: place, in: holders)
            waiting.why += useless(waiting.supply)
            return waiting
        }
        if let index = node.state.idleSections.first(where: { holders.providers(of: book.place(of: $0)) == 0 }) {
            return waiting(for: index, search(node, for: book.place(of: index), at: now))
        }
        return node.state.operations.slowest(at: now).map { slow in
            let seconds = Int(slow.since.seconds)
            return waiting(
                for: slow.section ?? node.arc.lowerBound, "peer \(slow.peer.short) was asked for it \(seconds) s ago")
        }
    }

    /// That those who say that they have a section are of no use, where that is so.
    private static func useless(_ supply: SectionSupply) -> String {
        guard supply.isWorthNothing else { return "" }
        let count = supply.announcing + supply.left
        let epochs = supply.epochs.isEmpty ? "" : " at epoch " + supply.epochs.map(String.init).joined(separator: ", ")
        return "; \(count) said that they have it\(epochs) and gave nothing that holds"
    }

    /// What is being done to find somebody who has a section.
    private static func search(_ node: CarouselNode, for index: Int, at now: Instant) -> String {
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

    /// Why nothing was verified for a while; nil while things move or nothing is left to do.
    private static func stall(of node: CarouselNode, at moment: Moment) -> Stall? {
        let (chain, state) = (node.chain, node.state)
        let quiet = state.verifiedBytes.quiet(at: moment.instant)
        guard node.configuration.role != .bridge, quiet >= WalkLimits.stallAfter else { return nil }
        let seconds = Int(quiet.seconds)
        if let gap = chain.gap {
            return Stall(
                seconds: seconds,
                reason: "no peer serves block \(gap.wanted)'s header; the lowest served is block \(gap.lowest)'s",
                advice: "a boot node that keeps older headers, or a network file with a newer checkpoint")
        }
        guard state.phase != .following || hasSectionsBehind(node) else {
            return staleness(node, at: moment) ?? lag(node, seconds, at: moment.instant)
        }
        guard node.overlay.peerCount(network: .state).all > 0 else {
            return Stall(
                seconds: seconds, reason: "no peer of this network answers (\(families(node)))",
                advice: "check the boot nodes, the UDP port and that the network file is the right one")
        }
        guard let newest = chain.newestAnchor else { return noAnchor(node, seconds) }
        if let epoch = epochAhead(node, of: newest) {
            return Stall(
                seconds: seconds,
                reason: "peers serve epoch \(epoch), and the headers up to it are not here yet: the newest anchor here "
                    + "is \(newest), the newest attested block \(chain.head.number)",
                advice: headerAdvice(node))
        }
        return missingSection(node, seconds, newest, at: moment.instant) ?? sectionBehind(node, seconds, newest)
            ?? Stall(
                seconds: seconds, reason: "\(state.missingCodes) codes are missing and no peer sent them",
                advice: "retrying with other peers")
    }

    /// No anchor is final yet: whether that is for want of headers, or because no epoch's first block is.
    static func noAnchor(_ node: CarouselNode, _ seconds: Int) -> Stall {
        let (chain, network) = (node.chain, node.configuration.network)
        guard chain.head.number > network.checkpoint.number else {
            return Stall(
                seconds: seconds, reason: "no attested header above the checkpoint was seen",
                advice: headerAdvice(node))
        }
        let next = network.epochs.boundary(after: chain.final.number)
        return Stall(
            seconds: seconds,
            reason: "headers are here up to block \(chain.head.number), final up to \(chain.final.number), and none "
                + "that is final begins an epoch",
            advice: next.map { "waiting until block \($0), which begins one, is final" } ?? "waiting for finality")
    }

    /// What helps against missing headers.
    private static func headerAdvice(_ node: CarouselNode) -> String {
        node.overlay.peerCount(network: .chain).all == 0
            ? "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
            : "the attesting keys of the network file must be those of bridges that run"
    }

    /// The newest epoch that peers serve, where it is later than the newest anchor here and nobody serves that one.
    static func epochAhead(_ node: CarouselNode, of newest: Anchor) -> UInt64? {
        let served = node.holders.peers.values.filter { node.configuration.role.takesState(from: $0.role) }
            .flatMap(\.served).filter { !$0.runs.isEmpty }.map(\.anchor)
        guard let last = served.max(), last.epoch > newest.epoch, !served.contains(newest) else { return nil }
        return last.epoch
    }

    private static func missingSection(
        _ node: CarouselNode, _ seconds: Int, _ newest: Anchor, at now: Instant
    ) -> Stall? {
        let book = node.state.holdings.book
        guard let missing = node.arc.first(where: { !book.isComplete($0) }) else { return nil }
        let ready = providers(node, of: missing, at: newest)
        let supply = SectionSupply(of: book.place(of: missing), in: node.state.holders)
        return Stall(
            seconds: seconds,
            reason: "section \(book.section(missing)) has \(ready) reachable holders at \(newest)" + useless(supply),
            advice: ready == 0 ? search(node, for: missing, at: now) : "retrying")
    }

    /// Whether sections are complete at an older anchor than the newest, which they cannot be led on from.
    private static func hasSectionsBehind(_ node: CarouselNode) -> Bool {
        node.chain.newestAnchor.map { node.state.holdings.book.firstBehind($0) != nil } ?? false
    }

    private static func sectionBehind(_ node: CarouselNode, _ seconds: Int, _ newest: Anchor) -> Stall? {
        let book = node.state.holdings.book
        guard let (behind, anchor) = book.firstBehind(newest) else { return nil }
        let ready = providers(node, of: behind, at: newest)
        return Stall(
            seconds: seconds,
            reason: "section \(book.section(behind)) is held at \(anchor), and none of its \(ready) reachable "
                + "holders at \(newest) leads it on",
            advice:
                "asking all of them; where they keep refusing it is compared with what they hold"
        )
    }

    private static func providers(_ node: CarouselNode, of section: Int, at anchor: Anchor) -> Int {
        node.holders.covering(section).count { peer in
            node.configuration.role.takesState(from: peer.role) && peer.announces(section, at: anchor)
        }
    }

    /// How the families of addresses fared at which nodes were tried.
    private static func families(_ node: CarouselNode) -> String {
        node.overlay.familyReport.map { "\($0.family): \($0.tally)" }.joined(separator: "; ")
    }

    /// Seconds since the newest attestation of the head was made.
    private static func headAge(_ node: CarouselNode, at moment: Moment) -> UInt64? {
        node.chain.attestedAt.map { moment.unixSeconds - min($0, moment.unixSeconds) }
    }

    /// Everything is held and nothing new is attested, for longer than the network's rule allows: the head may be far
    /// from here. nil while it is not that old.
    private static func staleness(_ node: CarouselNode, at moment: Moment) -> Stall? {
        guard node.chain.attested.isStale(at: moment.unixSeconds) else { return nil }
        let age = headAge(node, at: moment) ?? 0
        let (state, headers) = (
            node.overlay.peerCount(network: .state).all, node.overlay.peerCount(network: .chain).all
        )
        let limit = node.configuration.network.rule.maxAgeSeconds
        let reason = "the newest attested block was attested \(age) s ago, and the network's limit is \(limit) s"
        let advice =
            if state + headers == 0 {
                "no peer answers (\(families(node))): check the boot nodes, the UDP port and that the network file is "
                    + "the right one"
            } else if headers == 0 {
                "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
            } else {
                "peers know nothing newer: are the bridges up whose keys the network file names?"
            }
        return Stall(seconds: Int(clamping: age), reason: reason, advice: advice)
    }

    /// Everything is held, the head has gone on, and what it changed does not come.
    private static func lag(_ node: CarouselNode, _ seconds: Int, at now: Instant) -> Stall? {
        let (chain, book) = (node.chain, node.state.holdings.book)
        let verified = node.state.verifiedPoint?.number ?? 0
        guard verified < chain.head.number else { return nil }
        let behind = book.gaps(at: now)
        let ready = behind.first.map { section in
            node.holders.covering(section).count { peer in
                node.configuration.role.takesState(from: peer.role) && (peer.head?.number ?? 0) > verified
            }
        }
        let reason = "block \(verified) of \(chain.head.number) is verified, and nothing newer came"
        guard let first = behind.first, let ready else {
            return Stall(seconds: seconds, reason: reason, advice: "waiting for block diffs")
        }
        return Stall(
            seconds: seconds,
            reason: "\(reason): \(behind.count) sections lack blocks, and \(book.section(first)) has \(ready) "
                + "reachable holders that are further",
            advice: ready == 0 ? search(node, for: first, at: now) : "retrying")
    }
}
