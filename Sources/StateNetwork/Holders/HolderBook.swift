import Chain
import Discovery
import Overlay
import Primitives
import StateContent
import StateStore

/// What the peers of the state network say of themselves, each once, with two sums that follow from it: how many live
/// providers each section has, and how many kept peers cover it.
struct HolderBook: Sendable {
    let role: Role
    let depth: Int
    private(set) var peers: [Bytes32: StatePeer] = [:]
    /// Ids by what they cover, ascending: the peers that cover a section are found under the few arcs round it.
    private var byArc: [Arc: [Bytes32]] = [:]
    /// By section: peers that announce it at an anchor of use, that may be asked, and whose word is not doubted.
    private(set) var providers: [UInt16]
    /// By section: kept holders that cover it and are not doubted, whether they have filled it or not.
    private(set) var keepers: [UInt16]
    private(set) var keptCount = 0
    /// How often a peer was believed again, which nobody but time brings about.
    private(set) var beliefs: UInt64 = 0
    private var keptBySubnet: [Subnet: Int] = [:]
    /// Anchors at which an announcement is of use: the newest final one and the one before it, which holders serve.
    private var usable: [Anchor] = []
    /// Sections whose last live provider or keeper went, since they were last taken.
    private var emptied: [Int] = []

    init(role: Role, depth: Int) {
        self.role = role
        self.depth = depth
        providers = [UInt16](repeating: 0, count: Section.count(depth: depth))
        keepers = providers
    }

    /// What is known of one peer.
    subscript(id: Bytes32) -> StatePeer? { peers[id] }

    /// Takes in what a peer says now. Sections it announced before and does not any more are given back.
    mutating func update(_ peer: StatePeer) {
        if let old = peers[peer.id] {
            if old.arc != peer.arc { unlist(old) }
            if old.subnet != peer.subnet, old.isKept {
                countKept(old, -1)
                countKept(peer, 1)
            }
        }
        if peers[peer.id]?.arc != peer.arc { list(peer) }
        peers[peer.id] = peer
        recount(peer.id)
    }

    /// Changes what is known of a peer, and the sums with it.
    mutating func change<Result>(_ id: Bytes32, _ change: (inout StatePeer) -> Result) -> Result? {
        guard var peer = peers[id] else { return nil }
        let result = change(&peer)
        update(peer)
        return result
    }

    /// Something that was asked of a peer ended: it paces what is asked next, and no sum follows from it.
    mutating func ended(_ task: WalkTask, of id: Bytes32, _ outcome: AskOutcome, at now: Instant) {
        peers[id]?.pace.ended(task, outcome, at: now)
        if case .done = outcome, peers[id]?.helpedSince == nil { peers[id]?.helpedSince = now }
    }

    /// What peers announced that was found wrong is believed again where its term is over.
    mutating func believeAgain(at now: Instant) {
        for id in peers.keys.sorted() where peers[id]?.believeAgain(at: now) == true {
            beliefs &+= 1
            recount(id)
        }
    }

    mutating func setKept(_ id: Bytes32, _ isKept: Bool) {
        guard let peer = peers[id], peer.isKept != isKept else { return }
        countKept(peer, isKept ? 1 : -1)
        _ = change(id) { $0.isKept = isKept }
    }

    mutating func remove(_ id: Bytes32) -> StatePeer? {
        guard let peer = peers[id] else { return nil }
        setKept(id, false)
        count(peers[id]?.counted ?? StatePeer.Counted(), of: peer, -1)
        unlist(peer)
        peers[id] = nil
        return peer
    }

    /// Claims at these anchors count, and at no others: whoever names one that nobody knows is never asked either.
    mutating func setUsable(_ anchors: [Anchor]) {
        usable = anchors
        for id in peers.keys.sorted() { recount(id) }
    }

    /// Whether it is known at which anchor an announcement counts.
    var hasAnchor: Bool { !usable.isEmpty }

    /// Takes the sections whose supply went.
    mutating func takeEmptied() -> [Int] {
        defer { emptied = [] }
        return emptied
    }

    // MARK: Sums

    private mutating func recount(_ id: Bytes32) {
        guard let peer = peers[id] else { return }
        let counts = worth(of: peer)
        guard counts != peer.counted else { return }
        count(peer.counted, of: peer, -1)
        peers[id]?.counted = counts
        count(counts, of: peer, 1)
    }

    private func worth(of peer: StatePeer) -> StatePeer.Counted {
        guard !peer.isDoubtful else { return StatePeer.Counted() }
        var worth = StatePeer.Counted()
        if role.takesState(from: peer.role) {
            let useful = peer.served.filter { usable.contains($0.anchor) }
            worth.provides =
                useful.count == 1
                ? useful[0].runs
                : useful.first.map { AnchorSections(anchor: $0.anchor, runs: useful.flatMap(\.runs)).runs } ?? []
        }
        // That one covers the whole ring is easily said: it counts where something is shown for it.
        let isCredible = !peer.arc.isWhole || !worth.provides.isEmpty
        if peer.isKept, peer.role == .holder, isCredible { worth.keeps = peer.arc.sections }
        return worth
    }

    private mutating func count(_ counted: StatePeer.Counted, of peer: StatePeer, _ change: Int) {
        for run in counted.provides {
            for section in run.clamped(to: 0..<providers.count) {
                providers[section] = UInt16(clamping: Int(providers[section]) + change)
                if providers[section] == 0 { emptied.append(section) }
            }
        }
        for section in counted.keeps {
            keepers[section] = UInt16(clamping: Int(keepers[section]) + change)
            if keepers[section] == 0 { emptied.append(section) }
        }
    }

    private mutating func countKept(_ peer: StatePeer, _ change: Int) {
        keptCount += change
        guard let subnet = peer.subnet else { return }
        let count = keptBySubnet[subnet, default: 0] + change
        keptBySubnet[subnet] = count == 0 ? nil : count
    }

    /// Kept peers of one network prefix.
    func kept(in subnet: Subnet) -> Int { keptBySubnet[subnet] ?? 0 }

    // MARK: Who is where

    private mutating func list(_ peer: StatePeer) {
        var ids = byArc[peer.arc] ?? []
        let place = ids.firstIndex { peer.id < $0 } ?? ids.endIndex
        ids.insert(peer.id, at: place)
        byArc[peer.arc] = ids
    }

    private mutating func unlist(_ peer: StatePeer) {
        byArc[peer.arc]?.removeAll { $0 == peer.id }
        if byArc[peer.arc]?.isEmpty == true { byArc[peer.arc] = nil }
    }

    /// Peers whose radius is just this arc, by id.
    func peers(of arc: Arc) -> [StatePeer] { (byArc[arc] ?? []).compactMap { peers[$0] } }

    /// Peers whose radius covers the section, the larger arcs first.
    func covering(_ section: Int) -> [StatePeer] { Arc.all(around: section, depth: depth).flatMap { peers(of: $0) } }
}
