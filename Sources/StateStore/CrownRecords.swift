import Chain
import MerklePatricia
import Primitives

/// The crowns of served anchors.
public enum CrownRecords {
    static func encode(_ crown: Crown) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(crown.root)
        writer.append(uint8: UInt8(crown.depth))
        let nodes = crown.nodes
        writer.append(varint: UInt32(clamping: nodes.count))
        for node in nodes { writer.appendVarintPrefixed(node) }
        return writer.bytes
    }

    private static func decode(_ bytes: [UInt8]) throws(StoreError) -> Crown {
        do {
            var reader = ByteReader(bytes)
            let root = try reader.bytes32()
            let depth = Int(try reader.uint8())
            var nodes: [[UInt8]] = []
            for _ in 0..<(try reader.count(itemsOf: 1)) {
                nodes.append(try reader.varintPrefixed(limit: reader.remaining))
            }
            try reader.finish()
            return try Crown(decoding: nodes, root: root, depth: depth)
        } catch {
            throw .corrupt(table: .crowns)
        }
    }

    /// The crown kept for `anchor`, its nodes checked against its root again; nil where there is none.
    public static func crown(_ anchor: Anchor, in snapshot: some StoreSnapshot) throws(StoreError) -> Crown? {
        guard let bytes = try snapshot.get(.crowns, anchor.storeKey) else { return nil }
        return try decode(bytes)
    }

    /// All crowns, oldest first.
    public static func all(in snapshot: some StoreSnapshot) throws(StoreError) -> [(anchor: Anchor, crown: Crown)] {
        var crowns: [(anchor: Anchor, crown: Crown)] = []
        try snapshot.forEach(.crowns, from: [], upTo: nil) { (key, value) throws(StoreError) in
            crowns.append((try anchor(Array(key)), try decode(Array(value))))
            return true
        }
        return crowns
    }

    private static func anchor(_ key: [UInt8]) throws(StoreError) -> Anchor {
        do throws(ByteError) {
            var reader = ByteReader(key)
            let anchor = Anchor(epoch: try reader.uint64BigEndian(), hash: try reader.bytes32())
            try reader.finish()
            return anchor
        } catch {
            throw .corrupt(table: .crowns)
        }
    }
}

/// Small things of this node alone, by name.
public enum LocalValues {
    /// Where `StateWrites.replayed` writes.
    static let replayedName = "replayed"

    /// What is kept under `name`; nil where nothing is.
    public static func value(_ name: String, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.local, key(name))
    }

    /// The newest block that a bridge has applied; nil before the first.
    public static func replayed(in snapshot: some StoreSnapshot) throws(StoreError) -> StatePoint? {
        guard let bytes = try value(replayedName, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let point = try reader.point()
            try reader.finish()
            return point
        } catch {
            throw .corrupt(table: .local)
        }
    }

    static func key(_ name: String) -> [UInt8] { Array(name.utf8.prefix(StateStoreLimits.localNameBytes)) }
}
