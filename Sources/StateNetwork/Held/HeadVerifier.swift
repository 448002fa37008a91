import Chain
import MerklePatricia
import Primitives

/// The newest block at whose root all that is held was compared with the proven section hashes.
struct VerifiedHead: Sendable, Equatable {
    let point: StatePoint
    /// Its state root.
    let root: Bytes32
}

/// Compares all that is held with the section hashes that a block's state root proves.
///
/// A diff that never came leaves no trace by itself; only this comparison shows that nothing is missing. After the
/// first time it costs by what changed: a section is looked at again where the two tries differ, or where something
/// was done to it since.
struct HeadVerifier: Sendable {
    /// nil before the first, and after a reorganisation that took it back.
    private(set) var head: VerifiedHead?
    /// By block number: the section at which the last comparison with that block failed, to begin the next one with.
    private var suspects: [UInt64: Int] = [:]

    /// Whether all that is announced is what the root of this block proves; that block is the verified head then.
    mutating func verify(
        at point: StatePoint, root: Bytes32, _ book: inout SectionBook, by crowns: Crowns
    ) -> Bool {
        if let head, point.number <= head.point.number { return head.point == point }
        let number = point.number
        // Most comparisons fail until the last diff of a block is here: the section that was missing is tried first.
        if let suspect = suspects[number], !stands(suspect, at: number, root, book, crowns) { return false }
        let (sections, unknown) = toCompare(root, book, crowns)
        guard let missing = unknown.first ?? sections.first(where: { !stands($0, at: number, root, book, crowns) })
        else {
            head = VerifiedHead(point: point, root: root)
            suspects = suspects.filter { $0.key > number }
            book.verified(at: number)
            return true
        }
        if suspects.count > StateNetworkLimits.suspectBlocks { suspects = [:] }
        suspects[number] = missing
        return false
    }

    /// The complete sections that are not known to stand at this block, in order.
    func behind(at point: StatePoint, root: Bytes32, _ book: SectionBook, _ crowns: Crowns) -> [Int] {
        let (sections, unknown) = toCompare(root, book, crowns)
        let others = sections.filter { !stands($0, at: point.number, root, book, crowns) }
        return (others + unknown).filter { book.isComplete($0) }.sorted()
    }

    /// The chain has left the line that the head was on.
    mutating func rewind(isCanonical: (StatePoint) -> Bool) {
        if let head, !isCanonical(head.point) { self.head = nil }
    }

    /// Announced sections that may be other than at the verified head, in order; and those whose proof was not seen.
    private func toCompare(
        _ root: Bytes32, _ book: SectionBook, _ crowns: Crowns
    ) -> (sections: [Int], unknown: [Int]) {
        let announced = book.announced
        guard let head else { return (Array(announced), []) }
        var sections = book.isWidening ? book.unverified.filter { announced.contains($0) } : book.unverified
        guard head.root != root else { return (sections.sorted(), []) }
        let difference = crowns.difference(from: head.root, to: root)
        sections.formUnion(difference.sections.lazy.filter { announced.contains($0) })
        let unknown = difference.unknown.flatMap { $0.clamped(to: announced) }
        return (sections.sorted(), unknown)
    }

    private func stands(
        _ index: Int, at number: UInt64, _ root: Bytes32, _ book: SectionBook, _ crowns: Crowns
    ) -> Bool {
        guard let state = book.stateHash(of: index, at: number) else { return false }
        return crowns.provenHash(of: index, root: root) == state
    }
}
