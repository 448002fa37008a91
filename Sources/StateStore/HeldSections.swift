import Primitives

/// Which sections of one trie a view has, and through what each is read.
struct HeldSections: Sendable {
    private enum Kind: Sendable {
        case uniform(SectionLayering)
        /// Ascending by index.
        case some(indices: [Int], layerings: [SectionLayering])
    }

    /// Leading nibbles that name a section.
    let depth: Int
    /// The account of whose storage trie they are parts; nil: sections of the account trie.
    let owner: Bytes32?
    private let kind: Kind
    /// Whether any of them is read through the undo layer.
    let readsUndo: Bool

    init(depth: Int, uniform layering: SectionLayering) {
        self.depth = depth
        owner = nil
        kind = .uniform(layering)
        readsUndo = layering.readsUndo
    }

    init(depth: Int, of owner: Bytes32?, sections: [(section: Section, layering: SectionLayering)]) {
        self.depth = depth
        self.owner = owner
        let sorted = sections.filter { $0.section.depth == depth && $0.section.owner == owner }
            .sorted { $0.section < $1.section }
        kind = .some(indices: sorted.map(\.section.index), layerings: sorted.map(\.layering))
        readsUndo = sorted.contains { $0.layering.readsUndo }
    }

    /// All of them, in order.
    var all: [Section] {
        switch kind {
        case .uniform: Section.all(depth: depth)
        case .some(let indices, _): indices.map { Section(depth: depth, index: $0, of: owner) }
        }
    }

    /// The section in which a leaf, or all slots of an account, would stand; nil for one of another trie.
    func section(of key: FlatKey) -> Section? {
        guard let owner else { return Section(of: key.account, depth: depth) }
        guard key.account == owner, let slot = key.slot else { return nil }
        return Section(of: slot, depth: depth, owner: owner)
    }

    func layering(of section: Section) -> SectionLayering? {
        guard let held = held(atOrAfter: section.index), held.section == section else { return nil }
        return held.layering
    }

    /// The first one whose index is `index` or above, and how it is read.
    func held(atOrAfter index: Int) -> (section: Section, layering: SectionLayering)? {
        switch kind {
        case .uniform(let layering):
            guard index < Section.count(depth: depth) else { return nil }
            return (Section(depth: depth, index: index), layering)
        case .some(let indices, let layerings):
            let place = indices.partitionPoint { $0 < index }
            guard place < indices.count else { return nil }
            return (Section(depth: depth, index: indices[place], of: owner), layerings[place])
        }
    }
}
