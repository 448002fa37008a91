import Chain
import ChainLab
import ChainNetwork
import Primitives
import Testing

extension MadeChain {
    static let finalityDepth = 5

    /// A whole chain on top of genesis as a bridge publishes it: each block with claims, final ones five blocks behind.
    func published(_ headers: [BlockHeader], by signers: [Int] = [0]) -> [CertifiedHeader] {
        let depth = MadeChain.finalityDepth
        return headers.enumerated().map { index, header in
            certified(header, by: signers, final: index >= depth ? headers[index - depth] : nil)
        }
    }

    /// A machine that already has these headers.
    func machine(_ entries: [CertifiedHeader], seed: UInt64 = 1) throws -> ChainSync {
        var machine = try ChainSync(configuration: configuration, seed: seed)
        machine.handle(.produced(CertifiedHeader(header: genesis)), at: .zero)
        for entry in entries { machine.handle(.produced(entry), at: .zero) }
        let hasFailed = machine.drain().contains { if case .conflict = $0 { true } else { false } }
        #expect(!hasFailed)
        return machine
    }
}

/// One machine under test and scripted peers around it, in virtual time.
struct Cluster {
    typealias Responder = (_ key: [UInt8]) -> [UInt8]?

    var client: ChainSync
    var responders: [Bytes32: Responder] = [:]
    var now = Instant.zero
    /// Everything the client ever directed but requests.
    var log: [ChainSync.Directive] = []
    /// Requests each peer got.
    var asked: [Bytes32: Int] = [:]
    /// The most requests open at once.
    var mostOpen = 0

    init(_ client: ChainSync) { self.client = client }

    static func id(_ number: UInt64) -> Bytes32 { Bytes32(number, 0, 0, number) }

    /// A peer that answers as `server` would; nil never answers.
    mutating func add(_ number: UInt64, claim: [UInt8], _ responder: @escaping Responder) {
        let id = Cluster.id(number)
        responders[id] = responder
        client.handle(.peerUpdated(id, payload: claim), at: now)
    }

    mutating func add(_ number: UInt64, _ server: ChainSync) {
        add(number, claim: server.localPayload) { server.serve($0) }
    }

    /// A peer offers a new block.
    mutating func offer(_ entry: CertifiedHeader, by number: UInt64) {
        offer(ChainContentKey.newBlock(entry.point).encoded, NewBlockValue.encode(entry), by: number)
    }

    /// A peer offers any content.
    mutating func offer(_ key: [UInt8], _ value: [UInt8], by number: UInt64) {
        client.handle(.offered(key: key, value: value, by: Cluster.id(number)), at: now)
    }

    /// Carries requests and answers until nothing more happens; time passes only where all wait. Gives up after
    /// `limit`.
    mutating func settle(limit: Interval = .seconds(600)) {
        let end = now + limit
        var open: [(peer: Bytes32, key: [UInt8], tag: ChainSync.RequestTag)] = []
        while true {
            for directive in client.drain() {
                if case .request(let peer, let key, let tag) = directive {
                    open.append((peer, key, tag))
                    asked[peer, default: 0] += 1
                } else {
                    log.append(directive)
                }
            }
            mostOpen = max(mostOpen, open.count)
            // Answers come in the reverse order: the machine must put them in order itself.
            if let index = open.lastIndex(where: { responders[$0.peer]?($0.key) != nil }) {
                let next = open.remove(at: index)
                client.handle(.answered(next.tag, content: responders[next.peer]?(next.key)), at: now)
                continue
            }
            guard let deadline = client.nextDeadline, deadline <= end else { return }
            now = max(now, deadline)
            client.advance(to: now)
        }
    }

    var penalised: [ChainNetworkError] {
        log.compactMap { if case .penalise(_, let reason) = $0 { reason } else { nil } }
    }

    var persisted: [CertifiedHeader] {
        log.flatMap { directive -> [CertifiedHeader] in
            if case .persist(let entries, _, _) = directive { entries } else { [] }
        }
    }

    var offers: [(peer: Bytes32, key: [UInt8], value: [UInt8])] {
        log.compactMap { if case .offer(let peer, let key, let value) = $0 { (peer, key, value) } else { nil } }
    }
}
