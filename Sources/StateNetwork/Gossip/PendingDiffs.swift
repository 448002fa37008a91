import Chain
import Primitives
import StateContent
import StateStore

/// A block diff that was received and is not yet verified.
struct PendingDiff: Sendable {
    let key: BlockDiffKey
    /// The number of the section or part.
    let section: Int
    let value: BlockDiffValue
    /// The section hash after the block, where it was proven as the diff came with those of other sections.
    let sectionHashAfter: Bytes32?
    /// Bytes that it takes of what it came in.
    let byteCount: Int
    /// Who sent it.
    let sender: Bytes32
    let receivedAt: Instant
    /// Whether a key of the network had spoken for the block when the diff came: nobody has made it up then.
    let isVouched: Bool

    init(
        key: BlockDiffKey, section: Int, value: BlockDiffValue, sectionHashAfter: Bytes32? = nil, byteCount: Int,
        sender: Bytes32,
        receivedAt: Instant, isVouched: Bool
    ) {
        self.key = key
        self.section = section
        self.value = value
        self.sectionHashAfter = sectionHashAfter
        self.byteCount = byteCount
        self.sender = sender
        self.receivedAt = receivedAt
        self.isVouched = isVouched
    }

    /// The same with the codes that were not there before, and no others.
    func keepingCodes(_ hashes: [Bytes32]) -> PendingDiff {
        guard value.codes.count > hashes.count else { return self }
        return PendingDiff(
            key: key, section: section, value: value.keepingCodes { hashes.contains($0) },
            sectionHashAfter: sectionHashAfter,
            byteCount: byteCount, sender: sender, receivedAt: receivedAt, isVouched: isVouched)
    }
}

/// Whether a block diff on offer is wanted, and why not.
enum BlockDiffAdmission: Sendable, Equatable {
    case wanted
    case known
    case inProgress
    case outsideArc
    /// The section is not complete, or the block's header is not attested.
    case notVerifiable
    case busy

    /// Which answer stands for a stretch whose sections have several: the one that makes the offerer try again.
    fileprivate var weight: Int {
        switch self {
        case .outsideArc, .notVerifiable: 0
        case .known: 1
        case .busy: 2
        case .inProgress: 3
        case .wanted: 4
        }
    }
}

extension BlockDiffsKey {
    /// The sections of the stretch that are of the arc, or the parts that this node has a number for.
    fileprivate func sections(knownTo book: SectionBook) -> [Int] {
        guard trie != .accounts else { return Array(Range(stretch).clamped(to: book.arc)) }
        let depth = trie.depth(book.depth)
        guard (1...book.depth).contains(depth), last < Section.count(depth: depth) else { return [] }
        return stretch.filter { section in
            let id = book.id(of: BlockDiffKey(trie: trie, point: point, section: section))
            return id.flatMap { book.read($0) { _ in true } } ?? false
        }
    }
}

/// The block diffs that wait: for their header, for their predecessor, for their turn. One a section goes on at a time,
/// in the order of blocks, onto what the book says is held.
struct PendingDiffs: Sendable {
    /// By section, rising by block number; none of them empty.
    private var bySection: [Int: [PendingDiff]] = [:]
    /// Sections that something happened to since they were last looked at.
    private var due: Set<Int> = []
    /// When time alone makes those that wait worth another look.
    private(set) var reviewAt: Instant?
    /// What all that wait take.
    private(set) var room = WaitingDiffs()
    /// Diffs that waited in vain, of blocks that nobody vouched for: by block, who sent them.
    private var waitedInVain: [StatePoint: Set<Bytes32>] = [:]

    /// Sections with diffs that wait, in order.
    var sections: [Int] { bySection.keys.sorted() }

    /// The diffs of one section.
    func of(_ index: Int) -> [PendingDiff] { bySection[index] ?? [] }

    private mutating func set(_ diffs: [PendingDiff], of index: Int) {
        for diff in of(index) { room.remove(diff) }
        for diff in diffs { room.add(diff) }
        bySection[index] = diffs.isEmpty ? nil : diffs
        if diffs.isEmpty { due.remove(index) }
    }

    // MARK: In

