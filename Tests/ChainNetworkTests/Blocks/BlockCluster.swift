import Chain
import ChainNetwork
import Primitives
import Testing

/// One `BlockSync` with scripted peers and a scripted applier, in virtual time.
struct BlockCluster {
    /// What a peer gives for a key, and how long it takes; nil: it never answers.
    typealias Responder = (_ key: [UInt8]) -> (content: [UInt8], after: Interval)?

    var client: BlockSync
    var chain: AttestedChain
    var responders: [Bytes32: Responder] = [:]
    var now = Instant.zero
    /// Why blocks are not applied; nil: they are.
    var refusal: ([CheckedBlock]) -> String? = { _ in nil }
    /// What the store has of the line.
    var line: (ClosedRange<UInt64>) -> [StatePoint] = { _ in [] }
    /// The blocks of every batch that was applied.
    var batches: [[UInt64]] = []
    /// What was directed beside requests, checks and batches.
    var told: [BlockSync.Directive] = []
    /// Requests each peer got, and the most that were open at once.
    var asked: [Bytes32: Int] = [:]
    var mostOpen = 0
    private var open = 0
    /// What is to come, with its place among what comes in one instant.
    private var coming: [(time: Instant, place: Int, event: BlockSync.Event)] = []
    private var places = 0

    init(_ lab: BlockLab, after head: StatePoint? = nil, unfinal: Int = 0, seed: UInt64 = 1) throws {
        client = BlockSync(after: head ?? lab.genesis.point, seed: seed)
        chain = try lab.chain(unfinal: unfinal)
    }

    static func id(_ number: UInt64) -> Bytes32 { Bytes32(number, 0, 0, number) }

    mutating func add(
        _ number: UInt64, _ heights: ClosedRange<UInt64>?, _ responder: @escaping Responder
    ) {
        let id = BlockCluster.id(number)
        responders[id] = responder
        client.handle(.peerUpdated(id, heights: heights), chain, at: now)
    }

    mutating func lose(_ number: UInt64) {
        responders[BlockCluster.id(number)] = nil
        client.handle(.peerLost(BlockCluster.id(number)), chain, at: now)
    }

    private mutating func add(_ event: BlockSync.Event, after interval: Interval) {
        coming.append((now + interval, places, event))
        places += 1
    }

    private mutating func perform(_ directive: BlockSync.Directive) {
        switch directive {
        case .request(let peer, let key, let tag, let limit, let timeout):
            asked[peer, default: 0] += 1
            open += 1
            mostOpen = max(mostOpen, open)
            if let (content, time) = responders[peer]?(key) {
                // More than the limit is not taken, as by the wire.
                add(.answered(tag, content: content.count <= limit ? content : nil), after: time)
            } else {
                add(.answered(tag, content: nil), after: timeout)
            }
        case .check(let tag, let check): add(.checked(tag, check.run()), after: .milliseconds(1))
        case .readLine(let heights): add(.line(line(heights)), after: .milliseconds(1))
        case .apply(let blocks):
            if let why = refusal(blocks) {
                add(.refused(why), after: .milliseconds(1))
            } else if let last = blocks.last {
                batches.append(blocks.map(\.header.number))
                add(.applied(last.header.point), after: .milliseconds(1))
            }
        case .penalise, .wrongFromAll, .cameAfterAll: told.append(directive)
        }
    }

    /// Lets things happen until nothing more does, or `limit` has passed, or `condition` holds.
    mutating func run(limit: Interval = .seconds(300), until condition: (BlockCluster) -> Bool = { _ in false }) {
        let end = now + limit
        while !condition(self) {
            let directives = client.drain()
            for directive in directives { perform(directive) }
            if !directives.isEmpty { continue }
            coming.sort { a, b in a.time == b.time ? a.place < b.place : a.time < b.time }
            let next = coming.first
            let due = [next?.time, client.nextDeadline].compactMap { $0 }.min()
            guard let due, due <= end else { return }
            now = max(now, due)
            if let next, next.time <= now {
                coming.removeFirst()
                if case .answered = next.event { open -= 1 }
                client.handle(next.event, chain, at: now)
            } else {
                client.advance(to: now, chain)
            }
        }
    }

    /// The blocks that were applied, in order.
    var applied: [UInt64] { batches.flatMap { $0 } }

    var penalised: [Bytes32: [ChainNetworkError]] {
        told.reduce(into: [:]) { found, directive in
            if case .penalise(let peer, let reason) = directive { found[peer, default: []].append(reason) }
        }
    }

    /// Blocks that were told as wrong from everybody, with how many had sent them.
    var wrongFromAll: [(block: UInt64, peers: Int)] {
        told.compactMap {
            if case .wrongFromAll(let point, let peers, _) = $0 { (point.number, peers) } else { nil }
        }
    }
}
