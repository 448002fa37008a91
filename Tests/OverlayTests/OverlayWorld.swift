import Discovery
import Overlay
import Primitives

/// Several overlays in one process: virtual time, datagrams with delay and loss, everything from one seed.
final class OverlayWorld {
    struct Settings {
        var chainID: UInt64 = 1
        var networks: [OverlayConfiguration.Network] = [
            .init(id: .state, extensionType: 10_101, busyAnswer: [2, 1, 0]), .init(id: .chain, extensionType: 10_102),
        ]
        var pingInterval = Interval.seconds(5)
        var refreshInterval = Interval.seconds(10)
        /// Datagrams lost, of a thousand.
        var loss = 0
        var latency = Interval.milliseconds(2)
        var jitter = Interval.milliseconds(2)
        /// What node 0 may send as content a second.
        var firstSends: UInt64?
    }

    private enum Event {
        case datagram([UInt8], from: Endpoint, to: Endpoint)
        case action((OverlayWorld) -> Void)
    }

    let settings: Settings
    private(set) var now = Instant.zero
    private(set) var nodes: [Overlay?] = []
    /// Nodes of our own making that need not keep to the rules, by index; `nodes` has nil there.
    private(set) var liars: [Int: Liar] = [:]
    /// Of each node, after its last event.
    private var deadlines: [Instant?] = []
    private var births: [UInt64] = []
    private var keys: [IdentityKey] = []
    private var queue: [(at: Instant, order: UInt64, event: Event)] = []
    private var order: UInt64 = 0
    private var random: SeededGenerator
    private var entropy: Entropy

    /// What each node was told, sends left out.
    var heard: [[Overlay.Directive]] = []
    /// Whether directives and datagrams go into `log`.
    var logs = false
    /// Digest of every directive of every node, in order.
    private(set) var log: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Datagrams sent, and the largest.
    private(set) var datagrams = 0, largest = 0
    /// Drops a datagram where true is returned.
    var blocks: (_ from: Endpoint, _ to: Endpoint) -> Bool = { _, _ in false }
    /// How often each datagram arrives.
    var copies = 1
    /// Drops a datagram of so many bytes to that node where true is returned.
    var withholds: (_ to: Endpoint, _ bytes: Int) -> Bool = { _, _ in false }
    /// A node's answer to a request for content; nil: none, ever.
    var serves: (_ node: Int, _ key: [UInt8]) -> ContentAnswer? = { _, _ in .records([]) }
    var servingTime = Interval.milliseconds(1)
    /// Bytes that accepted offers may bring.
    var offerLimit = 1 << 20
    /// A node's decision on an offer; nil: none.
    var decides: (_ node: Int, _ keys: [[UInt8]]) -> [AcceptCode]? = { _, keys in keys.map { _ in .accepted } }

    init(_ count: Int, seed: UInt64, _ settings: Settings = Settings()) throws {
        self.settings = settings
        random = SeededGenerator(seed: seed)
        entropy = Entropy(seed: Bytes32(seed, 1, 2, 3))
        for index in 0..<count { try add(index, chainID: settings.chainID) }
    }

    static func endpoint(_ index: Int) -> Endpoint { .loopback(port: UInt16(9_000 + index)) }

    private func add(_ index: Int, chainID: UInt64) throws {
        keys.append(IdentityKey(from: &entropy))
        nodes.append(nil)
        deadlines.append(nil)
        births.append(0)
        heard.append([])
        try start(index, chainID: chainID)
    }

    /// Another node, with a configuration of its own chain.
    func addNode(chainID: UInt64) throws -> Int {
        try add(nodes.count, chainID: chainID)
        return nodes.count - 1
    }

    /// A key from the world's seed, with an id that shares the first `bits` bits of `place`.
    func key(near place: Bytes32, bits: Int) -> IdentityKey {
        IdentityKey(idPrefix: place, bits: bits, from: &entropy) ?? IdentityKey(from: &entropy)
    }

