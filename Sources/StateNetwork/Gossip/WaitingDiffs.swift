import Primitives

/// What the block diffs take that wait in all sections. Those of blocks that keys stand behind and those of blocks that
/// anybody may have made up have room of their own each, so that the second cannot take the place of the first.
struct WaitingDiffs: Sendable {
    /// Bytes of diffs of blocks that are vouched for, and of others.
    private(set) var vouchedBytes = 0
    private(set) var unvouchedBytes = 0
    /// The others' bytes by sender.
    private var unvouchedBySender: [Bytes32: Int] = [:]

    var bytes: Int { vouchedBytes + unvouchedBytes }

    mutating func add(_ diff: PendingDiff) { count(diff, diff.byteCount) }

    mutating func remove(_ diff: PendingDiff) { count(diff, -diff.byteCount) }

    private mutating func count(_ diff: PendingDiff, _ bytes: Int) {
        guard !diff.isVouched else {
            vouchedBytes += bytes
            return
        }
        unvouchedBytes += bytes
        let sum = unvouchedBySender[diff.sender, default: 0] + bytes
        unvouchedBySender[diff.sender] = sum == 0 ? nil : sum
    }

    /// Whether another of this kind, of so many bytes, has room beside those of all sections and those of its section,
    /// `pending`. Asked before it is offered its size is not known: 0.
    func hasRoom(
        for bytes: Int, from sender: Bytes32, isVouched: Bool, beside pending: [PendingDiff]
    ) -> Bool {
        guard !isVouched else {
            return pending.count(where: \.isVouched) < StateNetworkLimits.pendingDiffsPerSection
                && vouchedBytes + bytes <= StateNetworkLimits.pendingDiffBytes
        }
        let others = pending.filter { !$0.isVouched }
        return others.count < StateNetworkLimits.unvouchedDiffsPerSection
            && others.count { $0.sender == sender } < StateNetworkLimits.unvouchedDiffsPerSender
            && unvouchedBytes + bytes <= StateNetworkLimits.unvouchedDiffBytes
            && (unvouchedBySender[sender] ?? 0) + bytes
                <= StateNetworkLimits.unvouchedDiffBytesPerSender
    }
}
