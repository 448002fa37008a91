import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

/// A ring of 16 sections with one leaf each, whose value is its version: what a section is after a block is said by
/// one number.
struct Ring {
    static let genesis = StatePoint(number: 0, hash: Bytes32(0, 0, 0, 100))

    static func point(_ number: UInt64, fork: UInt64 = 0) -> StatePoint {
        StatePoint(number: number, hash: Bytes32(fork, 0, 0, 100 + number))
    }

    static func anchor(_ epoch: UInt64) -> Anchor { Anchor(epoch: epoch, hash: point(epoch * 8).hash) }

    static func subtree(_ section: Int, _ version: UInt8) -> Subtree {
        .leaf(key: Bytes32(UInt64(section) << 60, 0, 0, 1), value: [UInt8](repeating: version, count: 40))
    }

    static func hash(_ section: Int, _ version: UInt8) -> Bytes32 { subtree(section, version).hash(at: 1) }

    /// Sections that are not named are at version 0.
    static func crown(_ versions: [Int: UInt8] = [:]) -> Crown {
        Crown(sections: (0..<16).map { subtree($0, versions[$0] ?? 0) }, depth: 1)
    }

    static func record(
        _ section: Int, at point: StatePoint = genesis, previous: StatePoint? = nil, version: UInt8 = 0
    ) -> SectionRecord {
        SectionRecord(
            section: Section(depth: 1, index: section), working: point, previous: previous,
            coverage: .complete(subtree(section, version)))
    }

    static func layer(
        _ section: Int, _ point: StatePoint, parent: StatePoint = genesis, from: UInt8, to: UInt8
    ) -> BlockLayer {
        let place = Section(depth: 1, index: section)
        return BlockLayer(
            section: place, point: point, parent: parent, sectionHashBefore: hash(section, from),
            sectionHashAfter: hash(section, to), update: .unchanged(place, subtree: subtree(section, to)),
            pathProof: [])
    }

    static let sender = Bytes32(0, 0, 0, 9)

    static func diff(
        _ section: Int, _ point: StatePoint, from: UInt8, bytes: Int = 10, at time: Instant = .zero,
        sender: Bytes32 = sender, isVouched: Bool = true
    ) -> PendingDiff {
        let value = BlockDiffValue(
            header: [], certificate: [], sectionHashBefore: hash(section, from), changes: [], codes: [], pathProof: [])
        return PendingDiff(
            key: BlockDiffKey(point: point, section: section), section: section, value: value,
            byteCount: bytes, sender: sender, receivedAt: time, isVouched: isVouched)
    }

    /// All sections of `arc` complete at genesis, caught up, with the crown of genesis.
    static func shelf(
        arc: Range<Int> = 0..<16, records: [SectionRecord]? = nil, layers: [BlockLayer] = []
    ) -> Shelf {
        Shelf(holdings: holdings(arc: arc, records: records, layers: layers))
    }

    /// The same without the diffs that wait.
    static func holdings(
        arc: Range<Int> = 0..<16, records: [SectionRecord]? = nil, layers: [BlockLayer] = []
    ) -> Holdings {
        var holdings = Holdings(
            depth: 1, epochLength: 8, arc: arc, records: records ?? arc.map { record($0) }, layers: layers,
            crowns: [(anchor(0), crown())])
        for index in arc { holdings.caughtUp(index) }
        return holdings
    }
}

@Suite("Holdings: diffs") struct HoldingsDiffTests {
    private func key(_ section: Int, _ number: UInt64) -> BlockDiffKey {
        BlockDiffKey(point: Ring.point(number), section: section)
    }

