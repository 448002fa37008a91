import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

@Suite("Configuration") struct ConfigurationTests {
    private func arc(_ exponent: Int, depth: Int, _ word: UInt64) throws -> Range<Int> {
        let arc = Arc(of: Bytes32(word, 1, 2, 3), radiusExponent: exponent, depth: depth)
        #expect(arc == Arc(of: Bytes32(word, 1, 2, 3), radius: .mask(bits: min(exponent, 256)), depth: depth))
        return arc.sections
    }

    @Test func arcsAreAlignedStretchesRoundTheID() throws {
        let id: UInt64 = 0xabcd_ef00_0000_0000
        #expect(try arc(256, depth: 1, id) == 0..<16)
        #expect(try arc(300, depth: 1, id) == 0..<16)
        #expect(try arc(255, depth: 1, id) == 8..<16)
        #expect(try arc(254, depth: 1, id) == 8..<12)
        #expect(try arc(252, depth: 1, id) == 10..<11)
        #expect(try arc(10, depth: 1, id) == 10..<11, "never less than a section")
        #expect(try arc(0, depth: 3, id) == 0xabc..<0xabd)
        #expect(try arc(250, depth: 3, id) == 0xa80..<0xac0)
        #expect(try arc(250, depth: 4, .max) == 0xfc00..<0x1_0000)
        #expect(try arc(250, depth: 4, 0) == 0..<0x400)
    }
}

@Suite("What a node gives back") struct GiveBackTests {
    /// An operation that is under way, with the sections it has locked.
    private struct UnderWay {
        let purpose: Operation.Purpose
        let stage: Operation.Stage
        var sections: [Int] = []
    }

    private static func ask(_ task: WalkTask, _ stage: Operation.Stage) -> UnderWay {
        UnderWay(purpose: .ask(task, key: .availability), stage: stage, sections: task.sections)
    }

    /// All that a node can have under way, at every stage in which it waits for the store or for a job.
    private func everything() throws -> [UnderWay] {
        let range = WalkTask.range(
            section: 2, anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 1)
        let diffs = WalkTask.diffs(sections: [2, 5], from: Bench.anchor, to: .block(Bench.genesis))
        let taken = RangeTaken(
            record: Bench.record(2), batch: WriteBatch(), wantedCodes: [], leaves: 1, leafBytes: 70, isCarried: false)
        let bundle = WalkTask.sections([6, 7], anchor: Bench.anchor, maxBytes: 1)
        let several = SectionsTaken(
            records: [Bench.record(6), Bench.record(7)], given: [6, 7], batch: WriteBatch(), wantedCodes: [],
            leafBytes: 70)
        let checked = CheckedDiff(layer: Bench.layer(3), batch: WriteBatch(), codeHashes: [], wantedCodes: [])
        let folded = SectionFolded(record: Bench.record(4), batch: WriteBatch(), wantedCodes: [])
        return [
            UnderWay(purpose: .serve(Overlay.ContentToken(value: 1)), stage: .checking),
            Self.ask(range, .checking), Self.ask(range, .writing(.range(taken))),
            Self.ask(bundle, .checking), Self.ask(bundle, .writing(.sections(several))),
            UnderWay(purpose: .encode(Bench.anchor), stage: .checking),
            Self.ask(diffs, .checking), Self.ask(diffs, .writing(.diffs(DiffsTaken(), goal: Bench.genesis))),
            Self.ask(.carry(section: 6, from: Bench.anchor, to: Bench.anchor), .checking),
            UnderWay(purpose: .blockDiffs([Bench.diff(3)]), stage: .checking, sections: [3]),
            UnderWay(purpose: .blockDiffs([Bench.diff(3)]), stage: .writing(.layers([checked])), sections: [3]),
            UnderWay(purpose: .fold, stage: .checking, sections: [4]),
            UnderWay(purpose: .fold, stage: .writing(.fold(folded)), sections: [4]),
            UnderWay(purpose: .drop, stage: .writing(.drop), sections: [4]),
            Self.ask(.codes([.max], section: 1), .writing(.codes([]))),
            Self.ask(.crown(Bench.anchor), .checking),
            UnderWay(purpose: .crown(Bench.anchor), stage: .writing(.crown(Bench.anchor, Bench.crown))),
            UnderWay(purpose: .note, stage: .writing(.nothing)),
        ]
    }

    /// Begins it, and has the store refuse its transaction, or the job come back with another one's result.
    private func outcome(
        _ operation: UnderWay, in role: Role = .holder, begin: (inout Bench) -> Void = { _ in }
    ) throws -> (Bench, [CarouselNode.Directive]) {
        var bench = try Bench(role)
        _ = bench.handle(.tick)
        let before = bench.node.state.operations.count
        begin(&bench)
        check(bench.node.state.holdings.book.lock(operation.sections))
        let id = bench.node.state.operations.begin(
            operation.purpose, stage: operation.stage, sections: operation.sections, peer: Bench.peer, at: bench.now)
        bench.node.commit(WriteBatch(), for: .state(id))
        guard case .commit(let commit, _)? = bench.node.drain().last else {
            Issue.record("no transaction left")
            return (bench, [])
        }
        let directives = bench.handle(.commitFailed(commit, .full))
        #expect(bench.node.commits[commit] == nil && bench.node.state.operations[id] == nil)
        #expect(bench.node.state.operations.count == before)
        return (bench, directives)
    }

