/// How much of what is held has changed where sections are compared, as far as that is known, and by what they are
/// compared for that reason.
///
/// Subtree hashes cost by what changed, a range by what there is. A changed account costs some 160 bytes as a leaf with
/// its share of the nodes above it, and as a line of a range some 60; a slot 120 and 65. So where more than
/// `WalkLimits.changedShare` of the leaves are others, ranges are the shorter way, and no leaf that is the same is lost
/// by them: a range is compared like the nodes that it shows. A small range at the beginning tells which it is.
struct ChangedShare: Sendable {
    /// Leaves of the last ranges, and how many of them were other than what was held.
    private var leaves = 0, changed = 0
    /// Answers with nodes since the last range.
    private var answers = 0
    /// Ranges may not be smaller than this, bytes: one leaf and the proof of its ends did not fit such a one.
    private var leastBytes: UInt32 = 0

    /// Not one leaf fitted a range of so many bytes.
    mutating func wasTooSmall(_ bytes: UInt32) {
        leastBytes = max(leastBytes, min(bytes &* 2, WalkLimits.rangeBytesMaximum))
    }

    /// An answer came: a range of so many leaves, of which so many were other than what was held; or, with none, nodes.
    mutating func came(changed differing: Int, of count: Int) {
        guard count > 0 else {
            answers += 1
            return
        }
        answers = 0
        leaves += count
        changed += differing
        // What came last counts for as much as all before.
        guard leaves > WalkLimits.changesRemembered else { return }
        (leaves, changed) = (leaves / 2, changed / 2)
    }

    /// Whether it has to be found out, or found out again.
    private var isUnknown: Bool { leaves < WalkLimits.changesSampled || answers >= WalkLimits.answersUntilSample }

    /// The largest range to ask for, bytes; nil where nodes are the shorter way. `isSampling`: whether a range is
    /// asked for already; `usual`: what one answer may have.
    func rangeBytes(isSampling: Bool, usual: UInt32) -> UInt32? {
        if isUnknown { return isSampling ? nil : max(min(WalkLimits.sampleBytes, usual), leastBytes) }
        return Double(changed) > Double(leaves) * WalkLimits.changedShare ? max(usual, leastBytes) : nil
    }
}
