import Primitives

/// What a run of headers changed.
public struct ChainAdvance: Hashable, Sendable {
    /// Headers that became attested, rising by number.
    public var attested: [CertifiedHeader] = []
    /// What is to be kept on disk, rising by number: headers that a voter vouches for now, on whatever branch, or that
    /// carry a final claim which still matters, and those whose certificate grew. From all that is kept
    /// `init(configuration:restoring:)` comes to the same head and final block.
    public var keep: [CertifiedHeader] = []
    /// What was to be kept and is not any more, rising: headers that no voter vouches for since it changed its mind,
    /// and branches that the final block excludes. To be forgotten in the transaction that keeps the others.
    public var drop: [StatePoint] = []
    /// Where attested headers are attested no longer, the lowest height of them: a reorganisation.
    public var leftAt: UInt64?
    /// The attested head, where it is another one now.
    public var head: StatePoint?
    /// The final block, where it is another one now.
    public var final: StatePoint?
    /// Anchors that became usable, rising.
    public var anchors: [Anchor] = []
    /// Anchors that are usable no longer, rising: a heavier line took the place of their boundary blocks.
    public var lostAnchors: [Anchor] = []
    /// Claims that were checked and had not been known: worth passing on even where they are not enough yet.
    public var newVotes = 0

    public init() {}

    /// The checkpoint's header is known now, and what anchors follow from that.
    mutating func take(checkpoint: CertifiedHeader, _ anchors: [Anchor]) {
        attested = [checkpoint]
        keep = [checkpoint]
        self.anchors = anchors
    }

    /// Whether nothing is attested, final or usable that was not before.
    public var isEmpty: Bool { attested.isEmpty && head == nil && final == nil && anchors.isEmpty }
    /// Headers that became attested by themselves, or by what came with them, and not by the word of others.
    public var judged = 0
}

/// The chain as far as its rule vouches for it. See the essay in `Chain.swift`.
public struct AttestedChain: Sendable {
    public let configuration: NetworkConfiguration
    public let rule: ChainRule
    /// The newest final block; at first the checkpoint. Under proof of work it may go back, as far as the floor.
    public internal(set) var final: StatePoint
    /// The newest attested block, on the final one's line; the final one itself where nothing above is attested.
    public internal(set) var head: StatePoint
    /// When enough keys had last attested the head (or one before it), Unix seconds; nil before any certificate. Under
    /// rules without such words the head's own time.
    public internal(set) var attestedAt: UInt64?
    /// Set for good once two finals contradict each other: every later call throws it again.
    public internal(set) var conflict: ChainError?

    /// The line up to the floor, and the anchors.
    var kept: KeptLine
    /// The floor's standing; nil where that needs the checkpoint's header and the header is not known.
    public internal(set) var floorStanding: HeaderStanding?
    var tree: HeaderTree
    /// The attested headers above the floor, and those above the head that some key vouches for: too few yet, but they
    /// may be what proves the head, where keys have signed different blocks.
    var line: FollowedLine
    var votes: VoteBook
    /// Stored headers that made room for others and are to be forgotten with the next advance.
    var evicted: [CertifiedHeader] = []
    /// Whether the line is to be found anew from the final block on, because votes went with what made room.
    var isLineInDoubt = false
    /// Stored headers that do not lead anywhere any more, found at the restoring: an earlier version left them.
    public internal(set) var leftovers: [StatePoint] = []

    /// A chain of which only the checkpoint is known.
    public init(configuration: NetworkConfiguration) {
        self.init(configuration: configuration, rule: ChainRule(configuration))
    }

    /// The same under a rule of the caller's.
    public init(configuration: NetworkConfiguration, rule: ChainRule) {
        self.configuration = configuration
        self.rule = rule
        kept = KeptLine(configuration.epochs)
        floorStanding = rule.standing(ofCheckpoint: nil)
        final = configuration.checkpoint
        head = configuration.checkpoint
        tree = HeaderTree(root: configuration.checkpoint)
        line = FollowedLine(above: configuration.checkpoint.number)
        votes = VoteBook(voterCount: rule.voting.voterCount)
    }

