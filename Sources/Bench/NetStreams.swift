import Discovery
import Foundation
import Primitives
import Shell

/// Payloads from one process to another over loopback: uTP over real discv5 packets through real sockets.
struct StreamWorkload: Workload {
    let name: String
    /// Streams open at once.
    let streams: Int
    /// Bytes that each stream carries.
    let bytes: Int
    var offload = UDPSocket.Offload()

    let items = "streams"
    let scales = false
    var summary: String {
        let size = "\(bytes >> 20) MiB"
        return streams == 1
            ? "one uTP stream of \(size) over discv5, from another process over loopback"
            : "\(streams) uTP streams of \(size) at once over discv5, from another process over loopback"
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial { try StreamTrial(self) }
}

final class StreamTrial: Trial {
    private let workload: StreamWorkload
    private let far: FarProcess
    private let near: NetEnd
    private let expected: [UInt8]
    private var before = (near: NetFigures(), far: NetFigures())
    private(set) var last = (near: NetFigures(), far: NetFigures())

    init(_ workload: StreamWorkload) throws {
        self.workload = workload
        far = try FarProcess("streams", offload: workload.offload)
        guard let line = try far.readLine(), let record = try? NodeRecord(text: line) else {
            throw BenchError.wrongResult(workload: workload.name, what: "the far process names no record")
        }
        near = try NetEnd(far: record, offload: workload.offload)
        expected = NetMachine.payload(workload.bytes)
        // The handshake, and the memory that buffers grow to, before the clock runs.
        _ = try near.ask(.fetch(streams: 1, bytes: workload.bytes))
        before = try figures()
    }

    deinit { near.stop() }

    private var payloads: [[UInt8]] = []

    func run() throws -> Work {
        guard
            case .fetched(let payloads) = try near.ask(
                .fetch(streams: workload.streams, bytes: workload.bytes)
            ).report
        else { throw BenchError.wrongResult(workload: workload.name, what: "no payload") }
        self.payloads = payloads
        return Work(items: workload.streams, bytes: workload.streams * workload.bytes)
    }

    /// The comparison with what was to come is not part of the run.
    func restore() throws {
        guard payloads.count == workload.streams, payloads.allSatisfy({ $0 == expected }) else {
            throw BenchError.wrongResult(workload: workload.name, what: "other bytes than were sent")
        }
        payloads = []
        let now = try figures()
        last = (now.near.since(before.near), now.far.since(before.far))
        before = now
    }

    private func figures() throws -> (near: NetFigures, far: NetFigures) {
        let told = try near.ask(.farFigures)
        guard case .figures(let far) = told.report else { return (told.figures, NetFigures()) }
        return (told.figures, far)
    }

    /// Heap requests and processor time a datagram of the last run, at both ends.
    var remark: String? {
        func text(_ name: String, _ figures: NetFigures) -> String {
            let datagrams = Double(max(figures.datagramsIn + figures.datagramsOut, 1))
            return String(
                format: "%@: %.0f datagrams out, %.0f in, %@ and %.2f µs CPU a datagram", name,
                Double(figures.datagramsOut), Double(figures.datagramsIn),
                HeapCounter.text(figures.allocations, per: datagrams), Double(figures.nanoseconds) / 1_000 / datagrams)
        }
        return text("receiver", last.near) + "; " + text("sender", last.far)
    }
}

/// The process at the other end of the wire.
final class FarProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var rest: [UInt8] = []

    /// Starts this program again as the far end of `kind`.
    init(_ kind: String, offload: UDPSocket.Offload) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["developer", "net-far", kind] + (offload == .none ? ["--plain"] : [])
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit {
        // It ends by itself when its input does.
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// The next line that it prints; nil at its end.
    func readLine() throws -> String? {
        while true {
            if let end = rest.firstIndex(of: 10) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest.removeFirst(end + 1)
                return line
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            rest += more
        }
    }
}