    /// Every lock is free again and the one who runs the node is told why.
    private func expectAllFree(_ result: (Bench, [CarouselNode.Directive]), _ comment: Comment) {
        let locked = (0..<16).filter { result.0.book.isLocked($0) }
        #expect(locked == [], comment)
        let operations = result.0.node.state.operations
        #expect(operations.servingCount == 0 && operations.askCount == 0, comment)
        #expect(operations.load(of: Bench.peer) == 0, comment)
        let told = result.1.contains {
            if case .report(.failed(let text)) = $0 { text.contains("the store is full") } else { false }
        }
        #expect(told, comment)
    }

    @Test func aRefusedTransactionFreesWhatItHeld() throws {
        for operation in try everything() { expectAllFree(try outcome(operation), "\(operation.purpose)") }
    }

    @Test func aBridgeTriesARefusedBlockAgain() throws {
        let block = try Bench.block(1)
        let word = Attestation(certified: CertifiedHeader(header: block.header), final: nil)
        let stages = [Operation.Stage.checking, .writing(.block(ReplayTaken(crown: Bench.crown), word))]
        for stage in stages {
            let operation = UnderWay(purpose: .replay(block), stage: stage)
            var (bench, directives) = try outcome(operation, in: .bridge) { bench in
                bench.node.state.replayer?.give(block)
                bench.node.state.replayer?.begin()
                check(bench.node.state.holdings.book.lockAll())
            }
            expectAllFree((bench, directives), "\(stage)")
            #expect(bench.node.replayBacklog == 1)
            #expect(bench.node.nextDeadline(at: bench.moment) <= bench.now + StateNetworkLimits.storeRetry)
            bench.now = bench.now + StateNetworkLimits.storeRetry
            directives = bench.handle(.tick)
            let again = directives.contains { if case .run(_, .replay) = $0 { true } else { false } }
            #expect(again && bench.node.replayBacklog == 1)
            #expect(bench.book.isLocked(0))
        }
    }

    @Test func aBlockOutOfOrderIsNamedAndAnOldOneIsPassedOver() throws {
        var bench = try Bench(.bridge)
        let begun = bench.handle(.block(try Bench.block(0))).contains { if case .run = $0 { true } else { false } }
        #expect(!begun)
        #expect(bench.node.replayBacklog == 0)
        let told = bench.handle(.block(try Bench.block(3))).compactMap { directive -> String? in
            if case .report(.failed(let text)) = directive { text } else { nil }
        }
        #expect(told == ["block 3 was given where 1 is next: the chain's files must leave none out"])
        #expect(bench.node.replayBacklog == 0 && !bench.book.isLocked(0))
    }

    @Test func aResultOfAnotherKindGivesBackToo() throws {
        for operation in try everything() {
            guard case .checking = operation.stage, !operation.sections.isEmpty else { continue }
            var bench = try Bench(.holder)
            check(bench.node.state.holdings.book.lock(operation.sections))
            let id = bench.node.state.operations.begin(
                operation.purpose, stage: .checking, sections: operation.sections, peer: Bench.peer, at: bench.now)
            bench.node.run(try Bench.someJob(), for: .state(id))
            guard case .run(let job, _)? = bench.node.drain().last else {
                Issue.record("no job left")
                return
            }
            _ = bench.handle(.jobFinished(job, .served([0])))
            #expect(operation.sections.allSatisfy { !bench.book.isLocked($0) } && bench.node.jobs.isEmpty)
            _ = bench.handle(.jobFinished(job, .served([0])))
            _ = bench.handle(.committed(CommitID(value: 999)))
            #expect(bench.node.jobs.isEmpty, "what nobody waits for changes nothing")
        }
    }

    @Test func aLieFreesItsSectionAndIsCounted() throws {
        var bench = try Bench(.holder)
        check(bench.node.state.holdings.book.lock([3]))
        let id = bench.node.state.operations.begin(
            .blockDiffs([Bench.diff(3)]), stage: .checking, sections: [3], peer: Bench.peer, at: bench.now)
        bench.node.run(try Bench.someJob(), for: .state(id))
        guard case .run(let job, _)? = bench.node.drain().last else {
            Issue.record("no job left")
            return
        }
        var checked = CheckedDiffs()
        checked.lies = [(BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: 3), "hash")]
        _ = bench.handle(.jobFinished(job, .blockDiffs(.success(checked))))
        #expect(bench.node.totals.invalidAnswers == 1)
        #expect(!bench.book.isLocked(3) && bench.book.held(3)?.layers == [])
    }
}