    @Test func admissionNamesTheReason() {
        var holdings = Ring.shelf(arc: 0..<8, records: (0..<7).map { Ring.record($0) })
        #expect(holdings.admission(key(8, 1), true) == .outsideArc)
        #expect(holdings.admission(key(-1, 1), true) == .outsideArc)
        #expect(holdings.admission(key(7, 1), true) == .notVerifiable, "nothing is held there")
        #expect(holdings.admission(key(0, 0), true) == .known, "part of the base")
        #expect(holdings.admission(key(0, 1), false) == .notVerifiable)
        #expect(holdings.admission(key(0, 1), true) == .wanted)
        #expect(holdings.admission(key(0, 1), nil) == .wanted)
        holdings.enqueue(Ring.diff(0, Ring.point(1), from: 0))
        #expect(holdings.admission(key(0, 1), true) == .inProgress)
        check(holdings.committed(Ring.layer(0, Ring.point(2), from: 0, to: 2), replacing: false))
        #expect(holdings.admission(key(0, 2), true) == .known)
        #expect(holdings.admission(key(0, 1), true) == .known, "below the newest layer")
        for number in 3..<67 { holdings.enqueue(Ring.diff(0, Ring.point(UInt64(number)), from: 0)) }
        #expect(holdings.admission(key(0, 99), true) == .busy)
        #expect(holdings.admission(key(1, 99), true) == .wanted)
    }

    /// No anchor becomes final: layers would grow for ever.
    @Test func layersAreBoundedWhileFinalityStalls() {
        var holdings = Ring.shelf()
        var versions: [UInt8] = Array(repeating: 0, count: 16)
        func add(_ section: Int, _ number: UInt64) -> Bool {
            let parent = holdings.held(section)?.layers.last?.point ?? Ring.genesis
            let layer = Ring.layer(
                section, Ring.point(number), parent: parent, from: versions[section], to: versions[section] &+ 1)
            versions[section] &+= 1
            return holdings.committed(layer, replacing: false)
        }
        check(add(0, 1))
        let one = holdings.layerBytes
        #expect(one > 0)
        holdings.layerLimit = 4 * one
        check(add(0, 2))
        check(add(1, 2))
        #expect(!holdings.isFullOfLayers)
        #expect(holdings.admission(key(1, 3), true) == .wanted)
        holdings.enqueue(Ring.diff(0, Ring.point(3), from: 2))
        check(add(2, 2))
        #expect(holdings.isFullOfLayers)
        #expect(holdings.admission(key(1, 3), true) == .busy, "no more on offer is taken")
        guard case .none = holdings.nextDiff(of: 0, at: .zero, isCanonical: { _ in true }) else {
            Issue.record("a layer for which there is no room")
            return
        }
        #expect(holdings.pending.of(0).isEmpty, "what waited is let go")
        #expect(holdings.hasGap(0, at: .zero), "one layer for the whole way makes room")
        _ = holdings.markBehind(at: Ring.point(3), root: .zero)
        #expect(!holdings.hasGap(1, at: .zero), "in place of a single one it would take more")
        // The way to the head as one layer, in place of two.
        check(
            holdings.committed(
                Ring.layer(0, Ring.point(4), parent: Ring.genesis, from: 0, to: 4), replacing: true))
        #expect(!holdings.isFullOfLayers && holdings.held(0)?.layers.count == 1)
        #expect(holdings.layerBytes == 3 * one)
        // An anchor at last: what it has reached is part of the base and takes no room.
        for section in 0..<3 {
            holdings.committed(Ring.record(section, at: Ring.point(8), version: 4), section: section)
        }
        #expect(holdings.layerBytes == 0)
    }

