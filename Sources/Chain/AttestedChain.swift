import Primitives

/// What a run of headers changed.
public struct ChainAdvance: Hashable, Sendable {
    /// Headers that became attested, rising by number.
    public var attested: [CertifiedHeader] = []
    /// What is to be kept on disk, rising by number: those, attested ones whose certificate grew, and ones above the
    /// head that carry claims. From these `init(configuration:restoring:)` comes to the same head and final block.
    public var keep: [CertifiedHeader] = []
    /// The attested head, where it is another one now.
    public var head: StatePoint?
    /// The final block, where it is another one now.
    public var final: StatePoint?
    /// Anchors that became usable, rising.
    public var anchors: [Anchor] = []
    /// Claims that were checked and had not been known: worth passing on even where they are not enough yet.
    public var newVotes = 0

    public init() {}
    /// Whether nothing is attested, final or usable that was not before.
    public var isEmpty: Bool { attested.isEmpty && head == nil && final == nil && anchors.isEmpty }
}

/// The chain as far as its rule vouches for it. See the essay in `Chain.swift`.
public struct AttestedChain: Sendable {
    public let configuration: NetworkConfiguration
    let rule: any ChainRule
    /// The newest final block; at first the checkpoint.
    public private(set) var final: StatePoint
    /// The newest attested block, on the final one's line; the final one itself where nothing above is attested.
    public private(set) var head: StatePoint
    /// When enough keys had last attested the head (or one before it), Unix seconds; nil before any certificate.
    public private(set) var attestedAt: UInt64?
    /// Set for good once two finals contradict each other: every later call throws it again.
    public private(set) var conflict: ChainError?

    /// The final line, contiguous, its last one the final block. Empty until the checkpoint's header is known.
    private(set) var kept: [CertifiedHeader] = []
    /// Headers of final boundary blocks by epoch; they outlive pruning.
    private var anchorHeaders: [UInt64: BlockHeader] = [:]
    private(set) var tree: HeaderTree
    /// The attested hashes above the final block, rising by number.
    private var line: [Bytes32] = []
    /// The hashes above the head that some key vouches for, on one line: too few yet, but they may be what proves the
    /// head, where keys have signed different blocks.
    private var supported: [Bytes32] = []
    private(set) var votes: VoteBook

    /// A chain of which only the checkpoint is known.
    public init(configuration: NetworkConfiguration) {
        self.init(configuration: configuration, rule: AttestedHeadRule(configuration))
    }

    /// The same under a rule of the caller's.
    public init(configuration: NetworkConfiguration, rule: any ChainRule) {
        self.configuration = configuration
        self.rule = rule
        final = configuration.checkpoint
        head = configuration.checkpoint
        tree = HeaderTree(root: configuration.checkpoint)
        votes = VoteBook(voterCount: rule.voterCount)
    }

    /// A chain resumed from the attested headers that the node itself has stored, in any order.
    ///
    /// Certificates are checked again, so the head and the final block come out as they were. Where headers were
    /// pruned, the first of the newest unbroken run is trusted as final, like the store itself, and so are boundary
    /// headers below.
    public init(configuration: NetworkConfiguration, restoring stored: [CertifiedHeader]) throws(ChainError) {
        self.init(configuration: configuration)
        let sorted = stored.filter { $0.header.number >= configuration.checkpoint.number }
            .sorted { $0.point < $1.point }
        guard var start = sorted.indices.last else { return }
        while start > 0, sorted[start - 1].header.number &+ 1 >= sorted[start].header.number { start -= 1 }
        if sorted[start].header.number > configuration.checkpoint.number + 1 {
            _ = recordAnchors(Array(sorted[..<start]))
            // Of siblings at the run's beginning the one that goes on is the one that stayed.
            let first = sorted[start...].prefix { $0.header.number == sorted[start].header.number }
            let parents = Set(sorted[start...].map(\.header.parentHash))
            let base = first.first { parents.contains($0.header.hash) } ?? sorted[start]
            _ = recordAnchors([base])
            kept = [base]
            final = base.point
            head = final
            tree = HeaderTree(root: final)
            start += first.count
        }
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
    }

