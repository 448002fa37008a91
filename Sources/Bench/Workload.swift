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
    /// Whether it takes so long that it is run only when asked for by its name.
    var onlyByName: Bool { get }
    /// Makes ready to run on `threads` threads. Not timed.
    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial
}

extension Workload {
    /// Most take seconds.
    public var onlyByName: Bool { false }
}

/// How much one run does.
public struct Work: Hashable, Sendable {
    /// In the workload's items.
    public let items: Int
    /// Bytes that are hashed, read, served or sent.
    public let bytes: Int
    /// Bytes of memory that the process had at most meanwhile, without files mapped into it; 0 where that was not
    /// looked at.
    public let peakMemory: Int

    /// A count of both.
    public init(items: Int, bytes: Int, peakMemory: Int = 0) {
        self.items = items
        self.bytes = bytes
        self.peakMemory = peakMemory
    }
}

/// A workload made ready.
public protocol Trial {
    /// One run, timed. The same work each time; throws `BenchError.wrongResult` where what comes out is not right.
    mutating func run() throws -> Work
    /// Puts back what a run changed. Not timed.
    mutating func restore() throws
}

extension Trial {
    /// Most runs change nothing.
    public mutating func restore() throws {}
}
