import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Overlay
@testable import StateNetwork

/// What the parts of the holdings keep beside the records is what follows from the records, whatever was done.
@Suite("The book of sections: sums") struct BookTests {
    @Test(arguments: [UInt64(1), 2, 3]) func runsAreASet(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var (runs, model) = (SectionRuns(), Set<Int>())
        for _ in 0..<2_000 {
            let index = Int.random(in: 0..<40, using: &generator)
            if Bool.random(using: &generator) {
                runs.insert(index)
                model.insert(index)
            } else {
                runs.remove(index)
                model.remove(index)
            }
            #expect(runs.count == model.count && Array(runs.indices) == model.sorted())
            #expect(runs.contains(index) == model.contains(index))
            #expect(zip(runs.runs, runs.runs.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        }
    }

    @Test(arguments: [UInt64(4), 5, 6]) func theSumsAreThoseOfTheRecords(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var book = SectionBook(depth: 1, epochLength: 8, arc: 2..<14, records: [], layers: [])
        for _ in 0..<600 {
            let index = Int.random(in: 0..<16, using: &generator)
            change(&book, index, &generator)
            expectSums(of: book)
        }
        #expect(book.revision > 0)
    }

    private func change(_ book: inout SectionBook, _ index: Int, _ generator: inout SeededGenerator) {
        let epoch = UInt64.random(in: 0..<4, using: &generator)
        let section = Section(depth: 1, index: index)
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: book.change(index) { $0.record = nil }
        case 1:
            let record = SectionRecord(starting: section, at: Ring.point(epoch * 8))
            book.change(index) { $0.record = record }
        case 2, 3:
            let record = Ring.record(index, at: Ring.point(epoch * 8), previous: epoch > 0 ? Ring.genesis : nil)
            var dropped: [BlockLayer] = []
            book.change(index) { dropped = $0.take(record) }
            #expect(dropped.allSatisfy { $0.section == section })
        case 4:
            let number = book.top(of: index) + 1
            let from = book.held(index)?.layers.last.map { UInt8(truncatingIfNeeded: $0.point.number) } ?? 0
            let layer = Ring.layer(index, Ring.point(number), from: from, to: UInt8(truncatingIfNeeded: number))
            book.change(index) { _ = $0.take(layer, replacing: false) }
        case 5: book.change(index) { $0.gapUntil = $0.gapUntil == nil ? .zero : nil }
        default: if !book.lock([index]) { book.unlock([index]) }
        }
    }

    private func expectSums(of book: SectionBook) {
        let held = book.arc.compactMap { index in book.held(index).map { (index, $0) } }
        let complete = held.filter { $0.1.isComplete }
        #expect(book.completeCount == complete.count && book.arc.count == held.count)
        #expect(book.begun == Set(held.filter { $0.1.record != nil && !$0.1.isComplete }.map(\.0)))
        #expect(book.layerBytes == held.reduce(0) { $0 + $1.1.index.byteCount })
        let later = Instant.zero + .seconds(60)
        let gaps = complete.filter { $0.1.needsCatchUp || $0.1.gapUntil != nil }.map(\.0)
        #expect(book.gaps(at: later) == gaps)
        for epoch in UInt64(0)..<4 {
            let point = Ring.point(epoch * 8)
            let anchor = Ring.anchor(epoch)
            let served = complete.filter { $0.1.record?.working == point || $0.1.record?.previous == point }.map(\.0)
            #expect(AnchorSections(anchor: anchor, runs: book.served(at: anchor)).runs.flatMap { Array($0) } == served)
            let behind = complete.filter { $0.1.record?.working != point }.map(\.0)
            #expect(book.behind(anchor).flatMap { Array($0.sections.indices) }.sorted() == behind)
            #expect(book.completeCount(at: anchor) == complete.count - behind.count)
        }
        let locked = held.filter(\.1.isLocked).map(\.0)
        #expect(locked.allSatisfy { book.isLocked($0) })
    }
}

/// The head is verified by what changed; that says the same as comparing everything.
@Suite("The verified head: by what changed") struct HeadVerifierTests {
    /// Every section compared with its proven hash, without what was verified before.
    private func stands(_ holdings: Holdings, at point: StatePoint, root: Bytes32) -> Bool {
        holdings.book.arc.allSatisfy { index in
            holdings.book.stateHash(of: index, at: point.number).map {
                holdings.crowns.provenHash(of: index, root: root) == $0
            } ?? false
        }
    }