    /// Whether a block diff that `sender` offers is wanted. `isCanonical` is nil while the block's header is not
    /// attested here: the diff may bring what attests it, or be made up.
    func admission(
        of key: BlockDiffKey, from sender: Bytes32, isCanonical: Bool?, _ book: SectionBook
    ) -> BlockDiffAdmission {
        // Asked for each of thousands of sections where a stretch is offered: nothing is copied out of the book.
        guard let id = book.id(of: key), let standing = book.read(id, { $0.standing(before: key.point.number) }) else {
            return .outsideArc
        }
        guard standing != .incomplete else { return .notVerifiable }
        guard standing == .ready else { return .known }
        let pending = of(id)
        if pending.contains(where: { $0.key.point == key.point }), !hasRoomForRival(of: key, id, book) {
            return .inProgress
        }
        if isCanonical == false { return .notVerifiable }
        if book.isFullOfLayers { return .busy }
        // One of a block that is not attested yet needs room only if it turns out that nobody vouches for it.
        let hasRoom = room.hasRoom(for: 0, from: sender, isVouched: true, beside: pending)
        let isOverShare = isCanonical == nil && isOverShare(sender, beside: pending)
        return hasRoom && !isOverShare ? .wanted : .busy
    }

    /// Whether a stretch of a block's diffs is wanted: where one section of it is that is not expected already. Which
    /// of its sections the block has changed is not known before it comes.
    func admission(
        of key: BlockDiffsKey, from sender: Bytes32, isCanonical: Bool?, expected: [ClosedRange<Int>],
        _ book: SectionBook
    ) -> BlockDiffAdmission {
        let known = key.sections(knownTo: book)
        guard !known.isEmpty else { return .outsideArc }
        var answer = BlockDiffAdmission.notVerifiable
        for section in known {
            var next = admission(
                of: BlockDiffKey(trie: key.trie, point: key.point, section: section), from: sender,
                isCanonical: isCanonical, book)
            if next == .wanted, expected.contains(where: { $0.contains(section) }) { next = .inProgress }
            if next == .wanted { return .wanted }
            if next.weight > answer.weight { answer = next }
        }
        return answer
    }

    /// Whether a sender has all the places in a section that it may have for blocks that nobody vouches for.
    private func isOverShare(_ sender: Bytes32, beside pending: [PendingDiff]) -> Bool {
        pending.count { !$0.isVouched && $0.sender == sender } >= StateNetworkLimits.unvouchedDiffsPerSender
    }

    /// Whether another diff of a block may come in beside those that wait: where the one whose turn it is does not go
    /// on from what is held, it may be that blocks are missing, or that it says something false of the state before it.
    private func hasRoomForRival(of key: BlockDiffKey, _ id: Int, _ book: SectionBook) -> Bool {
        let pending = of(id)
        guard !book.isLocked(id), pending.first?.key.point == key.point else { return false }
        let rivals = pending.filter { $0.key.point == key.point }
        let state = book.stateHash(of: id, at: key.point.number)
        return rivals.count < StateNetworkLimits.rivalDiffs
            && !rivals.contains { $0.value.sectionHashBefore == state }
    }

    /// Queues a diff that was admitted.
    mutating func enqueue(_ diff: PendingDiff, _ book: SectionBook) {
        let index = diff.section
        var pending = of(index)
        guard book.isComplete(index),
            room.hasRoom(
                for: diff.byteCount, from: diff.sender, isVouched: diff.isVouched, beside: pending)
        else { return }
        due.insert(index)
        let rivals = pending.filter { $0.key.point == diff.key.point }
        guard rivals.count < StateNetworkLimits.rivalDiffs,
            !rivals.contains(where: { $0.value.sectionHashBefore == diff.value.sectionHashBefore })
        else { return }
        let place = pending.firstIndex { $0.key.point.number > diff.key.point.number } ?? pending.endIndex
        pending.insert(diff, at: place)
        set(pending, of: index)
    }

    /// Queues what a stretch of a trie said, section by section.
    mutating func enqueue(
        _ claims: BlockDiffsCheck.Claims, of trie: StateTrie, from sender: Bytes32, isVouched: Bool,
        at now: Instant, _ book: SectionBook
    ) {
        for part in claims.parts {
            let key = BlockDiffKey(trie: trie, point: claims.header.point, section: part.section)
            guard let id = book.id(of: key) else { continue }
            let diff = PendingDiff(
                key: key, section: id, value: part.value, sectionHashAfter: part.sectionHashAfter,
                byteCount: part.byteCount,
                sender: sender, receivedAt: now, isVouched: isVouched)
            enqueue(diff, book)
        }
    }

    // MARK: Whose turn it is

    /// Every section with diffs that wait is worth another look: the chain knows other blocks now.
    mutating func reviewAll() { due = Set(bySection.keys) }

    /// Something happened to these sections that may let their diffs go on.
    mutating func review(_ indices: [Int]) { for index in indices where bySection[index] != nil { due.insert(index) } }

    /// Takes the sections whose waiting diffs are worth a look, in order.
    mutating func takeDue(at now: Instant) -> [Int] {
        if let time = reviewAt, time <= now {
            reviewAt = nil
            reviewAll()
        }
        guard !due.isEmpty else { return [] }
        defer { due = [] }
        return due.sorted()
    }

