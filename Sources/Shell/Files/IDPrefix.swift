import Primitives

/// The beginning that a node id shall have: "0x8/1" is a first bit of 1, "0x4a" the first eight bits.
public struct IDPrefix: Equatable, Sendable {
    /// The wanted bits at the left, zeros after them.
    public let prefix: Bytes32
    /// How many bits are wanted, 1…24: each doubles the search.
    public let bits: Int

    /// Reads 0x, hex digits and, where not all their bits are wanted, "/" and a number of bits.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let digits = parts.first, digits.hasPrefix("0x"), (3...10).contains(digits.count),
            let bytes = Hex.decode(digits + String(repeating: "0", count: 66 - digits.count)),
            let prefix = Bytes32(bytes)
        else { return nil }
        let all = (digits.count - 2) * 4
        guard let bits = parts.count == 2 ? Int(parts[1]) : all, (1...24).contains(bits), bits <= all else {
            return nil
        }
        self.prefix = prefix
        self.bits = bits
    }
}
