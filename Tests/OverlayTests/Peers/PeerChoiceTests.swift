import Discovery
import Primitives
import Testing

@testable import Overlay

@Suite struct PeerChoiceTests {
    private let fast = Bytes32(1, 0, 0, 0), slow = Bytes32(2, 0, 0, 0), flaky = Bytes32(3, 0, 0, 0)

    /// Three peers that were dealt with: a fast one, a slow one, and a fast one that mostly fails.
    private func overlay() throws -> Overlay {
        let world = try OverlayWorld(1, seed: 230)
        var overlay = try #require(world.nodes[0])
        let now = Instant(microseconds: 1_000_000)
        for (id, trip, seconds) in [(fast, 20, 2), (slow, 80, 40), (flaky, 10, 1)] {
            overlay.wire.book.measured(.milliseconds(trip), \.roundTrip, of: id, at: now)
            overlay.wire.book.measured(bytes: 4_000_000, in: .seconds(seconds), of: id, at: now)
            for _ in 0..<12 { overlay.wire.book.succeeded(id, at: now) }
        }
        for _ in 0..<30 { overlay.wire.book.failed(flaky, silent: false, at: now) }
        return overlay
    }

    private func counts(_ overlay: inout Overlay, _ candidates: [Bytes32], at now: Instant) -> [Bytes32: Int] {
        var counts: [Bytes32: Int] = [:]
        for _ in 0..<2_000 {
            let id = overlay.choose(
                network: .state, among: candidates.map { AskCandidate(id: $0, load: 0) }, bytes: 1 << 20, at: now)
            if let id { counts[id, default: 0] += 1 }
        }
        return counts
    }