    /// A chain resumed from the attested headers that the node itself has stored, in any order.
    ///
    /// Certificates are checked again, so the head and the final block come out as they were. Where headers were
    /// pruned, the first of the newest unbroken run is trusted as final, like the store itself, and so are boundary
    /// headers below.
    ///
    /// `floor`: what was stored with them where headers are judged as they come (`storedFloor`).
    public init(
        configuration: NetworkConfiguration, restoring stored: [CertifiedHeader], floor: StoredFloor? = nil
    ) throws(ChainError) {
        let rule = ChainRule(configuration)
        if rule.finality != .byVotes {
            let checkpoint = stored.first { $0.point == configuration.checkpoint }
            let base = rule.standing(ofCheckpoint: checkpoint?.header).map {
                StoredFloor(point: configuration.checkpoint, standing: $0)
            }
            guard let floor = floor ?? base else {
                self.init(configuration: configuration)
                return
            }
            try self.init(configuration: configuration, resuming: stored, above: floor)
            return
        }
        self.init(configuration: configuration, rule: rule)
        let sorted = stored.filter { $0.header.number >= configuration.checkpoint.number }
            .sorted { $0.point < $1.point }
        guard var start = sorted.indices.last else { return }
        while start > 0, sorted[start - 1].header.number &+ 1 >= sorted[start].header.number { start -= 1 }
        if sorted[start].header.number > configuration.checkpoint.number + 1 {
            _ = kept.record(Array(sorted[..<start]))
            // Of siblings at the run's beginning the one that the top goes back to is the one that stayed.
            let first = sorted[start...].prefix { $0.header.number == sorted[start].header.number }
            let base = AttestedChain.root(of: sorted[start...], among: first) ?? sorted[start]
            _ = kept.begin(with: base)
            final = base.point
            head = final
            tree = HeaderTree(root: final)
            line = FollowedLine(above: final.number)
            start += first.count
        }
        let lowest = sorted[start...].first?.header.number ?? .max
        var run: [CertifiedHeader] = []
        for entry in sorted[start...] {
            let isLinked = run.last.map { $0.header.hash == entry.header.parentHash } ?? true
            if !isLinked || run.count == AttestedChain.restoringRun {
                try restore(run)
                run = []
            }
            run.append(entry)
        }
        try restore(run)
        leftovers = sorted.lazy.map(\.point).filter { $0.number >= lowest && !isRestored($0) }
    }

    /// The one of `roots` from which most of a rising run descends in an unbroken line.
    private static func root(
        of run: ArraySlice<CertifiedHeader>, among roots: ArraySlice<CertifiedHeader>
    ) -> CertifiedHeader? {
        var rootOf = Dictionary(roots.map { ($0.header.hash, $0.header.hash) }) { first, _ in first }
        var highest: [Bytes32: UInt64] = [:]
        for entry in run {
            guard let root = rootOf[entry.header.hash] ?? rootOf[entry.header.parentHash] else { continue }
            rootOf[entry.header.hash] = root
            highest[root] = max(highest[root] ?? 0, entry.header.number)
        }
        return roots.max { (highest[$0.header.hash] ?? 0) < (highest[$1.header.hash] ?? 0) }
    }

    /// Whether a stored header has its place here.
    private func isRestored(_ point: StatePoint) -> Bool {
        if point.number > final.number { return tree.nodes[point.hash]?.isStored ?? false }
        return header(at: point.number)?.hash == point.hash
    }

    /// Headers restored at once; what lies between two certificates must fit above the final block.
    private static let restoringRun = 256

