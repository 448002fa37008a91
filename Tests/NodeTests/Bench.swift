import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

/// One node without a world: events are given by hand, directives are looked at.
struct Bench {
    static let genesis = StatePoint(number: 0, hash: Bytes32(0, 0, 0, 100))
    static let anchor = Anchor(epoch: 0, hash: genesis.hash)
    /// Ids of two others.
    static let peer = id(0), other = id(1)

    /// A node record, and what a table would say of its owner.
    static func info(_ index: UInt64) -> PeerInfo? {
        var entropy = Entropy(seed: Bytes32(0, 0, 7, index))
        let endpoint = Endpoint(ipv4: (10, 0, 1, UInt8(truncatingIfNeeded: index)), port: 9_009)
        var fields = NodeRecordFields(sequence: 1)
        fields.set(endpoint: endpoint)
        guard let record = try? fields.signed(by: IdentityKey(from: &entropy)) else { return nil }
        return PeerInfo(
            record: record, address: NodeAddress(id: record.id, endpoint: endpoint), radius: .max, capabilities: [],
            clientInfo: [], lastExtension: nil, standing: PeerStanding(), isKept: false)
    }

    private static func id(_ index: UInt64) -> Bytes32 { info(index)?.id ?? .zero }

    var node: CarouselNode
    var now = Instant(microseconds: 1_000_000)

    var moment: Moment { Moment(instant: now, unixSeconds: 1_800_000_000) }

    static func subtree(_ section: Int) -> Subtree {
        .leaf(key: Bytes32(UInt64(section) << 60, 0, 0, 1), value: [UInt8](repeating: 1, count: 40))
    }

    static let crown = Crown(sections: (0..<16).map { subtree($0) }, depth: 1)

    static func record(_ section: Int) -> SectionRecord {
        SectionRecord(
            section: Section(depth: 1, index: section), working: genesis, coverage: .complete(subtree(section)))
    }

    /// The secret of the bridge's key (0) and those of the other keys of its network.
    static func seed(_ index: Int) -> [UInt8] { [UInt8](repeating: UInt8(7 + index), count: 32) }

    static func attestingKey(_ index: Int) throws -> AttestingKey {
        try #require(Bytes32(seed(index)).flatMap { AttestingKey(seed: $0) })
    }

    static func configuration(_ role: Role, depth: Int = 1, threshold: Int = 1) throws -> NodeConfiguration {
        let network = try NetworkConfiguration(
            name: "bench", chainID: 7, genesisHash: genesis.hash, checkpoint: genesis, epochLength: 8,
            sectionDepth: depth,
            rule: NetworkConfiguration.Rule(
                keys: try (0..<threshold).map { try attestingKey($0).publicKey }, threshold: threshold,
                maxAgeSeconds: 3_600))
        var entropy = Entropy(seed: Bytes32(0, 0, 0, 5))
        var configuration = NodeConfiguration(
            network: network, role: role, key: IdentityKey(from: &entropy), clientInfo: "carousel/bench")
        configuration.endpoint = Endpoint(ipv4: (10, 0, 0, 1), port: 9_009)
        configuration.attestingSeeds = role == .bridge ? [seed(0)] : []
        return configuration
    }

    /// Holds the whole ring at genesis where `isFull`.
    init(_ role: Role, isFull: Bool = true, threshold: Int = 1) throws {
        var stored = StoredState()
        if isFull {
            stored.held.records = (0..<16).map { Bench.record($0) }
            stored.held.crowns = [(Bench.anchor, Bench.crown)]
        }
        if role == .bridge { stored.held.replayedHead = isFull ? Bench.genesis : nil }
        node = try CarouselNode(
            configuration: try Bench.configuration(role, threshold: threshold), stored: stored,
            entropy: Entropy(seed: Bytes32(0, 0, 0, 9)), at: Moment(instant: .zero, unixSeconds: 1_800_000_000))
        meet(.holder, 0)
    }

