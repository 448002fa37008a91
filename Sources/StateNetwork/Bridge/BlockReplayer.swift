import Chain
import Primitives
import StateStore

/// What goes out with a bridge's block: its certificate, which the bridge's keys sign or a committee has signed; and
/// the block that these keys call final, if any.
struct Attestation: Sendable {
    let certified: CertifiedHeader
    let final: StatePoint?
}

/// Why a bridge cannot begin.
public enum BridgeKeyError: Error, Equatable, Sendable {
    /// An attesting seed, counted from 0, that is not 32 bytes of a secret key.
    case seed(index: Int)
    /// A key that is not among those of the network's rule.
    case notOfNetwork(index: Int, key: Bytes32)
    /// A key that was given before.
    case givenTwice(index: Int, key: Bytes32)
}

/// Applies blocks to the whole state, in order, one transaction each. A bridge has them from a recorded chain: each is
/// committed with its header, before the next is begun. Under *attested head* the bridge signs it with its keys; under
/// the other rules it brings what makes it believed: its work, or a committee's certificate. A node that goes block by
/// block has them from peers, several at a time, and the chain network has their headers already.
struct BlockReplayer: Sendable {
    /// What there may be no more of before a later block is final.
    private enum Shortage: Equatable, Sendable {
        /// Changes above the last anchor.
        case changes
        /// Blocks above the last final one.
        case blocks
    }

    /// What comes next.
    enum Step: Sendable {
        /// Nothing, until something happens.
        case wait
        /// This block is applied now. It counts as under way until `applied`, `refused` or `failed`.
        case apply(ReplayedBlock)
        /// This block was applied before; where the chain lacks its header, here it is.
        case passOver(StatePoint, CertifiedHeader?)
        /// A block does not follow on the last one.
        case outOfOrder(String)
        /// What there is to tell about waiting for finality.
        case tell(NodeReport.Level, String)
        /// A block of another line came, and with it these of a third are given up: the chain is to weigh its header
        /// before anything is done about it.
        case weigh(CertifiedHeader, insteadOf: [StatePoint])
        /// The chain goes another way than the blocks applied last: the state goes back to this block, above which all
        /// is undone. It counts as under way until `wentBack` or `stayed`.
        case goBack(StatePoint)
        /// Blocks that were applied before, or of a line that did not win, are passed by.
        case passedBy([StatePoint])
    }

    /// Whether the blocks are this node's own word: a bridge's.
    let signs: Bool
    /// Whether blocks are believed by the words of keys. Under other rules a bridge adds nothing to what comes with
    /// them.
    private let isByVotes: Bool
    private let keys: [AttestingKey]
    private let context: ClaimContext
    private let finalityDepth: UInt64
    /// Blocks given and not yet applied, in order; one is applied at a time.
    private var waiting: [ReplayedBlock] = []
    private var isBusy = false
    /// The chain network has not heard of the last one yet. What it says to it comes first: an anchor that becomes
    /// final by it, and the folds that follow.
    private var awaitsChain = false
    /// Not before this is a block tried again that the store refused.
    private(set) var pausedUntil: Instant?
    /// The newest block applied; nil before genesis.
    private(set) var head: StatePoint?
    /// Blocks applied and not yet signed as final, rising; where no keys sign, those that may be undone.
    private var unfinal: [StatePoint]
    /// The newest block that these keys have called final since this start.
    private var signedFinal: StatePoint?
    /// Blocks given that leave the line of those applied.
    private var branch = RivalBranch()
    /// What the next block waits for room for, which is told once; nil where it does not wait.
    private var shortage: Shortage?

    /// Throws where a seed is no secret key, or one that nobody in this network believes: a bridge that signs with less
    /// than it was given would go unnoticed until its network stands still.
    /// `unfinal`: the blocks above the last final one up to the head, as far as the store has them. `signs`: whether it
    /// is a bridge's.
    init(
        _ network: NetworkConfiguration, seeds: [[UInt8]], finalityDepth: UInt64, head: StatePoint?,
        unfinal: [StatePoint], signs: Bool = true
    ) throws(BridgeKeyError) {
        self.signs = signs
        isByVotes = network.rule.kind == .attested
        var keys: [AttestingKey] = []
        for (index, seed) in seeds.enumerated() {
            guard let key = Bytes32(seed).flatMap({ AttestingKey(seed: $0) }) else { throw .seed(index: index) }
            guard network.rule.keys.contains(key.publicKey) else {
                throw .notOfNetwork(index: index, key: key.publicKey)
            }
            guard !keys.contains(where: { $0.publicKey == key.publicKey }) else {
                throw .givenTwice(index: index, key: key.publicKey)
            }
            keys.append(key)
        }
        self.keys = keys
        self.finalityDepth = finalityDepth
        self.head = head
        self.unfinal = unfinal
        context = ClaimContext(network)
    }

    // MARK: Blocks

    /// Whether it is a bridge's whose blocks may lose to others.
    var countsWork: Bool { signs && !isByVotes }