    /// Of a branch that was left an earlier version kept the upper headers without the lower ones, or all of it below
    /// the final block. No start may fail for that: what does not join is left out, and asked of others where it is
    /// needed.
    private mutating func restore(_ run: [CertifiedHeader]) throws(ChainError) {
        do throws(ChainError) {
            _ = try accept(run)
        } catch {
            switch error {
            case .belowFinal, .unknownParent, .tooManyUnverified: return
            default: throw error
            }
        }
    }

    // MARK: What is known

    /// Whether the attestation is older than the rule allows, or there is none.
    public func isStale(at unixSeconds: UInt64) -> Bool {
        guard let attestedAt else { return true }
        return unixSeconds > attestedAt && unixSeconds - attestedAt > rule.maxAgeSeconds
    }

    /// The attested header at a height, with its certificate; nil above the head and below what is kept.
    public func certifiedHeader(at number: UInt64) -> CertifiedHeader? {
        guard number > floor.number else { return kept.entry(at: number) }
        guard let place = line.place(of: number), place < line.attestedCount else { return nil }
        return tree.nodes[line[place]]?.entry
    }

    /// The attested header at a height; nil above the head and below what is kept, save for boundary blocks.
    public func header(at number: UInt64) -> BlockHeader? {
        if let header = certifiedHeader(at: number)?.header { return header }
        guard configuration.epochs.isBoundary(number) else { return nil }
        return kept.boundary(of: configuration.epochs.epoch(of: number))
    }

    /// The attested header of that very block; nil for any other block.
    public func header(of point: StatePoint) -> BlockHeader? {
        header(at: point.number).flatMap { $0.hash == point.hash ? $0 : nil }
    }

    /// The attested header with that hash; nil where it is not known or nothing vouches for it.
    public func header(hash: Bytes32) -> BlockHeader? {
        if let number = tree.nodes[hash]?.entry.header.number {
            return header(of: StatePoint(number: number, hash: hash))
        }
        return kept.entry(hash: hash)?.header
    }

    /// The head's header; nil only as long as it is a checkpoint without one.
    public var headHeader: BlockHeader? { header(of: head) }
    /// The final block's header; nil only as long as it is a checkpoint without one.
    public var finalHeader: BlockHeader? { certifiedHeader(at: final.number)?.header }

    /// Whether the block is the final one, the checkpoint, or on the attested line.
    public func isAttested(_ point: StatePoint) -> Bool { point == floor || header(of: point) != nil }
    /// Whether the block is the final one or one kept below it.
    public func isFinal(_ point: StatePoint) -> Bool { point.number <= final.number && isAttested(point) }

    /// Whether the header is held at all, attested or not. Says nothing about whether it is to be believed.
    public func holds(_ hash: Bytes32) -> Bool { tree.contains(hash) || header(hash: hash) != nil }

    /// Whether the anchor is usable: its boundary block is final.
    public func isFinal(_ anchor: Anchor) -> Bool { header(of: anchor) != nil }

    /// The header and the checked claims held for a block, attested or not.
    public func held(_ hash: Bytes32) -> CertifiedHeader? {
        tree.nodes[hash]?.entry ?? kept.entry(hash: hash)
    }

    /// The last block served to others: the head, or beyond it the last that any key vouches for.
    public var servedTip: UInt64 { floor.number + UInt64(line.count) }

    /// What is served at a height: the attested line, and above it what some key vouches for.
    public func servedHeader(at number: UInt64) -> CertifiedHeader? {
        guard number > head.number else { return certifiedHeader(at: number) }
        return line.hash(at: number).flatMap { tree.nodes[$0]?.entry }
    }

    /// The blocks from the one above the floor up to a held one, which is the last; none where it is not held.
    public func line(to point: StatePoint) -> [StatePoint] {
        tree.path(to: point.hash).compactMap { tree.nodes[$0]?.entry.point }
    }

    /// The block below which nothing changes any more: the final one; under proof of work the one as deep below the
    /// head as a heavier line may reach. All that is held in the tree descends from it.
    public var floor: StatePoint { tree.root }

