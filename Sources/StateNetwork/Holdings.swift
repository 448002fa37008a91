import Chain
import MerklePatricia
import Primitives
import StateStore

/// What this node holds of the state, as far as decisions need it in memory: for every section of its arc the
/// committed record, the block layers above it and the block diffs that wait; the crowns of served anchors; the node
/// pool.
///
/// The store is the truth: what is here changes only after the transaction that says the same was committed. A section
/// is *locked* while a job that will change it is under way; everything else that wants to change it waits its turn.
public struct Holdings: Sendable {
    /// A block diff that was received and is not yet verified.
    public struct PendingDiff: Sendable {
        public let key: BlockDiffKey
        public let value: BlockDiffValue
        public let encoded: [UInt8]
        /// Who sent it; nil for a diff of our own making.
        public let sender: Bytes32?
        public let receivedAt: Instant
        /// Whether a key of the network had spoken for the block when the diff came: nobody has made it up then.
        public let isVouched: Bool

        public init(
            key: BlockDiffKey, value: BlockDiffValue, encoded: [UInt8], sender: Bytes32?, receivedAt: Instant,
            isVouched: Bool
        ) {
            self.key = key
            self.value = value
            self.encoded = encoded
            self.sender = sender
            self.receivedAt = receivedAt
            self.isVouched = isVouched
        }
    }

    /// One section of the arc.
    public struct Held: Sendable {
        /// nil: nothing is held.
        public internal(set) var record: SectionRecord?
        /// Verified block diffs above the working anchor, rising.
        public internal(set) var layers: [BlockLayer] = [] {
            didSet { index.follow(layers) }
        }
        /// The same, as they are looked through.
        public private(set) var index = LayerIndex()
        public internal(set) var isLocked = false
        /// Of a partly fetched section whose anchor nobody serves any more: the diff to one that is served.
        public internal(set) var carrying: CarryingDiff?
        /// Rising by block number.
        var pending: [PendingDiff] = []
        /// When it was first seen that blocks are missing between what is held and what is offered.
        var gapSince: Instant?
        /// Asked to be caught up regardless of what is offered: just completed, or just crossed without its layers.
        var needsCatchUp = false

        /// Whether every leaf of the section is held.
        public var isComplete: Bool { record?.isComplete ?? false }
    }

    public let depth: Int
    public let epochLength: UInt64
    /// Section indices of the arc.
    public let arc: Range<Int>
    var sections: [Held]
    /// Crowns of served anchors and the newest ones, rising by epoch.
    public private(set) var crowns: [(anchor: Anchor, crown: Crown)] = []
    var pool = NodePool()
    /// Values of recent block diffs as they came, to pass on and to serve.
    var recent: RecentDiffs
    /// Sections with diffs that wait.
    private var waitingSet: Set<Int> = []
    /// Those of them that something happened to since they were last looked at.
    private var dueSet: Set<Int> = []
    /// When time alone makes those that wait worth another look.
    var reviewAt: Instant?
    /// What all diffs that wait take.
    private(set) var waitingDiffs = WaitingDiffs()
    /// Bytes of all diffs that wait.
    var pendingBytes: Int { waitingDiffs.bytes }
    /// Diffs that waited in vain, of blocks that nobody vouched for: by block, who sent them.
    var waitedInVain: [StatePoint: Set<Bytes32>] = [:]
    /// Bytes of all layers and of what they are looked through by.
    public private(set) var layerBytes = 0
    /// What they may have; tests take less.
    var layerLimit = StateNetworkLimits.layerBytes
    /// By block number: the section at which the last comparison with that block failed, to begin the next one with.
    private var suspects: [UInt64: Int] = [:]
    /// The newest block at whose root all that is held was compared with the proven section hashes.
    public internal(set) var verifiedHead: StatePoint?
    /// Its state root.
    private var verifiedRoot: Bytes32?

