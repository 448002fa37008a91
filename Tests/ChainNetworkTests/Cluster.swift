import Chain
import ChainNetwork
import Primitives
import Testing

/// A chain and keys made up for tests.
struct MadeChain {
    let genesis: BlockHeader
    let keys: [AttestingKey]
    let configuration: NetworkConfiguration
    static let finalityDepth = 5

    init(keys count: Int = 1, threshold: Int = 1, epochLength: UInt64 = 32) throws {
        genesis = try MadeChain.header(parent: nil, salt: 0)
        keys = (0..<count).compactMap { AttestingKey(seed: Keccak.hash([UInt8($0)])) }
        configuration = try NetworkConfiguration(
            name: "made", chainID: 7, genesisHash: genesis.hash, checkpoint: genesis.point, epochLength: epochLength,
            sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: keys.map(\.publicKey), threshold: threshold, maxAgeSeconds: 60))
    }

    static func header(parent: BlockHeader?, salt: UInt64) throws -> BlockHeader {
        try BlockHeader(
            BlockHeader.Fields(
                parentHash: parent?.hash ?? .zero, stateRoot: Bytes32(salt, 1, 2, 3),
                number: parent.map { $0.number + 1 } ?? 0, timestamp: parent.map { $0.timestamp + 12 } ?? 1_000))
    }

    static func run(on parent: BlockHeader, _ count: Int, salt: UInt64 = 0) throws -> [BlockHeader] {
        var headers: [BlockHeader] = []
        for _ in 0..<count { headers.append(try header(parent: headers.last ?? parent, salt: salt)) }
        return headers
    }

    /// `header` with head and final claims of these keys, as a bridge makes them.
    func certified(_ header: BlockHeader, by signers: [Int] = [0], final: BlockHeader?) -> CertifiedHeader {
        let context = ClaimContext(configuration)
        func claim(_ kind: Claim.Kind, _ header: BlockHeader, _ key: Int) -> SignedClaim {
            keys[key].sign(
                Claim(kind: kind, point: header.point, unixSeconds: header.timestamp), in: context)
        }
        let claims = signers.flatMap { key in
            [claim(.head, header, key)] + (final.map { [claim(.final, $0, key)] } ?? [])
        }
        return CertifiedHeader(header: header, certificate: Certificate(claims))
    }

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
        machine.produced(CertifiedHeader(header: genesis), at: .zero)
        for entry in entries { machine.produced(entry, at: .zero) }
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
        client.peerUpdated(id, claim, at: now)
    }

    mutating func add(_ number: UInt64, _ server: ChainSync) {
        add(number, claim: server.localPayload) { server.serve($0) }
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
                client.answered(next.tag, responders[next.peer]?(next.key), at: now)
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
            if case .persist(let entries, _) = directive { entries } else { [] }
        }
    }

    var offers: [(peer: Bytes32, key: [UInt8], value: [UInt8])] {
        log.compactMap { if case .offer(let peer, let key, let value) = $0 { (peer, key, value) } else { nil } }
    }
}