    /// The next diff of a section to verify, which leaves the queue; nil where nothing waits, or what waits does not
    /// fit yet. Notes a gap, and drops what is no longer of use. `expected`: what is on its way.
    mutating func next(
        of index: Int, _ book: inout SectionBook, expected: ExpectedDiffs, at now: Instant,
        isCanonical: (StatePoint) -> Bool?
    ) -> PendingDiff? {
        guard bySection[index] != nil, !book.isLocked(index) else { return nil }
        guard book.isComplete(index) else {
            set([], of: index)
            return nil
        }
        dropUseless(of: index, top: book.top(of: index), at: now, isCanonical: isCanonical)
        guard let first = of(index).first else { return nil }
        lookAgain(after: first, gap: book.read(index) { $0.gapUntil } ?? nil, at: now)
        guard isCanonical(first.key.point) == true else { return nil }
        guard !book.isFullOfLayers else {
            // What waits is not kept either: by the time there is room the way to the head is one answer.
            set([], of: index)
            book.change(index) { $0.needsCatchUp = true }
            return nil
        }
        let state = book.stateHash(of: index, at: first.key.point.number)
        let fits = of(index).firstIndex { $0.key.point == first.key.point && $0.value.sectionHashBefore == state }
        if let fits {
            var pending = of(index)
            let diff = pending.remove(at: fits)
            set(pending, of: index)
            book.change(index) { $0.gapUntil = nil }
            return diff
        }
        book.change(index) { $0.knownAt = first.key.point }
        if book.read(index, { $0.gapUntil == nil }) ?? false {
            let comes = expected.brings(first.key, after: book.top(of: index), now)
            let patience = comes ? StateNetworkLimits.gapPatience : StateNetworkLimits.unexpectedPatience
            book.change(index) { $0.gapUntil = now + patience }
            lookAgain(after: first, gap: now + patience, at: now)
        }
        return nil
    }

    /// Drops the diffs that cannot be of use any more. Who sent one of a block that no key stood behind, and that was
    /// not attested in time either, is noted.
    private mutating func dropUseless(
        of index: Int, top: UInt64, at now: Instant, isCanonical: (StatePoint) -> Bool?
    ) {
        let pending = of(index)
        let kept = pending.filter { diff in
            guard diff.key.point.number > top else { return false }
            switch isCanonical(diff.key.point) {
            case true?: return true
            case nil where now - diff.receivedAt <= StateNetworkLimits.unknownHeaderWait: return true
            case nil, false?: break
            }
            if !diff.isVouched { waitedInVain[diff.key.point, default: []].insert(diff.sender) }
            return false
        }
        if kept.count < pending.count { set(kept, of: index) }
    }

    /// Notes when time alone changes what is to be done about a diff that waits.
    private mutating func lookAgain(after diff: PendingDiff, gap: Instant?, at now: Instant) {
        let times = [
            diff.receivedAt + StateNetworkLimits.unknownHeaderWait + .milliseconds(1),
            gap.map { $0 + .milliseconds(1) },
        ]
        for case let time? in times where time > now { reviewAt = reviewAt.map { min($0, time) } ?? time }
    }

    /// Takes the senders of diffs that waited in vain: each as often as there were blocks, however many sections each
    /// block was sent for.
    mutating func takeSendersInVain() -> [Bytes32] {
        guard !waitedInVain.isEmpty else { return [] }
        defer { waitedInVain = [:] }
        return waitedInVain.values.flatMap { $0 }.sorted()
    }

    // MARK: Those that disagree

    /// The diffs whose turn it is in a section, several of one block where they disagree; none while the section is
    /// locked.
    func blocking(_ index: Int, _ book: SectionBook) -> [PendingDiff] {
        guard !book.isLocked(index), let first = of(index).first else { return [] }
        return of(index).filter { $0.key.point == first.key.point }
    }

    /// Diffs of the same block and section that wait beside `diff` and disagree with it about the state before.
    func rivals(of diff: PendingDiff) -> [PendingDiff] {
        of(diff.section).filter {
            $0.key == diff.key && $0.value.sectionHashBefore != diff.value.sectionHashBefore
        }
    }

    /// Throws a diff away that turned out to be false. The others who had the true one were told that it was on its
    /// way, so the section is asked for without waiting for it to be offered again.
    mutating func discard(_ diff: PendingDiff, _ book: inout SectionBook) {
        let index = diff.section
        set(
            of(index).filter { $0.key != diff.key || $0.value.sectionHashBefore != diff.value.sectionHashBefore },
            of: index)
        book.change(index) { $0.needsCatchUp = true }
        review([index])
    }
}
