import Primitives

/// The branch of the header tree that is followed: from the final block (left out) up to the attested head, and beyond
/// it as far as any voter vouches for a header. Taking blocks off its lower end costs next to nothing.
struct FollowedLine: Sendable {
    private var hashes = Queue<Bytes32>()
    /// Number of the block below the first.
    private var base: UInt64
    /// How many of the blocks, from below, are attested.
    private(set) var attestedCount = 0

    init(above base: UInt64) { self.base = base }

    var count: Int { hashes.count }

    /// The hash at a place counted from the first block above the base.
    subscript(index: Int) -> Bytes32 { hashes[index] }

    var last: Bytes32? { hashes.last }

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
        let rest = Array(hashes[place...])
        hashes.removeLast(rest.count)
        attestedCount = min(attestedCount, place)
        return rest
    }

    mutating func attest() { attestedCount += 1 }

    /// The final block is another one now: the last of `passed`.
    mutating func advance(over passed: [StatePoint]) {
        guard let last = passed.last else { return }
        base = last.number
        guard count >= passed.count, self[passed.count - 1] == last.hash else {
            hashes.removeAll()
            attestedCount = 0
            return
        }
        hashes.removeFirst(passed.count)
        attestedCount = max(0, attestedCount - passed.count)
    }
}
