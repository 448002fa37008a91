// A question to the ring: what a visitor asks, of whom, and when it gives up.
//
//   asked ─▶ an anchor is known ─▶ for each piece that is needed: ask ─▶ content: proven, or the peer pays
//                                        ▲        │                └──▶ names: those are asked next
//                                        └────────┴─ silence, refusal: the next
//
// Who is asked: first those who say that they have the section at the anchor, the quickest of them first; then those
// who were named by the ones asked before; then those whose radius covers it; then whoever lives near it. One is asked
// at a time, and a second one where the first takes longer than it should. A piece that nobody gave is asked for again
// after a pause, of everybody. Nothing of it is believed that is not proven under the anchor's attested header.

import Chain
import Discovery
import MerklePatricia
import Overlay
import Primitives
import StateContent
import StateNetwork
import StateStore

/// One question to the ring, from its beginning to its one end.
struct RingQuery: Sendable {
    /// What is to be asked of whom.
    struct Ask: Hashable, Sendable {
        let need: StateQuery.Need
        let peer: Bytes32
    }

    /// What it may look at.
    struct Sight {
        let network: NetworkConfiguration
        let role: Role
        /// Peers that have said what they hold, and how long a PING of each takes.
        let peers: [Bytes32: StatePeer]
        let roundTrip: (Bytes32) -> Interval?
        /// Peers nearest to a position.
        let near: (Bytes32) -> [Bytes32]
    }

    private struct Piece: Sendable {
        var asked: Set<Bytes32> = []
        var underWay: [Bytes32: Instant] = [:]
        /// Named by those who were asked, in their order.
        var named: [Bytes32] = []
        /// When it may be asked for of everybody anew.
        var again: Instant?

        mutating func add(_ ids: [Bytes32]) {
            named += ids.filter { !named.contains($0) }.prefix(NodeLimits.queryNamed - named.count)
        }
    }

    let question: StateQuestion
    /// The epoch's first block that it is about; nil: the newest that is served.
    let block: UInt64?
    private let until: Instant
    private var query: StateQuery?
    private var pieces: [StateQuery.Need: Piece] = [:]
    /// When the query at its anchor began.
    private var began: Instant
    private var givers: [Bytes32] = []
    private var requests = 0
    private var everAsked: Set<Bytes32> = []
    private(set) var outcome: Result<RingAnswer, RingFailure>?
    private(set) var deadline: Instant?

    init(_ question: StateQuestion, block: UInt64?, at now: Instant) {
        self.question = question
        self.block = block
        until = now + NodeLimits.queryTime
        began = now
        deadline = until
    }

    // MARK: Asking

    /// What is to be asked now. `chain`: the attested headers.
    mutating func asks(_ sight: Sight, _ chain: some AttestedHeaders, at now: Instant) -> [Ask] {
        guard outcome == nil else { return [] }
        deadline = until
        if query == nil { begin(sight, chain, at: now) }
        guard let query else {
            look(again: now + NodeLimits.queryPause)
            return []
        }
        var asks: [Ask] = []
        for need in query.needs {
            guard let peer = next(for: need, query, sight, at: now) else { continue }
            pieces[need, default: Piece()].asked.insert(peer)
            pieces[need, default: Piece()].underWay[peer] = now
            everAsked.insert(peer)
            requests += 1
            asks.append(Ask(need: need, peer: peer))
            look(again: now + NodeLimits.queryPatience)
        }
        return asks
    }

    /// Takes the newest anchor that a peer serves, once one is known.
    private mutating func begin(_ sight: Sight, _ chain: some AttestedHeaders, at now: Instant) {
        let served = Set(sight.peers.values.flatMap { $0.served.map(\.anchor) })
        let anchors = chain.newestAnchors.filter { anchor in
            block.map { sight.network.epochs.boundary(of: anchor.epoch) == $0 } ?? served.contains(anchor)
        }
        guard let anchor = anchors.first, let header = chain.header(of: anchor) else { return }
        query = StateQuery(question, at: anchor, header, placedBy: sight.network.placement)
        pieces = [:]
        began = now
    }

    /// The next to be asked for a piece; nil where it is being waited for, or nobody is left.
    private mutating func next(
        for need: StateQuery.Need, _ query: StateQuery, _ sight: Sight, at now: Instant
    ) -> Bytes32? {
        var piece = pieces[need, default: Piece()]
        defer { pieces[need] = piece }
        if let last = piece.underWay.values.max() {
            let due = last + NodeLimits.queryPatience
            guard due <= now, piece.underWay.count < NodeLimits.queryAtOnce else {
                if due > now { look(again: due) }
                return nil
            }
        }
        let choice = RingQuery.candidates(for: need, piece.named, query, sight)
        if let peer = choice.first(where: { !piece.asked.contains($0) }) { return peer }
        guard piece.underWay.isEmpty else { return nil }
        // Everybody was asked: others may be found meanwhile, or have got it.
        let again = piece.again ?? now + NodeLimits.queryPause
        guard again <= now else {
            piece.again = again
            look(again: again)
            return nil
        }
        (piece.again, piece.asked) = (nil, [])
        return choice.first
    }

