import Chain
import Primitives

// A block diff says on which state of its section it goes on. That is not under the header's root, so a diff that is
// right in everything else can say something false here and keep the true one of the same block from its turn. What is
// false can be shown as soon as the parent block's nodes above the section have been seen: its sender pays then, and
// the section goes on. Where they have not, another diff of the same block is let in beside it (`PendingDiffs`).
extension PendingDiff {
    /// What the sender of a false one did.
    var falsehood: String { "sent a diff of block \(key.point) that goes on from a state that never was" }

    /// Whether it says something provably false of the state before its block.
    func isRefuted(by crowns: Crowns, _ chain: some AttestedHeaders) -> Bool {
        // Of parts nobody but who holds all of them knows the state before.
        guard key.trie == .accounts, key.point.number > 0, let header = chain.header(of: key.point) else {
            return false
        }
        let parent = StatePoint(number: key.point.number - 1, hash: header.parentHash)
        guard let root = chain.header(of: parent)?.stateRoot else { return false }
        return crowns.provenHash(of: key.section, root: root).map { $0 != value.sectionHashBefore } ?? false
    }
}

extension PendingDiffs {
    /// Throws the false ones away of the diffs whose turn it is in a section, and gives them.
    mutating func takeRefuted(
        _ section: Int, _ book: inout SectionBook, by crowns: Crowns, _ chain: some AttestedHeaders
    ) -> [PendingDiff] {
        let refuted = blocking(section, book).filter { $0.isRefuted(by: crowns, chain) }
        for diff in refuted { discard(diff, &book) }
        return refuted
    }

    /// The same for those that wait beside one that holds, and disagree with it about the state before.
    mutating func takeRefuted(
        rivalsOf diff: PendingDiff, _ book: inout SectionBook, by crowns: Crowns, _ chain: some AttestedHeaders
    ) -> [PendingDiff] {
        let refuted = rivals(of: diff).filter { $0.isRefuted(by: crowns, chain) }
        for rival in refuted { discard(rival, &book) }
        return refuted
    }
}
