import Chain
import ChainLab
import Primitives
import Synchronization
import Testing

/// A rule that counts what it is asked.
private struct CountingRule: VotingRule {
    final class Counter: Sendable {
        private let count = Mutex(0)
        func add() { count.withLock { $0 += 1 } }
        func take() -> Int {
            count.withLock { value in
                defer { value = 0 }
                return value
            }
        }
    }

    let rule: AttestedHeadRule
    let counter = Counter()

    var voterCount: Int { rule.voterCount }
    var maxAgeSeconds: UInt64 { rule.maxAgeSeconds }
    func vote(in claim: SignedClaim) throws(ChainError) -> Vote { try rule.vote(in: claim) }
    func claimedVoter(of claim: SignedClaim) -> Int? { rule.claimedVoter(of: claim) }
    func suffices(_ voters: VoterSet) -> Bool {
        counter.add()
        return rule.suffices(voters)
    }
}

/// Thousands of blocks come, and no later one becomes final.
@Suite struct LateFinalityTests {
    /// What is looked at for a block does not grow with the blocks above the final one.
    @Test(arguments: [1, 2]) func aBlockCostsTheSameHoweverManyAreNotFinal(threshold: Int) throws {
        let made = try MadeChain.voted(by: 2, threshold: threshold)
        let rule = CountingRule(rule: AttestedHeadRule(made.configuration))
        var chain = AttestedChain(configuration: made.configuration, rule: .votes(rule))
        _ = try chain.accept(made.bare([made.genesis]))
        var costs: [Int] = []
        // Key 1 is silent: with a threshold of 2 nothing is attested either.
        for header in try MadeChain.run(on: made.genesis, 600) {
            _ = rule.counter.take()
            let advance = try chain.accept([made.certified(header, by: [0])])
            costs.append(rule.counter.take())
            #expect(advance.keep.map(\.header) == [header] && advance.drop.isEmpty)
        }
        #expect(chain.unfinalCount == 600)
        #expect(costs[10...].allSatisfy { $0 == costs[10] }, "\(costs[10]) at first, \(costs.max() ?? 0) at most")
    }

    /// The room is full, and the word that makes a later block final comes with known headers or new ones.
    @Test func aFullChainGoesOnWhenFinalityIsBack() throws {
        let made = try MadeChain.voted(by: 2, threshold: 2)
        let run = try MadeChain.run(on: made.genesis, ChainLimits.heldHeaders + 40)
        var chain = AttestedChain(configuration: made.configuration)
        let limit = ChainLimits.heldHeaders
        #expect(throws: Never.self) {
            let last = made.certified(run[limit - 1], by: [0])
            _ = try chain.accept(made.bare([made.genesis] + run[..<(limit - 1)]) + [last])
        }
        #expect(chain.isFull && chain.head == made.genesis.point && chain.servedTip == UInt64(limit))
        #expect(throws: ChainError.tooManyUnverified(limit: limit)) {
            _ = try chain.accept([made.certified(run[limit], by: [0])])
        }
        #expect(chain.servedTip == UInt64(limit), "nothing was lost")
        var known = chain
        #expect(try known.accept([made.certified(run[99], by: [0, 1], final: run[49])]).final == run[49].point)
        #expect(try known.accept([made.certified(run[limit], by: [0, 1])]).head == run[limit].point)
        #expect(known.unfinalCount == limit + 1 - 50)
        // Who stood below the limit takes the blocks that bring the word.
        let below = ChainLimits.unfinalHeaders
        var late = AttestedChain(configuration: made.configuration)
        _ = try late.accept(made.bare([made.genesis] + run[..<below]))
        let bringer = made.certified(run[below + 99], by: [0, 1], final: run[below])
        let word = try late.accept(made.bare(Array(run[below..<(below + 99)])) + [bringer])
        #expect(word.final == run[below].point && word.head == run[below + 99].point)
    }
}
