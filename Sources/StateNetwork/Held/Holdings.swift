import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What this node holds of the state, as far as decisions need it in memory: the book of sections, the crowns with the
/// node pool, the code that is missing, and the block up to which all of it was verified. Each is a value of its own;
/// here is what follows from several of them together.
public struct Holdings: Sendable {
    public internal(set) var book: SectionBook
    public internal(set) var crowns: Crowns
    var codes: WantedCodes
    /// Storage that is spread round the ring.
    public internal(set) var spread: SpreadTries
    var verifier = HeadVerifier()
    /// Whose storage and code is kept.
    public let kept: KeptStorage

    /// What the store held at the start.
    init(
        depth: Int, epochLength: UInt64, arc: Range<Int>, records: [SectionRecord], layers: [BlockLayer],
        crowns stored: [(anchor: Anchor, crown: Crown)], wantedCodes: [WantedCode] = [], rule: Placement? = nil,
        keeping kept: KeptStorage = .all
    ) {
        self.kept = kept
        spread = SpreadTries(rule: rule)
        book = SectionBook(depth: depth, epochLength: epochLength, arc: arc, records: records, layers: layers)
        crowns = Crowns(depth: depth, epochLength: epochLength)
        codes = WantedCodes(wantedCodes)
        for layer in book.all.lazy.flatMap(\.layers) { note(layer.pathProof, at: layer.point.number) }
        for (anchor, crown) in stored { store(crown, at: anchor) }
    }

    /// A section of the arc; nil outside it.
    public func held(_ index: Int) -> SectionEntry? { book.held(index) }

    /// The newest block at whose root all that is held was compared with the proven section hashes.
    public var verifiedHead: StatePoint? { verifier.head?.point }

    /// Whether every announced section is complete and every code of theirs held: without the code of its accounts a
    /// state is not whole.
    var isComplete: Bool { hasAllCodes && book.isAllComplete }

    /// The anchor at which everything announced is complete with its code; nil while there is none.
    var completeAnchor: Anchor? { hasAllCodes ? book.completeAnchor : nil }

    private var hasAllCodes: Bool { book.isWidening ? codes.areHeld(in: book.announced) : codes.isEmpty }

    /// The arc and the announced part of it are these from now on.
    mutating func move(to arc: Range<Int>, announced: Range<Int>) {
        // What was verified at a block says nothing of sections that are announced only now.
        if announced.contains(where: { !book.announced.contains($0) }) { verifier = HeadVerifier() }
        book.move(to: arc, announced: announced)
        codes.keep(in: arc)
    }

    // MARK: Committed

    /// A section's base is this record now (nil: nothing is held). Gives the layers that do not fit onto it: the store
    /// has to forget them too.
    mutating func committed(_ record: SectionRecord?, section index: Int) -> [BlockLayer] {
        var dropped: [BlockLayer] = []
        book.change(index) { dropped = $0.take(record) }
        return dropped
    }

    /// A layer was committed: on top of the others, or, after a catch-up, in place of all of them. False where it does
    /// not go on from what is held any more, because a reorganisation came between: then it is not taken, the section
    /// is to be caught up, and the store has to forget the layer. `noting`: whether its path proof may be new here; of
    /// many layers of one block the caller notes each node once.
    mutating func committed(_ layer: BlockLayer, replacing: Bool, noting: Bool = true) -> Bool {
        var stands = false
        guard let id = book.id(of: layer.section) else { return false }
        book.change(id) { stands = $0.take(layer, replacing: replacing) }
        if stands, noting { note(layer.pathProof, at: layer.point.number) }
        return stands
    }

    /// A section was led on by a diff. `isCanonical`: of the block it was led to. Gives the layers that the store has
    /// to forget.
    mutating func crossed(_ outcome: DiffsTaken.Section, isCanonical: Bool?) -> [BlockLayer] {
        switch outcome {
        case .folded(let record):
            // The same transaction dropped the layers that do not fit.
            if let id = book.id(of: record.section) { _ = committed(record, section: id) }
        case .layered(let layer):
            if isCanonical != false, committed(layer, replacing: true) { return [] }
            // The chain's head changed while the layer was written: it was right, of a block that lost.
            return [layer] + layersLost(book.id(of: layer.section) ?? layer.section.index)
        case .unchanged(let section, let layersStand):
            if let id = book.id(of: section) { caughtUp(id, layersStand: layersStand) }
        }
        return []
    }

    /// Catching up found that the section is at the goal as its base is. Layers that say otherwise were dropped from
    /// the store (`layersStand` is false) and go here too.
    mutating func caughtUp(_ index: Int, layersStand: Bool = true) {
        book.change(index) { entry in
            if !layersStand { entry.layers = [] }
            entry.needsCatchUp = false
            entry.gapUntil = nil
        }
    }

    /// A catch-up dropped all layers of a section from the store, but what it put in their place does not stand: memory
    /// follows. Gives them.
    mutating func layersLost(_ index: Int) -> [BlockLayer] {
        let lost = held(index)?.layers ?? []
        book.change(index) { entry in
            entry.layers = []
            entry.needsCatchUp = true
        }
        return lost
    }

    /// Keeps a verified crown.
    mutating func store(_ crown: Crown, at anchor: Anchor) { crowns.store(crown, at: anchor, beside: verifier.head) }

    /// See `Crowns.note`.
    mutating func note(_ nodes: [[UInt8]], at number: UInt64) {
        if !nodes.isEmpty { crowns.note(nodes, at: number, beside: verifier.head) }
    }

