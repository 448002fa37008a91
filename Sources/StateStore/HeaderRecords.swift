import Chain
import Primitives

/// Headers and certificates by number and by hash. What is stored was verified before.
public enum HeaderRecords {
    /// A header, and its certificate where there is one.
    public static func writing(header: [UInt8], at point: StatePoint, certificate: [UInt8]? = nil) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.headers, point.storeKey, header)
        batch.put(.headerNumbers, point.hash.bytes, withUnsafeBytes(of: point.number.bigEndian) { Array($0) })
        if let certificate { batch.put(.certificates, point.hash.bytes, certificate) }
        return batch
    }

    /// A certificate of a block whose header may be stored or not.
    public static func writing(certificate: [UInt8], of hash: Bytes32) -> WriteBatch {
        var batch = WriteBatch()
        batch.put(.certificates, hash.bytes, certificate)
        return batch
    }

    /// Forgets a header and its certificate.
    public static func deleting(_ point: StatePoint) -> WriteBatch {
        var batch = WriteBatch()
        batch.delete(.headers, point.storeKey)
        batch.delete(.headerNumbers, point.hash.bytes)
        batch.delete(.certificates, point.hash.bytes)
        return batch
    }

    /// The header's RLP; nil where it is not here.
    public static func header(at point: StatePoint, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.headers, point.storeKey)
    }

    /// The number of the block of this hash; nil where its header is not here.
    public static func number(of hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> UInt64? {
        guard let bytes = try snapshot.get(.headerNumbers, hash.bytes) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let number = try reader.uint64BigEndian()
            try reader.finish()
            return number
        } catch {
            throw .corrupt(table: .headerNumbers)
        }
    }

    /// The header of this hash; nil where it is not here.
    public static func header(of hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        guard let number = try number(of: hash, in: snapshot) else { return nil }
        return try header(at: StatePoint(number: number, hash: hash), in: snapshot)
    }

    /// The certificate of this block; nil where there is none.
    public static func certificate(of hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.certificates, hash.bytes)
    }

    /// The headers of blocks in [first, last] (several of one number while it is not final), by number, then by hash;
    /// at most `limit` of them.
    public static func headers(
        from first: UInt64, through last: UInt64, limit: Int, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [(point: StatePoint, header: [UInt8])] {
        guard first <= last, limit > 0 else { return [] }
        var headers: [(point: StatePoint, header: [UInt8])] = []
        let start = withUnsafeBytes(of: first.bigEndian) { Array($0) }
        try snapshot.forEach(.headers, from: start, upTo: StatePoint.key(after: last)) {
            (key, value) throws(StoreError) in
            headers.append((try point(key), Array(value)))
            return headers.count < limit
        }
        return headers
    }

    /// The blocks at these heights, as long as there is one at each: of final ones there is no other.
    public static func line(
        _ heights: ClosedRange<UInt64>, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [StatePoint] {
        var points: [StatePoint] = []
        let start = withUnsafeBytes(of: heights.lowerBound.bigEndian) { Array($0) }
        try snapshot.forEach(.headers, from: start, upTo: StatePoint.key(after: heights.upperBound)) {
            (key, _) throws(StoreError) in
            let point = try point(key)
            guard point.number == heights.lowerBound + UInt64(points.count) else { return false }
            points.append(point)
            return true
        }
        return points
    }

    /// The highest block whose header is here; nil for none.
    public static func highest(in snapshot: some StoreSnapshot) throws(StoreError) -> StatePoint? {
        var cursor = try snapshot.cursor(.headers)
        guard try cursor.last() else { return nil }
        return try cursor.withEntry { (key, _) throws(StoreError) in try point(key) }
    }

    /// The lowest block from which on, up to the final one, every header is here; nil for none. Below it boundary
    /// blocks alone may be kept.
    public static func lowest(in snapshot: some StoreSnapshot) throws(StoreError) -> UInt64? {
        if let bytes = try LocalValues.value(lowestName, in: snapshot) {
            do throws(ByteError) {
                var reader = ByteReader(bytes)
                return try reader.uint64BigEndian()
            } catch {
                throw .corrupt(table: .local)
            }
        }
        var cursor = try snapshot.cursor(.headers)
        guard try cursor.seek([]) else { return nil }
        return try cursor.withEntry { (key, _) throws(StoreError) in try point(key) }?.number
    }

    private static let lowestName = "lowest-header"
    private static let floorName = "chain-floor"

    /// The chain's floor and its standing: goes into the transaction of the headers that it follows from.
    public static func writing(floor: StoredFloor) -> WriteBatch { StateWrites.local(floorName, floor.encoded) }

    /// The floor; nil where none was written, as in every store of a chain that votes decide.
    public static func floor(in snapshot: some StoreSnapshot) throws(StoreError) -> StoredFloor? {
        guard let bytes = try LocalValues.value(floorName, in: snapshot) else { return nil }
        guard let floor = StoredFloor(decoding: bytes) else { throw .corrupt(table: .local) }
        return floor
    }

    /// A step towards keeping no headers below a block but those of epoch boundaries, which name anchors.
    public struct Pruning: Sendable {
        /// Takes the step.
        public var batch: WriteBatch
        /// What `lowest` gives then.
        public var lowest: UInt64
    }

    /// Forgets headers from block `first` up to `end` (left out), at most `limit` of them.
    public static func pruning(
        from first: UInt64, upTo end: UInt64, epochLength: UInt64, limit: Int, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> Pruning {
        guard first < end else { return Pruning(batch: WriteBatch(), lowest: first) }
        let rows = try headers(from: first, through: end - 1, limit: limit, in: snapshot)
        let lowest = rows.count < limit ? end : (rows.last?.point.number ?? end - 1) + 1
        var batch = WriteBatch()
        let epochs = Epochs(length: epochLength)
        for (point, _) in rows where !epochs.isBoundary(point.number) { batch.append(deleting(point)) }
        batch.append(StateWrites.local(lowestName, withUnsafeBytes(of: lowest.bigEndian) { Array($0) }))
        return Pruning(batch: batch, lowest: lowest)
    }

    private static func point(_ key: UnsafeRawBufferPointer) throws(StoreError) -> StatePoint {
        do throws(ByteError) {
            var reader = ByteReader(Array(key))
            let point = try reader.point()
            try reader.finish()
            return point
        } catch {
            throw .corrupt(table: .headers)
        }
    }
}