    /// What the store held at the start.
    public init(
        depth: Int, epochLength: UInt64, arc: Range<Int>, records: [SectionRecord], layers: [BlockLayer],
        crowns: [(anchor: Anchor, crown: Crown)]
    ) {
        self.depth = depth
        self.epochLength = epochLength
        self.arc = arc
        sections = Array(repeating: Held(), count: arc.count)
        recent = RecentDiffs(limit: StateNetworkLimits.recentDiffs(sections: arc.count))
        for record in records where arc.contains(record.section.index) {
            sections[record.section.index - arc.lowerBound].record = record
        }
        for layer in layers.sorted(by: { $0.point.number < $1.point.number }) {
            guard let held = held(layer.section.index), let record = held.record else { continue }
            // Those up to the working anchor are part of the base; the store keeps them for older askers. One that does
            // not go on from what is held was left by a crash before it could be dropped.
            guard layer.point.number > record.working.number,
                layer.sectionHashBefore == (held.layers.last?.sectionHashAfter ?? record.sectionHash)
            else { continue }
            sections[layer.section.index - arc.lowerBound].layers.append(layer)
            pool.add(layer.pathProof, at: layer.point.number)
        }
        layerBytes = sections.reduce(0) { $0 + $1.index.byteCount }
        for (anchor, crown) in crowns { store(crown, at: anchor) }
        // Blocks passed while the node was away: what follows the last layer is not known.
        for slot in sections.indices where sections[slot].isComplete { sections[slot].needsCatchUp = true }
    }

    /// A section of the arc; nil outside it.
    public func held(_ index: Int) -> Held? { arc.contains(index) ? sections[index - arc.lowerBound] : nil }

    /// Changes a section of the arc; nothing happens outside it.
    mutating func change(_ index: Int, _ body: (inout Held) -> Void) {
        guard arc.contains(index) else { return }
        for diff in sections[index - arc.lowerBound].pending { waitingDiffs.remove(diff) }
        layerBytes -= sections[index - arc.lowerBound].index.byteCount
        body(&sections[index - arc.lowerBound])
        for diff in sections[index - arc.lowerBound].pending { waitingDiffs.add(diff) }
        layerBytes += sections[index - arc.lowerBound].index.byteCount
        if sections[index - arc.lowerBound].pending.isEmpty {
            waitingSet.remove(index)
            dueSet.remove(index)
        } else {
            waitingSet.insert(index)
        }
    }

    /// Sections with diffs that wait, in order.
    public var waiting: [Int] { waitingSet.sorted() }

    /// Every section with diffs that wait is worth another look: the chain knows other blocks now.
    public mutating func reviewAll() { dueSet = waitingSet }

    /// Something happened to this section that may let its diffs go on.
    mutating func review(_ index: Int) { if waitingSet.contains(index) { dueSet.insert(index) } }

    /// Takes the sections whose waiting diffs are worth a look, in order.
    public mutating func takeDue(at now: Instant) -> [Int] {
        if let time = reviewAt, time <= now {
            reviewAt = nil
            reviewAll()
        }
        defer { dueSet = [] }
        return dueSet.sorted()
    }

    /// Sections of which every leaf is held.
    public var completeCount: Int { sections.count { $0.isComplete } }

    /// The section of that index.
    public func section(_ index: Int) -> Section { Section(depth: depth, index: index) }

    /// The block at an anchor's boundary.
    public func point(of anchor: Anchor) -> StatePoint {
        StatePoint(number: anchor.epoch &* epochLength, hash: anchor.hash)
    }

    // MARK: Locks

    /// Takes the section for a job; false where another has it.
    public mutating func lock(_ index: Int) -> Bool {
        guard let held = held(index), !held.isLocked else { return false }
        change(index) { $0.isLocked = true }
        return true
    }

    /// Gives a section back.
    public mutating func unlock(_ index: Int) {
        change(index) { $0.isLocked = false }
        review(index)
    }

