import Chain
import Node
import Synchronization

/// The newest headers that a node believes, for the thread that makes blocks: noted by the node's own thread, read by
/// the maker's.
final class BelievedLine: Sendable {
    private struct State: Sendable {
        /// The block that the maker stands at.
        var wanted: UInt64 = 0
        var headers: [BlockHeader] = []
        /// What they were noted for.
        var noted: (head: StatePoint, wanted: UInt64)?
    }

    private let state = Mutex(State())

    /// Headers below the maker's block, so that the block at which another line parts is among them; and above it,
    /// which is what it makes again before it looks once more.
    private static let below: UInt64 = 16, above: UInt64 = 64

    /// Notes what the node believes by now. The node's thread calls it.
    func note(_ node: CarouselNode) {
        let chain = node.attestedChain
        let head = chain.head
        let wanted = state.withLock { $0.wanted }
        let isNoted = state.withLock { $0.noted.map { $0.head == head && $0.wanted == wanted } ?? false }
        guard !isNoted else { return }
        let first = wanted > BelievedLine.below ? wanted - BelievedLine.below : 0
        let headers = (first...wanted + BelievedLine.above).compactMap { chain.header(at: $0) }
        state.withLock { state in
            state.headers = headers
            state.noted = (head, wanted)
        }
    }

    /// The headers round the block that the maker stands at, rising. The maker's thread calls it.
    func headers(round number: UInt64) -> [BlockHeader] {
        state.withLock { state in
            state.wanted = number
            return state.headers
        }
    }
}
