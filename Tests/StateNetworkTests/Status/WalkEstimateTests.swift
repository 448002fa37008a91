import Primitives
import Testing

@testable import StateNetwork

/// When a walk will have all: told where the pace is steady, and otherwise not.
@Suite struct WalkEstimateTests {
    /// What an estimate says after `seconds`, of which each brought `share`.
    private func estimate(_ seconds: Int, from first: Double = 0, _ share: (Int) -> Double) -> WalkEstimate {
        var (estimate, held) = (WalkEstimate(), first)
        for second in 0..<seconds {
            estimate.note(held, at: .at(second))
            held += share(second)
        }
        return estimate
    }

    @Test func aSteadyPaceIsGoneOnWith() throws {
        let rest = try #require(estimate(61) { _ in 0.001 }.remaining())
        #expect(abs(rest.seconds - 940) < 1, "940 thousandths are left")
        // Answers come in lumps.
        let lumps = try #require(estimate(61) { $0 % 5 == 0 ? 0.005 : 0 }.remaining())
        #expect(abs(lumps.seconds - 940) < 60)
    }

    @Test func tooLittleIsKnownInHalfAMinute() {
        #expect(WalkEstimate().remaining() == nil)
        #expect(estimate(30) { _ in 0.001 }.remaining() == nil)
        #expect(estimate(32) { _ in 0.001 }.remaining() != nil)
    }

    @Test func aPaceThatChangesSaysNothing() {
        #expect(estimate(61) { $0 < 30 ? 0.001 : 0.003 }.remaining() == nil, "it tripled")
        #expect(estimate(61) { $0 < 30 ? 0.003 : 0 }.remaining() == nil, "it stopped")
        #expect(estimate(61) { _ in 0 }.remaining() == nil)
        #expect(estimate(200) { $0 < 100 ? 0.003 : 0.001 }.remaining() != nil, "the last minute counts")
    }

    @Test func whatFellIsNotGoneOnFrom() {
        #expect(estimate(61, from: 0.5) { $0 == 50 ? -0.1 : 0.001 }.remaining() == nil)
        #expect(estimate(120, from: 0.5) { $0 == 50 ? -0.1 : 0.001 }.remaining() != nil)
    }

    @Test func nothingIsLeftOrTooMuch() {
        #expect(estimate(61, from: 0.94) { _ in 0.001 }.remaining() == nil, "it is done")
        #expect(estimate(61) { _ in 1e-7 }.remaining() == nil, "a hundred days are a guess")
    }
}

/// How long an epoch takes to be caught up with.
@Suite struct RollForwardTests {
    @Test func theWayToAnAnchorIsMeasured() {
        var roll = RollForward()
        #expect(roll.share(at: .at(9)) == nil)
        roll.becameFinal(1, holds: true, at: .at(100))
        #expect(roll.epoch == nil && roll.isUnderWay)
        roll.arrived(at: .at(110))
        #expect(roll.last == .seconds(10) && !roll.isUnderWay && roll.share(at: .at(110)) == nil)
        roll.becameFinal(1, holds: true, at: .at(140))
        #expect(roll.epoch == .seconds(40) && roll.share(at: .at(145)) == 0.25)
        // One that takes longer than the last counts before it is done.
        #expect(roll.share(at: .at(190)) == 1.25)
        roll.arrived(at: .at(160))
        #expect(roll.last == .seconds(20) && roll.share(at: .at(190)) == 0.5)
    }

    @Test func headersOfManyEpochsSayNothingOfOne() {
        var roll = RollForward()
        roll.becameFinal(1, holds: false, at: .at(1))
        roll.arrived(at: .at(2))
        #expect(roll.last == nil, "nothing had to follow")
        roll.becameFinal(5, holds: true, at: .at(3))
        #expect(roll.epoch == nil && roll.finalSince == .at(3))
    }
}

extension Instant {
    fileprivate static func at(_ seconds: Int) -> Instant { Instant.zero + .seconds(seconds) }
}
