import Primitives
import StateNetwork
import Testing

@testable import Node

/// Whether a node catches up or keeps up: never the second without having seen that it is so.
@Suite("Modes") struct ModeTests {
    private static let begin = Instant(microseconds: 1_000_000)

    private func sight(
        _ behind: UInt64 = 0, isWhole: Bool = true, isInTouch: Bool = true, hasNewest: Bool = true
    ) -> ModeKeeper.Sight {
        ModeKeeper.Sight(isWhole: isWhole, behind: behind, isInTouch: isInTouch, hasNewestHeaders: hasNewest)
    }

    /// What is seen each second from `begin` on; the mode after each.
    private func modes(_ sights: [ModeKeeper.Sight]) -> [SyncMode] {
        var keeper = ModeKeeper(at: Self.begin)
        return sights.enumerated().map { second, sight in
            _ = keeper.note(sight, at: Self.begin + .seconds(second))
            return keeper.mode
        }
    }

    @Test func whoIsNearForAWhileIsCaughtUp() {
        #expect(modes([sight(), sight(), sight()]) == [.sync, .sync, .pacemaker])
        #expect(modes([sight(6), sight(3), sight(6)]).last == .pacemaker)
        #expect(modes([sight(7), sight(7), sight(7), sight(7)]).last == .sync)
        #expect(modes([sight(), sight(), sight(7), sight(), sight()]).last == .sync, "it begins again")
        #expect(modes([sight(), sight(), sight(7), sight(), sight(), sight()]).last == .pacemaker)
    }

    @Test func whatIsNotSeenIsNotTakenToBeSo() {
        for missing in [sight(isWhole: false), sight(isInTouch: false), sight(hasNewest: false)] {
            #expect(modes(Array(repeating: missing, count: 60)).last == .sync)
        }
    }

    @Test func whoFallsBehindCatchesUp() {
        let up = [sight(), sight(), sight()]
        #expect(modes(up + [sight(6)]).last == .pacemaker)
        #expect(modes(up + [sight(7)]).last == .sync)
        #expect(modes(up + [sight(isInTouch: false)]).last == .sync, "to hear of nobody is not to be caught up")
        #expect(modes(up + [sight(isWhole: false)]).last == .sync)
        #expect(modes(up + [sight(hasNewest: false)]).last == .pacemaker, "a head that is claimed is none")
    }

    @Test func aChangeIsToldOnceAndSinceWhen() {
        var keeper = ModeKeeper(at: Self.begin)
        var changes: [Int] = []
        for second in 0..<10 where keeper.note(sight(second == 6 ? 9 : 0), at: Self.begin + .seconds(second)) {
            changes.append(second)
        }
        #expect(changes == [2, 6, 9])
        #expect(keeper.since == Self.begin + .seconds(9))
    }

    /// A node that hears of nobody, at whatever it is.
    @Test(arguments: [false, true]) func aNodeAloneIsNotCaughtUp(isFull: Bool) throws {
        var bench = try Bench(.walker, isFull: isFull)
        for _ in 0..<60 {
            bench.now = bench.now + .seconds(1)
            bench.node.handle(.tick, at: bench.moment)
        }
        let progress = bench.node.progress(at: bench.moment)
        #expect(progress.sync.mode == .sync && progress.sync.told == SyncStanding.ToldHeights())
        #expect(progress.sync.seconds >= 60)
    }
}
