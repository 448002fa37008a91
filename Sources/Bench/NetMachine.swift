import Discovery
import Node
import Overlay
import Primitives
import Shell
import UTP

/// One end of the network workloads as the event loop drives it: discv5 and uTP as the node has them, without what
/// stands above. Either end answers a TALKREQ "bench": for the wanted number of streams and bytes with a connection id
/// each, on which it then sends that many bytes.
struct NetMachine: NodeMachine {
    typealias JobID = Never
    typealias CommitID = Never
    typealias Job = Never
    typealias JobResult = Never
    typealias Batch = Never
    typealias Failure = Never

    /// What the driving side wants.
    enum Command: Sendable {
        /// Streams at once, and bytes of each.
        case fetch(streams: Int, bytes: Int)
        /// What the far end has done since it began.
        case farFigures
        case stop
    }

    /// What the driving side is told.
    enum Report: Sendable {
        case fetched([[UInt8]])
        case figures(NetFigures)
        case failed(String)
        case stopped
    }

    static let name = Array("bench".utf8)
    static let utp = Array("utp".utf8)

    private var discovery: Discovery
    private var utp: UTP
    private var directives: [MachineDirective<NetMachine>] = []
    private let far: NodeRecord?
    private var received: [StreamID: [UInt8]] = [:]
    private var order: [StreamID] = []
    private var talk: TalkID?
    private var asksFigures = false
    private var wantedBytes = 0
    private var isFailed = false
    /// Made at the first request for its size: making it is not what is measured.
    private var payload: [UInt8] = []
    private(set) var figures = NetFigures()