    /// Takes all of these sections, or none.
    public mutating func lock(_ indices: [Int]) -> Bool {
        guard indices.allSatisfy({ held($0)?.isLocked == false }) else { return false }
        for index in indices { change(index) { $0.isLocked = true } }
        return true
    }

    /// Takes every section of the arc, or none.
    public mutating func lockAll() -> Bool {
        guard !sections.contains(where: \.isLocked) else { return false }
        for slot in sections.indices { sections[slot].isLocked = true }
        return true
    }

    /// Gives every section of the arc back.
    public mutating func unlockAll() {
        for slot in sections.indices { sections[slot].isLocked = false }
        reviewAll()
    }

    // MARK: What was committed

    /// A range, a fold or a drop was committed: the section's record is this now (nil: nothing is held). Layers at or
    /// below the working anchor are part of the base; those above it stay only where they still fit onto it. Returns
    /// the layers that do not: the store has to forget them too.
    @discardableResult
    public mutating func committed(_ record: SectionRecord?, section index: Int) -> [BlockLayer] {
        var dropped: [BlockLayer] = []
        change(index) { held in
            let wasComplete = held.isComplete
            held.record = record
            held.carrying = nil
            guard let record, let hash = record.sectionHash else {
                held.layers = []
                held.pending = []
                return
            }
            let above = held.layers.filter { $0.point.number > record.working.number }
            let fits = above.first.map { $0.sectionHashBefore == hash } ?? false
            if !fits { held.needsCatchUp = true }
            held.layers = fits ? above : []
            dropped = fits ? [] : above
            if !wasComplete { held.needsCatchUp = true }
        }
        return dropped
    }

    /// A layer was committed: on top of the others, or, after a catch-up, in place of all of them. False where it does
    /// not go on from what is held any more, because a reorganisation came between: then it is not taken, the section
    /// is to be caught up, and the store has to forget the layer.
    @discardableResult
    public mutating func committed(_ layer: BlockLayer, replacing: Bool) -> Bool {
        guard let held = held(layer.section.index), let record = held.record else { return false }
        let base = replacing ? record.sectionHash : held.layers.last?.sectionHashAfter ?? record.sectionHash
        guard layer.sectionHashBefore == base, layer.point.number > record.working.number else {
            change(layer.section.index) { $0.needsCatchUp = true }
            return false
        }
        change(layer.section.index) { held in
            if replacing { held.layers.removeAll() }
            held.layers.append(layer)
            held.gapSince = nil
            held.needsCatchUp = false
            held.pending.removeAll { $0.key.point.number <= layer.point.number }
        }
        note(layer.pathProof, at: layer.point.number)
        return true
    }

    /// Catching up found that the section is at the goal as its base is. Layers that say otherwise were dropped from
    /// the store (`layersStand` is false) and go here too.
    public mutating func caughtUp(_ index: Int, layersStand: Bool = true) {
        change(index) { held in
            if !layersStand { held.layers = [] }
            held.needsCatchUp = false
            held.gapSince = nil
        }
    }

    /// A catch-up dropped all layers of a section from the store, but what it put in their place does not stand: memory
    /// follows. Returns them.
    public mutating func layersLost(_ index: Int) -> [BlockLayer] {
        let lost = held(index)?.layers ?? []
        change(index) { held in
            held.layers = []
            held.needsCatchUp = true
        }
        return lost
    }

    /// Keeps the diff that leads a partly fetched section on, until a range of its goal has shown whether it is true;
    /// nil: it is not.
    public mutating func carry(_ diff: CarryingDiff?, section index: Int) { change(index) { $0.carrying = diff } }

    // MARK: Crowns

    /// Keeps a verified crown.
    public mutating func store(_ crown: Crown, at anchor: Anchor) {
        crowns.removeAll { $0.anchor == anchor }
        crowns.append((anchor, crown))
        crowns.sort { $0.anchor.epoch < $1.anchor.epoch }
        note(crown.nodes, at: point(of: anchor).number)
    }

