import MerklePatricia
import Primitives
import StateStore

/// Which sections may differ between two states: the two tries are gone down side by side, and what has the same hash
/// in both is passed over, so it costs by what changed.
struct TrieDifference: Sendable, Equatable {
    /// Section indices, ascending: all that differ are among them.
    private(set) var sections: [Int] = []
    /// Runs of sections below nodes of the new state that were not seen.
    private(set) var unknown: [Range<Int>] = []

    mutating func add(_ run: Range<Int>) { sections += run }
    mutating func addUnknown(_ run: Range<Int>) { unknown.append(run) }
}

extension NodePool {
    /// See `TrieDifference`; `depth`: leading nibbles of a section's path.
    func difference(from old: Bytes32, to new: Bytes32, depth: Int) -> TrieDifference {
        var difference = TrieDifference()
        compare(old, new, level: 0, sections: 0..<Section.count(depth: depth), depth: depth, into: &difference)
        return difference
    }

    /// Both nodes stand at the path of `level` nibbles that all keys of `sections` begin with.
    private func compare(
        _ old: Bytes32, _ new: Bytes32, level: Int, sections: Range<Int>, depth: Int,
        into difference: inout TrieDifference
    ) {
        guard old != new else { return }
        guard level < depth else { return difference.add(sections) }
        guard let after = self[new].flatMap({ try? TrieNode(decoding: $0) }) else {
            return difference.addUnknown(sections)
        }
        // Where the old node was not seen, or one of them is no branch, every section below may differ.
        guard case .branch(let after) = after, let before = self[old].flatMap({ try? TrieNode(decoding: $0) }),
            case .branch(let before) = before
        else { return difference.add(sections) }
        let width = sections.count / 16
        for nibble in 0..<16 {
            let start = sections.lowerBound + nibble * width
            switch (before[nibble], after[nibble]) {
            case (.hash(let was)?, .hash(let now)?):
                compare(
                    was, now, level: level + 1, sections: start..<(start + width), depth: depth, into: &difference)
            case (let was, let now) where was == now: continue
            default: difference.add(start..<(start + width))
            }
        }
    }
}
