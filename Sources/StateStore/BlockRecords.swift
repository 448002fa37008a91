import Chain
import Primitives

/// Bodies and access lists of blocks, for those who go block by block. Their headers are `HeaderRecords`'. What is
/// stored was applied before: transactions, list and state root are what the header says.
public enum BlockRecords {
    /// A block's body (RLP of transactions, uncles, withdrawals) and its access list (RLP).
    public static func writing(body: [UInt8], accessList: [UInt8], at point: StatePoint) -> WriteBatch {
        var batch = WriteBatch()
        var value: [UInt8] = []
        value.reserveCapacity(4 + body.count + accessList.count)
        withUnsafeBytes(of: UInt32(body.count).bigEndian) { value.append(contentsOf: $0) }
        value += body
        value += accessList
        batch.put(.blocks, point.storeKey, value)
        return batch
    }

    /// Body and access list of a block; nil where they are not kept.
    public static func block(
        at point: StatePoint, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> (body: [UInt8], accessList: [UInt8])? {
        guard let bytes = try snapshot.get(.blocks, point.storeKey) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let length = Int(try reader.uint32BigEndian())
            let body = try reader.bytes(length)
            return (body, Array(bytes[(4 + length)...]))
        } catch {
            throw .corrupt(table: .blocks)
        }
    }

    /// The lowest and the highest block that is kept; nil where none is.
    public static func heights(in snapshot: some StoreSnapshot) throws(StoreError) -> ClosedRange<UInt64>? {
        var cursor = try snapshot.cursor(.blocks)
        guard try cursor.seek([]), let lowest = try cursor.withEntry(number), try cursor.last(),
            let highest = try cursor.withEntry(number)
        else { return nil }
        return lowest...max(lowest, highest)
    }

    /// Forgets blocks so that with block `newest` the `kept` newest heights are left, a bounded number of heights at a
    /// time: where far fewer are to be kept than before, some go with every block.
    public static func pruning(
        keeping kept: UInt64, newest: UInt64, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> WriteBatch {
        var batch = WriteBatch()
        guard newest >= kept, let lowest = try heights(in: snapshot)?.lowerBound, lowest <= newest - kept else {
            return batch
        }
        let end = min(newest - kept + 1, lowest + StateStoreLimits.blocksPrunedTogether)
        batch.deleteRange(.blocks, from: key(lowest), upTo: key(end))
        return batch
    }

    private static func key(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    private static func number(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(StoreError) -> UInt64 {
        guard key.count == 40 else { throw .corrupt(table: .blocks) }
        return UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
    }
}
