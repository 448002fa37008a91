import Testing

@testable import Fuzzing

/// Must-reject fuzzing, as long as a build may wait; tools/fuzz goes on from here.
@Suite struct TrialTests {
    private static let seed: UInt64 = 40_001
    private static let mutants = 200_000

    /// 200,000 changes to true things: each is refused, or what is accepted is so.
    @Test func nothingUntrueIsAccepted() throws {
        var total = 0
        var scene = 0
        var tallies: [TrialSubject: Tally] = [:]
        while total < Self.mutants {
            for subject in TrialSubject.allCases {
                let tally = try Trials.scene(subject, seed: Trials.sceneSeed(Self.seed, scene))
                tallies[subject, default: Tally()] += tally
                total += tally.total
            }
            scene += 1
        }
        // Every kind that a subject knows occurs often, and nearly all of what it makes is refused.
        for (subject, kinds) in Self.kinds {
            let tally = try #require(tallies[subject])
            for kind in kinds {
                let (refused, stillTrue) = (tally[kind, .refused], tally[kind, .stillTrue])
                #expect(refused + stillTrue > 100, "seed \(Self.seed): \(subject.rawValue), \(kind.rawValue)")
            }
            #expect(tally.kinds == MutationKind.allCases.filter(kinds.contains))
            let refused = MutationKind.allCases.reduce(0) { $0 + tally[$1, .refused] }
            #expect(refused * 10 > tally.total * 6, "seed \(Self.seed): \(subject.rawValue)")
        }
    }

    /// A leaf that is left out, put in, changed or moved is never accepted: with these kinds no statement stays true.
    @Test(arguments: [TrialSubject.trieRange, .stateRange, .sectionDiffs, .blockDiff])
    func changedLeavesAreAlwaysRefused(subject: TrialSubject) throws {
        var tally = Tally()
        for scene in 0..<60 { tally += try Trials.scene(subject, seed: Trials.sceneSeed(Self.seed + 1, scene)) }
        let kinds: [MutationKind] = [
            .leafDropped, .leafAdded, .leafChanged, .leafMoved, .leafDuplicated, .leavesReordered, .keyOffByOne,
            .columnShifted, .storageGivenAway, .putTurned, .nodeBitFlipped, .nodeRepeated, .wrongRoot,
        ]
        for kind in kinds { #expect(tally[kind, .stillTrue] == 0, "seed \(Self.seed + 1): \(kind.rawValue)") }
        #expect(kinds.reduce(0) { $0 + tally[$1, .refused] } > 1_000)
    }

    @Test func oneSeedIsOneRun() throws {
        for subject in TrialSubject.allCases {
            #expect(try Trials.scene(subject, seed: 7) == Trials.scene(subject, seed: 7))
        }
        #expect(Trials.sceneSeed(1, 2) != Trials.sceneSeed(1, 3))
    }

    @Test func fourteenKindsAndMore() {
        #expect(MutationKind.allCases.count >= 14)
        #expect(Set(MutationKind.allCases.map(\.rawValue)).count == MutationKind.allCases.count)
        for (subject, kinds) in Self.kinds where subject == .stateRange { #expect(kinds.count >= 14) }
    }

    private static let kinds: [(TrialSubject, [MutationKind])] = [
        (.trieRange, TrieRangeScene.kinds), (.stateRange, StateRangeScene.kinds),
        (.sectionProof, SectionProofScene.kinds), (.crown, CrownScene.kinds),
        (.sectionDiffs, SectionDiffsScene.kinds), (.blockDiff, BlockDiffScene.kinds),
        (.stretch, StretchScene.kinds), (.query, QueryScene.kinds),
    ]
}