    /// Of what is on its way, only a block between what is held and what waits, in a stretch with the section, may fill
    /// the gap, and only until it has come.
    @Test(arguments: [
        (block: UInt64(2), 3...3, hasCome: false, comes: true), (2, 0...7, false, true), (2, 4...7, false, false),
        (2, 0...7, true, false), (1, 0...7, false, false), (3, 0...7, false, false),
    ])
    func aGapIsWaitedForAsLongAsSomethingMayFillIt(
        block: UInt64, stretch: ClosedRange<Int>, hasCome: Bool, comes: Bool
    ) throws {
        var holdings = Ring.shelf()
        check(holdings.committed(Ring.layer(3, Ring.point(1), from: 0, to: 1), replacing: false))
        let key = try #require(
            BlockDiffsKey(point: Ring.point(block), first: stretch.lowerBound, last: stretch.upperBound))
        holdings.expected.expect(key, from: Ring.sender, at: .zero)
        if hasCome { holdings.expected.came(key, from: Ring.sender, at: .zero) }
        holdings.enqueue(Ring.diff(3, Ring.point(3), from: 2))
        check(holdings.nextDiff(of: 3, at: .zero, isCanonical: { _ in true }) == nil)
        let patience = comes ? StateNetworkLimits.gapPatience : StateNetworkLimits.unexpectedPatience
        #expect(!holdings.hasGap(3, at: .zero + patience))
        #expect(holdings.hasGap(3, at: .zero + patience + .milliseconds(1)))
    }

    @Test func diffsGoInOrderAndAGapIsNoticed() {
        var holdings = Ring.shelf()
        holdings.enqueue(Ring.diff(3, Ring.point(2), from: 1))
        check(holdings.takeDue(at: .zero) == [3])
        check(holdings.takeDue(at: .zero) == [], "nothing has happened since")
        guard case .none = holdings.nextDiff(of: 3, at: .zero, isCanonical: { _ in true }) else {
            Issue.record("a diff that does not fit was given out")
            return
        }
        #expect(!holdings.hasGap(3, at: .zero + StateNetworkLimits.unexpectedPatience))
        let due = Instant.zero + StateNetworkLimits.unexpectedPatience + .milliseconds(1)
        #expect(holdings.pending.reviewAt == due)
        check(holdings.takeDue(at: due) == [3])
        #expect(holdings.hasGap(3, at: due))
        holdings.enqueue(Ring.diff(3, Ring.point(1), from: 0))
        guard case .some(let first) = holdings.nextDiff(of: 3, at: due, isCanonical: { _ in true }) else {
            Issue.record("the predecessor does not fit")
            return
        }
        #expect(first.key.point == Ring.point(1))
        check(holdings.lock(3))
        guard case .none = holdings.nextDiff(of: 3, at: due, isCanonical: { _ in true }) else {
            Issue.record("two jobs for one section")
            return
        }
        check(holdings.committed(Ring.layer(3, Ring.point(1), from: 0, to: 1), replacing: false))
        holdings.unlock(3)
        #expect(!holdings.hasGap(3, at: due))
        check(holdings.takeDue(at: due) == [3], "a section given back is looked at again")
        guard case .some(let second) = holdings.nextDiff(of: 3, at: due, isCanonical: { _ in true }) else {
            Issue.record("the next one does not fit")
            return
        }
        #expect(second.key.point == Ring.point(2))
        #expect(holdings.waiting.isEmpty)
    }

    /// The first diff of a block need not be the true one: what does not go on from what is held keeps no other out.
    @Test func aDiffThatDoesNotFitLetsRivalsInAndTheOneThatFitsIsTaken() {
        var holdings = Ring.shelf()
        let one = Ring.point(1)
        holdings.enqueue(Ring.diff(3, one, from: 7))
        #expect(holdings.admission(key(3, 1), true) == .wanted)
        holdings.enqueue(Ring.diff(3, one, from: 7))
        #expect(holdings.blockingDiffs(of: 3).count == 1, "the same again is none")
        holdings.enqueue(Ring.diff(3, one, from: 0))
        #expect(holdings.admission(key(3, 1), true) == .inProgress, "one of them fits")
        guard case .some(let diff) = holdings.nextDiff(of: 3, at: .zero, isCanonical: { _ in true }) else {
            Issue.record("the one that fits is not taken")
            return
        }
        #expect(diff.value.sectionHashBefore == Ring.hash(3, 0))
        #expect(holdings.rivals(of: diff).map(\.value.sectionHashBefore) == [Ring.hash(3, 7)])
        // They are bounded, and thrown away one by one.
        var full = Ring.shelf()
        for version in 5..<20 { full.enqueue(Ring.diff(3, one, from: UInt8(version))) }
        #expect(full.blockingDiffs(of: 3).count == StateNetworkLimits.rivalDiffs)
        #expect(full.admission(key(3, 1), true) == .inProgress)
        full.discard(Ring.diff(3, one, from: 5))
        #expect(full.blockingDiffs(of: 3).count == StateNetworkLimits.rivalDiffs - 1)
        #expect(full.hasGap(3, at: .zero) && full.admission(key(3, 1), true) == .wanted)
    }

    @Test func aDiffWithoutAHeaderIsForgottenInTime() {
        var holdings = Ring.shelf()
        holdings.enqueue(Ring.diff(0, Ring.point(1), from: 0))
        _ = holdings.nextDiff(of: 0, at: .zero, isCanonical: { _ in nil })
        let due = Instant.zero + StateNetworkLimits.unknownHeaderWait + .milliseconds(1)
        #expect(holdings.pending.reviewAt == due)
        _ = holdings.nextDiff(of: 0, at: due, isCanonical: { _ in nil })
        #expect(holdings.waiting.isEmpty && holdings.pendingBytes == 0)
        holdings.enqueue(Ring.diff(0, Ring.point(1), from: 0))
        _ = holdings.nextDiff(of: 0, at: .zero, isCanonical: { _ in false })
        #expect(holdings.waiting.isEmpty, "another block stands at its height")
    }

    @Test func recentValuesAreBoundedOldestGoFirst() {
        func value(_ number: UInt64) -> BlockDiffValue { Ring.diff(0, Ring.point(number), from: UInt8(number)).value }
        var recent = RecentDiffs(limit: 3)
        for number in UInt64(0)..<10 { recent.add(key(0, number), value(number), bytes: 2) }
        recent.add(key(0, 9), value(0), bytes: 2)
        #expect(recent.count == 3 && recent.bytes == 6)
        #expect(recent[key(0, 6)] == nil)
        #expect((7..<10).map { recent[key(0, $0)] } == [value(7), value(8), value(9)])
        var large = RecentDiffs(limit: 9)
        large.add(key(0, 1), value(1), bytes: 1)
        large.add(key(0, 2), value(2), bytes: StateNetworkLimits.recentDiffBytes + 1)
        #expect(large.count == 1 && large[key(0, 2)] != nil, "the newest stays")
    }

    @Test func recentValuesOfABlockAreThereInOrder() throws {
        var recent = RecentDiffs(limit: 9)
        let parts = StateTrie.storage(account: .max, placement: 1)
        func stretch(
            _ block: UInt64, _ first: Int, _ last: Int, of trie: StateTrie = .accounts
        ) throws -> BlockDiffsKey {
            try #require(BlockDiffsKey(trie: trie, point: Ring.point(block), first: first, last: last))
        }
        for section in [7, 2, 5] {
            let diff = Ring.diff(section, Ring.point(1), from: 0)
            recent.add(diff.key, diff.value, bytes: 1)
        }
        let ofPart = Ring.diff(3, Ring.point(1), from: 0).value
        recent.add(BlockDiffKey(trie: parts, point: Ring.point(1), section: 3), ofPart, bytes: 1)
        #expect(recent.diffs(in: try stretch(1, 2, 6)).map(\.section) == [2, 5])
        #expect(recent.diffs(in: try stretch(1, 2, 6, of: parts)).map(\.section) == [3])
        #expect(recent.diffs(at: Ring.point(1), of: [7, 3], in: .accounts).map(\.section) == [7])
        #expect(recent.diffs(in: try stretch(2, 0, 15)).isEmpty)
    }
}

