import Chain
import MerklePatricia
import Primitives
import StateContent
import StateLab
import StateStore
import Testing

/// What tests of sections have in common that are led from one made-up state to another.
protocol ComparedStates {}

extension ComparedStates {
    func goal(_ state: TestState, _ section: Section, number: UInt64 = 99) throws -> ComparedSection.Goal {
        ComparedSection.Goal(
            number: number, hash: try state.crown.sectionHash(section.index), view: state.view,
            proof: .sections(state.crown))
    }

    /// A section of this state, held whole, or up to a position.
    func record(_ section: Section, next: Cursor? = nil, _ state: TestState) -> SectionRecord {
        let working = StatePoint(number: 1, hash: state.root)
        guard let next else {
            return SectionRecord(section: section, working: working, coverage: .complete(.empty))
        }
        return SectionRecord(section: section, working: working, coverage: .partial(next: next))
    }

    /// The sections that have leaves in this state.
    func sections(of state: TestState) throws -> [Section] {
        try Section.all(depth: StatePair.depth).filter {
            try state.crown.sectionHash($0.index) != Subtree.emptyRoot
        }
    }

    /// What is stored of the section is the state's, leaf by leaf and branch by branch.
    func expect(_ compared: ComparedSection, is state: TestState, _ comment: Comment) throws {
        let section = compared.record.section
        let own = state.leaves.filter { section.contains($0.key.account) }
        #expect(try compared.view.leafList() == own, comment)
        #expect(try compared.record.sectionHash == state.crown.sectionHash(section.index), comment)
        var scrub = try #require(SectionScrub(compared.record))
        #expect(try scrub.step(limit: .max, in: compared.snapshot), comment)
    }
}
