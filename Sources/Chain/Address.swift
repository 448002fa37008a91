import Primitives

/// A 20-byte account address. Compares as its bytes do.
public struct Address: Hashable, Comparable, Sendable {
    private let high: UInt32
    private let middle, low: UInt64

    /// Size of an address.
    public static let byteCount = 20
    /// Twenty zero bytes: the miner of headers that name none.
    public static let zero = Address(lastOf: .zero)

    /// nil unless exactly 20 bytes are given.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Address.byteCount else { return nil }
        var words: (UInt32, UInt64, UInt64) = (0, 0, 0)
        for (index, byte) in bytes.enumerated() {
            switch index {
            case 0..<4: words.0 = words.0 << 8 | UInt32(byte)
            case 4..<12: words.1 = words.1 << 8 | UInt64(byte)
            default: words.2 = words.2 << 8 | UInt64(byte)
            }
        }
        (high, middle, low) = words
    }

    /// The last 20 bytes of a hash, as an address is made from a public key's.
    init(lastOf hash: Bytes32) {
        high = UInt32(truncatingIfNeeded: hash.word1)
        middle = hash.word2
        low = hash.word3
    }

    /// Reads 40 hex digits of either case, with or without 0x.
    public init?(hex text: some StringProtocol) {
        guard let bytes = Hex.decode(text) else { return nil }
        self.init(bytes)
    }

    /// The 20 bytes.
    public var bytes: [UInt8] {
        withUnsafeBytes(of: high.bigEndian) { Array($0) } + withUnsafeBytes(of: middle.bigEndian) { Array($0) }
            + withUnsafeBytes(of: low.bigEndian) { Array($0) }
    }

    /// The account's place on the ring: keccak256 of the address.
    public var key: Bytes32 { Keccak.hash(bytes) }

    public static func < (a: Address, b: Address) -> Bool {
        if a.high != b.high { return a.high < b.high }
        if a.middle != b.middle { return a.middle < b.middle }
        return a.low < b.low
    }
}

extension Address: CustomStringConvertible {
    /// 0x and 40 hex digits.
    public var description: String { Hex.prefixed(bytes) }
}
