import Discovery
import Primitives
import StateStore

/// A holder of the directory as the store keeps it for the next start.
public struct StoredHolder: Sendable, Equatable {
    /// Its newest record.
    public let record: NodeRecord
    /// What its radius covered.
    public let arc: Arc
    /// When it last said so, seconds since 1970.
    public let toldAt: UInt64

    public init(record: NodeRecord, arc: Arc, toldAt: UInt64) {
        self.record = record
        self.arc = arc
        self.toldAt = toldAt
    }

    private static let name = "holders"

    /// Those of earlier runs, in the order they were written. What does not decode is as good as nothing: a start
    /// without it takes a search more.
    public static func load(from snapshot: some StoreSnapshot, depth: Int) throws(StoreError) -> [StoredHolder] {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return [] }
        return decode(bytes, depth: depth) ?? []
    }

    /// The transaction that keeps these and no others.
    public static func writing(_ holders: [StoredHolder]) -> WriteBatch { StateWrites.local(name, encode(holders)) }

    /// The list as it is kept: [[record, bits of the arc, seconds], …]. The arc is the one round the record's own id.
    static func encode(_ holders: [StoredHolder]) -> [UInt8] {
        RLPWriter.list { list in
            for holder in holders.prefix(HolderLimits.stored) {
                list.appendList { entry in
                    entry.append(holder.record.encoded)
                    entry.append(UInt64(holder.arc.bits))
                    entry.append(holder.toldAt)
                }
            }
        }
    }

    /// nil where the bytes are no such list, or a record in it does not verify.
    static func decode(_ bytes: [UInt8], depth: Int) -> [StoredHolder]? {
        var holders: [StoredHolder] = []
        do {
            guard case .list(let entries) = try RLPValue(decoding: bytes) else { return nil }
            for case .list(let entry) in entries.prefix(HolderLimits.stored) {
                guard entry.count == 3, case .string(let record) = entry[0], let bits = number(entry[1]),
                    let seconds = number(entry[2]), bits <= 256
                else { return nil }
                let decoded = try NodeRecord(decoding: record)
                let arc = Arc(around: Section(of: decoded.id, depth: depth).index, bits: Int(bits), depth: depth)
                holders.append(StoredHolder(record: decoded, arc: arc, toldAt: seconds))
            }
        } catch {
            return nil
        }
        return holders
    }

    private static func number(_ value: RLPValue) -> UInt64? {
        guard case .string(let bytes) = value, bytes.count <= 8 else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Whether it is not worth trying any more. One from the future (the clock was set back) is.
    func isOld(at unixSeconds: UInt64) -> Bool {
        unixSeconds > toldAt && unixSeconds - toldAt > HolderLimits.storedSeconds
    }
}

extension HolderDirectory {
    /// What is worth keeping for the next start: kept peers whose word is good, those of few providers' sections first
    /// as long as not all fit; then holders of earlier runs that were not met.
    public func worthStoring(at now: Instant, unixSeconds: UInt64) -> [StoredHolder] {
        let kept = peers.values.filter { $0.isKept && !$0.isDoubtful && $0.role != .walker }
            .sorted { ($0.arc.bits, $0.id) < ($1.arc.bits, $1.id) }
        let met = kept.map { peer in
            let age = (now - peer.toldAt).microseconds / 1_000_000
            return StoredHolder(record: peer.record, arc: peer.arc, toldAt: unixSeconds - min(age, unixSeconds))
        }
        return Array((met + stored.filter { !$0.isOld(at: unixSeconds) }).prefix(HolderLimits.stored))
    }
}