    @Test func theQuickestIsAskedAndAShareExplores() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let counts = counts(&overlay, [slow, flaky, fast], at: now)
        // The share goes round, but for the one that mostly fails.
        let share = OverlayLimits.explorationShare * 2_000
        #expect(abs(Double(counts[slow] ?? 0) - share / 2) < share / 4, "\(counts)")
        #expect(counts[flaky] == nil && counts[fast] ?? 0 > 1_800, "\(counts)")
        let stranger = Bytes32(9, 0, 0, 0)
        let hoped = self.counts(&overlay, [slow, fast, stranger], at: now)
        #expect(hoped[stranger] ?? 0 > 1_000, "a stranger is hoped to be quick")
        for _ in 0..<20 { overlay.wire.book.failed(stranger, silent: false, at: now) }
        let failing = self.counts(&overlay, [slow, fast, stranger], at: now)
        #expect(failing[fast] ?? 0 > 1_800)
        #expect(failing[stranger] == nil)
        let later = now + OverlayLimits.failingGap + .seconds(2)
        let again = self.counts(&overlay, [slow, fast, stranger], at: later)
        #expect(again[stranger] == 1, "it may have become better, and costs a timeout if not")
    }

    @Test func explorationReachesWhoWasNotChosenForLongest() throws {
        var overlay = try overlay()
        var now = Instant(microseconds: 2_000_000)
        var last: [Bytes32: Int] = [:]
        var gaps: [Bytes32: Int] = [:]
        for choice in 0..<2_000 {
            now = now + .milliseconds(100)
            let candidates = [slow, flaky, fast].map { AskCandidate(id: $0, load: 0) }
            let picked = overlay.choose(network: .state, among: candidates, bytes: 1 << 20, at: now)
            let chosen = try #require(picked)
            gaps[chosen] = max(gaps[chosen] ?? 0, choice - (last[chosen] ?? 0))
            last[chosen] = choice
        }
        // Two share a tenth of the choices: a gap of 200 has odds of one in tens of thousands.
        #expect((1..<200).contains(gaps[slow] ?? 0), "\(gaps)")
        // Once a minute and not more often, of ten choices a second.
        #expect((600..<800).contains(gaps[flaky] ?? 0), "\(gaps)")
    }

    /// Of strangers, who are all alike, one of another network is asked first.
    @Test func ofEqualsTheOneOfAnotherPrefixGoesFirst() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let near = (0..<4).map { AskCandidate(id: Bytes32(20 + $0, 0, 0, 0), load: 0, sharesPrefix: true) }
        let far = AskCandidate(id: Bytes32(30, 0, 0, 0), load: 0)
        let apart = (0..<200).count { _ in
            overlay.choose(network: .state, among: near + [far], bytes: 1 << 16, at: now) == far.id
        }
        #expect(apart > 170, "all but the share that explores")
        let known = (0..<200).count { _ in
            let quick = AskCandidate(id: fast, load: 0, sharesPrefix: true)
            let lame = AskCandidate(id: slow, load: 0)
            return overlay.choose(network: .state, among: [quick, lame], bytes: 1 << 20, at: now) == fast
        }
        #expect(known > 170, "the prefix decides among equals only")
    }

    /// What it was asked already has to come through the same pipe.
    @Test func whoIsBusyWithOurRequestsIsPassedOver() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let quick = (0..<500).count { _ in
            overlay.choose(
                network: .state, among: [fast, slow].map { AskCandidate(id: $0, load: 0) }, bytes: 1 << 20, at: now)
                == fast
        }
        let busy = (0..<500).count { _ in
            overlay.choose(
                network: .state, among: [AskCandidate(id: fast, load: 40), AskCandidate(id: slow, load: 0)],
                bytes: 1 << 20, at: now) == slow
        }
        #expect(quick > 400 && busy > 400)
    }

    /// Who has owed an answer for long may owe the next one as long, however quick it was before.
    @Test func whoOwesAnAnswerIsPassedOver() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let patient = (0..<500).count { _ in
            overlay.choose(
                network: .state,
                among: [AskCandidate(id: fast, load: 0, silentFor: .seconds(60)), AskCandidate(id: slow, load: 0)],
                bytes: 1 << 10, at: now) == slow
        }
        #expect(patient > 400)
    }

    /// A peer that answers PINGs at once and lets every request time out is not taken for a quick one.
    @Test func whatAFailureCostsCounts() throws {
        let now = Instant(microseconds: 2_000_000)
        var book = PeerBook(networks: 1)
        let (honest, silent) = (Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0))
        book.measured(.milliseconds(150), \.roundTrip, of: honest, at: now)
        book.succeeded(honest, at: now)
        book.measured(.milliseconds(5), \.roundTrip, of: silent, at: now)
        for _ in 0..<50 { book.succeeded(silent, network: nil, at: now) }
        book.failed(silent, silent: false, at: now)
        book.measured(.seconds(30), \.failureTime, of: silent, at: now)
        let seconds = [honest, silent].map { book.standing(of: $0)?.expectedSeconds(for: 100_000) ?? 0 }
        #expect(seconds[0] < 0.2 && seconds[1] > 10, "\(seconds)")
    }

    @Test func theBannedAreNotChosenUntilTheBanIsOver() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        overlay.judge(fast, .lie, at: now)
        #expect(overlay.choose(network: .state, among: [AskCandidate(id: fast, load: 0)], bytes: 1, at: now) == nil)
        #expect(counts(&overlay, [fast, slow], at: now)[slow] == 2_000)
        let after = now + OverlayLimits.banInterval
        #expect(overlay.choose(network: .state, among: [AskCandidate(id: fast, load: 0)], bytes: 1, at: after) == fast)
        #expect(overlay.choose(network: .state, among: [], bytes: 1, at: now) == nil)
    }

    @Test func failuresOfTheWindowAreForgottenWithIt() throws {
        var overlay = try overlay()
        let now = Instant(microseconds: 2_000_000)
        let before = try #require(overlay.standing(of: flaky))
        #expect(before.failureRate > 0.9 && before.sampleCount == 32)
        for _ in 0..<32 { overlay.wire.book.succeeded(flaky, at: now) }
        let after = try #require(overlay.standing(of: flaky))
        #expect(after.failureRate == 0)
        #expect(after.expectedSeconds(for: 1_000) < before.expectedSeconds(for: 1_000) / 10)
    }
}