    /// Headers restored at once; what lies between two certificates must fit above the final block.
    private static let restoringRun = 256

    /// Branches that were left before the final block passed them are of no use any more.
    private mutating func restore(_ run: [CertifiedHeader]) throws(ChainError) {
        do throws(ChainError) {
            _ = try accept(run)
        } catch .belowFinal {
            return
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
        if number > final.number {
            let offset = number - final.number - 1
            return offset < line.count ? tree.nodes[line[Int(offset)]]?.entry : nil
        }
        guard let first = kept.first?.header.number, number >= first else { return nil }
        return kept[Int(number - first)]
    }

    /// The attested header at a height; nil above the head and below what is kept, save for boundary blocks.
    public func header(at number: UInt64) -> BlockHeader? {
        if let header = certifiedHeader(at: number)?.header { return header }
        guard configuration.isBoundary(number) else { return nil }
        return anchorHeaders[configuration.epoch(of: number)]
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
        return kept.last { $0.header.hash == hash }?.header
    }

    /// The head's header; nil only as long as it is a checkpoint without one.
    public var headHeader: BlockHeader? { header(of: head) }
    /// The final block's header; nil only as long as it is a checkpoint without one.
    public var finalHeader: BlockHeader? { kept.last?.header }

    /// Whether the block is the final one, the checkpoint, or on the attested line.
    public func isAttested(_ point: StatePoint) -> Bool { point == final || header(of: point) != nil }
    /// Whether the block is the final one or one kept below it.
    public func isFinal(_ point: StatePoint) -> Bool { point.number <= final.number && isAttested(point) }

    /// Whether the header is held at all, attested or not. Says nothing about whether it is to be believed.
    public func holds(_ hash: Bytes32) -> Bool { tree.contains(hash) || header(hash: hash) != nil }

    /// Whether the anchor is usable: its boundary block is final.
    public func isFinal(_ anchor: Anchor) -> Bool { header(of: anchor) != nil }

    /// The header and the checked claims held for a block, attested or not.
    public func held(_ hash: Bytes32) -> CertifiedHeader? {
        tree.nodes[hash]?.entry ?? kept.last { $0.header.hash == hash }
    }

    /// The last block served to others: the head, or beyond it the last that any key vouches for.
    public var servedTip: UInt64 { head.number + UInt64(supported.count) }

    /// What is served at a height: the attested line, and above it what some key vouches for.
    public func servedHeader(at number: UInt64) -> CertifiedHeader? {
        guard number > head.number else { return certifiedHeader(at: number) }
        let offset = number - head.number - 1
        return offset < supported.count ? tree.nodes[supported[Int(offset)]]?.entry : nil
    }

    /// Whether a header's own certificate is enough to attest it, its ancestors not being known yet. Changes nothing.
    public func isVouchedFor(_ entry: CertifiedHeader) -> Bool {
        var voters = VoterSet()
        for signed in entry.certificate?.claims ?? [] where signed.claim.point == entry.point {
            guard case .success(let vote) = Result(catching: { try rule.vote(in: signed) }) else { return false }
            voters.insert(vote.voter)
        }
        return rule.suffices(voters)
    }

    /// The claims that may go round with an attested block: signed by keys of the network, head claims of that block,
    /// final ones of it or of attested blocks below. nil where there are none.
    public func claimsThatHold(in certificate: Certificate, of point: StatePoint) -> Certificate? {
        Certificate(
            certificate.claims.filter { signed in
                let claimed = signed.claim.point
                let fits =
                    signed.claim.kind == .head
                    ? claimed == point : claimed.number <= point.number && isAttested(claimed)
                guard fits, case .success = Result(catching: { try rule.vote(in: signed) }) else { return false }
                return true
            })
    }

    /// Number of headers held above the final one, attested or not.
    public var unfinalCount: Int { tree.count }

    /// Lowest block of the final line still kept; nil before the checkpoint's header is known.
    public var lowest: UInt64? { kept.first?.header.number }

    /// Whether the checkpoint's header is not known, and what is kept begins right above it.
    public var lacksCheckpoint: Bool {
        kept.first.map { $0.header.parentHash == configuration.checkpoint.hash } ?? (final == configuration.checkpoint)
    }

    /// The anchor of an epoch, once its boundary block is final.
    public func anchor(epoch: UInt64) -> Anchor? {
        anchorHeaders[epoch].map { Anchor(epoch: epoch, hash: $0.hash) }
    }

    /// All usable anchors, rising.
    public var anchors: [Anchor] {
        anchorHeaders.keys.sorted().compactMap { anchor(epoch: $0) }
    }

    /// The usable anchor of the latest epoch.
    public var newestAnchor: Anchor? { anchorHeaders.keys.max().flatMap { anchor(epoch: $0) } }

    /// The boundary block's header of a usable anchor; nil for any other.
    public func header(of anchor: Anchor) -> BlockHeader? {
        anchorHeaders[anchor.epoch].flatMap { $0.hash == anchor.hash ? $0 : nil }
    }

    // MARK: What changes it

    /// Takes a run of headers, each the parent of the next, that joins what is held. Known ones may be among them.
    /// Either all of the run is taken or, with an error, nothing of it.
    public mutating func accept(_ run: [CertifiedHeader]) throws(ChainError) -> ChainAdvance {
        if let conflict { throw conflict }
        try AttestedChain.checkLinks(run)
        guard case .joins(let fresh, let checkpoint) = try placement(of: run) else {
            let (error, rival) = try forkError(run)
            if rival != nil { conflict = error }
            throw error
        }
        let found = try verifiedVotes(in: fresh)
        try makeRoom(for: fresh)
        var advance = ChainAdvance()
        if let checkpoint {
            kept.insert(checkpoint, at: 0)
            advance.attested = [checkpoint]
            advance.keep = [checkpoint]
            advance.anchors = recordAnchors([checkpoint])
        }
        for entry in found.entries { tree.insert(entry) }
        for vote in found.votes { votes.record(vote) }
        advance.newVotes = found.votes.count
        // Without a new vote nothing can have become attested: a voter's claim stands on a header already held.
        guard !found.votes.isEmpty else { return advance }
        let grown = found.entries.filter { $0.certificate != nil }.map(\.header.hash)
        try settle(&advance, grown: Set(grown))
        return advance
    }

    /// Forgets final headers below `number`, never the final one; boundary headers stay within their own limit.
    public mutating func prune(below number: UInt64) {
        kept.removeFirst(kept.dropLast().prefix { $0.header.number < number }.count)
    }

    private mutating func makeRoom(for fresh: [CertifiedHeader]) throws(ChainError) {
        guard let first = fresh.first else { return }
        func isFull() -> Bool {
            tree.count + fresh.count { tree.nodes[$0.header.hash] == nil } > ChainLimits.unfinalHeaders
        }
        if isFull() { tree.keepOnly(pathsTo: [supported.last ?? head.hash, first.header.parentHash]) }
        guard !isFull() else { throw .tooManyUnverified(limit: ChainLimits.unfinalHeaders) }
    }

    /// Finds the final block and the head anew from the votes.
    private mutating func settle(_ advance: inout ChainAdvance, grown: Set<Bytes32>) throws(ChainError) {
        let (known, stored) = (Set(line), Set(line + supported))
        let (oldFinal, oldHead) = (final, head)
        let newFinal = try deepestFinal()
        var passed: [CertifiedHeader] = []
        if newFinal != final.hash {
            passed = tree.advance(to: newFinal)
            final = tree.root
            kept.append(contentsOf: passed)
            advance.anchors += recordAnchors(passed)
        }
        votes.keep { tree.contains($0) }
        let tallies = tree.tallies(votes.ownHeadVotes)
        let newHead = deepestAttested(tallies)
        line = tree.path(to: newHead)
        supported = supportedLine(above: newHead, tallies)
        head = tree.nodes[newHead]?.entry.point ?? final
        if let newest = newestTime(of: tallies[newHead] ?? VoterSet()) { attestedAt = max(attestedAt ?? 0, newest) }
        let attested = passed + line.compactMap { tree.nodes[$0]?.entry }
        advance.attested += attested.filter { !known.contains($0.header.hash) }
        advance.keep += (attested + supported.compactMap { tree.nodes[$0]?.entry }).filter {
            !stored.contains($0.header.hash) || grown.contains($0.header.hash)
        }
        if final != oldFinal { advance.final = final }
        if head != oldHead { advance.head = head }
    }

    private mutating func deepestFinal() throws(ChainError) -> Bytes32 {
        let tallies = tree.tallies(votes.ownFinalVotes)
        var current = tree.root.hash
        while true {
            let final = tree.children(of: current).filter { rule.suffices(tallies[$0] ?? VoterSet()) }
            guard let next = final.first else { return current }
            if final.count > 1, let a = tree.nodes[final[0]]?.entry.point, let b = tree.nodes[final[1]]?.entry.point {
                throw stop(a, b)
            }
            current = next
        }
    }

    /// Records the conflict and gives the error to throw.
    private mutating func stop(_ a: StatePoint, _ b: StatePoint) -> ChainError {
        let error = ChainError.conflictingFinals(min(a, b), max(a, b))
        conflict = error
        return error
    }

    /// Of several attested branches the one with more voters, then the newer attestation, then the lower hash.
    private func deepestAttested(_ tallies: [Bytes32: VoterSet]) -> Bytes32 {
        var current = tree.root.hash
        while true {
            let best = tree.children(of: current)
                .map { (hash: $0, voters: tallies[$0] ?? VoterSet()) }
                .filter { rule.suffices($0.voters) }
                .map { (hash: $0.hash, count: $0.voters.count, time: newestTime(of: $0.voters) ?? 0) }
                .min { ($1.count, $1.time, $0.hash) < ($0.count, $0.time, $1.hash) }
            guard let best else { return current }
            current = best.hash
        }
    }

    private func supportedLine(above head: Bytes32, _ tallies: [Bytes32: VoterSet]) -> [Bytes32] {
        var line: [Bytes32] = []
        while true {
            let best = tree.children(of: line.last ?? head)
                .map { (hash: $0, count: tallies[$0]?.count ?? 0) }.filter { $0.count > 0 }
                .min { ($1.count, $0.hash) < ($0.count, $1.hash) }
            guard let best else { return line }
            line.append(best.hash)
        }
    }

    /// The latest time at which enough of `voters` had spoken.
    private func newestTime(of voters: VoterSet) -> UInt64? {
        var spoken = VoterSet()
        let byTime = (0..<rule.voterCount).filter { voters.contains($0) }
            .map { (time: votes.newestTime(of: $0), voter: $0) }.sorted { ($0.time, $1.voter) > ($1.time, $0.voter) }
        for (time, voter) in byTime {
            spoken.insert(voter)
            if rule.suffices(spoken) { return time }
        }
        return nil
    }

    private mutating func recordAnchors(_ passed: [CertifiedHeader]) -> [Anchor] {
        var added: [Anchor] = []
        for entry in passed where configuration.isBoundary(entry.header.number) {
            let epoch = configuration.epoch(of: entry.header.number)
            anchorHeaders[epoch] = entry.header
            added.append(Anchor(epoch: epoch, hash: entry.header.hash))
        }
        while anchorHeaders.count > ChainLimits.anchorHeaders, let oldest = anchorHeaders.keys.min() {
            anchorHeaders[oldest] = nil
        }
        return added
    }
}
