import Chain
import MerklePatricia
import Primitives
import Simulation
import StateContent
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// A section of which a part is held at one anchor goes on at the next: what comes of it is what would have been
/// fetched at the next anchor alone.
@Suite("Carrying a partly fetched section") struct CarryTests {
    private static let seed: UInt64 = 7_001
    private typealias Pair = StatePair

    /// A walk of one section at the first of two states up to some position.
    private struct Scene {
        let pair: Pair
        let section: Section
        let map = FaultyMap()
        let from: StatePoint
        let to: StatePoint
        let next: Cursor

        init(_ pair: Pair, _ section: Section, upTo end: Cursor) throws {
            self.pair = pair
            self.section = section
            from = StatePoint(number: 1, hash: pair.before.root)
            to = StatePoint(number: 2, hash: pair.after.root)
            next = try #require(end.successor)
            try take(Cursor(account: section.firstKey), end, of: pair.before, at: from, into: map)
        }

        func take(
            _ origin: Cursor, _ limit: Cursor, of state: TestState, at point: StatePoint, into map: FaultyMap,
            carrying: CarryingDiff? = nil
        ) throws {
            let key = try TestState.key(origin, limit)
            let job = TakeRange(
                value: try state.serve(key), key: key, section: section, point: point,
                stateRoot: state.root, carrying: carrying)
            let taken = try StateJobError.result { try job.run(on: map.snapshot()) }.get()
            #expect(taken.isCarried == (carrying != nil))
            try map.commit(taken.batch)
        }

        func diff(_ changes: [LeafChange]) throws -> CarryingDiff {
            let key = try pair.key([section.index], withProof: false)
            let value = DiffsServer.serve(key, depth: StatePair.depth) { _ in
                []
            } changes: { _ in
                changes
            }
            let anchor = Anchor(epoch: 2, hash: to.hash)
            return CarryingDiff(value: value, key: key, anchor: anchor, sender: Bytes32(7, 7, 7, 7))
        }

        /// What the store has when all up to `end` was fetched at the second state, or the first part carried there.
        func carried(upTo end: Cursor, _ changes: [LeafChange]) throws -> [[[UInt8]]] {
            try take(next, end, of: pair.after, at: to, into: map, carrying: try diff(changes))
            return try CarryTests.everything(map)
        }

        func fetched(upTo end: Cursor) throws -> [[[UInt8]]] {
            let fresh = FaultyMap()
            try take(Cursor(account: section.firstKey), end, of: pair.after, at: to, into: fresh)
            return try CarryTests.everything(fresh)
        }
    }

