import Primitives

/// The branch of the header tree that is followed: from the final block (left out) up to the attested head, and beyond
/// it as far as any voter vouches for a header. Taking blocks off its lower end costs next to nothing.
struct FollowedLine: Sendable {
    private var hashes: [Bytes32] = []
    /// Places at the beginning of `hashes` that have been taken off.
    private var gone = 0
    /// Number of the block below the first.
    private var base: UInt64
    /// How many of the blocks, from below, are attested.
    private(set) var attestedCount = 0

    init(above base: UInt64) { self.base = base }

    var count: Int { hashes.count - gone }

    /// The hash at a place counted from the first block above the base.
    subscript(index: Int) -> Bytes32 { hashes[gone + index] }

    var last: Bytes32? { count > 0 ? hashes.last : nil }

    /// The attested head; nil where it is the block below the line.
    var head: Bytes32? { attestedCount > 0 ? self[attestedCount - 1] : nil }

    /// The place of a height; nil below and above the line.
    func place(of number: UInt64) -> Int? {
        guard number > base, number - base <= UInt64(count) else { return nil }
        return Int(number - base - 1)
    }

    func hash(at number: UInt64) -> Bytes32? { place(of: number).map { self[$0] } }

    mutating func append(_ hash: Bytes32) { hashes.append(hash) }

    /// Drops what stands at `place` and above; gives it back.
    mutating func cut(at place: Int) -> [Bytes32] {
        guard place < count else { return [] }
        let rest = Array(hashes[(gone + place)...])
        hashes.removeSubrange((gone + place)...)
        attestedCount = min(attestedCount, place)
        return rest
    }

    mutating func attest() { attestedCount += 1 }

    /// The final block is another one now: the last of `passed`.
    mutating func advance(over passed: [StatePoint]) {
        guard let last = passed.last else { return }
        base = last.number
        guard count >= passed.count, self[passed.count - 1] == last.hash else {
            hashes = []
            (gone, attestedCount) = (0, 0)
            return
        }
        gone += passed.count
        attestedCount = max(0, attestedCount - passed.count)
        // Each hash is moved once in a while only.
        if gone > FollowedLine.mostGone, gone > hashes.count / 2 {
            hashes.removeFirst(gone)
            gone = 0
        }
    }

    /// Places taken off that are worth a move of the rest.
    private static let mostGone = 1_024
}
