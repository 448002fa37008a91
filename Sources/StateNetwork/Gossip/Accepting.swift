import Chain
import Overlay
import Primitives
import StateContent

// Which of the items that peers offer are wanted.
extension Holdings {
    /// The code for an item that a peer offers, as far as what is held and what waits (`pending`) decides it.
    /// `takesDiffs`: whether block diffs are taken at all now.
    /// `expected`: the stretches of the key's block that are on their way.
    func acceptCode(
        for key: StateContentKey, from peer: Bytes32, beside pending: PendingDiffs, expected: [ClosedRange<Int>],
        takesDiffs: Bool, _ chain: some AttestedHeaders
    ) -> AcceptCode {
        // What is without storage is asked for and never offered; who keeps storage of few has no use for all of it.
        guard key.kept.isAll else { return .declined }
        guard kept.isAll || key.selector == .crown else { return .outsideRadius }
        switch key {
        case .crown(let anchor):
            guard chain.isFinal(anchor) else { return .notVerifiable }
            return crowns.contains(anchor) ? .alreadyStored : .accepted
        case .blockDiff(let key):
            guard key.trie == .accounts || spread.rule != nil else { return .notVerifiable }
            guard takesDiffs else { return .rateLimited }
            let isCanonical = chain.isCanonical(key.point)
            let admission = pending.admission(of: key, from: peer, isCanonical: isCanonical, book)
            let isExpected = admission == .wanted && expected.contains { $0.contains(key.section) }
            return isExpected ? .inProgress : AcceptCode(admission)
        case .blockDiffs(let key):
            guard key.trie == .accounts || spread.rule != nil else { return .notVerifiable }
            guard takesDiffs else { return .rateLimited }
            let isCanonical = chain.isCanonical(key.point)
            guard isCanonical != false else { return .notVerifiable }
            // All sections that are held were compared with the state after that block, or after a later one.
            if key.trie == .accounts, isCanonical == true, let head = verifiedHead, head.number >= key.point.number {
                return .alreadyStored
            }
            return AcceptCode(
                pending.admission(of: key, from: peer, isCanonical: isCanonical, expected: expected, book))
        case .range, .diffs, .codes, .sections, .subtrees, .availability, .wideDirectory, .storageCrown:
            return .declined
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
