import Chain
import Primitives
import StateNetwork
import StateStore

/// What a store held when the node was started: all that memory needs to go on.
public struct StoredState: Sendable {
    /// What it holds of the state.
    public var held = HeldState()
    /// Attested headers with their certificates, rising: the newest, which reach down below the final block, and before
    /// them those of epoch boundaries.
    public var headers: [CertifiedHeader] = []
    /// The block that the headers above it are judged from, where headers are judged as they come.
    public var floor: StoredFloor?
    /// The lowest block from which on every header is stored; nil where none is.
    public var lowestHeader: UInt64?
    /// Nodes that answered in earlier runs, the one that answered last first.
    public var knownNodes: [KnownNode] = []

    /// Nothing.
    public init() {}

    /// Reads it all from one snapshot.
    public static func load(
        from snapshot: some StoreSnapshot, network: NetworkConfiguration
    ) throws(StoreError) -> StoredState {
        var stored = StoredState()
        stored.headers = try headers(in: snapshot, network)
        stored.floor = try HeaderRecords.floor(in: snapshot)
        stored.lowestHeader = try HeaderRecords.lowest(in: snapshot)
        stored.knownNodes = try KnownNode.load(from: snapshot)
        let roots = Dictionary(stored.headers.map { ($0.header.hash, $0.header.stateRoot) }) { first, _ in first }
        stored.held = try HeldState(
            from: snapshot, depth: network.sectionDepth, stateRoots: roots, placedBy: network.placement)
        return stored
    }

    /// The attested headers that memory needs: never more than a chain holds above its final block, so that block is
    /// among them, and the boundaries below. A start costs the same however many are stored.
    public static func headers(
        in snapshot: some StoreSnapshot, _ network: NetworkConfiguration
    ) throws(StoreError) -> [CertifiedHeader] {
        guard let highest = try HeaderRecords.highest(in: snapshot)?.number else { return [] }
        let held = UInt64(ChainLimits.heldHeaders)
        let first = highest > held ? highest - held : 0
        var boundaries: [CertifiedHeader] = []
        var next = network.epochs.boundary(before: first)
        while let number = next, boundaries.count < ChainLimits.anchorHeaders {
            let found = try headers(from: number, through: number, in: snapshot)
            guard !found.isEmpty else { break }
            boundaries += found
            next = network.epochs.boundary(before: number)
        }
        return try boundaries.reversed() + headers(from: first, through: .max, in: snapshot)
    }

    private static func headers(
        from first: UInt64, through last: UInt64, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [CertifiedHeader] {
        var headers: [CertifiedHeader] = []
        for (point, bytes) in try HeaderRecords.headers(from: first, through: last, limit: .max, in: snapshot) {
            let encoded = try HeaderRecords.certificate(of: point.hash, in: snapshot)
            do throws(ChainError) {
                var certificate: Certificate?
                if let encoded { certificate = try Certificate(decoding: encoded) }
                headers.append(CertifiedHeader(header: try BlockHeader(rlp: bytes), certificate: certificate))
            } catch {
                throw .corrupt(table: .headers)
            }
        }
        return headers
    }
}
