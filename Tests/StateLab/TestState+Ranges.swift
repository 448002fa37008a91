import Chain
import Primitives
import StateContent
import StateStore

/// Why a test's material cannot be made.
public enum StateLabError: Error, Equatable {
    /// The bounds given are none of a key.
    case noSuchKey
    /// A state that is held whole answered a range with nothing.
    case notServed
}

// Ranges of a state: what is asked for, what the program's own server answers, and whether that is true.
extension TestState {
    /// Where all ranges stand.
    public static let anchor = Anchor(epoch: 3, hash: Bytes32(9, 9, 9, 9))

    /// What asks for a range.
    public static func key(
        _ origin: Cursor, _ limit: Cursor, maxBytes: UInt32 = 1 << 20, keeping kept: KeptStorage = .all
    ) throws -> RangeKey {
        let key = RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: maxBytes, keeping: kept)
        guard let key else { throw StateLabError.noSuchKey }
        return key
    }

    /// The server's answer.
    public func serve(_ key: RangeKey) throws -> [UInt8] {
        var view = view
        guard let value = try RangeServer.serve(key, view: &view, crown: crown) else { throw StateLabError.notServed }
        return value
    }

    /// Whether a verified range says of the state what is true.
    public func has(_ range: VerifiedStateRange) -> Bool {
        let expected = leaves(from: range.origin, through: range.end)
        return range.leaves.map { MemoryState.Leaf(key: $0.key, value: $0.value) } == expected
    }
}