    /// Drops the crowns that nothing held refers to; gives their anchors.
    mutating func pruneCrowns(newestFinal: Anchor?) -> [Anchor] {
        crowns.prune(needed: book.pointsNeeded, newestFinal: newestFinal)
    }

    // MARK: The head

    /// Compares all that is held with the proven section hashes at one block; on success that block is the verified
    /// head. At the attested head (`isHead`) nothing can be missing then.
    mutating func verify(at point: StatePoint, root: Bytes32, isHead: Bool) -> Bool {
        // Parts of storage are led from anchor to anchor by whoever keeps few.
        guard !kept.isAll || SpreadHeld.arePartsVerified(at: point.number, self),
            verifier.verify(at: point, root: root, &book, by: crowns)
        else {
            return false
        }
        if isHead { book.nothingIsMissing() }
        return true
    }

    /// Marks the sections that are not known to stand at this attested block as missing blocks.
    mutating func markBehind(at point: StatePoint, root: Bytes32) {
        for index in verifier.behind(at: point, root: root, book, crowns) {
            book.change(index) { $0.needsCatchUp = true }
        }
    }

    /// A reorganisation: what was verified on the line that lost no longer counts, and its layers are dropped. Gives
    /// them: the store has to forget them too.
    mutating func rewind(isCanonical: (StatePoint) -> Bool) -> [BlockLayer] {
        verifier.rewind(isCanonical: isCanonical)
        return book.rewind(isCanonical: isCanonical)
    }

    // MARK: What can be given

    /// The anchors at which complete sections are served, newest first, with the runs of sections at each. An anchor
    /// without its crown is not served.
    ///
    /// Who leaves storage out has no section whole, and serves none.
    public func servedAnchors() -> [AnchorSections] {
        guard kept.isAll else { return [] }
        return crowns.list.reversed().compactMap { anchor, _ in
            let runs = book.served(at: anchor)
            return runs.isEmpty ? nil : AnchorSections(anchor: anchor, runs: runs)
        }
    }

    /// Whether a held section's changes can be given up to `target`: its state there is known, and is the proven one.
    func canLead(_ index: Int, to target: StatePoint, proven: Bytes32) -> Bool {
        guard let record = held(index)?.record, record.isComplete else { return false }
        if target.number >= record.working.number { return book.stateHash(of: index, at: target.number) == proven }
        return record.previous == target
    }

    /// The sections of these whose layers (or none) already give an anchor's section hash, and that are not locked:
    /// they can be folded. The others are brought there by diffs.
    func ready(_ indices: some Sequence<Int>, for anchor: Anchor) -> [Int] {
        let goal = book.point(of: anchor)
        return indices.filter { index in
            guard !book.isLocked(index), let held = held(index), held.isComplete, let record = held.record,
                record.working.number < goal.number, let state = held.stateHash(at: goal.number),
                let proven = provenHash(of: index, at: anchor)
            else { return false }
            return proven == state
        }
    }

    /// The state root that the sections held at an anchor give; nil unless every section of the ring is complete there.
    /// While an arc becomes the whole ring, what is filled may stand at another anchor than what is announced: both
    /// together are no state.
    func rootOfSections(at anchor: Anchor) -> Bytes32? {
        let count = Section.count(depth: book.depth)
        guard book.completeCount(at: anchor) == count, let subtrees = book.baseSubtrees, subtrees.count == count else {
            return nil
        }
        return Crown(sections: subtrees, depth: book.depth).root
    }

    /// The crown of the state after block `number`, made of the sections held; nil unless all of the ring are complete
    /// and reach down to it. The caller compares its root with the header's.
    func rebuiltCrown(at number: UInt64) -> Crown? {
        guard let subtrees = book.subtrees(at: number), subtrees.count == Section.count(depth: book.depth) else {
            return nil
        }
        return Crown(sections: subtrees, depth: book.depth)
    }

    /// The crown of an anchor, where it is held or all sections that it is made of are. After a start between the block
    /// and its finality the crown is not in memory, but what it is made of is.
    func ownCrown(of anchor: Anchor, _ chain: some AttestedHeaders) -> Crown? {
        let crown = crowns.crown(at: anchor) ?? rebuiltCrown(at: book.point(of: anchor).number)
        return crown?.root == chain.header(of: anchor)?.stateRoot ? crown : nil
    }

    /// Who holds the whole ring can prove its head (`applied`, or the attested one) by what it holds. The proof that
    /// was written down may be of an earlier block: a kill may have come between a block and its proof. That of an
    /// epoch's first block which this node has applied is the crown of an anchor to come: nobody else has it, and it is
    /// stored once the anchor is final.
    mutating func noteOwnCrown(_ chain: some AttestedHeaders, at applied: StatePoint?) {
        guard let header = applied.flatMap({ chain.header(of: $0) }) ?? chain.headHeader,
            let crown = rebuiltCrown(at: header.number), crown.root == header.stateRoot
        else { return }
        guard applied == header.point else { return note(crown.nodes, at: header.number) }
        noteCrown(crown, at: header.point)
    }

    /// The crown after a block of this bridge. At an epoch's first block it is held until the block is final: then it
    /// is the anchor's.
    mutating func noteCrown(_ crown: Crown, at point: StatePoint) {
        if book.epochs.isBoundary(point.number) {
            store(crown, at: book.epochs.anchor(at: point))
        } else {
            note(crown.nodes, at: point.number)
        }
    }
}
