import Primitives
import StateStore

/// Where one lane of the walk is.
public struct LaneStatus: Sendable, Equatable {
    /// What is under way for it.
    public enum Doing: Sendable, Equatable {
        /// Nothing: it waits for somebody to ask, for the download limit, or for its turn.
        case waiting
        /// A peer was asked so long ago and has not answered yet.
        case asked(Bytes32, since: Interval)
        /// An answer is checked, or what was checked is written.
        case checking, writing
    }

    /// Counted from 0.
    public let lane: Int
    /// The section it is on.
    public let section: Section
    /// The share of that section that is held, 0…1.
    public let share: Double
    public let doing: Doing
}

extension LaneStatus {
    /// All lanes of a node that are on a section, in order.
    public static func all(of state: StateSync, at now: Instant) -> [LaneStatus] {
        let (lanes, book, operations) = (state.planner.lanes, state.holdings.book, state.operations)
        var latest: [Int: Operation] = [:]
        for ask in operations.asks {
            for section in ask.task?.sections ?? [] where latest[section].map({ $0.id < ask.id }) ?? true {
                latest[section] = ask
            }
        }
        return lanes.current.enumerated().compactMap { lane, index in
            index.map { index in
                LaneStatus(
                    lane: lane, section: book.section(index), share: KeyspaceHeld.share(of: index, in: book),
                    doing: latest[index].map { Doing($0, at: now) } ?? .waiting)
            }
        }
    }
}

extension LaneStatus.Doing {
    /// How far an operation is that asks a peer.
    fileprivate init(_ operation: Operation, at now: Instant) {
        switch operation.stage {
        case .asked: self = operation.peer.map { .asked($0, since: now - operation.startedAt) } ?? .waiting
        case .checking: self = .checking
        case .writing: self = .writing
        }
    }
}
