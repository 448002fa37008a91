/// Which sections a view has, and through what each is read.
struct HeldSections: Sendable {
    private enum Kind: Sendable {
        case uniform(SectionLayering)
        /// Ascending by index.
        case some(indices: [Int], layerings: [SectionLayering])
    }

    /// Leading nibbles that name a section.
    let depth: Int
    private let kind: Kind
    /// Whether any of them is read through the undo layer.
    let readsUndo: Bool

    init(depth: Int, uniform layering: SectionLayering) {
        self.depth = depth
        kind = .uniform(layering)
        readsUndo = layering.readsUndo
    }

    init(depth: Int, sections: [(section: Section, layering: SectionLayering)]) {
        self.depth = depth
        let sorted = sections.filter { $0.section.depth == depth }.sorted { $0.section < $1.section }
        kind = .some(indices: sorted.map(\.section.index), layerings: sorted.map(\.layering))
        readsUndo = sorted.contains { $0.layering.readsUndo }
    }

    /// All of them, in order.
    var all: [Section] {
        switch kind {
        case .uniform: Section.all(depth: depth)
        case .some(let indices, _): indices.map { Section(depth: depth, index: $0) }
        }
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
            return (Section(depth: depth, index: indices[place]), layerings[place])
        }
    }
}
