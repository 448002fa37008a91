import StateNetwork
import Testing

/// Blocks or state: by how far it is and by what each costs.
@Suite("Catching up") struct CatchUpTests {
    private func choice(
        _ plan: CatchUp, behind: UInt64, block: UInt64 = 10_000, list: UInt64 = 1_000, sections: UInt64 = 16,
        hasLaterAnchor: Bool = true
    ) -> CatchUpChoice {
        CatchUpChoice(
            plan, behind: behind, epochLength: 32, blockBytes: block, listBytes: list, sections: sections,
            hasLaterAnchor: hasLaterAnchor)
    }

    @Test func theCostsAreAsStated() {
        let found = choice(.auto, behind: 10)
        #expect(found.blocksCost == 100_000 && found.stateCost == 16 * 1_024 + 10_000)
        let huge = choice(.auto, behind: .max, sections: .max)
        #expect(huge.blocksCost == .max && huge.stateCost == .max && huge.way == .state)
    }

    @Test func withinTwoEpochsTheCheaperIsGone() {
        #expect(choice(.auto, behind: 10).way == .state)
        #expect(choice(.auto, behind: 10, sections: 4_096).way == .blocks)
        #expect(choice(.auto, behind: 10, block: 1_200).way == .blocks, "where blocks are hardly more than their lists")
        #expect(choice(.auto, behind: 64, sections: 4_096).way == .blocks)
    }

    @Test func beyondTwoEpochsItIsTheState() {
        #expect(choice(.auto, behind: 65, sections: 1 << 40).way == .state)
    }

    @Test func withoutALaterAnchorThereIsNoStateToFetch() {
        for plan in CatchUp.allCases { #expect(choice(plan, behind: 1_000, hasLaterAnchor: false).way == .blocks) }
    }

    @Test func aWayThatIsGivenIsGone() {
        #expect(choice(.blocks, behind: 1_000).way == .blocks && choice(.blocks, behind: 1_000).isForced)
        #expect(choice(.state, behind: 1, sections: 4_096).way == .state && choice(.state, behind: 1).isForced)
        #expect(!choice(.auto, behind: 1).isForced)
    }
}