@Suite("Holdings: layers, folds, crowns") struct HoldingsStateTests {
    @Test func locksAreAllOrNothing() {
        var holdings = Ring.shelf(arc: 4..<8)
        check(holdings.lock([4, 5]))
        check(!holdings.lock([5, 6]) && holdings.held(6)?.isLocked == false)
        check(!holdings.lock(3) && !holdings.lock([3]), "outside the arc")
        check(!holdings.lockAll())
        holdings.unlock(4)
        holdings.unlock(5)
        check(holdings.lockAll() && !holdings.lock(7))
        holdings.unlockAll()
        check(holdings.lock(7))
    }

    @Test func layersGiveTheStateAtEachBlock() {
        var holdings = Ring.holdings()
        check(holdings.committed(Ring.layer(0, Ring.point(2), from: 0, to: 2), replacing: false))
        check(holdings.committed(Ring.layer(0, Ring.point(5), from: 2, to: 5), replacing: false))
        let hashes = (0...6).map { holdings.book.stateHash(of: 0, at: $0) }
        #expect(hashes == [0, 0, 2, 2, 2, 5, 5].map { Ring.hash(0, $0) })
        #expect(holdings.book.top(of: 0) == 5)
        #expect(holdings.canLead(0, to: Ring.point(3), proven: Ring.hash(0, 2)))
        #expect(!holdings.canLead(0, to: Ring.point(3), proven: Ring.hash(0, 3)))
        #expect(holdings.book.stateHash(of: 99, at: 0) == nil)
    }

