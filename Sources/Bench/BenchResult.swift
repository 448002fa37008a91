import Foundation

/// The measurement of one workload on a number of threads.
public struct BenchResult: Hashable, Sendable, Encodable {
    /// The workload's name.
    public let name: String
    /// How much one run does, in the workload's items.
    public let items: Int
    /// The median time of a run, in seconds.
    public let seconds: Double
    /// Items divided by that time.
    public let itemsPerSecond: Double
    /// The run's bytes divided by that time.
    public let bytesPerSecond: Double
    /// On how many threads.
    public let threads: Int
    /// How many runs the median is of.
    public let runs: Int
    /// The median processor time of a run over all threads, in seconds: steadier than `seconds` on a busy machine. In
    /// the table only.
    public let processorSeconds: Double

    /// Bytes of memory at most, without files mapped into it; nil where that was not looked at.
    public let peakMemory: Int?
    /// What the workload says of its last run. In the table only.
    public let remark: String?

    private enum CodingKeys: String, CodingKey {
        case name, items, seconds, threads, runs
        case peakMemory = "peak_memory_bytes"
        case itemsPerSecond = "items_per_second"
        case bytesPerSecond = "bytes_per_second"
    }

    init(
        name: String, work: Work, threads: Int, seconds: [Double], processorSeconds: [Double], remark: String? = nil
    ) {
        self.remark = remark
        self.name = name
        items = work.items
        self.seconds = BenchResult.median(seconds)
        itemsPerSecond = Double(work.items) / self.seconds
        bytesPerSecond = Double(work.bytes) / self.seconds
        self.threads = threads
        runs = seconds.count
        self.processorSeconds = BenchResult.median(processorSeconds)
        peakMemory = work.peakMemory == 0 ? nil : work.peakMemory
    }

    /// The middle value; of an even number the mean of the two in the middle. 0 for none.
    static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    /// The results as one JSON array.
    public static func json(_ results: [BenchResult]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(results), as: UTF8.self)
    }

    /// The heading of the table.
    public static var heading: String {
        row(["workload", "threads", "items", "seconds", "cpu", "items/s", "MB/s", "per item"])
    }

    /// The result as a line of the table.
    public var line: String {
        let row = BenchResult.row([
            name, "\(threads)", "\(items)", String(format: "%.4f", seconds), String(format: "%.4f", processorSeconds),
            BenchResult.short(itemsPerSecond), String(format: "%.1f", bytesPerSecond / 1e6),
            BenchResult.duration(seconds / Double(max(items, 1))),
        ])
        let memory = peakMemory.map { String(format: "  memory %.0f MB", Double($0) / 1e6) } ?? ""
        return row + memory + (remark.map { "\n  " + $0 } ?? "")
    }

    private static func row(_ cells: [String]) -> String {
        let widths = [-28, 7, 9, 9, 9, 9, 9, 9]
        let padded = zip(cells, widths).map { cell, width in
            let space = String(repeating: " ", count: max(abs(width) - cell.count, 0))
            return width < 0 ? cell + space : space + cell
        }
        return padded.joined(separator: " ")
    }

    private static func short(_ value: Double) -> String {
        switch value {
        case 1e6...: String(format: "%.2f M", value / 1e6)
        case 1e3...: String(format: "%.1f k", value / 1e3)
        default: String(format: "%.1f", value)
        }
    }

    private static func duration(_ seconds: Double) -> String {
        switch seconds {
        case 1...: String(format: "%.2f s", seconds)
        case 1e-3...: String(format: "%.2f ms", seconds * 1e3)
        case 1e-6...: String(format: "%.2f µs", seconds * 1e6)
        default: String(format: "%.0f ns", seconds * 1e9)
        }
    }
}
