import Chain
import Discovery
import Primitives
import StateContent
import StateStore
import Testing

@testable import Overlay
@testable import StateNetwork

/// A directory without a node: peers say by hand what they have, directives are looked at.
struct DirectoryBench {
    static let anchor = Anchor(epoch: 7, hash: Bytes32(0, 0, 0, 7))
    static let before = Anchor(epoch: 6, hash: Bytes32(0, 0, 0, 6))

    var directory: HolderDirectory
    var now = Instant(microseconds: 1_000_000)
    private var entropy: Entropy

    init(_ role: Role, arc: Arc = Arc(around: 0, bits: 0, depth: 1), stored: [StoredHolder] = [], seed: UInt64 = 1) {
        directory = HolderDirectory(role: role, arc: arc, stored: stored)
        directory.anchorsAdvanced(to: [DirectoryBench.anchor, DirectoryBench.before])
        entropy = Entropy(seed: Bytes32(seed, 0, 0, 1))
    }

    /// A node whose id begins with the section's nibbles, reached at `host`: the first three bytes are its subnet.
    mutating func node(
        near section: Int, depth: Int = 1, radius exponent: Int = 252, host: [UInt8] = [10, 0, 0, 1],
        isKept: Bool = false
    ) throws -> PeerInfo {
        let prefix = Section(depth: depth, index: section).firstKey
        let key = try #require(IdentityKey(idPrefix: prefix, bits: 4 * depth, from: &entropy))
        var fields = NodeRecordFields(sequence: 1)
        let endpoint = try #require(Endpoint(address: host, port: 9_009))
        fields.set(endpoint: endpoint)
        let record = try fields.signed(by: key)
        return PeerInfo(
            record: record, address: NodeAddress(id: record.id, endpoint: endpoint), radius: .mask(bits: exponent),
            capabilities: [], clientInfo: [], lastExtension: nil, standing: PeerStanding(), isKept: isKept)
    }

    /// A peer says that it has these sections at the anchor.
    mutating func tell(
        _ info: PeerInfo, _ role: Role = .holder, providing: [Range<Int>] = [], at anchor: Anchor = anchor
    ) {
        let served = providing.isEmpty ? [] : [AnchorSections(anchor: anchor, runs: providing)]
        let payload = StatePingPayload(role: role, radius: info.radius, head: nil, served: served)
        directory.told(payload, by: info, at: now)
    }

    /// What it asks for as time goes on by `interval`, with these sections waited for.
    mutating func advance(
        by interval: Interval = .milliseconds(250), urgent: [Int] = []
    ) -> [HolderDirectory.Directive] {
        now = now + interval
        directory.advance(to: now, urgent: urgent)
        return directory.drain()
    }
}

extension [HolderDirectory.Directive] {
    typealias Lookup = (id: HolderDirectory.SearchID, section: Int, width: Int, avoided: Set<Bytes32>)

    var lookups: [Lookup] {
        compactMap {
            guard case .lookup(let id, let section, let width, let avoided) = $0 else { return nil }
            return (id, section, width, avoided)
        }
    }
    var met: [Bytes32] { flatMap { if case .meet(let records) = $0 { records.map(\.id) } else { [Bytes32]() } } }
    var kept: [Bytes32] { compactMap { if case .keep(let id) = $0 { id } else { nil } } }
    var released: [Bytes32] { compactMap { if case .release(let id) = $0 { id } else { nil } } }
    var asked: [(id: HolderDirectory.SearchID, peer: Bytes32)] {
        compactMap { if case .ask(let id, let peer, _) = $0 { (id, peer) } else { nil } }
    }
}

extension LookupResult {
    /// All of them answered.
    init(_ infos: [PeerInfo]) {
        self.init(nodes: infos.map { Node(record: $0.record, hasAnswered: true) }, queries: infos.count)
    }
}