    @Test func aFoldKeepsLayersThatGoOnAndGivesBackThoseThatDoNot() {
        var holdings = Ring.holdings()
        let below = Ring.layer(0, Ring.point(5), from: 0, to: 5)
        let above = Ring.layer(0, Ring.point(9), parent: Ring.point(5), from: 5, to: 9)
        for layer in [below, above] { check(holdings.committed(layer, replacing: false)) }
        var other = holdings
        let fitting = Ring.record(0, at: Ring.point(8), previous: Ring.genesis, version: 5)
        check(holdings.committed(fitting, section: 0) == [])
        #expect(holdings.held(0)?.layers == [above] && !holdings.book.hasGap(0, at: .zero))
        #expect(holdings.book.stateHash(of: 0, at: 7) == nil, "below the base")
        let misfit = Ring.record(0, at: Ring.point(8), previous: Ring.genesis, version: 6)
        check(other.committed(misfit, section: 0) == [above], "to be dropped from the store too")
        #expect(other.held(0)?.layers == [] && other.book.hasGap(0, at: .zero))
        check(other.committed(nil, section: 0) == [])
        #expect(other.held(0)?.record == nil && other.canLead(0, to: Ring.point(8), proven: .zero) == false)
    }

    @Test func aLayerThatAReorganisationOvertookIsNotTaken() {
        var holdings = Ring.holdings()
        let lost = Ring.layer(0, Ring.point(1, fork: 1), from: 0, to: 1)
        check(holdings.committed(lost, replacing: false))
        check(holdings.rewind { $0 != lost.point } == [lost])
        #expect(holdings.book.hasGap(0, at: .zero))
        check(!holdings.committed(Ring.layer(0, Ring.point(2), from: 1, to: 2), replacing: false))
        #expect(holdings.held(0)?.layers == [])
        check(holdings.committed(Ring.layer(0, Ring.point(2), from: 0, to: 3), replacing: true))
        #expect(!holdings.book.hasGap(0, at: .zero))
    }

    @Test func aCatchUpThatFindsTheBaseRightDropsLayersThatAreNot() {
        var holdings = Ring.holdings()
        check(holdings.committed(Ring.layer(0, Ring.point(1), from: 0, to: 1), replacing: false))
        holdings.caughtUp(0, layersStand: true)
        #expect(holdings.held(0)?.layers.count == 1)
        holdings.caughtUp(0, layersStand: false)
        #expect(holdings.held(0)?.layers == [])
        check(holdings.layersLost(0) == [] && holdings.book.hasGap(0, at: .zero))
    }

    @Test func aStartTakesOnlyLayersThatFollowFromEachOther() {
        let layers = [
            Ring.layer(0, Ring.point(3), from: 1, to: 3), Ring.layer(0, Ring.point(1), from: 0, to: 1),
            Ring.layer(1, Ring.point(2), from: 7, to: 2), Ring.layer(9, Ring.point(1), from: 0, to: 1),
        ]
        let holdings = Holdings(
            depth: 1, epochLength: 8, arc: 0..<2, records: [Ring.record(0), Ring.record(1), Ring.record(5)],
            layers: layers, crowns: [])
        #expect(holdings.held(0)?.layers.map(\.point) == [Ring.point(1), Ring.point(3)])
        #expect(holdings.held(1)?.layers == [])
        #expect(holdings.book.hasGap(0, at: .zero), "blocks passed while the node was away")
    }

