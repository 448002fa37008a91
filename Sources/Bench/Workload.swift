/// Something worth measuring.
public protocol Workload: Sendable {
    /// Its name, part of what others rely on: area.what.size.
    var name: String { get }
    /// What one item is, in the plural.
    var items: String { get }
    /// One line for people: what is done in a run.
    var summary: String { get }
    /// Whether the work can be spread over threads; else it is measured on one alone.
    var scales: Bool { get }
    /// Makes ready to run on `threads` threads. Not timed.
    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial
}

/// How much one run does.
public struct Work: Hashable, Sendable {
    /// In the workload's items.
    public let items: Int
    /// Bytes that are hashed, read, served or sent.
    public let bytes: Int

    /// A count of both.
    public init(items: Int, bytes: Int) {
        self.items = items
        self.bytes = bytes
    }
}

/// A workload made ready.
public protocol Trial {
    /// One run, timed. The same work each time; throws `BenchError.wrongResult` where what comes out is not right.
    mutating func run() throws -> Work
    /// Puts back what a run changed. Not timed.
    mutating func restore() throws
    /// What else is worth saying of the last run, in one line of the table.
    var remark: String? { get }
}

extension Trial {
    /// Most runs change nothing.
    public mutating func restore() throws {}
    /// Most have nothing more to say.
    public var remark: String? { nil }
}
