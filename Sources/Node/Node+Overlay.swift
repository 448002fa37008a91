import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateNetwork
import Sync

extension Node {
    /// What the Portal wire brought.
    mutating func handle(_ directive: Overlay.Directive, at moment: Moment) {
        switch directive {
        case .send(let bytes, let target): directives.append(.send(bytes, to: target))
        case .contentRequested(.state, let asker, let key, let token):
            serveState(key, to: asker.id, token, at: moment)
        case .contentRequested(_, _, let key, let token): serveChain(key, token, at: moment)
        case .contentAnswered(let id, let result, let report):
            guard let purpose = requests.removeValue(forKey: id) else { return }
            switch purpose {
            case .assignment(let assignment, let key):
                answered(assignment, key, result, bytes: report.bytes, at: moment)
            case .chain(let tag): chain.answered(tag, content(of: result), at: moment.instant)
            case .holders(let search): holders.named(search, records(of: result), at: moment.instant)
            }
        case .offered(.state, let peer, let keys, let token):
            let codes = keys.map { acceptCode(forKey: $0, from: peer.id, at: moment.instant) }
            overlay.respond(toOffer: token, codes: codes, limit: offerBytes(keys, codes), at: moment.instant)
        case .offered(_, let peer, let keys, let token):
            let codes = keys.map { acceptCode(forBlock: $0, from: peer.id, at: moment.instant) }
            overlay.respond(toOffer: token, codes: codes, limit: offerBytes(keys, codes), at: moment.instant)
        case .offerReceived(.state, let peer, let items):
            for item in items { receiveState(item, from: peer.id, at: moment) }
        case .offerReceived(_, let peer, let items):
            for item in items {
                gossip.ended(item.key, from: peer.id)
                chain.offered(item.key, item.value, by: peer.id, at: moment.instant)
            }
        case .offerBroken(_, let peer, let keys, _): for key in keys { gossip.ended(key, from: peer.id) }
        case .offerFinished: break
        case .lookupFinished(let id, let result):
            if let search = lookups.removeValue(forKey: id) { holders.lookedUp(search, result, at: moment.instant) }
        case .peerUpdated(.state, let info): statePeerUpdated(info, at: moment)
        case .peerUpdated(_, let info): chainPeerUpdated(info, at: moment)
        case .peerMet(.state, let info): holders.met(info)
        case .peerMet: break
        case .peerLost(.state, let id):
            holders.lost(id)
            sync.peerLost(id)
        case .peerLost(_, let id): chain.peerLost(id)
        case .addressVoted(let endpoint): addressVoted(endpoint)
        case .addressChecked(let endpoint, let isReachable): addressChecked(endpoint, isReachable: isReachable)
        }
    }

    /// The content of an answer; nil where there was none or it was a list of other nodes.
    private func content(of result: Result<ContentAnswer, OverlayError>) -> [UInt8]? {
        if case .success(.content(let bytes)) = result { bytes } else { nil }
    }

    /// The nodes that an answer names in place of content.
    private func records(of result: Result<ContentAnswer, OverlayError>) -> [NodeRecord] {
        if case .success(.records(let records)) = result { records } else { [] }
    }

    /// What the chain network wants.
    mutating func handle(_ directive: ChainSync.Directive, at moment: Moment) {
        switch directive {
        case .request(let peer, let key, let tag):
            let id = overlay.findContent(
                network: .chain, peer: peer, key: key, limit: NodeLimits.headerAnswerBytes,
                timeout: NodeLimits.headerTimeout, at: moment.instant)
            requests[id] = .chain(tag)
        case .offer(let peer, let key, let value):
            _ = overlay.offer(
                network: .chain, peer: peer, items: [ContentItem(key: key, value: value)], at: moment.instant)
        case .persist(let headers, let forgotten): persist(headers, forgetting: forgotten)
        case .headAdvanced(let point, let leaving): headAdvanced(to: point, leaving: leaving, at: moment)
        case .finalAdvanced(let anchors): finalAdvanced(anchors, at: moment)
        case .lacksFinality(let final):
            log(
                .warning,
                "\(ChainLimits.unfinalHeaders) blocks are above block \(final), the last one that is final, and no "
                    + "more may be: waiting for a later one; are all bridges up whose keys the network's configuration "
                    + "asks for?")
        case .penalise(let peer, let reason):
            log(.debug, "peer \(peer.short) sent headers that do not hold: \(reason)")
            overlay.judge(peer, .lie, at: moment.instant)
        case .conflict(let error): report(.failed("the chain's attestations contradict each other: \(error)"))
        }
    }

    private mutating func chainPeerUpdated(_ info: PeerInfo, at moment: Moment) {
        guard let payload = info.lastExtension?.payload else { return }
        chain.peerUpdated(info.id, payload, at: moment.instant)
    }

    /// Reads what a peer says it holds. A payload that does not decode costs the peer and changes nothing.
    private mutating func statePeerUpdated(_ info: PeerInfo, at moment: Moment) {
        guard let told = info.lastExtension, holders[info.id]?.toldAt != told.receivedAt else { return }
        do {
            let payload = try StatePingPayload(decoding: told.payload)
            overlay.noteRadius(payload.radius, network: .state, peer: info.id)
            holders.told(payload, by: info, at: told.receivedAt)
        } catch {
            overlay.judge(info.id, .lie, at: moment.instant)
            log(.debug, "peer \(info.id.short) sent a ping payload that does not decode: \(error)")
            return
        }
        refreshSyncPeer(info.id)
    }

    /// Tells the planner what a peer claims, as far as this node may and does believe it: a walker takes no state from
    /// a bridge, and heads count only where they are attested.
    mutating func refreshSyncPeer(_ id: Bytes32) {
        guard let peer = holders[id], configuration.role.takesState(from: peer.role) else {
            sync.peerLost(id)
            return
        }
        let served = peer.served.compactMap { served -> SyncPeer.Served? in
            guard chain.isFinal(served.anchor) else { return nil }
            return SyncPeer.Served(anchor: served.anchor, sections: served.runs)
        }
        let head = peer.head.flatMap { chain.isAttested($0) ? $0 : nil }
        sync.peerUpdated(SyncPeer(id: id, served: served, head: head))
    }
}

/// The planner asks whom the peer book of the wire chooses.
extension Overlay: PeerChooser {
    /// See `PeerChooser`.
    public mutating func choose(
        among candidates: [(id: Bytes32, load: Int)], bytes: Int, at now: Instant
    ) -> Bytes32? {
        choose(network: .state, among: candidates, bytes: bytes, at: now)
    }
}

extension AcceptCode {
    /// What is said to the offerer of a new block.
    init(_ admission: NewBlockAdmission) {
        switch admission {
        case .wanted: self = .accepted
        case .known: self = .alreadyStored
        case .notVerifiable: self = .notVerifiable
        case .notOffered: self = .declined
        }
    }
}
