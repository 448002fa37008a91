import Chain
import Primitives

// Proof of work: lines that are weighed before anything of them is kept.
//
// A claimed height says nothing of work. So a line that leads away from the one followed here is read through and
// weighed in two cases. (1) Less work is known here than the network's `minimumWork`: nothing is kept of a line that
// does not have it, and what does have it comes twice (`Presync`). (2) A peer's line leaves ours below what may be
// undone: it is not taken, however heavy, but if it is heavier the node must not go on.
// Where neither is so, a peer's line is simply asked for from the floor up: the tree of headers has room for it, and
// total work decides.

/// One peer's line while it is weighed. One at a time.
struct LineWeighing: Sendable {
    enum Stage: Sendable {
        /// Headers at doubling distances below the floor are asked for: which of them do we have?
        case seeking
        case reading(Presync)
    }

    /// Whose line it is, and the last block that the peer claimed to serve when it began.
    struct Subject: Sendable {
        let peer: Bytes32
        let goal: UInt64
        /// Whether it is read to find out if the node must stop.
        let isRival: Bool
    }

    let subject: Subject
    var stage: Stage
    /// Number of the next header to ask for.
    var next: UInt64
    /// The highest block of the line that is on ours too, where the line leaves ours below the floor.
    var fork: StatePoint?

    init(peer: Bytes32, goal: UInt64, stage: Stage, next: UInt64, fork: StatePoint? = nil) {
        subject = Subject(peer: peer, goal: goal, isRival: fork != nil)
        self.stage = stage
        self.next = next
        self.fork = fork
    }

    var peer: Bytes32 { subject.peer }
    var goal: UInt64 { subject.goal }

    var isReading: Bool { if case .reading = stage { true } else { false } }
}

extension ChainSync {
    /// The rule, where it is proof of work.
    var workRule: ProofOfWork? { if case .work(let rule) = attested.rule { rule } else { nil } }

    /// The peer whose whole line is asked for; nil while several are asked for parts of one.
    var walkedPeer: Bytes32? {
        switch mode {
        case .parallel: nil
        case .single(let peer, _, _, _): peer
        case .probing(let peer, _, _): peer
        case .weighing: weighing?.peer
        }
    }

    /// Whether less work is known than the network asks for at least.
    public var lacksWork: Bool { workRule.map { attested.work < $0.terms.minimumWork } ?? false }
}

/// What the machine does about lines of proof of work.
enum WorkWalk {
    // MARK: Planning

    /// Looks for a line to weigh, or to be asked for from the floor up, where nothing else is under way.
    static func plan(_ sync: inout ChainSync, at now: Instant) {
        guard let rule = sync.workRule, let floor = sync.attested.storedFloor else { return }
        if sync.lacksWork {
            let least = floor.point.number
            guard sync.mode == .parallel,
                let (peer, goal) = sync.peers.highestToAsk(above: least, at: now, using: &sync.generator)
            else { return }
            let threshold = rule.terms.minimumWork - 1
            guard let presync = presync(&sync, rule, above: floor.point, floor.standing, moreThan: threshold) else {
                return
            }
            begin(LineWeighing(peer: peer, goal: goal, stage: .reading(presync), next: least + 1), &sync)
        } else if sync.mode == .parallel, sync.segments.isEmpty, sync.unproven.isEmpty {
            guard let id = sync.peers.onAnotherLine(than: sync.attested, at: now), let peer = sync.peers[id] else {
                return
            }
            sync.peers[id]?.probed = peer.headHash
            probe(id, &sync)
        }
    }

    /// Asks one peer for its whole line above the floor.
    static func probe(_ id: Bytes32, _ sync: inout ChainSync) {
        sync.resetWalk()
        guard let peer = sync.peers[id] else { return }
        let floor = sync.attested.floor.number
        sync.mode = .probing(
            peer: id, next: floor + 1, goal: min(peer.highest, floor + UInt64(ChainLimits.heldHeaders)))
    }

    /// Goes on with what is under way.
    static func goOn(_ sync: inout ChainSync, at now: Instant) {
        switch sync.mode {
        case .probing(let id, let next, let goal):
            guard let peer = sync.peers[id], !peer.isResting(at: now) else { return sync.resetWalk() }
            if next > goal {
                sync.resetWalk()
                // What it has is known now. If its head is not, it has less behind it than ours, or has changed.
                if !sync.attested.holds(peer.headHash) { sync.peers.failed(id, at: now) }
            } else if !isAsking(id, sync) {
                _ = sync.request(next, Int(min(UInt64(ChainNetworkLimits.batch), goal - next + 1)), of: id, at: now)
            }
        case .weighing:
            guard let line = sync.weighing, let peer = sync.peers[line.peer],
                peer.failures < ChainNetworkLimits.weighingAttempts
            else { return sync.resetWalk() }
            // What was read so far is worth a rest or two.
            guard !peer.isResting(at: now), !isAsking(line.peer, sync) else { return }
            switch line.stage {
            case .seeking: sync.requestDownward(from: sync.attested.floor.number, of: line.peer, at: now)
            case .reading where line.next > line.goal: ended(line, &sync, at: now)
            case .reading:
                let count = min(UInt64(ChainNetworkLimits.headersPerRequest), line.goal - line.next + 1)
                _ = sync.request(line.next, Int(count), of: line.peer, at: now)
            }
        case .parallel, .single: return
        }
    }

    private static func isAsking(_ peer: Bytes32, _ sync: ChainSync) -> Bool {
        sync.requests.values.contains { $0.isWanted && $0.peer == peer }
    }

    private static func begin(_ line: LineWeighing, _ sync: inout ChainSync) {
        sync.resetWalk()
        sync.mode = .weighing
        sync.weighing = line
    }

