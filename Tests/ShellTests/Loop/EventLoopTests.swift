import Foundation
import Node
import Primitives
import Synchronization
import Testing

@testable import Shell

/// A machine that answers datagrams, squares numbers on workers, stores every result and reports what it saw.
private struct Probe: NodeMachine {
    enum Report: Equatable, Sendable {
        case heard([UInt8])
        case squared(Int)
        case stored(UInt64)
        case refused(UInt64, DiskFull)
        case ticked
        /// A command was turned into a write.
        case asked
    }

    typealias JobID = UInt64
    typealias CommitID = UInt64
    typealias Job = Int
    typealias JobResult = Int
    typealias Batch = [Int]
    typealias Failure = DiskFull
    typealias Command = Int

    private var deadline: Instant?
    private var directives: [MachineDirective<Probe>] = []
    private let echoes: Bool
    /// How many more writes follow from the first.
    private let follows: Int
    private var outgoing = DatagramBuffer(limit: 1 << 20)

    init(
        echoes: Bool = false, firstWords: [([UInt8], Endpoint)] = [], deadline: Instant? = nil,
        jobs: Range<Int> = 0..<0, follows: Int = 0
    ) {
        self.echoes = echoes
        self.follows = follows
        self.deadline = deadline
        directives = firstWords.map { .send($0.0, to: $0.1) } + jobs.map { .run(UInt64($0), $0) }
    }

    mutating func handle(_ event: MachineEvent<Probe>, at moment: Moment) {
        switch event {
        case .jobFinished(let id, let result):
            directives += [.report(.squared(result)), .commit(id, [result])]
        case .committed(let id):
            directives.append(.report(.stored(id)))
            if follows > 0, id <= UInt64(follows) { directives.append(.commit(id + 1, [Int(id) + 1])) }
        case .commitFailed(let id, let error): directives.append(.report(.refused(id, error)))
        case .command(let number):
            directives.append(.commit(UInt64(number), [number]))
            if follows > 0 { directives.append(.report(.asked)) }
        case .unsent, .feedFailed, .storeShort: directives.append(.report(.ticked))
        case .tick:
            // One follows every batch of datagrams; only that of the deadline is reported.
            if deadline.map({ $0 <= moment.instant }) == true { directives.append(.report(.ticked)) }
            deadline = nil
        }
    }

    mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment) {
        directives.append(.report(.heard(Array(datagram))))
        // One half by directives, the other half by the buffer.
        if echoes, datagram.count % 2 == 0 { directives.append(.send(Array(datagram), to: source)) }
        if echoes, datagram.count % 2 == 1 { outgoing.append(datagram, to: source) }
    }

    mutating func swapDatagrams(_ empty: inout DatagramBuffer) { swap(&outgoing, &empty) }

    func nextDeadline(at moment: Moment) -> Instant? { deadline }

    mutating func drain() -> [MachineDirective<Probe>] {
        defer { directives = [] }
        return directives
    }
}

private struct DiskFull: Error, Equatable {}

/// What one run left behind.
private final class Record: Sendable {
    let reports = Mutex<[Probe.Report]>([])
    let written = Mutex<[Int]>([])
}

/// Runs a loop on a thread of its own until `until` says so.
private func runLoop(
    _ machine: Probe, port: UInt16 = 0, record: Record, failingWrites: Int? = nil, commands: [Int] = [],
    opened: @Sendable (Endpoint) -> Void = { _ in }, until: @escaping (Probe.Report) -> Bool
) throws -> Int32 {
    let socket = try UDPSocket(binding: .loopback(port: port))
    let mailbox = try Mailbox<MachineEvent<Probe>>()
    let pool = WorkerPool<UInt64, Int>(count: 3) { id, job in mailbox.post(.jobFinished(id, job * job)) }
    let writer = StoreWriter<UInt64, [Int], DiskFull>(
        commit: { (batches) throws(DiskFull) in
            let batch = batches.flatMap(\.self)
            if let failingWrites, batch.contains(failingWrites) { throw DiskFull() }
            record.written.withLock { $0 += batch }
        },
        // As a rule none goes with another: the tests ask what came before a failure.
        size: { _ in ShellLimits.transactionBytes },
        done: { id, failure in mailbox.post(failure.map { .commitFailed(id, $0) } ?? .committed(id)) })
    let hands = EventLoop<Probe>.Hands(pool: pool, writer: writer) { report, _ in
        record.reports.withLock { $0.append(report) }
        return until(report) ? .stop(7) : .goOn
    }
    let loop = try EventLoop(
        machine: machine, socket: socket, mailbox: mailbox, signals: nil, clock: SystemClock(), hands: hands)
    for command in commands { mailbox.post(.command(command)) }
    opened(socket.local)
    return try loop.run()
}

