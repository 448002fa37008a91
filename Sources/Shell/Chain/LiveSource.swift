import Chain
import ChainForge
import Foundation
import Primitives
import StateNetwork
import Synchronization

/// A chain that is made while it is replayed, as a bridge's feed: genesis with its whole allocation, then each block
/// when its time has come. What other makers have made comes first, and what this one made in an earlier life.
final class LiveSource: Sendable {
    private struct State {
        var chain: LiveChain
        var isGenesisDue: Bool
        /// Blocks below this one were applied before: they are made again and not given.
        var first: UInt64
    }

    private let line: BelievedLine
    private let state: Mutex<State>

    /// A maker whose node has applied all blocks below `first`, and believes this line. Throws where the chain cannot
    /// be made.
    init(_ plan: LiveChain.Plan, from first: UInt64, _ line: BelievedLine) throws {
        self.line = line
        state = Mutex(State(chain: try LiveChain(plan), isGenesisDue: first == 0, first: first))
    }

    /// Makes the next block, where one is due at this time. One thread calls it.
    func next(at unixSeconds: UInt64) throws -> PacedFeed<ReplayedBlock>.Offer {
        try state.withLock { state in
            guard !state.isGenesisDue else {
                state.isGenesisDue = false
                return .element(LiveSource.genesis(state.chain))
            }
            while let made = try LiveSource.made(&state, line, at: unixSeconds) {
                guard made.block.header.number >= state.first else { continue }
                state.first = 0
                return .element(
                    ReplayedBlock(
                        header: made.block.header, changes: made.accessList.accountChanges,
                        bytes: BlockBytes(made.block, made.accessList), certificate: made.certificate))
            }
            return state.chain.isFinished ? .finished : .later
        }
    }

    /// The next block that is to be made: of others, or one of its own that is due; nil where there is none now.
    private static func made(_ state: inout State, _ line: BelievedLine, at unixSeconds: UInt64) throws -> MadeBlock? {
        switch state.chain.following(line.headers(round: state.chain.head.number)) {
        case .follow(let header): return try state.chain.follow(header)
        case .outOfSight: return nil
        case .caughtUp:
            // What was applied before has headers, which are about to be seen.
            guard state.chain.head.number + 1 >= state.first, state.chain.nextTime <= unixSeconds else { return nil }
            return try state.chain.next(at: unixSeconds)
        }
    }

    private static func genesis(_ chain: LiveChain) -> ReplayedBlock {
        var changes: [AccountChange] = []
        chain.forEachAccount { account in
            changes.append(
                AccountChange(
                    address: account.address, nonce: account.nonce, balance: account.balance,
                    code: account.code.isEmpty ? nil : account.code,
                    storage: account.storage.map { AccountChange.SlotChange(slot: $0.slot, value: $0.value) }
                        .sorted { $0.key < $1.key }))
        }
        return ReplayedBlock(header: chain.genesis, changes: changes)
    }
}
