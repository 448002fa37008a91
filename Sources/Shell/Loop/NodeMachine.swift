import Node
import Primitives

/// A node as the loop sees it: a value that takes events with the time and gives directives.
public protocol NodeMachine {
    /// Names a job, and a transaction, until its answer comes.
    associatedtype JobID: Sendable
    associatedtype CommitID: Sendable
    /// Heavy pure work on a store snapshot, and what it gives back.
    associatedtype Job: Sendable
    associatedtype JobResult: Sendable
    /// One transaction's writes, and why they could not be written.
    associatedtype Batch: Sendable
    associatedtype Failure: Error
    /// What the user is told.
    associatedtype Report
    /// What the machine's feeds bring.
    associatedtype Command: Sendable

    /// Takes a datagram in, whose bytes are lent for the call. What it causes may wait for the `.tick` that follows
    /// each batch of datagrams.
    mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment)
    /// Takes one event; directives are collected inside.
    mutating func handle(_ event: MachineEvent<Self>, at moment: Moment)
    /// When the machine wants its next `.tick`; nil for never.
    func nextDeadline(at moment: Moment) -> Instant?
    /// The directives collected since the last call, in order.
    mutating func drain() -> [MachineDirective<Self>]
    /// Gives what it wants sent, other than by directives, away for an empty buffer.
    mutating func swapDatagrams(_ empty: inout DatagramBuffer)
}

/// What the loop tells a machine.
public enum MachineEvent<Machine: NodeMachine>: Sendable {
    /// A worker finished a job.
    case jobFinished(Machine.JobID, Machine.JobResult)
    /// A batch is on the disk.
    case committed(Machine.CommitID)
    /// A batch is not on the disk, nor is any later one.
    case commitFailed(Machine.CommitID, Machine.Failure)
    /// The system would not send to these addresses (no route, say); each once.
    case unsent([Endpoint])
    /// From a feed.
    case command(Machine.Command)
    /// A feed's source is broken (one line): the loop ends with an error; the machine is not told.
    case feedFailed(String)
    /// The store is about to be full and nothing but sections is left to be given up: the loop ends, so that the node
    /// is begun again with a smaller arc; the machine is not told.
    case storeShort
    /// A batch of datagrams was taken in, or the deadline has come.
    case tick
}

/// What a machine asks of the loop.
public enum MachineDirective<Machine: NodeMachine> {
    /// Send a datagram.
    case send([UInt8], to: Endpoint)
    /// Do heavy work on a worker and come back with its result.
    case run(Machine.JobID, Machine.Job)
    /// Write a batch to the store, after every batch asked for before.
    case commit(Machine.CommitID, Machine.Batch)
    /// Tell the user.
    case report(Machine.Report)
}