    private static func presync(
        _ sync: inout ChainSync, _ rule: ProofOfWork, above start: StatePoint, _ standing: HeaderStanding,
        moreThan threshold: UInt128
    ) -> Presync? {
        guard case .work(let base) = standing else { return nil }
        let salt = Bytes32(
            sync.generator.next(), sync.generator.next(), sync.generator.next(), sync.generator.next())
        return Presync(rule, above: start, base, moreThan: threshold, salt: salt)
    }

    /// The whole line was read and has too little work: who serves it may not know a better one.
    private static func ended(_ line: LineWeighing, _ sync: inout ChainSync, at now: Instant) {
        sync.resetWalk()
        sync.peers.failed(line.peer, at: now)
    }

    // MARK: Taking in

    /// The next headers of the line that is weighed.
    static func take(_ run: [CertifiedHeader], _ sync: inout ChainSync, at now: Instant) {
        // Only what is small of it: a copy of the rest would be made anew with every answer.
        guard let line = sync.weighing?.subject, let first = run.first else { return }
        guard sync.weighing?.isReading ?? false else { return meet(run, line, &sync, at: now) }
        let unixSeconds = sync.unixSeconds
        do throws(ChainError) {
            if run.contains(where: { $0.certificate != nil }) {
                throw .work(.certificate(number: first.header.number))
            }
            var released: [BlockHeader] = []
            let step = try sync.weighing?.read(run.map(\.header), at: unixSeconds, released: &released)
            if line.isRival { noteFork(run, &sync) }
            if !released.isEmpty {
                sync.report(
                    try sync.attested.accept(released.map { CertifiedHeader(header: $0) }, at: unixSeconds))
            }
            sync.peers[line.peer]?.failures = 0
            switch step {
            case .again(let next)? where !line.isRival: sync.weighing?.next = next
            case .again?: stop(&sync)
            case .goOn(let next)?: sync.weighing?.next = next
            case .done?, nil: sync.resetWalk()
            }
        } catch {
            failed(line, error, &sync, at: now)
        }
    }

    private static func failed(
        _ line: LineWeighing.Subject, _ error: ChainError, _ sync: inout ChainSync, at now: Instant
    ) {
        sync.resetWalk()
        switch error {
        case .unknownParent where !line.isRival: leaves(line.peer, &sync, at: now)
        case .unknownParent, .ahead, .belowFinal, .tooManyUnverified: sync.peers.failed(line.peer, at: now)
        // The upper end of an honest peer's line may have changed between the two times.
        case .work(.notAsBefore(let number)) where line.goal < number + (sync.workRule?.terms.undoDepth ?? 0):
            sync.peers.failed(line.peer, at: now)
        default: sync.penalise(line.peer, .invalid(error), at: now)
        }
    }

    // MARK: Lines that leave ours below the floor

    /// The peer's line does not go through our floor: where does it leave ours, and is it heavier?
    static func leaves(_ id: Bytes32, _ sync: inout ChainSync, at now: Instant) {
        let floor = sync.attested.floor
        guard let peer = sync.peers[id], floor != sync.configuration.checkpoint, sync.workRule != nil,
            peer.highest > floor.number
        else {
            sync.resetWalk()
            return sync.peers.failed(id, at: now)
        }
        begin(LineWeighing(peer: id, goal: peer.highest, stage: .seeking, next: floor.number, fork: nil), &sync)
    }

    /// Headers below the floor at doubling distances came: from the highest that is on both lines on, the peer's is
    /// read.
    private static func meet(
        _ run: [CertifiedHeader], _ line: LineWeighing.Subject, _ sync: inout ChainSync, at now: Instant
    ) {
        let common = run.first { sync.attested.certifiedHeader(at: $0.header.number)?.header.hash == $0.header.hash }
        guard let rule = sync.workRule, let point = common?.header.point,
            let standing = Judging.standing(at: point.number, in: sync.attested),
            let presync = presync(&sync, rule, above: point, standing, moreThan: sync.attested.work)
        else {
            // It lies deeper than headers are in memory here, or on another chain.
            sync.resetWalk()
            return sync.peers.failed(line.peer, at: now)
        }
        begin(
            LineWeighing(
                peer: line.peer, goal: line.goal, stage: .reading(presync), next: point.number + 1, fork: point),
            &sync)
    }

    private static func noteFork(_ run: [CertifiedHeader], _ sync: inout ChainSync) {
        let last = run.last { sync.attested.certifiedHeader(at: $0.header.number)?.header.hash == $0.header.hash }
        if let last { sync.weighing?.fork = last.header.point }
    }

    /// It is heavier: what is final here is not, there, and nothing can go on.
    private static func stop(_ sync: inout ChainSync) {
        guard let line = sync.weighing, let fork = line.fork, let end = line.end else { return }
        sync.resetWalk()
        Judging.stop(&sync.attested, fork: fork, rival: end)
        if let conflict = sync.attested.conflict { sync.directives.append(.conflict(conflict)) }
    }
}

extension LineWeighing {
    /// The end of the line as it was read the first time.
    var end: StatePoint? { if case .reading(let presync) = stage { presync.end } else { nil } }

    /// Takes headers in; nil where none are expected.
    mutating func read(
        _ run: [BlockHeader], at unixSeconds: UInt64, released: inout [BlockHeader]
    ) throws(ChainError) -> Presync.Step? {
        guard case .reading(var presync) = stage else { return nil }
        // Taken out meanwhile, so that what it keeps is not copied.
        stage = .seeking
        let step = try presync.take(run, at: unixSeconds, released: &released)
        stage = .reading(presync)
        return step
    }
}
