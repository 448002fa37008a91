import Node
import Primitives
import StateNetwork
import StateStore

/// The node as the loop drives it.
public struct RunningNode: NodeMachine {
    /// The node itself, for its figures.
    public private(set) var node: Node

    public init(_ node: Node) { self.node = node }

    /// Hands the event on to the node, which calls some of them otherwise.
    public mutating func handle(_ event: MachineEvent<RunningNode>, at moment: Moment) {
        switch event {
        case .jobFinished(let id, let result): node.handle(.jobFinished(id, result), at: moment)
        case .committed(let id): node.handle(.committed(id), at: moment)
        case .commitFailed(let id, let error): node.handle(.commitFailed(id, error), at: moment)
        case .command(let block): node.handle(.block(block), at: moment)
        case .unsent(let endpoints): node.handle(.unsent(endpoints), at: moment)
        // The loop keeps this to itself.
        case .feedFailed, .storeShort: break
        case .tick: node.handle(.tick, at: moment)
        }
    }

    /// Takes a datagram in; the loop's `.tick` follows the batch.
    public mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment) {
        node.receive(datagram, from: source, at: moment)
    }

    /// The datagrams of streams, for an empty buffer.
    public mutating func swapDatagrams(_ empty: inout DatagramBuffer) { node.swapDatagrams(&empty) }

    /// When the node wants to be woken.
    public func nextDeadline(at moment: Moment) -> Instant? { node.nextDeadline(at: moment) }

    /// What the node wants done, in order.
    public mutating func drain() -> [MachineDirective<RunningNode>] {
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
    public typealias JobID = NodeJobID
    public typealias CommitID = NodeCommitID
    public typealias Job = StateJob
    public typealias JobResult = StateJobResult
    public typealias Batch = WriteBatch
    public typealias Failure = StoreError
    public typealias Report = NodeReport
    public typealias Command = ReplayedBlock
}
