import Node
import Primitives
import StateNetwork
import StateStore

/// The node as the loop drives it.
struct RunningNode: NodeMachine {
    /// The node itself, for its figures.
    private(set) var node: CarouselNode

    init(_ node: CarouselNode) { self.node = node }

    /// Hands the event on to the node, under the node's own name for it.
    mutating func handle(_ event: MachineEvent<RunningNode>, at moment: Moment) {
        switch event {
        case .jobFinished(let id, let result): node.handle(.jobFinished(id, result), at: moment)
        case .committed(let id): node.handle(.committed(id), at: moment)
        case .commitFailed(let id, let error): node.handle(.commitFailed(id, error), at: moment)
        case .command(let block): node.handle(.block(block), at: moment)
        case .unsent(let endpoints): node.handle(.unsent(endpoints), at: moment)
        // The loop acts on these itself.
        case .feedFailed, .storeShort: break
        case .tick: node.handle(.tick, at: moment)
        }
    }

    /// Takes a datagram in; the loop's `.tick` follows the batch.
    mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment) {
        node.receive(datagram, from: source, at: moment)
    }

    /// The datagrams of streams, for an empty buffer.
    mutating func swapDatagrams(_ empty: inout DatagramBuffer) { node.swapDatagrams(&empty) }

    /// When the node wants to be woken.
    func nextDeadline(at moment: Moment) -> Instant? { node.nextDeadline(at: moment) }

    /// What the node wants done, in order.
    mutating func drain() -> [MachineDirective<RunningNode>] {
        node.drainDirectives().map { directive in
            switch directive {
            case .send(let bytes, let endpoint): .send(bytes, to: endpoint)
            case .run(let id, let job): .run(id, job)
            case .commit(let id, let batch): .commit(id, batch)
            case .report(let report): .report(report)
            }
        }
    }
}

extension RunningNode {
    /// The node's own types, as the loop's protocol names them.
    typealias JobID = Node.JobID
    typealias CommitID = Node.CommitID
    typealias Job = StateJob
    typealias JobResult = StateJobResult
    typealias Batch = WriteBatch
    typealias Failure = StoreError
    typealias Report = NodeReport
    typealias Command = ReplayedBlock
}
