import Chain
import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// Which section a lane goes to next.
@Suite("Lanes") struct LanesTests {
    /// A book of 256 sections of which these are complete.
    private func book(complete: [Int] = []) -> SectionBook {
        let records = complete.map {
            SectionRecord(
                section: Section(depth: 2, index: $0), working: StatePoint(number: 8, hash: .max),
                coverage: .complete(.empty))
        }
        return SectionBook(depth: 2, epochLength: 8, arc: 0..<256, records: records, layers: [])
    }

    private func sections(
        complete: [Int] = [], fellows: Set<Int> = [], rare: (Int) -> Int = { _ in 3 },
        underWay: Set<Int> = []
    ) -> Lanes.Sections {
        let counts = (0..<256).map { rare($0) + (fellows.contains($0) ? 1 : 0) }
        return Lanes.Sections(
            book: book(complete: complete), providers: { counts[$0] }, ofFellows: fellows,
            isUnderWay: { underWay.contains($0) })
    }

    @Test func nodesBeginAtDifferentPlaces() {
        for (turn, first) in [(0.0, 0), (0.25, 64), (0.999, 255)] {
            var lanes = Lanes(sections: Array(0..<256), count: 1, turn: turn)
            lanes.fill(sections())
            #expect(lanes.active == [first])
        }
    }

    @Test func aLaneGoesOnUpwardOverWhatCameWithIt() {
        var lanes = Lanes(sections: Array(0..<256), count: 1, turn: 0.25)
        lanes.fill(sections())
        lanes.release(64)
        // A bundle brought the next three too.
        lanes.fill(sections(complete: Array(64..<68)))
        #expect(lanes.active == [68])
    }

    /// Where a fellow has been before, its lane is at work right behind that: this one goes elsewhere.
    @Test func aLaneDoesNotFollowAFellow() {
        var lanes = Lanes(sections: Array(0..<256), count: 1, turn: 0.25)
        lanes.fill(sections())
        lanes.release(64)
        lanes.fill(sections(complete: Array(64..<68), fellows: Set(68..<80)))
        // Of the longest run of the rarest, 80 to 255, a quarter is passed over.
        #expect(lanes.active == [80 + 176 / 4])
    }

    @Test func whatNobodyHasComesLast() {
        var lanes = Lanes(sections: Array(0..<4), count: 1)
        for expected in [2, 3, 0, 1] {
            lanes.fill(sections(rare: { [0, 0, 1, 1][$0 % 4] }))
            #expect(lanes.active == [expected])
            lanes.release(expected)
        }
    }

    /// Every second lane fetches what fellows have, the others what is rare.
    @Test func lanesShareTheWork() {
        var lanes = Lanes(sections: Array(0..<256), count: 4)
        let fellows = Set(10..<20)
        lanes.fill(sections(fellows: fellows))
        #expect(lanes.current.enumerated().map { fellows.contains($1 ?? 0) } == [false, true, false, true])
        #expect(!lanes.isLastRound)
    }

    @Test func theLastRoundIsWhenALaneFindsNothing() {
        var lanes = Lanes(sections: Array(0..<4), count: 4)
        lanes.fill(sections(underWay: [1, 2]))
        #expect(lanes.active == [0, 3] && lanes.isLastRound)
        #expect(lanes.current.count == 4)
    }
}