    /// Blocks given that are not applied yet.
    var backlog: Int { waiting.count + branch.blocks.count + (isBusy ? 1 : 0) }

    /// A block of the execution chain.
    mutating func give(_ block: ReplayedBlock) { waiting.append(block) }

    /// The first block that is to be given. That is the one after the last applied; where the header of that is not
    /// here (an earlier version wrote it in a transaction of its own, or the same key attested another branch
    /// elsewhere), the first above the final block, so that the headers come again.
    func nextNumber(_ chain: some AttestedHeaders) -> UInt64 {
        guard let head else { return 0 }
        return lacksHeader(of: head, chain) ? chain.final.number + 1 : head.number + 1
    }

    private func lacksHeader(of point: StatePoint, _ chain: some AttestedHeaders) -> Bool {
        signs && point.number > chain.final.number && !chain.holds(point.hash)
    }

    /// What is to be done now: unless a block is under way, with the next one that waits, where there is room for it.
    mutating func next(_ book: SectionBook, _ chain: some AttestedHeaders, at moment: Moment) -> Step {
        guard !isBusy, !awaitsChain, !(waiting.isEmpty && branch.blocks.isEmpty) else { return .wait }
        if let pausedUntil, moment.instant < pausedUntil { return .wait }
        pausedUntil = nil
        if let head, let block = waiting.first, block.header.number <= head.number, lacksHeader(of: head, chain) {
            waiting.removeFirst()
            return passOver(block, head, chain, at: moment)
        }
        if let step = leave(book, chain) { return step }
        let expected = head.map { $0.number + 1 } ?? 0
        while let block = waiting.first, block.first != expected {
            waiting.removeFirst()
            guard block.first > expected else { continue }
            return .outOfOrder(
                "block \(block.first) was given where \(expected) is next: the chain's files must leave none "
                    + "out")
        }
        guard let block = waiting.first else { return .wait }
        let lacking = shortage(before: block, book, chain)
        if lacking != shortage {
            shortage = lacking
            return text(of: lacking, block.header.number, book, chain)
        }
        guard lacking == nil else { return .wait }
        return .apply(block)
    }

    // MARK: Other lines

    /// What is to be done about blocks that leave the line of those applied; nil where there are none. Keys speak for
    /// one line alone, so this is of blocks that count by their work.
    private mutating func leave(_ book: SectionBook, _ chain: some AttestedHeaders) -> Step? {
        guard let head, countsWork else { return nil }
        // What has become part of a base is not undone.
        if let base = book.lowestPoint { unfinal.removeFirst(unfinal.prefix { $0.number < base.number }.count) }
        if let first = branch.blocks.first?.header, chain.isAttested(first.point) {
            guard let fork = unfinal.first(where: { $0.hash == first.parentHash }) else {
                return cannotLeave(branch.giveUp(), head)
            }
            isBusy = true
            return .goBack(fork)
        }
        guard let block = waiting.first else { return branch.blocks.isEmpty ? nil : .wait }
        let point = block.header.point
        if unfinal.contains(point) || branch.blocks.contains(where: { $0.header.point == point }) {
            waiting.removeFirst()
            return .passedBy([point])
        }
        if let givenUp = branch.takes(block, beside: unfinal.dropLast()) {
            waiting.removeFirst()
            let header = CertifiedHeader(header: block.header, certificate: block.certificate)
            return .weigh(header, insteadOf: givenUp.map(\.header.point))
        }
        guard block.header.parentHash != head.hash else {
            return branch.blocks.isEmpty ? nil : .passedBy(branch.giveUp().map(\.header.point))
        }
        guard point.number <= head.number || !branch.blocks.isEmpty else { return nil }
        waiting.removeFirst()
        return cannotLeave([block], head)
    }

    private func cannotLeave(_ blocks: [ReplayedBlock], _ head: StatePoint) -> Step {
        let first = blocks.first.map { "\($0.header.point)" } ?? ""
        return .outOfOrder(
            "block \(first) parts from the blocks applied below block \(unfinal.first ?? head), and these cannot be "
                + "undone: begin again with another --data-dir")
    }

    /// The state is back at that block, and the blocks of the other line are next.
    mutating func wentBack(to fork: StatePoint) {
        isBusy = false
        head = fork
        unfinal.removeAll { $0.number > fork.number }
        waiting.insert(contentsOf: branch.giveUp(), at: 0)
    }

    /// The state could not go back yet.
    mutating func stayed() { isBusy = false }

    /// The block that `next` gave to be applied is under way.
    mutating func begin() {
        waiting.removeFirst()
        isBusy = true
    }