    @Test func crownsThatNothingRefersToAreDropped() {
        var holdings = Ring.holdings()
        for epoch in 1...3 { holdings.store(Ring.crown([0: UInt8(epoch)]), at: Ring.anchor(UInt64(epoch))) }
        for index in 0..<16 {
            _ = holdings.committed(Ring.record(index, at: Ring.point(8), previous: Ring.genesis), section: index)
        }
        check(holdings.pruneCrowns(newestFinal: Ring.anchor(3)) == [Ring.anchor(2)])
        #expect(holdings.crowns.list.map(\.anchor) == [0, 1, 3].map { Ring.anchor($0) })
        #expect(holdings.crowns.crown(at: Ring.anchor(2)) == nil && holdings.crowns.crown(at: Ring.anchor(3)) != nil)
        for index in 0..<16 {
            _ = holdings.committed(Ring.record(index, at: Ring.point(16), previous: Ring.point(8)), section: index)
        }
        check(holdings.pruneCrowns(newestFinal: Ring.anchor(3)) == [Ring.anchor(0)])
    }

    /// Finality is epochs behind the head: everybody goes on to the anchor that became final, not to the newest one.
    @Test func theCrownOfTheAnchorThatBecameFinalStays() {
        var holdings = Ring.holdings()
        for epoch in 1...4 { holdings.store(Ring.crown([0: UInt8(epoch)]), at: Ring.anchor(UInt64(epoch))) }
        check(holdings.pruneCrowns(newestFinal: Ring.anchor(2)) == [Ring.anchor(1), Ring.anchor(3)])
        #expect(holdings.crowns.list.map(\.anchor) == [0, 2, 4].map { Ring.anchor($0) })
    }

