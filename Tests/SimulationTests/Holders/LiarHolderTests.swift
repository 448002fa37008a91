import Chain
import Primitives
import Testing

@testable import Node
@testable import Overlay
@testable import Simulation

/// Holders that announce what is true and serve what is not. A third of each half's holders does; the client
/// ends with the right state all the same, and knows who lied.
@Suite("Liar holders") struct LiarHolderTests {
    /// Whether a liar was asked and paid for it. `expectsBlame` nil: that is a matter of chance.
    @discardableResult
    private func run(
        seed: UInt64, expectsBlame: Bool? = true, _ lie: @escaping World.Lie
    ) throws -> Bool {
        print("seed \(seed)")
        var plan = Scenarios.small(seed: seed)
        plan.holders = 6
        var scenario = try Scenario(plan)
        _ = scenario.world.run(until: .seconds(12))
        let liars = [scenario.holders[0], scenario.holders[1]]
        for liar in liars { scenario.world.corrupt(liar, lie) }
        let (client, outcome) = try scenario.runClient(joining: .seconds(12), limit: .seconds(400))
        #expect(outcome.reachedHead, "\(String(describing: scenario.world.progress(client)))")
        try Oracle.expectFinalState(in: scenario, of: client)
        let node = try #require(scenario.world.node(client))
        let scores = try scenario.holders.map { host in
            let id = try #require(scenario.world.node(host)).record.id
            return node.overlay.standing(of: id)?.score ?? 0
        }
        let banned = try scenario.holders.filter { host in
            let id = try #require(scenario.world.node(host)).record.id
            return node.overlay.standing(of: id)?.bannedUntil != nil
        }
        #expect(banned.allSatisfy(liars.contains), "an honest holder was taken for a liar: \(scores)")
        let isBlamed = !banned.isEmpty && node.totals.invalidAnswers > 0
        if let expectsBlame { #expect(expectsBlame ? isBlamed : banned.isEmpty, "\(scores)") }
        return isBlamed
    }

    @Test func aFlippedBit() throws {
        try run(seed: 31) { value in
            guard value.count > 8 else { return value }
            var value = value
            value[value.count / 2] ^= 0x10
            return value
        }
    }

    @Test func aTruncatedAnswer() throws {
        try run(seed: 32) { Array($0.prefix(max(1, $0.count * 2 / 3))) }
    }

    @Test func anUndecodableAnswer() throws {
        try run(seed: 33) { _ in [0] + [UInt8](repeating: 0xff, count: 300) }
    }

    @Test func aBloatedAnswer() throws {
        // Which of the holders are asked is a matter of chance: in one of a few runs it is a liar.
        let blamed = try [UInt64(34), 37, 38, 39].map { seed in
            try run(seed: seed, expectsBlame: nil) { $0 + [UInt8](repeating: 0, count: 3_000) }
        }
        #expect(blamed.contains(true))
    }

    @Test func anEmptyAnswer() throws {
        try run(seed: 35) { _ in [] }
    }

    /// It answers the wire and never the request. Silence is no lie: it costs a timeout, and others are asked.
    @Test func anAnswerThatNeverComes() throws {
        try run(seed: 36, expectsBlame: false) { _ in nil }
    }
}
