import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import StateNetwork

/// What is held is counted apart by the anchor at which it was verified, and what is compared in place stays counted.
@Suite struct KeyspaceHeldTests {
    private let newest = Anchor(epoch: 2, hash: Ring.point(16).hash)

    private func book(_ records: [SectionRecord]) -> SectionBook {
        SectionBook(depth: 1, epochLength: 8, arc: 0..<16, records: records, layers: [])
    }

    /// A section that is half fetched at a block.
    private func half(_ index: Int, at point: StatePoint) -> SectionRecord {
        var record = SectionRecord(starting: Section(depth: 1, index: index), at: point)
        record.coverage = .partial(next: middle(of: index))
        return record
    }

    private func middle(of index: Int) -> Cursor {
        Cursor(account: Bytes32(UInt64(index) << 60 | 1 << 59, 0, 0, 0), slot: .zero)
    }

    @Test func wholeSectionsCountAtTheirAnchor() {
        let records = (0..<4).map { Ring.record($0, at: Ring.point(16)) } + [Ring.record(9, at: Ring.point(8))]
        let held = KeyspaceHeld(book(records), newest: newest)
        #expect(held.newest == 4.0 / 16 && held.stale == 1.0 / 16 && held.held == 5.0 / 16)
        #expect((held.sectionsAtNewest, held.sectionsStale, held.sectionsComplete) == (4, 1, 5))
        #expect(held.oldestEpoch == 1 && held.sectionsBegun == 0 && held.sectionsWanted == 16)
    }

    @Test func sectionsInPartCountWithTheirPart() {
        let held = KeyspaceHeld(book([half(3, at: Ring.point(16)), half(4, at: Ring.point(8))]), newest: newest)
        #expect(abs(held.newest - 0.5 / 16) < 1e-9 && abs(held.stale - 0.5 / 16) < 1e-9)
        #expect(held.sectionsBegun == 2 && held.sectionsComplete == 0 && held.oldestEpoch == 1)
    }

    /// A section that is compared with the newest anchor is of several: held, and stale until that is done.
    @Test func whatIsComparedStaysHeld() {
        var before = (0..<16).map { Ring.record($0, at: Ring.point(8)) }
        #expect(KeyspaceHeld(book(before), newest: newest).held == 1)
        before[5].coverage = .mixed(next: nil)
        before[5].working = Ring.point(16)
        before[6].coverage = .mixed(next: middle(of: 6))
        let held = KeyspaceHeld(book(before), newest: newest)
        #expect(abs(held.held - 15.5 / 16) < 1e-9 && held.newest == 0)
        #expect((held.sectionsComplete, held.sectionsStale) == (14, 16) && held.oldestEpoch == 1)
    }

    @Test func withoutAnAnchorEverythingIsStale() {
        let held = KeyspaceHeld(book([Ring.record(0, at: Ring.point(8))]), newest: nil)
        #expect(held.newest == 0 && held.stale == 1.0 / 16 && held.oldestEpoch == nil)
    }
}
