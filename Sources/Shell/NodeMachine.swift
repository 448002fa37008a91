import Node
import Primitives

/// What the loop tells a machine. `Command` is what its own feeds bring (a block of a replayed chain, say).
public enum MachineEvent<JobResult: Sendable, Command: Sendable, Failure: Error>: Sendable {
    /// A datagram arrived.
    case datagram([UInt8], from: Endpoint)
    /// A worker finished a job.
    case jobFinished(UInt64, JobResult)
    /// A batch is on the disk.
    case committed(UInt64)
    /// A batch is not on the disk, nor is any later one.
    case commitFailed(UInt64, Failure)
    /// From a feed.
    case command(Command)
    /// The deadline has come.
    case tick
}

/// What a machine asks of the loop.
public enum MachineDirective<Job, Batch, Report> {
    /// Send a datagram.
    case send([UInt8], to: Endpoint)
    /// Do heavy work on a worker and come back with its result.
    case run(UInt64, Job)
    /// Write a batch to the store, after every batch asked for before.
    case commit(UInt64, Batch)
    /// Tell the user.
    case report(Report)
}

/// A node as the loop sees it: a value that takes events with the time and gives directives.
public protocol NodeMachine {
    /// Heavy pure work on a store snapshot.
    associatedtype Job: Sendable
    /// What a job gives back.
    associatedtype JobResult: Sendable
    /// One transaction's writes.
    associatedtype Batch: Sendable
    /// What the user is told.
    associatedtype Report
    /// What the machine's feeds bring.
    associatedtype Command: Sendable
    /// Why a batch could not be written.
    associatedtype Failure: Error

    /// Takes one event; directives are collected inside.
    mutating func handle(_ event: MachineEvent<JobResult, Command, Failure>, at moment: Moment)
    /// When the machine wants its next `.tick`; nil for never.
    func nextDeadline(at moment: Moment) -> Instant?
    /// The directives collected since the last call, in order.
    mutating func drain() -> [MachineDirective<Job, Batch, Report>]
}
