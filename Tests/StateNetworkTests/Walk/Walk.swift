import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore

@testable import Overlay
@testable import StateNetwork

/// The least loaded peer, the lowest id of several: what a plan is tested with where the choice is not the point.
struct LeastLoaded: PeerChooser {
    func choose(among candidates: [AskCandidate], bytes: Int, at now: Instant) -> Bytes32? {
        candidates.min { ($0.load, $0.id) < ($1.load, $1.id) }?.id
    }
}

/// A chain of which only the newest anchor matters.
struct AnchoredChain: AttestedHeaders {
    var newestAnchor: Anchor?
    var attested: Set<StatePoint> = []
    /// Anchors whose blocks a heavier line has replaced.
    var lost: Set<Anchor> = []

    var head: StatePoint { StatePoint(number: 0, hash: .zero) }
    var headHeader: BlockHeader? { nil }
    var final: StatePoint { head }
    var floor: StatePoint { head }
    var lowest: UInt64? { nil }
    var isFull: Bool { false }
    func header(at number: UInt64) -> BlockHeader? { nil }
    func header(of point: StatePoint) -> BlockHeader? { nil }
    func header(of anchor: Anchor) -> BlockHeader? { nil }
    func anchor(epoch: UInt64) -> Anchor? { nil }
    func isAttested(_ point: StatePoint) -> Bool { attested.contains(point) }
    func isFinal(_ anchor: Anchor) -> Bool { !lost.contains(anchor) }
    func certifiedHeader(at number: UInt64) -> CertifiedHeader? { nil }
    func isSpokenFor(_ entry: CertifiedHeader) -> Bool { false }
    func isVouchedFor(_ entry: CertifiedHeader) -> Bool { false }
    func claimsThatHold(in certificate: [UInt8], of point: StatePoint) -> Certificate? { nil }
    func holds(_ hash: Bytes32) -> Bool { false }
    func wouldTake(_ entry: CertifiedHeader, at unixSeconds: UInt64) -> Bool { false }
    func merged(_ entry: CertifiedHeader) -> CertifiedHeader { entry }
    func line(to point: StatePoint) -> [StatePoint] { [] }
}

/// How much of a section a test says is held, and at which anchor.
enum Coverage {
    case none
    case partial(anchor: Anchor, next: Cursor)
    case complete(anchor: Anchor)
    /// All of it is here, of several anchors, and is being compared with this one.
    case mixed(anchor: Anchor)
}

/// A walk over sections of depth 1 with the given lanes; peers and time are told by each test. The planner, the book,
/// the directory and the operations are those of the machine; what they ask for is answered by the test.
struct Walk {
    static let epochLength: UInt64 = 8
    /// The largest range that is asked for, bytes.
    static let rangeBytes: UInt32 = 1_000
    var holdings: Holdings
    var operations = OperationTable()
    var planner: WalkPlanner
    var holders: HolderDirectory
    var chain = AnchoredChain()
    var now = Instant.zero

    init(lanes: Int = 4, rate: UInt64? = nil, sections: Int = 16) {
        holdings = Holdings(
            depth: 1, epochLength: Walk.epochLength, arc: 0..<sections, records: [], layers: [], crowns: [])
        planner = WalkPlanner(
            configuration: WalkPlanner.Configuration(
                role: .walker, lanes: lanes, rangeBytes: Walk.rangeBytes, downloadBytesPerSecond: rate),
            holdings.book, at: .zero)
        holders = HolderDirectory(role: .walker, arc: Arc(around: 0, bits: 0, depth: 1))
    }

    static func anchor(_ epoch: UInt64) -> Anchor { Anchor(epoch: epoch, hash: Bytes32(epoch, 0, 0, 1)) }

    /// A node's record and address; ids rise with the number.
    static func info(_ number: UInt64) -> PeerInfo? { infos[number] }

    private static let infos: [UInt64: PeerInfo] = {
        var entropy = Entropy(seed: Bytes32(0, 0, 7, 7))
        let keys = (0..<32).map { _ in IdentityKey(from: &entropy) }.sorted { $0.nodeID < $1.nodeID }
        var infos: [UInt64: PeerInfo] = [:]
        for (number, key) in keys.enumerated() {
            let endpoint = Endpoint(ipv4: (10, 0, UInt8(number), 1), port: 9_009)
            var fields = NodeRecordFields(sequence: 1)
            fields.set(endpoint: endpoint)
            guard let record = try? fields.signed(by: key) else { continue }
            infos[UInt64(number)] = PeerInfo(
                record: record, address: NodeAddress(id: record.id, endpoint: endpoint), radius: .max,
                capabilities: [], clientInfo: [], lastExtension: nil, standing: PeerStanding(), isKept: false)
        }
        return infos
    }()

    static func id(_ number: UInt64) -> Bytes32 { infos[number]?.id ?? .zero }

    /// The number of a node.
    static func number(of id: Bytes32) -> UInt64? { infos.first { $0.value.id == id }?.key }

