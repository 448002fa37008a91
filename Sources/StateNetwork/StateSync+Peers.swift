import Chain
import Overlay
import Primitives
import StateContent
import StateStore

// What peers say and ask for, and how those are found who have what is missing.
extension StateSync {
    /// Reads what a peer says it holds. A payload that does not decode costs the peer and changes nothing.
    mutating func told(by info: PeerInfo) {
        guard let told = info.lastExtension, StatePeer.isNews(info, after: holders[info.id]) else { return }
        do throws(StateContentError) {
            let payload = try StatePingPayload(decoding: told.payload)
            outbox.append(.note(radius: payload.radius, of: info.id))
            // Who does not know how to leave storage out has nothing for a node that keeps that of few.
            let isOfUse = holdings.kept.isAll || info.capabilities.contains(KnownContents.partialCapability)
            holders.told(isOfUse ? payload : payload.servingNothing, by: info, at: told.receivedAt)
        } catch {
            outbox.append(.judge(info.id, .lie))
            outbox.log(.warning, "peer \(info.id.short) sent a ping payload that does not decode: \(error)")
        }
    }

    /// Answers a request: at once from memory, by a job on a snapshot, or with the names of others.
    mutating func asked(
        _ bytes: [UInt8], by asker: Bytes32, _ token: Overlay.ContentToken, _ chain: some AttestedHeaders,
        at now: Instant
    ) {
        let key: StateContentKey
        do throws(StateContentError) {
            key = try gossip.read(bytes)
        } catch {
            outbox.append(.judge(asker, .unhelpful))
            // What a key of another network's making stands for is not known: the Portal networks hash it.
            return outbox.append(.name(token, [], near: SHA256.hash(bytes), asker: asker))
        }
        let reply =
            holdings.kept.serves(key)
            ? server.reply(to: key, from: holders[asker], holdings, ahead, gossip, chain)
            : .names(near: key.position(sectionDepth: holdings.book.depth))
        switch reply {
        case .content(let value): outbox.append(.answer(token, .content(value)))
        case .names(let position):
            let records = server.names(near: position ?? asker, for: asker, holders)
            outbox.append(.name(token, records, near: position ?? asker, asker: asker))
        case .job where operations.servingCount >= StateNetworkLimits.servingJobs:
            let busy = StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds)
            outbox.append(.answer(token, .content(busy.encoded)))
        case .job(let job): run(job, for: .serve(token), at: now)
        }
        if case .range(let key) = key {
            let section = key.trie == .accounts ? Section(of: key.origin.account, depth: holdings.book.depth) : nil
            upkeep.asked(rangeOf: section?.index, by: asker, at: now)
        } else {
            upkeep.asked(rangeOf: nil, by: asker, at: now)
        }
    }

    // MARK: Holders

    /// Lets the directory look at what is short, and does what it asks for.
    mutating func planSearches(_ chain: some AttestedHeaders, at now: Instant) {
        guard configuration.seeksHolders else {
            // Whom the directory would keep is no matter of a visit, nor of who has the state from blocks.
            _ = holders.drain()
            return
        }
        let isWalking = replayer == nil && holders.isReviewDue(at: now)
        let ahead = isWalking ? planner.sectionsAhead(holdings.book, newest: chain.newestAnchor, at: now) : []
        let urgent = ahead.map { holdings.book.place(of: $0) }
        holders.advance(to: now, urgent: urgent)
        for directive in holders.drain() {
            switch directive {
            case .lookup(let search, let section, let width, let avoided):
                outbox.append(
                    .lookup(
                        search, near: holdings.book.section(section).firstKey, width: width, avoiding: avoided))
            case .meet(let records): outbox.append(.meet(records))
            case .ask(let search, let peer, let section):
                ask(peer, whoHas: holdings.book.section(section), for: search, chain, at: now)
            case .keep(let id): outbox.append(.keep(id))
            case .release(let id): outbox.append(.release(id))
            }
        }
    }

    /// Asks a node that does not have a section for the least of it: it answers with records of those who cover it.
    private mutating func ask(
        _ peer: Bytes32, whoHas section: Section, for search: HolderDirectory.SearchID, _ chain: some AttestedHeaders,
        at now: Instant
    ) {
        let anchor = chain.newestAnchor ?? Anchor(epoch: 0, hash: configuration.network.checkpoint.hash)
        let first = Cursor(account: section.firstKey, slot: .zero)
        guard
            let key = RangeKey(
                anchor: anchor, origin: first, limit: first, maxBytes: StateNetworkLimits.namesBytes)
        else { return holders.named(search, [], at: now) }
        let id = operations.begin(.names(search), stage: .asked, peer: peer, at: now)
        outbox.append(
            .request(
                id, peer: peer, key: StateContentKey.range(key).encoded, limit: OverlayLimits.contentBytes,
                timeout: StateNetworkLimits.namesTimeout))
    }
}