    /// A block that was applied before, where the chain lacks the header of the last one.
    private mutating func passOver(
        _ block: ReplayedBlock, _ head: StatePoint, _ chain: some AttestedHeaders, at moment: Moment
    ) -> Step {
        let isLast = block.header.number == head.number
        guard !isLast || block.header.hash == head.hash else {
            return .outOfOrder("block \(block.header.point) was given, but \(head) is what was applied at its height")
        }
        // One that the final block excludes by now is told when a block is to follow it.
        let entry = CertifiedHeader(header: block.header, certificate: block.certificate)
        guard chain.wouldTake(entry, at: moment.unixSeconds) else { return .passOver(block.header.point, nil) }
        awaitsChain = true
        guard isLast else { return .passOver(block.header.point, entry) }
        let word = attestation(of: block, at: moment.unixSeconds)
        said(word)
        return .passOver(block.header.point, word.certified)
    }

    // MARK: Room

    /// What the next block waits for until a later block is final: there are as many above the last final one as there
    /// may be; or the layers above the last anchor have all the room there is, and the word of others is what is
    /// missing to fold them. Where it is this bridge's own, more blocks have to come: it calls a boundary final only
    /// `finalityDepth` blocks later, and if all bridges waited before they had done so, none would ever go on. So what
    /// is above the last anchor is bounded in any case: by its room and one block, or by the changes of an epoch's
    /// blocks and of `finalityDepth` more, whichever is larger.
    private func shortage(
        before block: ReplayedBlock, _ book: SectionBook, _ chain: some AttestedHeaders
    ) -> Shortage? {
        // Blocks that others have made final already have all the room they need.
        guard signs else { return nil }
        // Where no keys decide nothing but more blocks makes others final.
        guard isByVotes else { return nil }
        if chain.isFull && !chain.holds(block.header.hash) { return .blocks }
        return book.isFullOfLayers && hasSignedNextAnchor(book) ? .changes : nil
    }

    /// Whether this bridge has called final, since its start, an anchor that not all sections were brought to yet.
    private func hasSignedNextAnchor(_ book: SectionBook) -> Bool {
        guard let signedFinal else { return false }
        return book.epochs.epoch(of: signedFinal.number) > book.epochs.epoch(of: book.lowestPoint?.number ?? 0)
    }

    private func text(
        of shortage: Shortage?, _ number: UInt64, _ book: SectionBook, _ chain: some AttestedHeaders
    ) -> Step {
        let cure = "are all bridges up whose keys the network's configuration asks for?"
        switch shortage {
        case .changes:
            return .tell(
                .warning,
                "block \(number) waits: \(book.layerBytes >> 20) MiB of changes are above the last anchor, and no "
                    + "later one is final; \(cure)")
        case .blocks:
            return .tell(
                .warning,
                "block \(number) waits: \(ChainLimits.unfinalHeaders) blocks are above block \(chain.final.number), "
                    + "the last one that is final; \(cure)")
        case nil: return .tell(.info, "block \(number) waits no longer: there is room for its changes")
        }
    }

    // MARK: Words

    /// What this bridge's keys say with the next block, and of the newest that is final then; under other rules what
    /// came with the block. It counts once the block is committed (`applied`).
    func attestation(of block: ReplayedBlock, at unixSeconds: UInt64) -> Attestation {
        let header = block.header
        guard isByVotes else {
            return Attestation(
                certified: CertifiedHeader(header: header, certificate: block.certificate), final: nil)
        }
        var claims = [Claim(kind: .head, point: header.point, unixSeconds: unixSeconds)]
        let final = final(below: header.point)
        if let final { claims.append(Claim(kind: .final, point: final, unixSeconds: unixSeconds)) }
        let certificate = Certificate(keys.flatMap { key in claims.map { key.sign($0, in: context) } })
        return Attestation(certified: CertifiedHeader(header: header, certificate: certificate), final: final)
    }

    /// The block that is called final with this next one; nil where none that is known lies deep enough.
    private func final(below next: StatePoint) -> StatePoint? {
        guard next.number >= finalityDepth else { return nil }
        let number = next.number - finalityDepth
        guard number < next.number, let first = unfinal.first else { return finalityDepth == 0 ? next : nil }
        // They follow one another.
        guard number >= first.number, number - first.number < UInt64(unfinal.count) else { return nil }
        return unfinal[Int(number - first.number)]
    }

    /// The block is the newest one now, and its word is out.
    private mutating func said(_ word: Attestation) {
        head = word.certified.point
        guard signs else { return }
        if let last = unfinal.last, last.number &+ 1 != word.certified.point.number { unfinal = [] }
        unfinal.append(word.certified.point)
        guard let final = word.final else { return }
        unfinal.removeFirst(unfinal.prefix { $0.number < final.number }.count)
        signedFinal = final
    }

    // MARK: Ends

    /// The block under way is committed, with this word.
    mutating func applied(_ word: Attestation) {
        isBusy = false
        awaitsChain = true
        said(word)
    }

    /// The chain network is about to hear of the last one.
    mutating func chainHears() { awaitsChain = false }

    /// The block under way does not hold.
    mutating func failed() { isBusy = false }

    /// The store refused the block under way: it waits, first in line.
    mutating func refused(_ block: ReplayedBlock, at now: Instant) {
        isBusy = false
        waiting.insert(block, at: 0)
        pausedUntil = now + StateNetworkLimits.storeRetry
    }
}