@Suite struct EventLoopTests {
    @Test func datagramsGoOutAndComeBackBetweenTwoLoops() async throws {
        let payloads = (0..<300).map { number in (0..<200 + number % 2).map { UInt8(truncatingIfNeeded: number + $0) } }
        let server = Record()
        let address = Mutex<Endpoint?>(nil)
        let ready = DispatchSemaphore(value: 0)
        let ended = DispatchSemaphore(value: 0)
        Thread {
            // The server's last word: a datagram of one zero byte.
            _ = try? runLoop(Probe(echoes: true), record: server) { endpoint in
                address.withLock { $0 = endpoint }
                ready.signal()
            } until: {
                $0 == .heard([0])
            }
            ended.signal()
        }.start()
        ready.wait()
        let to = try #require(address.withLock { $0 })
        #expect(to.port != 0)
        let client = Record()
        var heard = 0
        let code = try runLoop(Probe(firstWords: payloads.map { ($0, to) }), record: client) { report in
            if case .heard = report { heard += 1 }
            return heard == payloads.count
        }
        #expect(code == 7)
        let reports = client.reports.withLock { $0 }
        #expect(reports.count == payloads.count && payloads.allSatisfy { reports.contains(.heard($0)) })
        let last = Probe(firstWords: [([0], to)], deadline: .zero)
        _ = try runLoop(last, record: Record()) { $0 == .ticked }
        ended.wait()
        #expect(server.reports.withLock { $0 }.count >= payloads.count + 1)
    }

    @Test func jobsComeBackAndCommitsKeepTheirOrder() throws {
        let record = Record()
        var stored = 0
        let code = try runLoop(Probe(jobs: 0..<200), record: record) { report in
            if case .stored = report { stored += 1 }
            return stored == 200
        }
        #expect(code == 7)
        let reports = record.reports.withLock { $0 }
        let squares = reports.compactMap { if case .squared(let value) = $0 { value } else { nil } }
        #expect(squares.sorted() == (0..<200).map { $0 * $0 })
        // The disk saw them in the order in which the machine asked.
        #expect(record.written.withLock { $0 } == squares)
        #expect(reports.compactMap { if case .stored(let id) = $0 { Int(id * id) } else { nil } } == squares)
    }

    @Test func afterOneFailedCommitNoLaterOneReachesTheDisk() throws {
        let record = Record()
        var answers = 0
        _ = try runLoop(Probe(), record: record, failingWrites: 3, commands: [1, 2, 3, 4, 5]) { report in
            answers += 1
            return answers == 5
        }
        #expect(record.written.withLock { $0 } == [1, 2])
        let reports = record.reports.withLock { $0 }
        #expect(reports == [.stored(1), .stored(2)] + [3, 4, 5].map { .refused($0, DiskFull()) })
    }

    /// A write whose committing makes the machine ask for another one, and that for a third: at the end all of them
    /// reach the disk, though the loop has ended before the first was done.
    @Test func whatFollowsFromTheLastWritesIsWrittenToo() throws {
        let record = Record()
        let code = try runLoop(Probe(follows: 3), record: record, commands: [1]) { $0 == .asked }
        #expect(code == 7)
        #expect(record.written.withLock { $0 } == [1, 2, 3, 4])
        let reports = record.reports.withLock { $0 }
        #expect(reports == [.asked, .stored(1), .stored(2), .stored(3), .stored(4)])
        // Nor does a machine that never stops asking keep the process from ending.
        let endless = Record()
        _ = try runLoop(Probe(follows: .max), record: endless, commands: [1]) { $0 == .asked }
        #expect(endless.written.withLock { $0.count } <= ShellLimits.lastRounds + 1)
    }

