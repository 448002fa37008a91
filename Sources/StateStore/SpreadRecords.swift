import Chain
import Primitives

/// Which accounts of held sections have storage that is spread round the ring, and how far. It is written in one
/// transaction with the sections in which they stand.
public enum SpreadRecords {
    /// The account's storage is placed at this depth from now on; 0: it is with the account.
    static func writing(_ account: Bytes32, _ depth: Int) -> WriteBatch {
        var batch = WriteBatch()
        if depth > 0 {
            batch.put(.spreadAccounts, account.bytes, [UInt8(truncatingIfNeeded: depth)])
        } else {
            batch.delete(.spreadAccounts, account.bytes)
        }
        return batch
    }

    /// All of them, in order.
    public static func all(
        in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [(account: Bytes32, depth: Int)] {
        var found: [(account: Bytes32, depth: Int)] = []
        try snapshot.forEach(.spreadAccounts, from: [], upTo: nil) { (key, value) throws(StoreError) in
            guard let account = Bytes32(Array(key)), value.count == 1, let depth = value.first,
                (1...UInt8(ChainLimits.sectionDepth)).contains(depth)
            else { throw .corrupt(table: .spreadAccounts) }
            found.append((account, Int(depth)))
            return true
        }
        return found
    }
}

/// Storage crowns of served anchors, as the bytes that were given.
public enum StorageCrownRecords {
    /// A crown as it is kept.
    public struct Kept: Sendable {
        public let anchor: Anchor
        public let account: Bytes32
        /// The depth at which its parts begin, and the first of them.
        public let depth: Int
        public let first: Int
        /// The answer that it came in, status byte included.
        public let value: [UInt8]

        /// A crown as it is to be kept.
        public init(anchor: Anchor, account: Bytes32, depth: Int, first: Int, value: [UInt8]) {
            self.anchor = anchor
            self.account = account
            self.depth = depth
            self.first = first
            self.value = value
        }
    }

    /// Keeps a crown.
    public static func writing(_ crown: Kept) -> WriteBatch {
        var batch = WriteBatch()
        let first = withUnsafeBytes(of: UInt32(truncatingIfNeeded: crown.first).bigEndian) { Array($0) }
        let depth = UInt8(truncatingIfNeeded: crown.depth)
        batch.put(
            .storageCrowns, crown.anchor.storeKey + crown.account.bytes + [depth] + first, crown.value)
        return batch
    }

    /// Forgets the crowns of all epochs before `epoch`.
    public static func dropping(before epoch: UInt64) -> WriteBatch {
        var batch = WriteBatch()
        batch.deleteRange(.storageCrowns, from: [], upTo: withUnsafeBytes(of: epoch.bigEndian) { Array($0) })
        return batch
    }

    /// All of them, oldest anchor first.
    public static func all(in snapshot: some StoreSnapshot) throws(StoreError) -> [Kept] {
        var kept: [Kept] = []
        try snapshot.forEach(.storageCrowns, from: [], upTo: nil) { (key, value) throws(StoreError) in
            do throws(ByteError) {
                var reader = ByteReader(Array(key))
                let anchor = Anchor(epoch: try reader.uint64BigEndian(), hash: try reader.bytes32())
                let (account, depth) = (try reader.bytes32(), Int(try reader.uint8()))
                var first = 0
                for _ in 0..<4 { first = first << 8 | Int(try reader.uint8()) }
                try reader.finish()
                kept.append(Kept(anchor: anchor, account: account, depth: depth, first: first, value: Array(value)))
            } catch {
                throw .corrupt(table: .storageCrowns)
            }
            return true
        }
        return kept
    }
}
