import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateNetwork
import StateStore

extension Node {
    /// Answers a request for state: at once from memory, or by a job on a snapshot.
    mutating func serveState(
        _ bytes: [UInt8], to asker: Bytes32, _ token: Overlay.ContentToken, at moment: Moment
    ) {
        let now = moment.instant
        guard let key = try? StateContentKey(decoding: bytes) else {
            overlay.judge(asker, .unhelpful, at: now)
            // What a key of another network's making stands for is not known: the Portal networks hash it.
            let records = overlay.closestRecords(to: SHA256.hash(bytes), network: .state, besides: asker)
            return overlay.answer(token, .records(records), at: now)
        }
        if let trie = key.trie, trie != .accounts {
            return overlay.answer(token, .content(StateStatus.placementNotSupported.encoded), at: now)
        }
        guard mayServe(key, to: asker) else {
            let position = key.position(sectionDepth: holdings.depth) ?? asker
            return overlay.answer(token, .records(namedHolders(of: position, to: asker)), at: now)
        }
        switch key {
        case .availability:
            overlay.answer(token, .content(AvailabilityValue(served: holdings.servedAnchors()).encoded), at: now)
        case .crown(let anchor):
            let value = holdings.crown(at: anchor).map { CrownValue.serve($0) } ?? notHere().encoded
            overlay.answer(token, .content(value), at: now)
        case .blockDiff(let key):
            overlay.answer(token, .content(holdings.recentDiff(key) ?? notHere().encoded), at: now)
        case .range(let key): serveRange(key, to: asker, token, at: moment)
        case .diffs(let key): serveDiffs(key, token, at: moment)
        case .codes(let key): serve(.serveCodes(ServeCodes(key: key)), token, at: moment)
        }
    }

    /// A bridge gives state to holders that fill their arcs and to nobody else, so that the network carries the load.
    private func mayServe(_ key: StateContentKey, to asker: Bytes32) -> Bool {
        guard configuration.role == .bridge else { return true }
        if case .availability = key { return true }
        guard let peer = holders[asker], peer.role == .holder else { return false }
        return key.position(sectionDepth: holdings.depth).map { peer.covers($0) } ?? true
    }

    private func notHere() -> StateStatus { .notAtThisAnchor(served: holdings.servedAnchors().map(\.anchor)) }

    private mutating func serveRange(
        _ key: RangeKey, to asker: Bytes32, _ token: Overlay.ContentToken, at moment: Moment
    ) {
        let section = Section(of: key.origin.account, depth: holdings.depth)
        guard let held = holdings.held(section.index), let record = held.record, record.isComplete else {
            let records = namedHolders(of: key.origin.account, to: asker)
            return overlay.answer(token, .records(records), at: moment.instant)
        }
        let point = holdings.point(of: key.anchor)
        guard record.working == point || record.previous == point, let crown = holdings.crown(at: key.anchor) else {
            return overlay.answer(token, .content(notHere().encoded), at: moment.instant)
        }
        let job = ServeRange(key: key, section: section, point: point, crown: crown, otherwise: notHere())
        serve(.serveRange(job), token, at: moment)
    }

    private mutating func serveDiffs(_ key: DiffsKey, _ token: Overlay.ContentToken, at moment: Moment) {
        guard chain.isAttested(key.to), let header = chain.header(of: key.to) else {
            return overlay.answer(token, .content(notHere().encoded), at: moment.instant)
        }
        // Nothing leads on from a block of another line, whatever is held at its height.
        if let start = chain.header(at: key.from.number), start.point != key.from {
            return overlay.answer(token, .content(StateStatus.historyTooShort.encoded), at: moment.instant)
        }
        var sections: [ServeDiffs.Section] = []
        for index in key.sections {
            guard let held = holdings.held(index), held.isComplete,
                let proven = holdings.provenHash(of: index, root: header.stateRoot),
                holdings.canLead(index, to: key.to, proven: proven)
            else { break }
            let layers = held.layers.filter { $0.point.number <= key.to.number }
            let proof = key.withProof ? holdings.proofNodes(of: index, root: header.stateRoot) : []
            sections.append(ServeDiffs.Section(section: holdings.section(index), layers: layers, proof: proof))
        }
        guard !sections.isEmpty else {
            return overlay.answer(token, .content(notHere().encoded), at: moment.instant)
        }
        let job = ServeDiffs(key: key, depth: holdings.depth, sections: sections, otherwise: notHere())
        serve(.serveDiffs(job), token, at: moment)
    }

    /// Answers a request for headers: from memory, or by a job where they are in the store only.
    mutating func serveChain(_ key: [UInt8], _ token: Overlay.ContentToken, at moment: Moment) {
        guard let reading = chain.reading(for: key) else {
            return overlay.answer(token, .content(chain.serve(key)), at: moment.instant)
        }
        guard status.serving < NodeLimits.servingJobs else {
            return overlay.answer(token, .content(reading.refusal), at: moment.instant)
        }
        status.serving += 1
        run(.read(reading), then: .answer(token))
    }

    private mutating func serve(_ job: StateJob, _ token: Overlay.ContentToken, at moment: Moment) {
        guard status.serving < NodeLimits.servingJobs else {
            let busy = StateStatus.busy(seconds: NodeLimits.busySeconds)
            return overlay.answer(token, .content(busy.encoded), at: moment.instant)
        }
        status.serving += 1
        run(job, then: .answer(token))
    }
}
