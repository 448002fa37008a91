import ArgumentParser
import Chain

/// Numbers of the command line that say what is allowed where they are something else.
enum Bounds {
    /// Reads a whole number within `range`.
    static func whole<Number: FixedWidthInteger & Sendable>(
        _ range: ClosedRange<Number>
    ) -> @Sendable (String) throws -> Number {
        { text in
            guard let number = Number(text), range.contains(number) else {
                throw ValidationError("write a whole number, \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
    }

    /// Reads a decimal number above 0 and at most `limit`.
    static func above0(through limit: Int) -> @Sendable (String) throws -> Double {
        { text in
            guard let number = Double(text), number > 0, number <= Double(limit) else {
                throw ValidationError("write a decimal number above 0 and at most \(limit)")
            }
            return number
        }
    }

    /// Ports; 0 stands for any free one.
    static let port = whole(UInt16.min...UInt16.max)
    /// Final headers kept: at least as many as there may be above the final block, which is what peers are likely to
    /// ask for.
    static let headers = whole(UInt64(ChainLimits.unfinalHeaders)...UInt64(Int64.max))
    /// Threads, and requests under way at once.
    static let workers = whole(1...1_024)
}