    /// Every table but that of codes wanted (those of accounts that are gone are still asked for) and those of
    /// branches: of a part with few leaves they may be stored or not.
    private static func everything(_ map: FaultyMap) throws -> [[[UInt8]]] {
        let others: [Table] = [.wantedCodes, .accountBranches, .storageBranches]
        return try Table.allCases.filter { !others.contains($0) }.map { table in
            var rows: [[UInt8]] = []
            try map.snapshot().forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
                rows.append(Array(key) + [0xff] + Array(value))
                return true
            }
            return rows
        }
    }

    /// A position inside the section, mostly beside or in the middle of some leaf; not its end.
    private static func stop(
        _ section: Section, in states: [TestState], _ generator: inout SeededGenerator
    ) -> Cursor? {
        let state = states[Int.random(in: 0..<states.count, using: &generator)]
        let own = state.leaves.filter { section.contains($0.key.account) }
        guard let leaf = own.randomElement(using: &generator) else { return nil }
        let at = Cursor(account: leaf.key.account, slot: leaf.key.slot ?? .zero)
        let end: Cursor
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: end = at.predecessor ?? at
        case 1: end = Cursor.end(of: leaf.key.account)
        case 2:
            end = Cursor(account: leaf.key.account, slot: Bytes32(generator.next(), 0, 0, 0))
        default: end = at
        }
        guard let next = end.successor else { return nil }
        return section.contains(end.account) && section.contains(next.account) ? end : nil
    }

    /// Every stored branch is one of the state's, and none that has to be is missing: the walk goes on over them.
    private static func expectTrueBranches(_ map: FaultyMap, of state: TestState) throws {
        var accounts = LeafColumns()
        for account in state.accounts { accounts.append(key: account.key, value: account.body.rlp) }
        var truth: [[UInt8]: [UInt8]] = [:]
        for branch in MemoryTrie(accounts, twigLeaves: 0).branches { truth[branch.path.storeKey] = branch.node }
        for account in state.accounts {
            for branch in MemoryTrie(account.storageColumns, twigLeaves: 0).branches {
                truth[StorageBranchKey(account: account.key, path: branch.path).bytes] = branch.node
            }
        }
        for table in [Table.accountBranches, .storageBranches] {
            try map.snapshot().forEach(table, from: [], upTo: nil) { (key, node) throws(StoreError) in
                #expect(truth[Array(key)] == Array(node), "a branch of another state")
                return true
            }
        }
    }

    /// What has to be stored is there: a further step over the whole section, with everything that is read checked.
    private static func expectWhole(_ scene: Scene) throws {
        let record = try #require(try SectionRecord.read(scene.section, in: scene.map.snapshot()))
        guard record.isComplete else { return }
        #expect(record.sectionHash == (try scene.pair.after.crown.sectionHash(scene.section.index)))
        let changes = scene.pair.after.changes(to: scene.pair.before).filter { scene.section.contains($0.key.account) }
        var view = StateView(scene.map.snapshot(), depth: 1, at: scene.to, records: [record])
        let back = try SectionChange.apply(changes, to: scene.section, in: &view, checking: true)
        #expect(back.subtreeAfter.hash(at: 1) == (try scene.pair.before.crown.sectionHash(scene.section.index)))
    }

    @Test func whatIsHeldBecomesWhatWouldHaveBeenFetched() throws {
        var generator = SeededGenerator(seed: Self.seed)
        var (runs, inside, completed) = (0, 0, 0)
        for round in 0..<45 {
            let pair = try Pair(&generator, accounts: [20, 100, 700][round % 3])
            for section in Section.all(depth: 1) {
                guard let end = Self.stop(section, in: [pair.before, pair.after], &generator) else { continue }
                let whole = Cursor.end(of: section.lastKey)
                let later = Self.stop(section, in: [pair.after], &generator).flatMap { $0 > end ? $0 : nil } ?? whole
                let scene = try Scene(pair, section, upTo: end)
                let carried = try scene.carried(upTo: later, pair.changes(in: section))
                let fetched = try scene.fetched(upTo: later)
                #expect(carried == fetched, "seed \(Self.seed), round \(round), \(section), stopped at \(end)")
                runs += 1
                inside += scene.next.slot != .zero ? 1 : 0
                completed += later == whole ? 1 : 0
                try Self.expectTrueBranches(scene.map, of: pair.after)
                try Self.expectWhole(scene)
                if carried != fetched { return }
            }
        }
        print("carried \(runs) sections, \(inside) from inside an account, \(completed) to their end")
        #expect(runs > 400 && inside > 100 && completed > 150)
    }

    /// One change left out, made up or altered, of those that what is held knows of: the diff's sender is named, and
    /// the range's is not.
    @Test func aFalseDiffIsNamed() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        var refused = 0
        for round in 0..<40 {
            let pair = try Pair(&generator, accounts: 60)
            for section in Section.all(depth: 1) {
                let changes = pair.changes(in: section)
                guard let end = Self.stop(section, in: [pair.before], &generator) else { continue }
                let scene = try Scene(pair, section, upTo: end)
                // The body of the account in which the held part ends comes with the range, whatever the diff says.
                let known = changes.indices.filter {
                    changes[$0].key < scene.next.firstKey
                        && changes[$0].key != FlatKey(account: scene.next.account)
                }
                guard let place = known.randomElement(using: &generator) else { continue }
                var altered = changes
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: altered.remove(at: place)
                case 1 where changes[place].value != nil && changes[place].key.slot != nil:
                    altered[place] = LeafChange(key: changes[place].key, value: [0x7e, 0x11])
                default: altered[place] = LeafChange(key: changes[place].key, value: nil)
                }
                guard altered != changes else { continue }
                let diff = try scene.diff(altered)
                let before = try Self.everything(scene.map)
                do {
                    let whole = Cursor.end(of: section.lastKey)
                    try scene.take(scene.next, whole, of: pair.after, at: scene.to, into: scene.map, carrying: diff)
                    Issue.record("round \(round), \(section): accepted without change \(changes[place])")
                } catch StateJobError.falseDiff {
                    refused += 1
                }
                #expect(try Self.everything(scene.map) == before)
            }
        }
        #expect(refused > 100)
    }

    /// Where a stored branch is not what its leaves make, in a part that changes or in another, the store is named.
    @Test func aBrokenStoreIsNotTheDiffsFault() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        var (found, unread) = (0, 0)
        // So many that branches are stored below the topmost of a section; most of these see no change.
        let before = try TestState.random(&generator, accounts: 12_000, depth: StatePair.depth)
        let after = before.accounts.enumerated().map { index, account in
            TestState.Account(
                key: account.key, nonce: account.body.nonce &+ (index % 200 == 0 ? 1 : 0),
                codeHash: account.body.codeHash, slots: account.slots)
        }
        let pair = try Pair(before, after)
        for section in Section.all(depth: 1) {
            guard let end = Self.stop(section, in: [pair.before], &generator) else { continue }
            let scene = try Scene(pair, section, upTo: end)
            var records: [(key: [UInt8], node: [UInt8])] = []
            try scene.map.snapshot().forEach(.accountBranches, from: [], upTo: nil) { (key, node) throws(StoreError) in
                records.append((Array(key), Array(node)))
                return true
            }
            guard let (key, node) = records.randomElement(using: &generator) else { continue }
            var other = node
            // Of some child's hash.
            other[node.count / 2] ^= 1
            var batch = WriteBatch()
            batch.put(.accountBranches, key, other)
            try scene.map.commit(batch)
            let diff = try scene.diff(pair.changes(in: section))
            do {
                let whole = Cursor.end(of: section.lastKey)
                try scene.take(scene.next, whole, of: pair.after, at: scene.to, into: scene.map, carrying: diff)
                // It lay across the end of the held part: there the range's own branches are taken.
                unread += 1
            } catch StateJobError.store(.corrupt(table: .accountBranches)) {
                found += 1
            } catch {
                Issue.record("seed \(Self.seed + 3), \(section), branch \(key): \(error)")
            }
        }
        print("a broken branch was found \(found) times; \(unread) lay where none is read")
        #expect(found > 6)
    }

    /// The other way round: the range is the lie, and the diff is kept for the next one.
    @Test func aFalseRangeIsNotTheDiffsFault() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        let pair = try Pair(&generator, accounts: 160)
        let section = Section(depth: 1, index: 3)
        let end = try #require(Self.stop(section, in: [pair.before], &generator))
        let scene = try Scene(pair, section, upTo: end)
        let key = try TestState.key(scene.next, Cursor.end(of: section.lastKey))
        var value = try pair.after.serve(key)
        value[value.count / 2] ^= 1
        let job = TakeRange(
            value: value, key: key, section: section, point: scene.to, stateRoot: pair.after.root,
            carrying: try scene.diff(pair.changes(in: section)))
        guard case .failure(.lie) = StateJobError.result({ try job.run(on: scene.map.snapshot()) }) else {
            Issue.record("the false range was not named")
            return
        }
    }

    /// A diff that leads elsewhere than the range is no use, and nobody's fault.
    @Test func aDiffOfAnotherAnchorIsOutdated() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        let pair = try Pair(&generator, accounts: 60)
        let section = Section(depth: 1, index: 3)
        let scene = try Scene(pair, section, upTo: try #require(Cursor(account: section.firstKey).successor))
        let key = try TestState.key(scene.next, Cursor.end(of: section.lastKey))
        let job = TakeRange(
            value: try pair.after.serve(key), key: key, section: section,
            point: StatePoint(number: 3, hash: .max), stateRoot: pair.after.root,
            carrying: try scene.diff(pair.changes(in: section)))
        guard case .failure(.outdated) = StateJobError.result({ try job.run(on: scene.map.snapshot()) }) else {
            Issue.record("a diff was used for another anchor")
            return
        }
    }
}
