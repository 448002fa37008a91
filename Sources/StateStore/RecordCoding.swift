import Chain
import MerklePatricia
import Primitives

// Fields that several stored records share. Lengths are checked against what is there before anything is allocated.

extension ByteWriter {
    mutating func append(point: StatePoint) {
        append(bigEndian: point.number)
        append(point.hash)
    }

    mutating func append(optionalPoint point: StatePoint?) {
        append(uint8: point == nil ? 0 : 1)
        if let point { append(point: point) }
    }

    /// 0 for nil; 1, length and bytes otherwise.
    mutating func append(optionalValue value: [UInt8]?) {
        append(uint8: value == nil ? 0 : 1)
        if let value { appendVarintPrefixed(value) }
    }

    mutating func append(flatKey key: FlatKey) {
        append(uint8: key.slot == nil ? 0 : 1)
        append(key.account)
        if let slot = key.slot { append(slot) }
    }

    mutating func append(path: Nibbles) {
        append(uint8: UInt8(path.count))
        append(path.storeKey)
    }
}

extension ByteReader {
    mutating func point() throws(ByteError) -> StatePoint {
        StatePoint(number: try uint64BigEndian(), hash: try bytes32())
    }

    mutating func optionalPoint() throws(ByteError) -> StatePoint? {
        try flag() ? try point() : nil
    }

    mutating func optionalValue() throws(ByteError) -> [UInt8]? {
        try flag() ? try varintPrefixed(limit: remaining) : nil
    }

    mutating func flatKey() throws(ByteError) -> FlatKey {
        let isSlot = try flag()
        return FlatKey(account: try bytes32(), slot: isSlot ? try bytes32() : nil)
    }

    mutating func path() throws(ByteError) -> Nibbles {
        guard let path = Nibbles(storeKey: try bytes(Int(try uint8()))) else { throw .notCanonical }
        return path
    }

    /// A byte that is 0 or 1.
    mutating func flag() throws(ByteError) -> Bool {
        let byte = try uint8()
        guard byte < 2 else { throw .notCanonical }
        return byte == 1
    }

    /// How many items follow; each takes at least `size` bytes, so more than could be there are refused.
    mutating func count(itemsOf size: Int) throws(ByteError) -> Int {
        let count = Int(try varint())
        guard count <= remaining / size else { throw .tooLarge }
        return count
    }
}

extension StatePoint {
    /// number ‖ hash: points in the order of their blocks.
    var storeKey: [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } + hash.bytes }
}

extension Anchor {
    /// epoch ‖ hash.
    var storeKey: [UInt8] { withUnsafeBytes(of: epoch.bigEndian) { Array($0) } + hash.bytes }
}
