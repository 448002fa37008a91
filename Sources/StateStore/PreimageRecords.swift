import Chain
import Primitives

/// What account keys and slot keys are the hashes of: addresses and slots. A state is complete without them, and no
/// proof needs them; a genesis file does, and a client that goes over to another tree. So they are kept where that is
/// asked for (`carousel bridge --preimages`), by whoever sees them: the recorded chain has them, the wire has none.
public enum PreimageRecords {
    /// The addresses and slots of these changes, each under its hash.
    public static func writing(_ changes: some Sequence<AccountChange>) -> WriteBatch {
        var batch = WriteBatch()
        for change in changes {
            batch.put(.preimages, change.key.bytes, change.address.bytes)
            for slot in change.storage { batch.put(.preimages, slot.key.bytes, slot.slot.big.bytes) }
        }
        return batch
    }

    /// The address whose hash this account key is; nil where it is not here. Hashed again: what is stored is not
    /// believed.
    public static func address(_ key: Bytes32, in snapshot: some StoreSnapshot) throws -> Address? {
        guard let bytes = try preimage(key, in: snapshot) else { return nil }
        return Address(bytes)
    }

    /// The slot whose hash this slot key is; nil where it is not here.
    public static func slot(_ key: Bytes32, in snapshot: some StoreSnapshot) throws -> Bytes32? {
        guard let bytes = try preimage(key, in: snapshot) else { return nil }
        return Bytes32(bytes)
    }

    private static func preimage(_ key: Bytes32, in snapshot: some StoreSnapshot) throws -> [UInt8]? {
        guard let bytes = try snapshot.get(.preimages, key.bytes) else { return nil }
        guard Keccak.hash(bytes) == key else { throw StateFault.record(table: "\(Table.preimages)") }
        return bytes
    }

    /// The block up to which, from genesis on, what blocks changed has its preimages here; nil where none has.
    public static func filled(in snapshot: some StoreSnapshot) throws(StoreError) -> UInt64? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        guard bytes.count == 8 else { throw .corrupt(table: .local) }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Notes that.
    public static func writing(filledUpTo number: UInt64) -> WriteBatch {
        StateWrites.local(name, withUnsafeBytes(of: number.bigEndian) { Array($0) })
    }

    private static let name = "preimages"
}
