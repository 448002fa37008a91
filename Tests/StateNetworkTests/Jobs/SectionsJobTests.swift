import Chain
import Primitives
import StateContent
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// Sections that come together are stored together, as ranges of each would have been.
@Suite("Taking several sections") struct SectionsJobTests {
    private static let depth = 2

    private struct Case {
        let state: TestState
        let point: StatePoint
        let anchor = TestState.anchor

        init(seed: UInt64) throws {
            print("seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            state = try TestState.random(&generator, accounts: 500, depth: SectionsJobTests.depth)
            point = StatePoint(number: 24, hash: anchor.hash)
        }

        func take(_ sections: [Int], wanted: [Int], on store: MemorySnapshot = MemorySnapshot()) throws -> SectionsTaken
        {
            let key = try #require(SectionsKey(anchor: anchor, sections: sections, maxBytes: 1 << 20))
            var view = state.view
            let value = try #require(try SectionsServer.serve(key, view: &view, crown: state.crown))
            let job = TakeSections(
                value: value, key: key, sections: wanted, depth: SectionsJobTests.depth, point: point,
                stateRoot: state.root)
            return try job.run(on: store)
        }
    }

    @Test func eachIsCompleteAfterOneTransaction() throws {
        let scene = try Case(seed: 811)
        let sections = Array(32..<64)
        let taken = try scene.take(sections, wanted: sections)
        #expect(taken.records.map(\.section.index) == sections && taken.given == sections)
        for record in taken.records {
            #expect(try record.sectionHash == scene.state.crown.sectionHash(record.section.index))
            #expect(record.working == scene.point && record.isComplete)
        }
        let leaves = scene.state.leaves.filter { sections.contains(Int($0.key.account.word0 >> 56)) }
        #expect(taken.leafBytes >= leaves.reduce(0) { $0 + 32 + $1.value.count })
        #expect(!taken.wantedCodes.isEmpty)
    }

    /// What another operation has meanwhile is left as it is.
    @Test func onlyWhatIsWantedIsTaken() throws {
        let scene = try Case(seed: 812)
        let taken = try scene.take(Array(32..<64), wanted: [40, 41, 63])
        #expect(taken.records.map(\.section.index) == [40, 41, 63])
        #expect(taken.given.count == 32)
        #expect(throws: StateJobError.self) { try scene.take([5], wanted: [6]) }
    }
}