    @Test func whatWaitsForTheDiskGoesTogetherWithinTheBound() {
        let commits = Mutex<[[Int]]>([])
        let done = Mutex<[Int]>([])
        let begun = DispatchSemaphore(value: 0)
        let queued = DispatchSemaphore(value: 0)
        let writer = StoreWriter<Int, Int, DiskFull>(
            commit: { (batches) throws(DiskFull) in
                let isFirst = commits.withLock { list in
                    list.append(batches)
                    return list.count == 1
                }
                guard isFirst else { return }
                begun.signal()
                queued.wait()
            },
            // The last is larger than any transaction may be.
            size: { $0 == 12 ? 2 * ShellLimits.transactionBytes : ShellLimits.transactionBytes / 4 },
            done: { id, failure in
                #expect(failure == nil)
                done.withLock { $0.append(id) }
            })
        writer.commit(0, 0)
        begun.wait()
        for number in 1...13 { writer.commit(number, number) }
        queued.signal()
        writer.shutDown()
        let expected = [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11], [12], [13]]
        #expect(commits.withLock { $0 } == expected)
        #expect(done.withLock { $0 } == Array(0...13))
    }

    /// What nothing is held up by goes with what comes after it; at the end it is written too.
    @Test func whatMayWaitIsWrittenWithTheNext() {
        let commits = Mutex<[[Int]]>([])
        let writer = StoreWriter<Int, Int, DiskFull>(
            commit: { (batches) throws(DiskFull) in commits.withLock { $0.append(batches) } }, size: { _ in 1 },
            mayWait: { $0 < 10 }, done: { _, _ in })
        writer.commit(0, 1)
        writer.commit(1, 2)
        writer.commit(2, 10)
        writer.flush()
        writer.commit(3, 3)
        writer.shutDown()
        #expect(commits.withLock { $0.flatMap(\.self) } == [1, 2, 10, 3])
        #expect(commits.withLock { $0.last } == [3])
    }

    @Test func whatWasAskedForIsWrittenBeforeTheEnd() throws {
        let record = Record()
        _ = try runLoop(Probe(), record: record, commands: Array(1...50)) { $0 == .stored(1) }
        #expect(record.written.withLock { $0 } == Array(1...50))
        #expect(record.reports.withLock { $0 } == (1...50).map { .stored($0) })
    }

    @Test func deadlineFiresOnce() throws {
        let record = Record()
        let deadline = Instant.zero + .milliseconds(5)
        #expect(try runLoop(Probe(deadline: deadline), record: record) { $0 == .ticked } == 7)
        #expect(record.reports.withLock { $0 } == [.ticked])
    }
}

@Suite struct UDPSocketTests {
    @Test func takenPortIsNamedWithTheCure() throws {
        let first = try UDPSocket(binding: .loopback(port: 0))
        let port = first.local.port
        #expect(throws: ShellError.portTaken(port: port)) { try UDPSocket(binding: .loopback(port: port)) }
        #expect(ShellError.portTaken(port: port).description.contains("--udp-port"))
    }

    @Test func foreignAddressIsNamed() {
        let endpoint = Endpoint(ipv4: (203, 0, 113, 9), port: 0)
        #expect(throws: ShellError.addressUnavailable("203.0.113.9:0")) { try UDPSocket(binding: endpoint) }
    }

