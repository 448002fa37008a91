import MerklePatricia
import Primitives

/// A slot's value: 1 to 32 bytes without leading zeros in the store and on the wire, their RLP in the trie.
public enum SlotValue {
    /// A value as it is stored; nil for zero, which is not stored.
    public static func stored(_ value: UInt256) -> [UInt8]? { value == .zero ? nil : value.minimalBytes }

    /// Whether these bytes are the one form of a value that is not zero.
    public static func isCanonical(_ bytes: [UInt8]) -> Bool {
        (1...StateStoreLimits.slotValueBytes).contains(bytes.count) && bytes.first != 0
    }

    /// Appends the leaf of a slot.
    static func append(
        _ value: UnsafeRawBufferPointer, of slot: Bytes32, to leaves: inout TwigLeaves
    ) throws(StoreError) {
        guard (1...StateStoreLimits.slotValueBytes).contains(value.count) else { throw .corrupt(table: .leaves) }
        if value.count == 1, let byte = value.first, byte < 0x80 { return leaves.append(key: slot, bytes: value) }
        leaves.append(key: slot, room: 1 + value.count) { target in
            target.storeBytes(of: 0x80 &+ UInt8(truncatingIfNeeded: value.count), as: UInt8.self)
            UnsafeMutableRawBufferPointer(start: target + 1, count: value.count).copyMemory(from: value)
            return 1 + value.count
        }
    }

    /// A stored value as it stands in the trie.
    public static func rlp(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.count == 1, let byte = bytes.first, byte < 0x80 { return bytes }
        return [0x80 + UInt8(truncatingIfNeeded: bytes.count)] + bytes
    }

    /// The value whose RLP this is, in its one form; nil for anything else.
    public static func stored(rlp bytes: [UInt8]) -> [UInt8]? {
        guard let first = bytes.first else { return nil }
        let value = first < 0x80 ? bytes : Array(bytes.dropFirst())
        return isCanonical(value) && rlp(value) == bytes ? value : nil
    }
}