    /// `far`: whom to ask.
    init(endpoint: Endpoint, far: NodeRecord?, entropy seed: Entropy) throws {
        var entropy = seed
        let key = IdentityKey(from: &entropy)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: endpoint)
        var configuration = Discovery.Configuration()
        configuration.talkProtocols = [NetMachine.name, NetMachine.utp]
        discovery = try Discovery(
            key: key, record: try fields.signed(by: key), configuration: configuration,
            entropy: Entropy(seed: entropy.bytes32()))
        utp = UTP(entropy: Entropy(seed: entropy.bytes32()))
        self.far = far
    }

    /// The record that the other end finds this machine by.
    var record: NodeRecord { discovery.localRecord }

    /// The bytes of every stream: a run of counters, so that one packet in the place of another is seen.
    static func payload(_ bytes: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes) { buffer, count in
            var word: UInt64 = 0
            for index in 0..<bytes {
                if index & 7 == 0 { word = UInt64(index) &* 0x9e37_79b9_7f4a_7c15 }
                buffer[index] = UInt8(truncatingIfNeeded: word &>> UInt64(8 * (index & 7)))
            }
            count = bytes
        }
    }

    // MARK: Events

    mutating func handle(_ event: MachineEvent<NetMachine>, at moment: Moment) {
        let now = moment.instant
        switch event {
        case .command(.fetch(let streams, let bytes)):
            received.removeAll()
            order.removeAll()
            wantedBytes = bytes
            isFailed = false
            var request = ByteWriter()
            request.append(bigEndian: UInt64(streams))
            request.append(bigEndian: UInt64(bytes))
            ask(request.bytes, at: now)
        case .command(.farFigures):
            asksFigures = true
            ask([], at: now)
        case .command(.stop): directives.append(.report(.stopped))
        case .tick, .jobFinished, .committed, .commitFailed, .unsent, .feedFailed, .storeShort: break
        }
        settle(at: now)
    }

    private mutating func ask(_ request: [UInt8], at now: Instant) {
        guard let far else { return }
        talk = discovery.talk(
            to: far, protocol: NetMachine.name, request: request, timeout: .seconds(5), at: now)
    }

    mutating func receive(_ datagram: UnsafeRawBufferPointer, from source: Endpoint, at moment: Moment) {
        figures.datagramsIn += 1
        discovery.receive(datagram, from: source, at: moment.instant, streams: NetMachine.utp, to: &utp)
    }

    private mutating func settle(at now: Instant) {
        if let deadline = discovery.nextDeadline, deadline <= now { discovery.advance(to: now) }
        if let deadline = utp.nextDeadline, deadline <= now { utp.advance(to: now) }
        while true {
            let ended = utp.drain(into: &discovery)
            let below = discovery.drainDirectives()
            if ended.isEmpty && below.isEmpty { return }
            for directive in below { handle(directive, at: now) }
            for end in ended { handle(end) }
        }
    }

    private mutating func handle(_ directive: Discovery.Directive, at now: Instant) {
        switch directive {
        case .send(let bytes, let endpoint):
            figures.datagramsOut += 1
            directives.append(.send(bytes, to: endpoint))
        case .talkRequested(let address, NetMachine.name, let request, let token):
            discovery.respond(to: token, response: answer(request, to: address, at: now), at: now)
        case .talkAnswered(let id, let result, _) where id == talk:
            switch result {
            case .success(let answer): take(answer, at: now)
            case .failure(let error): fail("the far end does not answer: \(error)")
            }
        default: return
        }
    }

    private mutating func handle(_ end: UTP.StreamEnd) {
        switch end {
        case .received(let stream, let bytes):
            received[stream] = bytes
            if !order.isEmpty, received.count == order.count {
                directives.append(.report(.fetched(order.compactMap { received[$0] })))
            }
        case .failed(let stream, let error):
            if order.contains(stream) { fail("a stream ended with \(error)") }
        case .sent: return
        }
    }

    private mutating func fail(_ reason: String) {
        guard !isFailed else { return }
        isFailed = true
        directives.append(.report(.failed(reason)))
    }

    // MARK: Asking and answering

    private mutating func answer(_ request: [UInt8], to address: NodeAddress, at now: Instant) -> [UInt8] {
        var answer = ByteWriter()
        var reader = ByteReader(request)
        guard let streams = try? reader.uint64BigEndian(), let bytes = try? reader.uint64BigEndian(),
            streams <= 512, bytes <= 1 << 30
        else {
            for figure in current.words { answer.append(bigEndian: figure) }
            return answer.bytes
        }
        if payload.count != Int(bytes) { payload = NetMachine.payload(Int(bytes)) }
        for _ in 0..<streams {
            guard let (_, id) = try? utp.accept(from: address, transfer: .send(payload), at: now) else { return [] }
            answer.append(bigEndian: UInt64(id))
        }
        return answer.bytes
    }

    private mutating func take(_ answer: [UInt8], at now: Instant) {
        guard let far, let endpoint = far.endpoint else { return }
        var reader = ByteReader(answer)
        if asksFigures {
            asksFigures = false
            var words: [UInt64] = []
            while let word = try? reader.uint64BigEndian() { words.append(word) }
            directives.append(.report(.figures(NetFigures(words: words))))
            return
        }
        let address = NodeAddress(id: far.id, endpoint: endpoint)
        while let id = try? reader.uint64BigEndian() {
            let stream = try? utp.connect(
                to: address, connectionID: UInt16(truncatingIfNeeded: id), transfer: .receive(limit: wantedBytes),
                at: now)
            guard let stream else { return fail("a stream could not be opened") }
            order.append(stream)
        }
        if order.isEmpty { fail("the far end opens no stream") }
    }

    /// The figures with those of the calling thread.
    var current: NetFigures {
        var figures = figures
        figures.allocations = HeapCounter.present?.ofThread
        figures.nanoseconds = ProcessorTime.ofThread
        return figures
    }

    // MARK: Time and output

    func nextDeadline(at moment: Moment) -> Instant? {
        guard let streams = utp.nextDeadline else { return discovery.nextDeadline }
        return discovery.nextDeadline.map { min($0, streams) } ?? streams
    }

    mutating func drain() -> [MachineDirective<NetMachine>] {
        guard !directives.isEmpty else { return [] }
        defer { directives = [] }
        return directives
    }

    mutating func swapDatagrams(_ empty: inout DatagramBuffer) {
        discovery.swapDatagrams(&empty)
        figures.datagramsOut += UInt64(empty.count)
    }
}

/// What one end has done since it began.
struct NetFigures: Hashable, Sendable {
    var datagramsIn: UInt64 = 0
    var datagramsOut: UInt64 = 0
    /// Processor time of the loop's thread.
    var nanoseconds: UInt64 = 0
    /// Requests for heap memory of the loop's thread; nil where nobody counts them.
    var allocations: UInt64?

    init() {}

    /// Reads what `words` wrote; nothing of anything else.
    init(words: [UInt64]) {
        guard words.count == 3 || words.count == 4 else { return }
        (datagramsIn, datagramsOut, nanoseconds) = (words[0], words[1], words[2])
        allocations = words.count == 4 ? words[3] : nil
    }

    /// As they go over the wire: without the last where that was not counted.
    var words: [UInt64] { [datagramsIn, datagramsOut, nanoseconds] + (allocations.map { [$0] } ?? []) }

    /// Since `earlier`.
    func since(_ earlier: NetFigures) -> NetFigures {
        NetFigures(words: zip(words, earlier.words).map { $0 &- $1 })
    }
}
