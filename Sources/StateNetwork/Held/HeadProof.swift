import Chain
import Primitives
import StateStore

/// The trie nodes above the sections at the newest block at which everything held was verified, kept in the store so
/// that it is verified again after a start without asking anybody. It takes about as much room as the path proofs of
/// one block's diffs.
public struct HeadProof: Sendable, Equatable {
    /// The block.
    public let point: StatePoint
    /// Found by their hashes from the block's state root only, so that wrong ones prove nothing.
    public let nodes: [[UInt8]]

    private static let name = "head-proof"
    /// Longest node: a branch with 16 hashes and a value, RLP. Source: the Merkle Patricia trie's node forms.
    private static let nodeBytes = 1_024

    /// Number and hash of the block, then every node after its length (LEB128), in place of what was stored before.
    /// The next block brings another soon, and without it the store is compared with an older one at the next start.
    var writing: WriteBatch {
        var writer = ByteWriter(capacity: 40 + nodes.reduce(0) { $0 + $1.count + LEB128.byteLimit })
        writer.append(bigEndian: point.number)
        writer.append(point.hash)
        for node in nodes { writer.appendVarintPrefixed(node) }
        var batch = StateWrites.local(HeadProof.name, writer.bytes)
        batch.mayWait = true
        return batch
    }

    /// nil where nothing was verified yet.
    static func read(from snapshot: some StoreSnapshot) throws(StoreError) -> HeadProof? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let point = StatePoint(number: try reader.uint64BigEndian(), hash: try reader.bytes32())
            var nodes: [[UInt8]] = []
            while !reader.isAtEnd { nodes.append(try reader.varintPrefixed(limit: nodeBytes)) }
            return HeadProof(point: point, nodes: nodes)
        } catch {
            throw .corrupt(table: .local)
        }
    }
}
