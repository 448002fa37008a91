/// A number of bytes as people write it: a number and a unit. The unit is required, since a program that guesses one
/// guesses wrong for somebody.
public struct ByteCount: Hashable, Sendable {
    /// The count in bytes.
    public let bytes: UInt64

    /// `bytes` bytes.
    public init(bytes: UInt64) { self.bytes = bytes }

    private static let units: [(name: String, bytes: UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ]

    /// Reads "64KiB", "1.5 MB", "10GB"; a trailing "/s" is allowed, for rates. nil for anything else, for zero and for
    /// what does not fit 63 bits.
    public init?(_ text: String) {
        var rest = Substring(text)
        if rest.hasSuffix("/s") { rest.removeLast(2) }
        guard let unit = ByteCount.units.first(where: { rest.lowercased().hasSuffix($0.name.lowercased()) }) else {
            return nil
        }
        rest.removeLast(unit.name.count)
        while rest.last == " " { rest.removeLast() }
        guard !rest.isEmpty, rest.allSatisfy({ "0123456789.".contains($0) }), let number = Double(rest) else {
            return nil
        }
        let bytes = (number * Double(unit.bytes)).rounded()
        guard bytes >= 1, bytes < 9.2e18 else { return nil }
        self.bytes = UInt64(bytes)
    }
}

extension ByteCount: CustomStringConvertible {
    /// "512 B", "1.4 KiB", "412 MiB": three digits at least of what it is.
    public var description: String {
        var value = Double(bytes)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 999.5 { return ByteCount.threeDigits(value, whole: unit == "B") + " " + unit }
            value /= 1_024
        }
        return ByteCount.threeDigits(value, whole: false) + " TiB"
    }

    private static func threeDigits(_ value: Double, whole: Bool) -> String {
        if whole || value >= 99.95 { return "\(UInt64(value.rounded()))" }
        let tenths = UInt64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