    /// Number of headers held above the floor, attested or not.
    public var unfinalCount: Int { tree.count }

    /// Whether the line that is followed has as many headers above the final one as bridges make.
    public var isFull: Bool { line.count >= ChainLimits.unfinalHeaders }

    /// Lowest block of the final line still kept; nil before the checkpoint's header is known.
    public var lowest: UInt64? { kept.first?.header.number }

    /// Whether the checkpoint's header is not known, and what is kept begins right above it.
    public var lacksCheckpoint: Bool {
        kept.first.map { $0.header.parentHash == configuration.checkpoint.hash } ?? (floor == configuration.checkpoint)
    }

    /// The anchor of an epoch, once its boundary block is final.
    public func anchor(epoch: UInt64) -> Anchor? {
        kept.anchor(epoch: epoch)
    }

    /// All usable anchors, rising.
    public var anchors: [Anchor] { kept.anchors }

    /// The usable anchor of the latest epoch.
    public var newestAnchor: Anchor? { kept.newestAnchor }

    /// The boundary block's header of a usable anchor; nil for any other.
    public func header(of anchor: Anchor) -> BlockHeader? {
        kept.boundary(of: anchor.epoch).flatMap { $0.hash == anchor.hash ? $0 : nil }
    }

    // MARK: What changes it

    /// Takes a run of headers, each the parent of the next, that joins what is held. Known ones may be among them.
    /// Either all of the run is taken or, with an error, nothing of it.
    ///
    /// `unixSeconds`: the time now. Under proof of work headers that are dated later are refused for the moment; left
    /// out, none is.
    public mutating func accept(
        _ run: [CertifiedHeader], at unixSeconds: UInt64 = .max
    ) throws(ChainError) -> ChainAdvance {
        if let conflict { throw conflict }
        try AttestedChain.checkLinks(run)
        guard case .joins(let fresh, let checkpoint) = try placement(of: run) else {
            let (error, isConflict) = try forkError(run)
            if isConflict { conflict = error }
            throw error
        }
        if rule.finality != .byVotes {
            return try Judging.take(fresh, checkpoint: checkpoint, at: unixSeconds, &self)
        }
        let found = try verifiedVotes(in: fresh)
        try makeRoom(for: fresh)
        var advance = ChainAdvance()
        if let checkpoint { advance.take(checkpoint: checkpoint, kept.begin(with: checkpoint)) }
        for entry in found.entries { tree.insert(entry) }
        for (vote, carrier) in found.votes { votes.record(vote, with: carrier, in: &tree) }
        advance.newVotes = found.votes.count
        // Without a new vote nothing can have become attested: a voter's claim stands on a header already held.
        guard !found.votes.isEmpty || isLineInDoubt else { return advance }
        let grown = found.entries.filter { $0.certificate != nil }.map(\.header.hash)
        try settle(&advance, grown: Set(grown))
        return advance
    }

    /// Forgets headers below `number`, never the floor; boundary headers stay within their own limit.
    public mutating func prune(below number: UInt64) { kept.prune(below: number) }

    mutating func makeRoom(for fresh: [CertifiedHeader]) throws(ChainError) {
        guard let first = fresh.first else { return }
        let new = fresh.count { !tree.contains($0.header.hash) }
        guard tree.count + new > ChainLimits.heldHeaders else { return }
        // Where all that is held is the line itself, nothing can go.
        if tree.count > line.count {
            let ends = [line.last ?? tree.root.hash, first.header.parentHash]
            if rule.finality == .byVotes {
                evicted += tree.keepOnly(pathsTo: ends, heads: votes.headHashes, carriers: votes.carriers)
                isLineInDoubt = true
            } else {
                tree.keepOnly(pathsTo: ends)
            }
        }
        guard tree.count + new <= ChainLimits.heldHeaders else {
            throw .tooManyUnverified(limit: ChainLimits.heldHeaders)
        }
    }
}
