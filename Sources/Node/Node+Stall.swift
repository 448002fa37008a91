import Chain
import ChainNetwork
import Overlay
import Primitives
import StateNetwork
import Sync

// Why nothing is verified, said as it is: what is not known is not told as something that is.
extension Node {
    /// Why nothing was verified for a while; nil while things move or nothing is left to do.
    func stall(at moment: Moment) -> Stall? {
        let quiet = status.quiet(at: moment.instant)
        guard configuration.role != .bridge, quiet >= SyncLimits.stallAfter else { return nil }
        let seconds = Int(quiet.seconds)
        if let gap = chain.gap {
            return Stall(
                seconds: seconds,
                reason: "no peer serves block \(gap.wanted)'s header; the lowest served is block \(gap.lowest)'s",
                advice: "a boot node that keeps older headers, or a network file with a newer checkpoint")
        }
        guard sync.phase != .following || hasSectionsBehind else {
            return staleness(at: moment) ?? lag(seconds, at: moment.instant)
        }
        guard overlay.peerCount(network: .state).all > 0 else {
            return Stall(
                seconds: seconds, reason: "no peer of this network answers (\(families))",
                advice: "check the boot nodes, the UDP port and that the network file is the right one")
        }
        guard let newest = sync.newest else { return noAnchor(seconds) }
        if let epoch = epochAhead(of: newest) {
            return Stall(
                seconds: seconds,
                reason: "peers serve epoch \(epoch), and the headers up to it are not here yet: the newest anchor here "
                    + "is \(newest), the newest attested block \(chain.head.number)",
                advice: headerAdvice)
        }
        return missingSection(seconds, newest, at: moment.instant) ?? sectionBehind(seconds, newest)
            ?? Stall(
                seconds: seconds, reason: "\(sync.wantedCodes.count) codes are missing and no peer sent them",
                advice: "retrying with other peers")
    }

    /// No anchor is final yet: whether that is for want of headers, or because no epoch's first block is.
    func noAnchor(_ seconds: Int) -> Stall {
        let network = configuration.network
        guard chain.head.number > network.checkpoint.number else {
            return Stall(
                seconds: seconds, reason: "no attested header above the checkpoint was seen",
                advice: headerAdvice)
        }
        let next = (chain.final.number / network.epochLength + 1).multipliedReportingOverflow(by: network.epochLength)
        return Stall(
            seconds: seconds,
            reason: "headers are here up to block \(chain.head.number), final up to \(chain.final.number), and none "
                + "that is final begins an epoch",
            advice: next.overflow
                ? "waiting for finality" : "waiting until block \(next.partialValue), which begins one, is final")
    }

    /// What helps against missing headers.
    private var headerAdvice: String {
        overlay.peerCount(network: .chain).all == 0
            ? "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
            : "the attesting keys of the network file must be those of bridges that run"
    }

    /// The newest epoch that peers serve, where it is later than the newest anchor here and nobody serves that one.
    func epochAhead(of newest: Anchor) -> UInt64? {
        let served = holders.peers.values.filter { configuration.role.takesState(from: $0.role) }
            .flatMap(\.served).filter { !$0.runs.isEmpty }.map(\.anchor)
        guard let last = served.max(), last.epoch > newest.epoch, !served.contains(newest) else { return nil }
        return last.epoch
    }

    private func missingSection(_ seconds: Int, _ newest: Anchor, at now: Instant) -> Stall? {
        guard let missing = arc.first(where: { holdings.held($0)?.isComplete != true }) else { return nil }
        let ready = claimants(of: missing, at: newest)
        return Stall(
            seconds: seconds,
            reason: "section \(holdings.section(missing)) has \(ready) reachable holders at \(newest)",
            advice: ready == 0 ? search(for: missing, at: now) : "retrying")
    }

    /// Whether sections are complete at an older anchor than the newest, which they cannot be led on from.
    private var hasSectionsBehind: Bool { sync.newest.map { sync.firstBehind($0) != nil } ?? false }

    private func sectionBehind(_ seconds: Int, _ newest: Anchor) -> Stall? {
        guard let (behind, anchor) = sync.firstBehind(newest) else { return nil }
        let ready = claimants(of: behind, at: newest)
        return Stall(
            seconds: seconds,
            reason: "section \(holdings.section(behind)) is held at \(anchor), and none of its \(ready) reachable "
                + "holders at \(newest) leads it on",
            advice: "asking all of them; where they keep refusing it is begun again")
    }

    private func claimants(of section: Int, at anchor: Anchor) -> Int {
        holders.covering(section).count { peer in
            configuration.role.takesState(from: peer.role) && peer.claims(section, at: anchor)
        }
    }

    /// How the families of addresses fared at which nodes were tried.
    private var families: String {
        overlay.familyReport.map { "\($0.family): \($0.tally)" }.joined(separator: "; ")
    }

    /// Seconds since the newest attestation of the head was made.
    func headAge(at moment: Moment) -> UInt64? {
        chain.attestedAt.map { moment.unixSeconds - min($0, moment.unixSeconds) }
    }

    /// Everything is held and nothing new is attested, for longer than the network's rule allows: the head may be far
    /// from here. nil while it is not that old.
    private func staleness(at moment: Moment) -> Stall? {
        guard chain.isStale(at: moment.unixSeconds) else { return nil }
        let age = headAge(at: moment) ?? 0
        let (state, headers) = (
            overlay.peerCount(network: .state).all, overlay.peerCount(network: .chain).all
        )
        let limit = configuration.network.rule.maxAgeSeconds
        let reason = "the newest attested block was attested \(age) s ago, and the network's limit is \(limit) s"
        let advice =
            if state + headers == 0 {
                "no peer answers (\(families)): check the boot nodes, the UDP port and that the network file is the "
                    + "right one"
            } else if headers == 0 {
                "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
            } else {
                "peers know nothing newer: are the bridges up whose keys the network file names?"
            }
        return Stall(seconds: Int(clamping: age), reason: reason, advice: advice)
    }

    /// Everything is held, the head has gone on, and what it changed does not come.
    private func lag(_ seconds: Int, at now: Instant) -> Stall? {
        let verified = verifiedPoint?.number ?? 0
        guard verified < chain.head.number else { return nil }
        let behind = arc.filter { holdings.hasGap($0, at: now) }
        let ready = behind.first.map { section in
            holders.covering(section).count { peer in
                configuration.role.takesState(from: peer.role) && (peer.head?.number ?? 0) > verified
            }
        }
        let reason = "block \(verified) of \(chain.head.number) is verified, and nothing newer came"
        guard let first = behind.first, let ready else {
            return Stall(seconds: seconds, reason: reason, advice: "waiting for block diffs")
        }
        return Stall(
            seconds: seconds,
            reason: "\(reason): \(behind.count) sections lack blocks, and \(holdings.section(first)) has \(ready) "
                + "reachable holders that are further",
            advice: ready == 0 ? search(for: first, at: now) : "retrying")
    }
}
