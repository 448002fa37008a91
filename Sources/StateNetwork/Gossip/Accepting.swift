import Chain
import Overlay
import Primitives
import StateContent

// Which of the items that peers offer are wanted.
extension Holdings {
    /// The code for an item that a peer offers, as far as what is held and what waits (`pending`) decides it.
    /// `takesDiffs`: whether block diffs are taken at all now.
    func acceptCode(
        for key: StateContentKey, from peer: Bytes32, beside pending: PendingDiffs, takesDiffs: Bool,
        _ chain: some AttestedHeaders
    ) -> AcceptCode {
        switch key {
        case .crown(let anchor):
            guard chain.isFinal(anchor) else { return .notVerifiable }
            return crowns.contains(anchor) ? .alreadyStored : .accepted
        case .blockDiff(let key):
            guard key.trie == .accounts else { return .notVerifiable }
            guard takesDiffs else { return .rateLimited }
            let isCanonical = chain.isCanonical(key.point)
            return AcceptCode(pending.admission(of: key, from: peer, isCanonical: isCanonical, book))
        case .range, .diffs, .codes, .subtrees, .availability: return .declined
        }
    }
}

extension AcceptCode {
    /// What is said to the offerer of a block diff.
    init(_ admission: BlockDiffAdmission) {
        switch admission {
        case .wanted: self = .accepted
        case .known: self = .alreadyStored
        case .inProgress: self = .inProgress
        case .outsideArc: self = .outsideRadius
        case .notVerifiable: self = .notVerifiable
        case .busy: self = .rateLimited
        }
    }
}