    /// Adds nodes of the state after a block to what can be proven. Where that is too much, what proves neither an
    /// anchor nor the verified head nor a block after it goes, and then the oldest: a section whose hash cannot be
    /// proven any more is caught up, and the answer brings the proof.
    public mutating func note(_ nodes: [[UInt8]], at number: UInt64) {
        pool.add(nodes, at: number)
        guard pool.byteCount > StateNetworkLimits.poolBytes else { return }
        let roots = crowns.map(\.crown.root) + (verifiedRoot.map { [$0] } ?? [])
        pool.shrink(to: StateNetworkLimits.poolBytes, keeping: roots, after: verifiedHead?.number ?? 0)
    }

    /// The crown of that anchor, where it is held.
    public func crown(at anchor: Anchor) -> Crown? { crowns.first { $0.anchor == anchor }?.crown }

    /// Crowns that nothing held refers to are dropped, but for `newestFinal`'s and the newest of all: what is held goes
    /// on to the newest final anchor, however far the head is ahead of it. A crown that is not final yet can be made of
    /// what is held (`rebuiltCrown`). With the crowns go nodes that were last part of a state before the oldest one
    /// left. Returns the anchors dropped.
    public mutating func pruneCrowns(newestFinal: Anchor?) -> [Anchor] {
        var needed = Set<StatePoint>()
        for held in sections {
            guard let record = held.record else { continue }
            needed.insert(record.working)
            if let previous = record.previous { needed.insert(previous) }
        }
        for case let anchor? in [newestFinal, crowns.last?.anchor] { needed.insert(point(of: anchor)) }
        let dropped = crowns.map(\.anchor).filter { !needed.contains(point(of: $0)) }
        crowns.removeAll { dropped.contains($0.anchor) }
        if let oldest = crowns.first?.anchor { pool.prune(before: point(of: oldest).number) }
        return dropped
    }

    // MARK: State at a block

    /// The hash of a held section's state after block `number`; nil where it is not known or lies below its base.
    public func stateHash(of index: Int, at number: UInt64) -> Bytes32? {
        guard let held = held(index), let record = held.record, number >= record.working.number else { return nil }
        if let layer = held.layers.last(where: { $0.point.number <= number }) { return layer.sectionHashAfter }
        return record.sectionHash
    }

    /// The hash that the state root of block `number` proves for a section, from the nodes seen so far.
    public func provenHash(of index: Int, root: Bytes32) -> Bytes32? {
        let section = section(index)
        return try? SectionProof.sectionHash(
            root: root, proof: pool.path(to: section.path, root: root), section: section.path)
    }

    /// Nodes that prove a section's hash at a state root.
    public func proofNodes(of index: Int, root: Bytes32) -> [[UInt8]] { pool.path(to: section(index).path, root: root) }

    /// All nodes seen above the sections of the state with this root.
    public func crownNodes(root: Bytes32) -> [[UInt8]] { pool.crown(root: root, depth: depth) }

    /// Compares all that is held with the proven section hashes at one block; on success that block becomes the
    /// verified head. At the attested head (`isHead`) nothing can be missing then.
    public mutating func verify(at point: StatePoint, root: Bytes32, isHead: Bool) -> Bool {
        if let verifiedHead, point.number <= verifiedHead.number { return verifiedHead == point }
        // Most comparisons fail until the last diff of a block is here: the section that was missing is tried first.
        let first = suspects[point.number].flatMap { arc.contains($0) ? $0 : nil } ?? arc.lowerBound
        for index in [first..<arc.upperBound, arc.lowerBound..<first].joined() {
            guard let state = stateHash(of: index, at: point.number), let proven = provenHash(of: index, root: root),
                state == proven
            else {
                if suspects.count > StateNetworkLimits.suspectBlocks { suspects = [:] }
                suspects[point.number] = index
                return false
            }
        }
        verifiedHead = point
        verifiedRoot = root
        suspects = suspects.filter { $0.key > point.number }
        guard isHead else { return true }
        for slot in sections.indices {
            sections[slot].needsCatchUp = false
            sections[slot].gapSince = nil
        }
        return true
    }