    /// A node that speaks discv5 and uTP but answers as the test likes.
    func addLiar(key: IdentityKey? = nil, versions: ClosedRange<UInt64> = 2...2) throws -> (index: Int, liar: Liar) {
        let index = nodes.count
        let key = key ?? IdentityKey(from: &entropy)
        let liar = try Liar(
            key: key, endpoint: OverlayWorld.endpoint(index), entropy: Entropy(seed: entropy.bytes32()),
            versions: versions)
        keys.append(key)
        nodes.append(nil)
        deadlines.append(nil)
        births.append(1)
        heard.append([])
        liars[index] = liar
        return (index, liar)
    }

    /// Starts a node, or starts it anew with nothing but its key.
    func start(_ index: Int, chainID: UInt64? = nil) throws {
        births[index] += 1
        var configuration = OverlayConfiguration(
            chainID: chainID ?? settings.chainID, networks: settings.networks)
        configuration.endpoint = OverlayWorld.endpoint(index)
        configuration.recordSequence = births[index]
        configuration.pingInterval = settings.pingInterval
        configuration.keptPingInterval = settings.pingInterval
        configuration.refreshInterval = settings.refreshInterval
        configuration.clientInfo = "test/\(index)"
        if index == 0 { configuration.sentBytesPerSecond = settings.firstSends }
        nodes[index] = try Overlay(
            key: keys[index], configuration: configuration, entropy: Entropy(seed: entropy.bytes32()))
        deadlines[index] = .zero
    }

    func stop(_ index: Int) {
        nodes[index] = nil
        deadlines[index] = nil
    }

    func id(_ index: Int) -> Bytes32 { keys[index].nodeID }
    func index(of id: Bytes32) -> Int? { keys.firstIndex { $0.nodeID == id } }
    func record(_ index: Int) -> NodeRecord? { nodes[index]?.localRecord }

    /// Lets a node do something and takes what it has to say.
    @discardableResult
    func with<Result>(_ index: Int, _ body: (inout Overlay, Instant) -> Result) -> Result? {
        // Taken out and put back, not copied.
        guard var node = nodes[index].take() else { return nil }
        let result = body(&node, now)
        let directives = node.drain()
        deadlines[index] = node.nextDeadline
        nodes[index] = node
        for directive in directives { handle(directive, of: index) }
        return result
    }

    /// Every node is told of node 0.
    func bootstrap() {
        guard let first = record(0) else { return }
        for index in nodes.indices.dropFirst() { with(index) { $0.addBootNodes([first], at: $1) } }
    }

    func at(_ instant: Instant, _ action: @escaping (OverlayWorld) -> Void) { push(.action(action), at: instant) }

    private func push(_ event: Event, at instant: Instant) {
        queue.append((instant, order, event))
        order += 1
        var child = queue.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            queue.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool { (queue[a].at, queue[a].order) < (queue[b].at, queue[b].order) }

    private func pop() -> Event? {
        guard !queue.isEmpty else { return nil }
        queue.swapAt(0, queue.count - 1)
        let last = queue.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2 where child < queue.count && precedes(child, least) {
                least = child
            }
            guard least != parent else { break }
            queue.swapAt(parent, least)
            parent = least
        }
        return last.event
    }

    /// Runs for `interval`, or until `condition` holds. True if it does.
    @discardableResult
    func run(_ interval: Interval, until condition: (OverlayWorld) -> Bool = { _ in false }) -> Bool {
        let end = now + interval
        while !condition(self) {
            for (index, liar) in liars.sorted(by: { $0.key < $1.key }) {
                for (bytes, target) in liar.drain(at: now) {
                    send(bytes, from: OverlayWorld.endpoint(index), to: target)
                }
            }
            var next = queue.first?.at ?? end
            for deadline in deadlines { if let deadline { next = min(next, max(deadline, now)) } }
            for liar in liars.values { if let deadline = liar.nextDeadline { next = min(next, max(deadline, now)) } }
            guard next <= end, next < end || queue.first.map({ $0.at < end }) ?? false else {
                now = end
                return condition(self)
            }
            now = max(now, next)
            while let first = queue.first, first.at <= now, let event = pop() { handle(event) }
            for liar in liars.sorted(by: { $0.key < $1.key }).map(\.value) {
                if let deadline = liar.nextDeadline, deadline <= now { liar.advance(to: now) }
            }
            for index in nodes.indices {
                if let deadline = deadlines[index], deadline <= now {
                    with(index) { $0.advance(to: $1) }
                }
            }
        }
        return true
    }

