import Chain
import Primitives
import StateContent

/// Diffs whose turn it is, put together by block and sender: what came together is checked by one job and written in
/// one transaction.
struct ReadyDiffs {
    private struct Origin: Hashable {
        let point: StatePoint
        let sender: Bytes32
    }

    private(set) var groups: [(diffs: [PendingDiff], checks: [CheckBlockDiff])] = []
    private var places: [Origin: Int] = [:]

    mutating func add(_ diff: PendingDiff, _ check: CheckBlockDiff) {
        let origin = Origin(point: diff.key.point, sender: diff.sender)
        let place = places[origin] ?? groups.endIndex
        if place == groups.endIndex {
            places[origin] = place
            groups.append(([], []))
        }
        groups[place].diffs.append(diff)
        groups[place].checks.append(check)
    }
}

extension [CheckedDiff] {
    /// The nodes above the sections of one block's diffs, which are in order: each once.
    var proof: [[UInt8]] {
        var nodes: [[UInt8]] = []
        var last: [[UInt8]] = []
        for diff in self {
            nodes += diff.layer.pathProof.nodes(notOn: last)
            last = diff.layer.pathProof
        }
        return nodes
    }
}