    /// Marks the sections that are not known to stand at this attested block as missing blocks; returns them.
    public mutating func markBehind(at point: StatePoint, root: Bytes32) -> [Int] {
        let behind = arc.filter { index in
            guard held(index)?.isComplete == true else { return false }
            let proven = provenHash(of: index, root: root)
            return proven == nil || proven != stateHash(of: index, at: point.number)
        }
        for index in behind { change(index) { $0.needsCatchUp = true } }
        return behind
    }

    /// The newest block whose changes a held section has; its working point where there is none since.
    public func top(of index: Int) -> UInt64 {
        guard let held = held(index) else { return 0 }
        return held.layers.last?.point.number ?? held.record?.working.number ?? 0
    }

    /// A reorganisation: what was verified on the line that lost no longer counts, and its layers are dropped. Returns
    /// them: the store has to forget them too.
    public mutating func rewind(isCanonical: (StatePoint) -> Bool) -> [BlockLayer] {
        if let head = verifiedHead, !isCanonical(head) { verifiedHead = nil }
        var dropped: [BlockLayer] = []
        for index in arc {
            guard let held = held(index), let first = held.layers.firstIndex(where: { !isCanonical($0.point) }) else {
                continue
            }
            dropped += held.layers[first...]
            change(index) { section in
                section.layers.removeSubrange(first...)
                section.needsCatchUp = true
            }
        }
        return dropped
    }

    // MARK: What is served

    /// The anchors at which complete sections are served, newest first, with the runs of sections at each. An anchor
    /// without its crown is not served.
    public func servedAnchors() -> [AnchorSections] {
        crowns.reversed().compactMap { anchor, _ in
            let point = point(of: anchor)
            var runs: [Range<Int>] = []
            for (slot, held) in sections.enumerated() {
                guard let record = held.record, record.working == point || record.previous == point, record.isComplete
                else { continue }
                let index = arc.lowerBound + slot
                if let last = runs.last, last.upperBound == index {
                    runs[runs.count - 1] = last.lowerBound..<(index + 1)
                } else {
                    runs.append(index..<(index + 1))
                }
            }
            return runs.isEmpty ? nil : AnchorSections(anchor: anchor, runs: runs)
        }
    }

    /// Whether a held section's changes can be given up to `target`: its state there is known, and is the proven one.
    public func canLead(_ index: Int, to target: StatePoint, proven: Bytes32) -> Bool {
        guard let record = held(index)?.record, record.isComplete else { return false }
        if target.number >= record.working.number { return stateHash(of: index, at: target.number) == proven }
        return record.previous == target
    }

    /// The state root that the sections held give; nil unless every section of the ring is complete.
    public func rootOfSections() -> Bytes32? {
        let subtrees = sections.compactMap { $0.record?.subtree }
        guard subtrees.count == Section.count(depth: depth) else { return nil }
        return Crown(sections: subtrees, depth: depth).root
    }

    /// The crown of the state after block `number`, made of the sections held; nil unless all of the ring are complete
    /// and reach down to it. The caller compares its root with the header's.
    public func rebuiltCrown(at number: UInt64) -> Crown? {
        let subtrees = sections.compactMap { held -> Subtree? in
            guard let record = held.record, record.working.number <= number else { return nil }
            return held.layers.last { $0.point.number <= number }?.update.subtreeAfter ?? record.subtree
        }
        return subtrees.count == Section.count(depth: depth) ? Crown(sections: subtrees, depth: depth) : nil
    }

    /// When something that waits is due to be looked at again.
    public func nextDeadline(at now: Instant) -> Instant? { reviewAt }
}