    private func handle(_ event: Event) {
        switch event {
        case .action(let action): action(self)
        case .datagram(let bytes, let source, let target):
            let index = Int(target.port) - 9_000
            guard nodes.indices.contains(index) else { return }
            liars[index]?.discovery.receive(bytes, from: source, at: now)
            with(index) { $0.receive(bytes, from: source, at: $1) }
        }
    }

    private func handle(_ directive: Overlay.Directive, of index: Int) {
        switch directive {
        case .send(let bytes, let endpoint):
            send(bytes, from: OverlayWorld.endpoint(index), to: endpoint)
            return
        case .contentRequested(_, _, let key, let token):
            if let answer = serves(index, key) {
                at(now + servingTime) { world in world.with(index) { $0.answer(token, answer, at: $1) } }
            }
        case .offered(_, _, let keys, let token):
            if let codes = decides(index, keys) {
                at(now) { world in
                    let limit = world.offerLimit
                    world.with(index) { $0.respond(toOffer: token, codes: codes, limit: limit, at: $1) }
                }
            }
        default: break
        }
        heard[index].append(directive)
        if logs { note("\(index) \(directive)".utf8) }
    }

    private func note(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { log = (log ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    private func send(_ bytes: [UInt8], from source: Endpoint, to target: Endpoint) {
        datagrams += 1
        largest = max(largest, bytes.count)
        if logs {
            note([UInt8(truncatingIfNeeded: source.port), UInt8(truncatingIfNeeded: target.port)])
            note(bytes)
        }
        guard !blocks(source, target), !withholds(target, bytes.count),
            Int(random.next() % 1_000) >= settings.loss
        else { return }
        let delay = settings.latency.microseconds + random.next() % max(settings.jitter.microseconds, 1)
        for _ in 0..<copies {
            push(.datagram(bytes, from: source, to: target), at: now + Interval(microseconds: delay))
        }
    }
}

/// How a request for content ended.
struct Answer {
    let result: Result<ContentAnswer, OverlayError>
    let report: ExchangeReport

    var content: [UInt8]? { if case .success(.content(let bytes)) = result { bytes } else { nil } }
    var error: OverlayError? { if case .failure(let error) = result { error } else { nil } }
}

extension OverlayWorld {
    /// Whether every running node has every other one as its peer on the network.
    func isMeshed(_ network: NetworkID = .state) -> Bool {
        let running = nodes.compactMap { $0 }
        return running.allSatisfy { $0.peers(network: network).count == running.count - 1 }
    }

    /// The end of a request of node `index`.
    func answer(_ index: Int, _ request: Overlay.RequestID) -> Answer? {
        for case .contentAnswered(request, let result, let report) in heard[index] {
            return Answer(result: result, report: report)
        }
        return nil
    }

    /// The end of an offer of node `index`.
    func outcome(_ index: Int, _ offer: Overlay.OfferID) -> Result<[AcceptCode], OverlayError>? {
        for case .offerFinished(offer, let result) in heard[index] { return result }
        return nil
    }

    /// Asks and runs until the answer is there.
    func find(
        _ index: Int, from peer: Int, key: [UInt8], limit: Int = 1 << 22, timeout: Interval = .seconds(20),
        network: NetworkID = .state
    ) -> Answer? {
        let target = id(peer)
        guard
            let request = with(
                index,
                { node, now in
                    node.findContent(network: network, peer: target, key: key, limit: limit, timeout: timeout, at: now)
                })
        else { return nil }
        run(timeout + .seconds(1)) { $0.answer(index, request) != nil }
        return answer(index, request)
    }

    /// Two or more nodes that know each other on both networks, what they said so far forgotten.
    static func meshed(_ count: Int, seed: UInt64, _ settings: Settings = Settings()) throws -> OverlayWorld? {
        let world = try OverlayWorld(count, seed: seed, settings)
        world.bootstrap()
        guard world.run(.seconds(60), until: { $0.isMeshed() && $0.isMeshed(.chain) }) else { return nil }
        // Extensions and records settle.
        world.run(.seconds(2))
        for index in world.heard.indices { world.heard[index] = [] }
        return world
    }
}
