import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

/// What is held by whoever keeps the storage of some accounts: read back, and compared with another state.
@Suite("A state with the storage of some") struct PartialStateTests {
    static let seed: UInt64 = 5_151

    private func record(_ state: TestState, _ index: Int) throws -> SectionRecord {
        let section = Section(depth: state.depth, index: index)
        var view = state.view
        return SectionRecord(
            section: section, working: StatePoint(number: 16, hash: .max),
            coverage: .complete(try SectionChange.subtree(of: section, in: &view)))
    }

    /// A section without the slots of some is read back as right; one that lacks slots of an account that keeps its is
    /// not, nor one with a byte of a body changed.
    @Test func whatIsThereIsReadBackAndWhatIsLeftOutIsNotMissed() throws {
        print("seed \(Self.seed)")
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<6 {
            let state = try TestState.random(&generator, accounts: 60)
            let kept = state.someKept(&generator)
            for index in 0..<16 {
                let record = try record(state, index)
                var held = try state.snapshot(keeping: kept)
                held.apply(StateWrites.record(record))
                func fault(_ snapshot: MemorySnapshot, _ kept: KeptStorage) throws -> StateFault? {
                    var scrub = try #require(SectionScrub(record, keeping: kept))
                    do { _ = try scrub.step(limit: .max, in: snapshot) } catch { return error as? StateFault }
                    let tally = try StateCheck(snapshot, depth: 1, keeping: kept).check(record)
                    // Code is not there in this state.
                    return tally.faults.first { if case .missingCode = $0 { false } else { true } }
                }
                #expect(try fault(held, kept) == nil)
                let own = state.accounts.filter { record.section.contains($0.key) }
                guard let left = own.first(where: { !$0.slots.isEmpty && !kept.keeps($0.key) }) else { continue }
                let expected = StateFault.storageRoot(
                    account: left.key, expected: left.body.storageRoot, found: StateAccount.emptyRoot)
                #expect(try fault(held, .only((kept.accounts ?? []) + [left.key])) == expected)
                var batch = WriteBatch()
                var body = left.body
                body.nonce += 1
                batch.put(.leaves, FlatKey(account: left.key).bytes, body.slim)
                held.apply(batch)
                #expect(try fault(held, kept) != nil)
            }
        }
    }

    /// What is held is led to another state by its subtree hashes, and no node of storage that is left out is asked
    /// for.
    @Test func aComparisonGoesIntoNoStorageThatIsLeftOut() throws {
        print("seed \(Self.seed + 1)")
        var generator = SeededGenerator(seed: Self.seed + 1)
        for _ in 0..<20 {
            let pair = try StatePair(&generator)
            let kept = pair.before.someKept(&generator)
            for index in 0..<16 {
                let record = try record(pair.before, index)
                let hash = try pair.after.crown.sectionHash(index)
                guard hash != Subtree.emptyRoot, hash != record.sectionHash else { continue }
                var held = try pair.before.snapshot(keeping: kept)
                held.apply(StateWrites.record(record))
                var compared = ComparedSection(record, in: held, keeping: kept)
                try compared.lead(to: ComparedSection.Goal(number: 32, hash: hash, view: pair.after.view))
                #expect(compared.record.sectionHash == hash)
                var walk = try compared.view.walk(from: record.section.firstCursor)
                var found: [MemoryState.Leaf] = []
                while let key = try walk.next() { found.append(MemoryState.Leaf(key: key, value: walk.value ?? [])) }
                #expect(found == pair.after.leaves(keeping: kept).filter { record.section.contains($0.key.account) })
            }
        }
    }
}