    mutating func peer(_ number: UInt64, _ epochs: [UInt64], sections: Range<Int> = 0..<16, head: StatePoint? = nil) {
        guard let info = Walk.info(number) else { return }
        let served = epochs.map { AnchorSections(anchor: Walk.anchor($0), runs: [sections]) }
        if let head { chain.attested.insert(head) }
        holders.told(StatePingPayload(role: .holder, radius: .max, head: head, served: served), by: info, at: now)
        planner.hear(.headAdvanced(leaving: nil), holders)
    }

    /// An anchor is final.
    mutating func advance(to anchor: Anchor) {
        chain.newestAnchor = anchor
        planner.anchorsAdvanced(holdings.book)
        planner.follow(&holdings, newest: anchor)
    }

    mutating func store(crownOf anchor: Anchor) {
        holdings.store(Crown(sections: (0..<16).map { _ in .empty }, depth: 1), at: anchor)
        planner.hear(.headAdvanced(leaving: nil), holders)
    }

    /// The same of a state in which every section has a leaf.
    mutating func store(crownWithLeavesOf anchor: Anchor) {
        let sections = (0..<16).map { index in
            Subtree.leaf(key: Section(depth: 1, index: index).firstKey, value: StateAccount(nonce: anchor.epoch).rlp)
        }
        holdings.store(Crown(sections: sections, depth: 1), at: anchor)
        planner.hear(.headAdvanced(leaving: nil), holders)
    }

    /// What is to be asked now, each begun as the machine begins it.
    mutating func plan(choosing chooser: inout some PeerChooser) -> (asked: [Operation], drops: [Int]) {
        planner.follow(&holdings, newest: chain.newestAnchor)
        let plan = planner.plan(holdings, operations, holders, chain, choosing: &chooser, at: now)
        let asked = plan.asks.compactMap { ask -> Operation? in
            let locked = ask.task.locksWhileAsked ? ask.task.sections : []
            guard holdings.book.lock(locked) else { return nil }
            if case .compare(let index, _, let anchor, _) = ask.task { holdings.compare(index, with: anchor) }
            let id = operations.begin(
                .ask(ask.task, key: .availability), stage: .asked, sections: locked, peer: ask.peer,
                budgeted: ask.budgeted, at: now)
            return operations[id]
        }
        return (asked, plan.drops)
    }

    mutating func plan() -> (asked: [Operation], drops: [Int]) {
        var chooser = LeastLoaded()
        return plan(choosing: &chooser)
    }

    /// The end of something that was asked.
    mutating func finish(_ operation: Operation, _ outcome: AskOutcome) {
        guard operations.end(operation.id) != nil, let task = operation.task, let peer = operation.peer else { return }
        holdings.book.unlock(operation.sections)
        planner.ended(
            task, of: peer, outcome, budgeted: operation.budgeted, arrived: outcome.bytes, since: operation.startedAt,
            at: now)
        holders.ended(task, of: peer, outcome, at: now)
    }

    /// Plans, and ends everything as the network and the store would if all went well.
    mutating func completeAll() -> [Operation] {
        let asked = plan().asked
        for operation in asked {
            switch operation.task {
            case .crown(let anchor)?: store(crownOf: anchor)
            case .range(let section, let anchor, _, _, _)?: hold(section, .complete(anchor: anchor))
            case .sections(let sections, let anchor, _)?, .diffs(let sections, _, .anchor(let anchor))?:
                for section in sections { hold(section, .complete(anchor: anchor)) }
            case .diffs(let sections, let from, .block)?:
                for section in sections { hold(section, .complete(anchor: from)) }
            case .carry?, .compare?, .storageCrown?, .directory?, .blockDiffs?, nil: break
            case .codes(let hashes, _)?: holdings.codes.stored(hashes)
            }
            finish(operation, .done(bytes: 500))
        }
        return asked
    }

    /// So much is held of a section, committed as by some operation before.
    mutating func hold(_ section: Int, _ coverage: Coverage, gap: Bool = false, carriedTo: Anchor? = nil) {
        let place = Section(depth: 1, index: section)
        let record: SectionRecord? =
            switch coverage {
            case .none: nil
            case .partial(let anchor, let next):
                SectionRecord(section: place, working: holdings.book.point(of: anchor), coverage: .partial(next: next))
            case .complete(let anchor):
                SectionRecord(section: place, working: holdings.book.point(of: anchor), coverage: .complete(.empty))
            case .mixed(let anchor):
                SectionRecord(section: place, working: holdings.book.point(of: anchor), coverage: .mixed(next: nil))
            }
        holdings.book.change(section) { entry in
            entry.record = record
            entry.needsCatchUp = gap
            entry.carrying = carriedTo.flatMap { anchor in
                DiffsKey(
                    from: record?.working ?? StatePoint(number: 0, hash: .zero),
                    to: StatePoint(number: anchor.epoch * Walk.epochLength, hash: anchor.hash), sections: [section],
                    maxBytes: 1, withProof: false
                ).map { CarryingDiff(value: [], key: $0, anchor: anchor, sender: .zero) }
            }
        }
        planner.follow(&holdings, newest: chain.newestAnchor)
    }
}