    @Test(arguments: [UInt64(7), 8, 9, 10]) func itIsWhatAFullComparisonSays(seed: UInt64) {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var holdings = Ring.holdings()
        var versions: [Int: UInt8] = [:]
        /// Layers that came too late, by section: they are given one by one.
        var late: [BlockLayer] = []
        var (verified, refused) = (0, 0)
        for number in UInt64(1)...60 {
            let changed = (0..<16).filter { _ in Int.random(in: 0..<5, using: &generator) == 0 }
            for section in changed {
                let (from, to) = (versions[section] ?? 0, UInt8(number))
                versions[section] = to
                late.append(Ring.layer(section, Ring.point(number), from: from, to: to))
            }
            // Now and then the nodes above the sections are not seen.
            let crown = Ring.crown(versions)
            if Int.random(in: 0..<6, using: &generator) > 0 { holdings.note(crown.nodes, at: number) }
            while let layer = late.first, Int.random(in: 0..<12, using: &generator) > 0 {
                late.removeFirst()
                _ = holdings.committed(layer, replacing: false)
            }
            let (point, expected) = (
                Ring.point(number), stands(holdings, at: Ring.point(number), root: crown.root)
            )
            let behind = holdings.verifier.behind(at: point, root: crown.root, holdings.book, holdings.crowns)
            #expect(behind.isEmpty == expected, "block \(number)")
            let isVerified = holdings.verify(at: point, root: crown.root, isHead: late.isEmpty)
            #expect(isVerified == expected, "block \(number)")
            if expected { verified += 1 } else { refused += 1 }
        }
        #expect(verified > 5 && refused > 5, "\(verified) verified, \(refused) not")
    }

    @Test func whatDiffersIsFoundByGoingDownBothTries() {
        let (old, new) = (Ring.crown([2: 1]), Ring.crown([2: 1, 5: 1, 9: 3]))
        var pool = NodePool()
        pool.add(old.nodes, at: 1)
        let blind = pool.difference(from: old.root, to: new.root, depth: 1)
        #expect(blind.sections.isEmpty && blind.unknown == [0..<16], "nothing of the new one was seen")
        pool.add(new.nodes, at: 2)
        let seen = pool.difference(from: old.root, to: new.root, depth: 1)
        #expect(seen.sections == [5, 9] && seen.unknown.isEmpty)
        #expect(pool.difference(from: new.root, to: new.root, depth: 1) == TrieDifference())
        let strange = pool.difference(from: .max, to: new.root, depth: 1)
        #expect(strange.sections == Array(0..<16), "where the old one was not seen all may differ")
    }
}

@Suite("What is under way, and what is missing") struct OperationTests {
    @Test func everyBeginningIsCountedAndEveryEndGivesBack() throws {
        var table = OperationTable()
        let peer = Bytes32(0, 0, 0, 1)
        let asked = table.begin(
            .ask(.crown(Ring.anchor(1)), key: .availability), stage: .asked, peer: peer, at: .zero)
        let fold = table.begin(.fold, stage: .checking, sections: [3], at: .zero)
        let serve = table.begin(.serve(Overlay.ContentToken(value: 1)), stage: .checking, at: .zero)
        #expect(table.count == 3 && table.askCount == 1 && table.servingCount == 1 && table.load(of: peer) == 1)
        table.checks(asked, sections: [], bytes: 70)
        #expect(table[asked]?.bytes == 70)
        table.writes(fold, .drop)
        if case .writing(.drop)? = table[fold]?.stage {} else { Issue.record("the stage is not kept") }
        #expect(Array(table.asks).map(\.id) == [asked])
        let slow = table.slowest(at: .zero + WalkLimits.slowAfter)
        #expect(slow?.peer == peer && slow?.section == nil)
        for id in [asked, fold, serve] {
            let ended = table.end(id)
            #expect(ended?.id == id)
            let again = table.end(id)
            #expect(again == nil, "it ends once")
        }
        #expect(table.count == 0 && table.askCount == 0 && table.servingCount == 0 && table.load(of: peer) == 0)
    }

    @Test func codesAreWantedOnceAndGoWhoeverBringsThem() {
        func hash(_ number: UInt64) -> Bytes32 { Bytes32(0, 0, 0, number) }
        var codes = WantedCodes([WantedCode(hash: hash(1), section: 4), WantedCode(hash: hash(2), section: 4)])
        codes.want([WantedCode(hash: hash(1), section: 7), WantedCode(hash: hash(3), section: 7)])
        #expect(codes.count == 3 && codes.lacking == [4, 7] && codes.of(4) == [hash(1), hash(2)])
        codes.stored([hash(1), hash(9)])
        #expect(codes.of(4) == [hash(2)] && codes.of(7) == [hash(3)])
        codes.stored([hash(2), hash(3)])
        #expect(codes.isEmpty && codes.lacking.isEmpty)
    }
}