    @Test func anchorsAreServedWithTheirCrownsOnly() {
        var records = (2..<10).map { Ring.record($0, at: Ring.point(8), previous: Ring.genesis) }
        records[3] = Ring.record(5)
        records[6] = SectionRecord(starting: Section(depth: 1, index: 8), at: Ring.point(8))
        var holdings = Ring.holdings(arc: 2..<10, records: records)
        #expect(holdings.servedAnchors() == [AnchorSections(anchor: Ring.anchor(0), runs: [2..<8, 9..<10])])
        holdings.store(Ring.crown(), at: Ring.anchor(1))
        holdings.store(Ring.crown(), at: Ring.anchor(2))
        #expect(
            holdings.servedAnchors() == [
                AnchorSections(anchor: Ring.anchor(1), runs: [2..<5, 6..<8, 9..<10]),
                AnchorSections(anchor: Ring.anchor(0), runs: [2..<8, 9..<10]),
            ])
    }

    @Test func everySectionMustBeAsProven() {
        var holdings = Ring.shelf()
        let crown = Ring.crown([3: 1, 12: 1])
        holdings.holdings.note(crown.nodes, at: 1)
        check(!holdings.verify(at: Ring.point(1), root: crown.root, isHead: true))
        check(holdings.markBehind(at: Ring.point(1), root: crown.root) == [3, 12])
        #expect(holdings.hasGap(3, at: .zero) && !holdings.hasGap(4, at: .zero))
        check(holdings.committed(Ring.layer(3, Ring.point(1), from: 0, to: 1), replacing: false))
        check(!holdings.verify(at: Ring.point(1), root: crown.root, isHead: true))
        check(holdings.committed(Ring.layer(12, Ring.point(1), from: 0, to: 1), replacing: false))
        check(holdings.verify(at: Ring.point(1), root: crown.root, isHead: true))
        #expect(holdings.holdings.verifiedHead == Ring.point(1))
        check(holdings.verify(at: Ring.point(1), root: crown.root, isHead: true))
        check(!holdings.verify(at: Ring.point(1, fork: 1), root: crown.root, isHead: true))
        check(!holdings.verify(at: Ring.point(2), root: .max, isHead: true), "a root that no node is known of")
        check(holdings.holdings.rewind { $0.number < 1 }.map(\.section.index) == [3, 12])
        #expect(holdings.holdings.verifiedHead == nil)
    }

    @Test func aCrownIsRebuiltFromWhatIsHeld() {
        var holdings = Ring.holdings()
        check(holdings.committed(Ring.layer(3, Ring.point(1), from: 0, to: 1), replacing: false))
        check(holdings.committed(Ring.layer(3, Ring.point(4), from: 1, to: 4), replacing: false))
        #expect(holdings.rebuiltCrown(at: 0)?.root == Ring.crown().root)
        #expect(holdings.rebuiltCrown(at: 3)?.root == Ring.crown([3: 1]).root)
        #expect(holdings.rebuiltCrown(at: 4)?.root == Ring.crown([3: 4]).root)
        #expect(Ring.holdings(arc: 0..<15).rebuiltCrown(at: 0) == nil)
        _ = holdings.committed(Ring.record(0, at: Ring.point(8)), section: 0)
        #expect(holdings.rebuiltCrown(at: 4) == nil, "below a base")
    }

    @Test func thePoolProvesBySeenNodes() throws {
        let (old, new) = (Ring.crown(), Ring.crown([5: 1]))
        var pool = NodePool()
        pool.add(old.nodes, at: 1)
        let path = Section(depth: 1, index: 5).path
        #expect(pool.path(to: path, root: new.root) == [])
        pool.add(try new.proofNodes(forSection: 5), at: 2)
        for index in 0..<16 {
            let section = Section(depth: 1, index: index)
            let proof = pool.path(to: section.path, root: new.root)
            let hash = try SectionProof.sectionHash(root: new.root, proof: proof, section: section.path)
            #expect(hash == Ring.hash(index, index == 5 ? 1 : 0))
        }
        pool.prune(before: 2)
        #expect(pool.path(to: path, root: old.root) == [] && !pool.path(to: path, root: new.root).isEmpty)
        #expect(pool[new.root] != nil && pool[old.root] == nil)
        pool.add([[0xff, 0xff]], at: 3)
        #expect(
            pool.path(to: path, root: Keccak.hash([0xff, 0xff])) == [[0xff, 0xff]], "what is no node ends the way")
    }
}

/// `#expect` for conditions that change what they ask: the macro cannot look inside those.
func check(
    _ condition: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(condition, comment, sourceLocation: sourceLocation)
}

@Suite("Holdings: node pool") struct NodePoolTests {
    /// Far more blocks than there is room for: what proves the roots that count stays.
    @Test func theOldestGoFirstAndAnchorsStay() throws {
        var pool = NodePool()
        let kept = Ring.crown([3: 9])
        pool.add(kept.nodes, at: 1)
        for number in 2...200 {
            pool.add(Ring.crown([1: UInt8(number)]).nodes, at: UInt64(number))
        }
        let all = pool.byteCount
        pool.shrink(to: all, keeping: [kept.root], after: 150)
        let after = pool.byteCount
        #expect(after < all)
        let section = Section(depth: 1, index: 3).path
        #expect(!pool.path(to: section, root: kept.root).isEmpty, "an anchor's nodes, though oldest")
        #expect(pool.path(to: section, root: Ring.crown([1: 150]).root).isEmpty)
        #expect(!pool.path(to: section, root: Ring.crown([1: 151]).root).isEmpty)
        pool.shrink(to: after / 2, keeping: [kept.root], after: 150)
        #expect(pool.byteCount <= after / 2, "the bound is kept whatever is asked to stay")
        #expect(!pool.path(to: section, root: Ring.crown([1: 200]).root).isEmpty, "the newest stays")
    }
}