    @Test func ipv6SocketTalksToBothFamilies() throws {
        let six = try UDPSocket(binding: try #require(Endpoint(address: [UInt8](repeating: 0, count: 16), port: 0)))
        let four = try UDPSocket(binding: .loopback(port: 0))
        six.send([1, 2, 3], to: four.local)
        #expect(six.flush())
        var heard: [([UInt8], Endpoint)] = []
        _ = try four.receive { heard.append((Array($0), $1)) }
        #expect(heard.count == 1 && heard[0].0 == [1, 2, 3])
        #expect(heard.first?.1 == .loopback(port: six.local.port))
        four.send([4], to: .loopback(port: six.local.port))
        #expect(four.flush())
        _ = try six.receive { heard.append((Array($0), $1)) }
        #expect(heard.last?.0 == [4] && heard.last?.1 == four.local)
    }

    /// Whether the system splits and joins runs or each datagram goes alone, the same ones arrive.
    @Test(arguments: [UDPSocket.Offload(), .none])
    func runsOfDatagramsArriveOneByOne(_ offload: UDPSocket.Offload) throws {
        let sender = try UDPSocket(binding: .loopback(port: 0), offload: offload)
        let receivers = try (0..<2).map { _ in try UDPSocket(binding: .loopback(port: 0), offload: offload) }
        var buffer = DatagramBuffer(limit: 1 << 20)
        var sent: [[[UInt8]]] = [[], []]
        for number in 0..<300 {
            // Runs of one size to one place, ended by a shorter one, a longer one, or another place.
            let target = number / 70 % 2
            let size = number % 50 == 49 ? 100 : number % 90 == 89 ? 1_280 : 1_000
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
            sent[target].append(bytes)
            bytes.withUnsafeBytes { _ = buffer.append($0, to: receivers[target].local) }
        }
        sender.send(&buffer)
        #expect(sender.flush())
        #expect(buffer.isEmpty && sender.counters.sent == 300)
        #expect(sender.counters.sentBytes == sent.joined().reduce(0) { $0 + $1.count })
        for (target, receiver) in receivers.enumerated() {
            var heard: [[UInt8]] = []
            while heard.count < sent[target].count, receiver.wait(milliseconds: 1_000) {
                _ = try receiver.receive { bytes, _ in heard.append(Array(bytes)) }
            }
            #expect(heard == sent[target])
        }
    }

    @Test func overlongAndForeignDatagramsAreLostAndCounted() throws {
        let socket = try UDPSocket(binding: .loopback(port: 0))
        socket.send([UInt8](repeating: 0, count: ShellLimits.datagramBytes + 1), to: socket.local)
        socket.send([1], to: try #require(Endpoint(address: [UInt8](repeating: 1, count: 16), port: 9)))
        #expect(socket.flush())
        #expect(socket.counters.lost == 2 && socket.counters.sent == 0)
    }
}

@Suite struct PacedFeedTests {
    private struct Broken: Error {}

    @Test func neverMoreThanAFewAheadOfWhatWasUsed() {
        let delivered = Mutex<[Int]>([])
        let counter = Mutex(0)
        let reached = DispatchSemaphore(value: 0)
        let ended = DispatchSemaphore(value: 0)
        let feed = PacedFeed<Int>(
            perSecond: 1_000_000, ahead: 3,
            source: {
                counter.withLock { count in
                    count += 1
                    return count <= 10 ? count : nil
                }
            },
            deliver: { element in
                delivered.withLock { $0.append(element) }
                reached.signal()
            },
            ended: { if case .finished = $0 { ended.signal() } })
        for _ in 0..<3 { reached.wait() }
        #expect(delivered.withLock { $0 } == [1, 2, 3])
        for _ in 0..<7 {
            feed.used()
            reached.wait()
        }
        ended.wait()
        #expect(delivered.withLock { $0 } == Array(1...10))
        feed.stop()
    }

    @Test func stopWakesAFeedThatWaits() {
        let feed = PacedFeed<Int>(perSecond: 0.001, ahead: 100, source: { 1 }, deliver: { _ in }, ended: { _ in })
        feed.stop()
    }

    @Test func brokenSourceIsTold() {
        let told = DispatchSemaphore(value: 0)
        let feed = PacedFeed<Int>(perSecond: 10, ahead: 1, source: { throw Broken() }, deliver: { _ in }) { end in
            if case .failed("Broken()") = end { told.signal() }
        }
        told.wait()
        feed.stop()
    }
}
