import Chain
import MerklePatricia
import Node
import Primitives
import StateStore

/// The stored headers that show whoever has the network's file that a block is final: from the checkpoint on, as far
/// above the block as it takes. Where the headers down to the checkpoint were pruned, and votes decide, from the block
/// itself on.
struct ExportedHeaders {
    private let chain: AttestedChain
    private let first: UInt64
    private let last: UInt64
    /// Headers read at once.
    private static let run = 256

    /// Throws where what is stored does not show it.
    init(
        proving point: StatePoint, in snapshot: some StoreSnapshot, _ network: NetworkConfiguration
    ) throws {
        chain = try AttestedChain(
            configuration: network, restoring: StoredState.headers(in: snapshot, network),
            floor: HeaderRecords.floor(in: snapshot))
        guard chain.isFinal(point) else { throw StateExport.Failure.notFinal(block: point.number) }
        let (lowest, checkpoint) = (try HeaderRecords.lowest(in: snapshot) ?? .max, network.checkpoint.number)
        let isWhole = lowest <= checkpoint + 1
        if chain.rule.finality == .byVotes, point != network.checkpoint {
            guard let line = AttestedLine.shortest(to: point, in: chain), let end = line.entries.last,
                try line.verify(point, of: network).isFinal
            else { throw StateExport.Failure.notFinal(block: point.number) }
            (first, last) = (isWhole ? lowest : point.number, end.header.number)
        } else {
            guard isWhole else { throw StateExport.Failure.notFinal(block: point.number) }
            (first, last) = (lowest, chain.rule.finality == .byVotes ? point.number : chain.head.number)
        }
    }

    /// Hands out the headers, rising, with their certificates as they are stored.
    func forEach(in snapshot: some StoreSnapshot, _ body: (StoredHeader) throws -> Void) throws {
        var parent: Bytes32?
        var next = first
        while next <= last {
            let end = min(last, next + UInt64(ExportedHeaders.run) - 1)
            // Of one height there may be several until one is final: the one on the line is meant.
            for (point, rlp) in try HeaderRecords.headers(from: next, through: end, limit: .max, in: snapshot) {
                guard let header = try? BlockHeader(rlp: rlp) else { throw StateFault.header(block: point.number) }
                let isOnLine = chain.certifiedHeader(at: point.number).map { $0.header.hash == header.hash }
                guard isOnLine ?? (parent == nil || header.parentHash == parent) else { continue }
                parent = header.hash
                try body(
                    StoredHeader(
                        point: point, rlp: rlp,
                        certificate: try HeaderRecords.certificate(of: point.hash, in: snapshot)))
            }
            next = end + 1
        }
    }
}