    private static func candidates(
        for need: StateQuery.Need, _ named: [Bytes32], _ query: StateQuery, _ sight: Sight
    ) -> [Bytes32] {
        let depth = sight.network.sectionDepth
        let position = need.key.position(sectionDepth: depth) ?? query.question.account
        let section = Section(of: position, depth: depth).index
        let able = sight.peers.values.filter { sight.role.takesState(from: $0.role) }
        func quickest(_ peers: some Sequence<StatePeer>) -> [Bytes32] {
            peers.map { (trip: sight.roundTrip($0.id) ?? .seconds(1), id: $0.id) }
                .sorted { ($0.trip, $0.id ^ position) < ($1.trip, $1.id ^ position) }.map(\.id)
        }
        let holders = quickest(able.filter { $0.announces(section, at: query.anchor) })
        let covering = quickest(able.filter { $0.arc.sections.contains(section) })
        let others = Set(sight.peers.values.filter { !sight.role.takesState(from: $0.role) }.map(\.id))
        return holders + named + covering + sight.near(position).filter { !others.contains($0) }
    }

    private mutating func look(again time: Instant) { deadline = min(deadline ?? time, time) }

    // MARK: What comes

    /// Something that was asked for came, or will not. Gives what is untrue of it; nil where nothing is.
    mutating func answered(
        _ ask: Ask, _ answer: RingReply, _ chain: some AttestedHeaders, at now: Instant
    ) -> String? {
        pieces[ask.need]?.underWay[ask.peer] = nil
        deadline = now
        if case .untrue(let what) = answer { return what }
        guard outcome == nil, query?.needs.contains(ask.need) ?? false else { return nil }
        switch answer {
        case .nothing, .untrue: break
        case .names(let ids): pieces[ask.need]?.add(ids)
        case .otherAnchors(let anchors):
            // What was served when this began has gone.
            let isGone = query.map { query in !chain.newestAnchors.contains(query.anchor) } ?? false
            if isGone, block == nil, !Set(anchors).isDisjoint(with: chain.newestAnchors) { query = nil }
        case .content(let value):
            do throws(StateQueryError) {
                guard try query?.take(value, for: ask.need) ?? false else { break }
            } catch {
                return "\(error)"
            }
            if !givers.contains(ask.peer) { givers.append(ask.peer) }
            if let state = query?.answer {
                let took = now - began
                outcome = .success(RingAnswer(state: state, peers: givers, took: took, requests: requests))
            }
        }
        return nil
    }

    /// Time goes by; at its end the question has none of the answers, and that is told.
    mutating func advance(
        _ chain: some AttestedHeaders, peers: Int, stale: (age: UInt64, limit: UInt64)?, at now: Instant
    ) {
        guard outcome == nil, until <= now else { return }
        if let query {
            outcome = .failure(.nobodyHasIt(asked: everAsked.count, query.anchor))
        } else if peers == 0 {
            outcome = .failure(.noPeers)
        } else if let stale {
            outcome = .failure(.headTooOld(age: stale.age, limit: stale.limit))
        } else if let block, let newest = chain.newestAnchor, let header = chain.header(of: newest) {
            outcome = .failure(.noSuchAnchor(block: block, newest: header.number))
        } else {
            outcome = .failure(.noAnchor(head: chain.head.number))
        }
    }
}

/// What a peer that was asked for a piece of a question gave.
enum RingReply: Sendable {
    /// Data, status byte included.
    case content([UInt8])
    /// Those who may have it.
    case names([Bytes32])
    /// It has it at these anchors.
    case otherAnchors([Anchor])
    case nothing
    /// What no honest peer gives, and what of it is wrong.
    case untrue(String)

    init(_ result: Result<ContentAnswer, OverlayError>) {
        switch result {
        case .failure(let error): self = error.isFalseContent ? .untrue("\(error)") : .nothing
        case .success(.records(let records)): self = .names(records.map(\.id))
        case .success(.content(let value)):
            do throws(StateContentError) {
                switch try StateStatus(decoding: value) {
                case .data: self = .content(value)
                case .notAtThisAnchor(let served): self = .otherAnchors(served)
                case .busy, .itemTooLarge, .historyTooShort, .placementNotSupported: self = .nothing
                }
            } catch .unknownStatus {
                // A status of a later version.
                self = .nothing
            } catch {
                self = .untrue("\(error)")
            }
        }
    }
}
