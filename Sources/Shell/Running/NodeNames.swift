import Node

// The module `Node` has a type of its name, so its other types cannot be told from others by `Node.`; and Foundation
// has a `Progress` too. These names can.

/// Where a node stands.
public typealias NodeProgress = Progress
/// What a node tells.
public typealias NodeReport = Report
/// Names a job of a node.
public typealias NodeJobID = JobID
/// Names a transaction of a node.
public typealias NodeCommitID = CommitID