    /// A peer says that it plays a role and covers the whole ring.
    mutating func meet(_ role: Role, _ index: UInt64 = 1) {
        guard let info = Bench.info(index) else { return }
        let payload = StatePingPayload(role: role, radius: .max, head: Bench.genesis, served: [])
        node.state.holders.told(payload, by: info, at: .zero)
    }

    mutating func handle(_ event: CarouselNode.Event) -> [CarouselNode.Directive] {
        node.handle(event, at: moment)
        return node.drain()
    }

    /// Something happens to the state network alone; what it wants.
    mutating func tell(_ event: StateSync.Event) -> [StateSync.Directive] {
        node.state.handle(event, node.chain.attested, at: moment)
        return node.state.drain()
    }

    /// The codes that an offer of these keys gets, and the bytes that are promised for it.
    mutating func offer(_ keys: [[UInt8]], from peer: Bytes32 = Bench.peer) -> (codes: [AcceptCode], limit: Int) {
        for case .decide(_, let codes, let limit) in tell(
            .offered(keys: keys, by: peer, Overlay.OfferToken(value: 1)))
        {
            return (codes, limit)
        }
        return ([], 0)
    }

    /// The code that an offer of one key gets.
    mutating func code(_ key: [UInt8], from peer: Bytes32 = Bench.peer) -> AcceptCode? {
        offer([key], from: peer).codes.first
    }

    var book: SectionBook { node.state.holdings.book }

    /// A job whose result is made up by the test.
    static func someJob() throws -> StateJob {
        .serveCodes(ServeCodes(key: try #require(CodesKey(near: .zero, hashes: [.max]))))
    }

    static func block(_ number: UInt64) throws -> ReplayedBlock {
        let header = try BlockHeader(
            BlockHeader.Fields(parentHash: genesis.hash, stateRoot: crown.root, number: number, timestamp: 1_000))
        return ReplayedBlock(header: header, changes: [])
    }

    static func diff(_ section: Int) -> PendingDiff {
        let value = BlockDiffValue(
            header: [], certificate: [], sectionHashBefore: subtree(section).hash(at: 1), changes: [], codes: [],
            pathProof: [])
        return PendingDiff(
            key: BlockDiffKey(point: StatePoint(number: 1, hash: .max), section: section), section: section,
            value: value,
            byteCount: 1, sender: peer, receivedAt: .zero, isVouched: true)
    }

    /// One changed account of a section.
    /// Of the section's first account, where nothing else is said.
    static func diffValue(_ section: Int, changes: [LeafChange]? = nil) -> BlockDiffValue {
        let change = LeafChange(
            key: FlatKey(account: Section(depth: 1, index: section).firstKey), value: StateAccount(nonce: 1).slim)
        return BlockDiffValue(
            header: [1], certificate: [], sectionHashBefore: .zero, changes: changes ?? [change], codes: [],
            pathProof: [])
    }

    static func layer(_ section: Int) -> BlockLayer {
        let hash = subtree(section).hash(at: 1)
        let place = Section(depth: 1, index: section)
        return BlockLayer(
            section: place, point: StatePoint(number: 1, hash: .max), parent: genesis, sectionHashBefore: hash,
            sectionHashAfter: hash, update: .unchanged(place, subtree: subtree(section)), pathProof: [])
    }
}

extension PeerInfo {
    /// The same with what its last PING of the state network said.
    func saying(_ payload: [UInt8]) -> PeerInfo {
        PeerInfo(
            record: record, address: address, radius: radius, capabilities: [StatePingPayload.type], clientInfo: [],
            lastExtension: PeerExtension(
                type: StatePingPayload.type, payload: payload, receivedAt: Instant(microseconds: 5)),
            standing: standing, isKept: false)
    }
}

/// `#expect` for conditions that change what they ask: the macro cannot look inside those.
func check(
    _ condition: Bool, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(condition, comment, sourceLocation: sourceLocation)
}
