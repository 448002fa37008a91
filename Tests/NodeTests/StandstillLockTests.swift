import Chain
import Overlay
import Primitives
import Testing

@testable import Node
@testable import StateNetwork

/// What a request that stands still gives back before it ends.
@Suite("Locks of what stands still") struct StandstillLockTests {
    private func begin(_ task: WalkTask, in bench: inout Bench) -> OperationID {
        check(bench.node.state.holdings.book.lock(task.sections))
        return bench.node.state.operations.begin(
            .ask(task, key: .availability), stage: .asked, sections: task.sections, peer: Bench.peer, budgeted: 100,
            at: bench.now)
    }

    /// A section whose diff to an anchor does not come may be led there by somebody else, whose lock the late one does
    /// not take away.
    @Test func aDiffToAnAnchorGivesItsSectionsUp() throws {
        var bench = try Bench(.walker)
        let diffs = WalkTask.diffs(sections: [2, 5], from: Bench.anchor, to: .anchor(Bench.anchor))
        let id = begin(diffs, in: &bench)
        _ = bench.tell(.stands(id, still: true))
        #expect(!bench.book.isLocked(2) && !bench.book.isLocked(5))
        let operation = try #require(bench.node.state.operations[id])
        #expect(operation.standsStill && operation.sections.isEmpty && operation.budgeted == 0)
        #expect(!operation.keepsSections)
        check(bench.node.state.holdings.book.lock([2]))
        _ = bench.tell(.answered(id, .failure(.timeout), bytes: 0))
        #expect(bench.node.state.operations[id] == nil)
        #expect(bench.book.isLocked(2), "it is the other's")
    }

    /// What is carried or compared keeps its lock: its answer changes what is to be asked next.
    @Test func aComparisonKeepsItsSection() throws {
        var bench = try Bench(.walker)
        let id = begin(.carry(section: 3, from: Bench.anchor, to: Bench.anchor), in: &bench)
        _ = bench.tell(.stands(id, still: true))
        #expect(bench.book.isLocked(3))
        _ = bench.tell(.stands(id, still: false))
        #expect(bench.node.state.operations[id]?.standsStill == false)
        _ = bench.tell(.answered(id, .failure(.timeout), bytes: 0))
        #expect(!bench.book.isLocked(3))
    }
}
