import Chain
import Primitives

/// Crowns of served anchors, as the bytes that were given.
public enum CrownRecords {
    /// The bytes kept for `anchor`; nil where there are none.
    public static func crown(_ anchor: Anchor, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.crowns, anchor.storeKey)
    }

    /// The anchors whose crown is kept, oldest first.
    public static func anchors(in snapshot: some StoreSnapshot) throws(StoreError) -> [Anchor] {
        var anchors: [Anchor] = []
        try snapshot.forEach(.crowns, from: [], upTo: nil) { (key, _) throws(StoreError) in
            do throws(ByteError) {
                var reader = ByteReader(Array(key))
                anchors.append(Anchor(epoch: try reader.uint64BigEndian(), hash: try reader.bytes32()))
                try reader.finish()
            } catch {
                throw .corrupt(table: .crowns)
            }
            return true
        }
        return anchors
    }
}

/// Small things of this node alone, by name.
public enum LocalValues {
    /// What is kept under `name`; nil where nothing is.
    public static func value(_ name: String, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.local, key(name))
    }

    static func key(_ name: String) -> [UInt8] { Array(name.utf8.prefix(StateStoreLimits.localNameBytes)) }
}
