import Discovery
import Primitives
import Testing

@testable import Overlay

@Suite struct PeerChoiceTests {
    private let fast = Bytes32(1, 0, 0, 0), slow = Bytes32(2, 0, 0, 0), flaky = Bytes32(3, 0, 0, 0)

    /// Three peers that were dealt with: a fast one, a slow one, and a fast one that mostly fails.
    private func overlay() throws -> Overlay {
        let world = try World(1, seed: 230)
        var overlay = try #require(world.nodes[0])
        let now = Instant(microseconds: 1_000_000)
        for (id, trip, seconds) in [(fast, 20, 2), (slow, 80, 40), (flaky, 10, 1)] {
            overlay.book.measured(roundTrip: .milliseconds(trip), of: id, at: now)
            overlay.book.measured(bytes: 4_000_000, in: .seconds(seconds), of: id, at: now)
            for _ in 0..<12 { overlay.book.succeeded(id, at: now) }
        }
        for _ in 0..<30 { overlay.book.failed(flaky, silent: false, at: now) }
        return overlay
    }

    private func counts(_ overlay: inout Overlay, _ candidates: [Bytes32], at now: Instant) -> [Bytes32: Int] {
        var counts: [Bytes32: Int] = [:]
        for _ in 0..<2_000 {
            if let id = overlay.choose(among: candidates, bytes: 1 << 20, at: now) { counts[id, default: 0] += 1 }
        }
        return counts
    }

    @Test func theQuickestIsAskedAndAShareExplores() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let counts = counts(&overlay, [slow, flaky, fast], at: now)
        // The rest of the choices goes to the least known, here one of the two with twelve exchanges: the lower id.
        #expect(counts[fast] == 2_000, "\(counts)")
        let stranger = Bytes32(9, 0, 0, 0)
        for _ in 0..<20 { overlay.book.failed(stranger, silent: false, at: now) }
        let explored = self.counts(&overlay, [slow, fast, Bytes32(8, 0, 0, 0)], at: now)
        #expect(explored.values.reduce(0, +) == 2_000)
        let share = Double(explored[Bytes32(8, 0, 0, 0)] ?? 0) / 2_000
        #expect(share > 0.5, "a stranger is hoped to be quick")
        let failing = self.counts(&overlay, [slow, fast, stranger], at: now)
        #expect(failing[fast] == 2_000 && failing[stranger] == nil)
    }

    @Test func explorationReachesWhoIsLeastKnown() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let rare = Bytes32(7, 0, 0, 0)
        // Dealt with a few times only, and slowly.
        overlay.book.measured(roundTrip: .milliseconds(200), of: rare, at: now)
        overlay.book.measured(bytes: 100_000, in: .seconds(10), of: rare, at: now)
        overlay.book.succeeded(rare, at: now)
        let counts = counts(&overlay, [slow, flaky, fast, rare], at: now)
        let share = Double(counts[rare] ?? 0) / 2_000
        #expect(abs(share - OverlayLimits.explorationShare) < 0.03, "\(share)")
        #expect(counts[fast] == 2_000 - (counts[rare] ?? 0))
    }

    @Test func theBannedAreNotChosenUntilTheBanIsOver() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        overlay.judge(fast, .lie, at: now)
        #expect(overlay.choose(among: [fast], bytes: 1, at: now) == nil)
        #expect(counts(&overlay, [fast, slow], at: now)[slow] == 2_000)
        #expect(overlay.choose(among: [fast], bytes: 1, at: now + OverlayLimits.banInterval) == fast)
        #expect(overlay.choose(among: [], bytes: 1, at: now) == nil)
    }

    @Test func failuresOfTheWindowAreForgottenWithIt() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let before = try #require(overlay.standing(of: flaky))
        #expect(before.failureRate > 0.9 && before.sampleCount == 32)
        for _ in 0..<32 { overlay.book.succeeded(flaky, at: now) }
        let after = try #require(overlay.standing(of: flaky))
        #expect(after.failureRate == 0)
        #expect(after.expectedSeconds(for: 1_000) < before.expectedSeconds(for: 1_000) / 10)
    }
}
