import Discovery
import Foundation
import Primitives
import Shell

/// The near end of the network workloads: a loop on a thread of its own, driven by commands; and the far end, the same
/// loop in a process of its own.
final class NetEnd: @unchecked Sendable {
    // `condition` guards `reports`; the others are set once.
    private let condition = NSCondition()
    private var reports: [NetMachine.Report] = []
    private let mailbox: Mailbox<MachineEvent<NetMachine>>
    /// Figures of the loop's thread, taken by it with each report.
    private var figures = NetFigures()
    let record: NodeRecord

    /// Opens a socket on loopback and starts the loop.
    init(far: NodeRecord?, offload: UDPSocket.Offload) throws {
        let socket = try UDPSocket(binding: .loopback(port: 0), offload: offload)
        mailbox = try Mailbox()
        let entropy = SystemEntropy.make()
        let machine = try NetMachine(endpoint: socket.local, far: far, entropy: entropy)
        record = machine.record
        let start = NetStart(machine: machine, socket: socket)
        let thread = Thread { [self] in
            do {
                try NetEnd.run(start, mailbox) { [self] report, machine in
                    put(report, machine.current)
                }
            } catch {
                put(.failed("\(error)"), NetFigures())
            }
        }
        thread.stackSize = BenchLimits.stackBytes
        thread.start()
    }

    private static func run(
        _ start: NetStart, _ mailbox: Mailbox<MachineEvent<NetMachine>>,
        report: @escaping (NetMachine.Report, NetMachine) -> Void
    ) throws {
        let hands = EventLoop<NetMachine>.Hands(
            pool: WorkerPool(count: 1) { _, _ in },
            writer: StoreWriter(commit: { _ throws(Never) in }, size: { _ -> Int in }, done: { _, _ in })
        ) { told, machine in
            report(told, machine)
            if case .stopped = told { return .stop(0) }
            return .goOn
        }
        _ = try EventLoop(
            machine: start.machine, socket: start.socket, mailbox: mailbox, signals: nil, clock: SystemClock(),
            hands: hands
        ).run()
    }

    private func put(_ report: NetMachine.Report, _ figures: NetFigures) {
        condition.lock()
        reports.append(report)
        self.figures = figures
        condition.signal()
        condition.unlock()
    }

    /// Gives a command and waits for its report; with the figures of this end at that time.
    func ask(_ command: NetMachine.Command) throws -> (report: NetMachine.Report, figures: NetFigures) {
        mailbox.post(.command(command))
        condition.lock()
        defer { condition.unlock() }
        while reports.isEmpty { condition.wait() }
        let report = reports.removeFirst()
        if case .failed(let reason) = report { throw BenchError.wrongResult(workload: "net", what: reason) }
        return (report, figures)
    }

    func stop() { mailbox.post(.command(.stop)) }

    /// The far end: prints its record and serves until standard input ends.
    static func serve(offload: UDPSocket.Offload) throws {
        let end = try NetEnd(far: nil, offload: offload)
        FileHandle.standardOutput.write(Data("\(end.record.text)\n".utf8))
        while !FileHandle.standardInput.availableData.isEmpty {}
        _ = try end.ask(.stop)
    }
}

/// What the loop's thread takes over.
private struct NetStart: @unchecked Sendable {
    // Handed to one thread and used by it alone.
    let machine: NetMachine
    let socket: UDPSocket
}
