import Node
import StateNetwork

// The module `Node` contains a type of the same name, so Swift looks for `Node.Progress` inside that type. The plain
// `Progress` is ambiguous too, because Foundation has one. These names are neither.

/// Where a node stands.
typealias NodeProgress = Progress
/// What a node tells.
typealias NodeReport = Report
/// Names a job of a node.
typealias NodeJobID = JobID
/// Names a transaction of a node.
typealias NodeCommitID = CommitID
