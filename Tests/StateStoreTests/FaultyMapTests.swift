import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// The simulation's store, and what is left of a node's writes when it crashes.
@Suite struct FaultyMapTests {
    @Test func equalsAModelUnderRandomBatches() throws {
        var generator = SeededGenerator(seed: 1)
        let map = FaultyMap()
        var model: [[UInt8]: [UInt8]] = [:]
        func key() -> [UInt8] {
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in UInt8.random(in: 0...12, using: &generator) }
        }
        for _ in 0..<300 {
            var batch = WriteBatch()
            for _ in 0..<Int.random(in: 1...50, using: &generator) {
                switch Int.random(in: 0..<30, using: &generator) {
                case 0:
                    let (from, upTo) = (key(), Bool.random(using: &generator) ? key() : nil)
                    batch.deleteRange(.leaves, from: from, upTo: upTo)
                    model = model.filter { entry in
                        ByteOrder.isLess(entry.key, from) || upTo.map { !ByteOrder.isLess(entry.key, $0) } ?? false
                    }
                case 1...6:
                    let key = key()
                    batch.delete(.leaves, key)
                    model[key] = nil
                default:
                    let (key, value) = (key(), key())
                    batch.put(.leaves, key, value)
                    model[key] = value
                }
            }
            try map.commit(batch)
            let snapshot = map.snapshot()
            #expect(try snapshot.contents(.leaves) == model)
            #expect(try snapshot.count(.leaves) == model.count)
            #expect(snapshot.byteCount == model.reduce(0) { $0 + $1.key.count + $1.value.count })
            let sorted = model.keys.sorted { ByteOrder.isLess($0, $1) }
            let probe = key()
            var cursor = try snapshot.cursor(.leaves)
            #expect(try cursor.seek(probe) == sorted.contains { !ByteOrder.isLess($0, probe) })
            #expect(cursor.key == sorted.first { !ByteOrder.isLess($0, probe) })
            if cursor.key != nil, try cursor.previous() {
                #expect(cursor.key == sorted.last { ByteOrder.isLess($0, probe) })
            }
            #expect(try cursor.last() == !sorted.isEmpty)
            #expect(cursor.key == sorted.last)
        }
    }

    @Test func snapshotsDoNotSeeLaterCommits() throws {
        let map = FaultyMap()
        var batch = WriteBatch()
        batch.put(.local, [1], [1])
        try map.commit(batch)
        let first = map.snapshot()
        batch.put(.local, [1], [2])
        try map.commit(batch)
        let second = map.snapshot()
        var wipe = WriteBatch()
        wipe.deleteRange(.local, from: [], upTo: nil)
        try map.commit(wipe)
        #expect(try first.get(.local, [1]) == [1])
        #expect(try second.get(.local, [1]) == [2])
        #expect(try map.snapshot().get(.local, [1]) == nil)
    }

    @Test func failedCommitsLeaveNothing() throws {
        var faults = StoreFaults()
        faults.commitFailure = 0.5
        func run() throws -> [Bool] {
            let map = FaultyMap(seed: 5, faults: faults)
            var expected = 0
            return try (0..<40).map { index in
                var batch = WriteBatch()
                batch.put(.local, [UInt8(index)], [1])
                do throws(StoreError) {
                    try map.commit(batch)
                    expected += 1
                } catch {
                    #expect(error == faults.failure)
                }
                #expect(try map.snapshot().count(.local) == expected)
                return try map.snapshot().get(.local, [UInt8(index)]) != nil
            }
        }
        let first = try run()
        #expect(first.contains(true) && first.contains(false))
        #expect(try run() == first)
    }

    @Test func aFullMapIsRefusedAndGoesOn() throws {
        var faults = StoreFaults()
        faults.capacity = 10
        let map = FaultyMap(faults: faults)
        var batch = WriteBatch()
        batch.put(.local, [1], [UInt8](repeating: 1, count: 9))
        try map.commit(batch)
        var more = WriteBatch()
        more.put(.local, [2], [])
        #expect(throws: StoreError.full) { try map.commit(more) }
        #expect(try map.snapshot().count(.local) == 1)
        map.faults.capacity = 11
        try map.commit(more)
        #expect(try map.snapshot().count(.local) == 2)
    }

    @Test func keysThatTheDiskWouldRefuse() throws {
        for length in [0, 512] {
            var batch = WriteBatch()
            batch.put(.leaves, [UInt8](repeating: 1, count: length), [])
            #expect(throws: StoreError.badKey(table: .leaves, length: length)) { try FaultyMap().commit(batch) }
        }
    }

    // Crashes.

    /// The writes of a small node: ranges, folds, layers, codes, a drop. Each step reads what it needs from the store,
    /// as a restarted node would.
    private static let steps = 9
    private static let states: [ModelState] = {
        var generator = SeededGenerator(seed: 77)
        var states = [ModelState()]
        for _ in 0..<4 {
            var next = states[states.count - 1]
            next.mutate(&generator, steps: 10)
            states.append(next)
        }
        return states
    }()

    /// Which step comes next, as the store itself says.
    private func stepsDone(_ map: FaultyMap) throws -> Int {
        Int(try LocalValues.value("step", in: map.snapshot())?.first ?? 0)
    }

    private func step(_ number: Int, on map: FaultyMap) throws {
        let section = Section(depth: 1, index: 3)
        let snapshot = map.snapshot()
        var batch = WriteBatch()
        var view = StateView(snapshot, depth: 1)
        switch number {
        case 0:
            let changes = ModelState().changes(to: Self.states[1], in: section)
            let update = try SectionChange.apply(changes, to: section, in: &view)
            batch.append(StateWrites.base(update))
            batch.append(
                StateWrites.record(
                    SectionRecord(
                        section: section, working: ModelStore.point(0), coverage: .complete(update.subtreeAfter))))
        case 1...3:
            let record = try #require(try SectionRecord.read(section, in: snapshot))
            let changes = Self.states[number].changes(to: Self.states[number + 1], in: section)
            let update = try SectionChange.apply(changes, to: section, in: &view)
            batch.append(StateWrites.fold(update, record: record, to: ModelStore.point(UInt64(number))).batch)
        case 4: batch.append(StateWrites.wantedCodes([.zero, .max], of: section))
        case 5: batch.append(StateWrites.codes([(hash: .max, code: [1])]))
        case 6: batch.append(StateWrites.local("x", [1]))
        case 7:
            batch.append(
                StateWrites.record(SectionRecord(starting: section.next ?? section, at: ModelStore.point(0))))
        default: batch.append(StateWrites.dropSection(section))
        }
        batch.append(StateWrites.local("step", [UInt8(number + 1)]))
        try map.commit(batch)
    }

    private func everything(_ map: FaultyMap) throws -> [[[UInt8]: [UInt8]]] {
        try Table.allCases.map { try map.snapshot().contents($0) }
    }

    @Test func aCrashAtEveryWriteLeavesWholeCommits() throws {
        let whole = FaultyMap()
        var after = [try everything(whole)]
        for number in 0..<Self.steps {
            try step(number, on: whole)
            after.append(try everything(whole))
        }
        #expect(whole.writes > 60)
        for index in 0..<whole.writes {
            var faults = StoreFaults()
            faults.crashAtWrite = index
            let map = FaultyMap(faults: faults)
            var told = 0
            #expect(throws: StoreError.closed) {
                for number in 0..<Self.steps {
                    try step(number, on: map)
                    told += 1
                }
            }
            #expect(map.hasCrashed)
            #expect(throws: StoreError.closed) { try map.commit(WriteBatch()) }
            let wasTorn = map.writes == index + 1
            map.restart()
            map.faults = .none
            // What was told is there; of the step under way all or nothing.
            let done = try stepsDone(map)
            #expect(done == told || (done == told + 1 && map.commits == done))
            #expect(wasTorn)
            #expect(try everything(map) == after[done])
            for number in done..<Self.steps { try step(number, on: map) }
            #expect(try everything(map) == after[Self.steps])
        }
    }

    @Test func aDiskThatLiesLosesTheLastCommitWhole() throws {
        let map = FaultyMap()
        var after = [try everything(map)]
        for number in 0..<Self.steps {
            try step(number, on: map)
            after.append(try everything(map))
            map.faults.crashLosesLastCommit = true
            map.crash()
            map.restart()
            #expect(try everything(map) == after[number])
            map.faults.crashLosesLastCommit = false
            try step(number, on: map)
            #expect(try everything(map) == after[number + 1])
        }
    }
}
