import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// What is kept beside the state, and what is checked when it is read again.
@Suite struct RecordTests {
    private func network(
        chainID: UInt64 = 1, genesis: Bytes32 = Bytes32(1, 2, 3, 4), depth: Int = 1, epoch: UInt64 = 16,
        wide: Int? = nil
    ) throws -> NetworkConfiguration {
        try NetworkConfiguration(
            name: "test", chainID: chainID, genesisHash: genesis, checkpoint: StatePoint(number: 0, hash: genesis),
            epochLength: epoch, sectionDepth: depth, wideDepth: wide,
            rule: NetworkConfiguration.Rule(keys: [Bytes32(9, 9, 9, 9)], threshold: 1, maxAgeSeconds: 60))
    }

    @Test func aStoreIsOfOneNetwork() throws {
        let map = FaultyMap()
        #expect(try !StoreMeta.check(map.snapshot(), for: network()))
        try StoreMeta.open(map, for: network())
        try StoreMeta.open(map, for: network())
        #expect(try StoreMeta.check(map.snapshot(), for: network()))
        let cases: [(NetworkConfiguration, StoreError)] = [
            (try network(chainID: 2), .wrongNetwork(field: "chain id", found: "1", expected: "2")),
            (
                try network(genesis: .max),
                .wrongNetwork(
                    field: "genesis hash", found: Bytes32(1, 2, 3, 4).description, expected: Bytes32.max.description)
            ),
            (try network(depth: 2), .wrongNetwork(field: "section depth", found: "1", expected: "2")),
            (try network(epoch: 8), .wrongNetwork(field: "epoch length", found: "16", expected: "8")),
            // Where storage stands follows from it: a store of one is none of another.
            (try network(wide: 3), .wrongNetwork(field: "wide depth", found: "null", expected: "3")),
        ]
        for (other, error) in cases {
            #expect(throws: error) { try StoreMeta.open(map, for: other) }
        }
        let spread = FaultyMap()
        try StoreMeta.open(spread, for: network(wide: 3))
        #expect(try StoreMeta.check(spread.snapshot(), for: network(wide: 3)))
        #expect(throws: StoreError.wrongNetwork(field: "wide depth", found: "3", expected: "null")) {
            try StoreMeta.open(spread, for: network())
        }
    }

    @Test func anotherVersionIsRefused() throws {
        let map = FaultyMap()
        try StoreMeta.open(map, for: network())
        let bytes = try #require(try map.snapshot().contents(.meta).first)
        func rewrite(_ value: [UInt8]) throws {
            var batch = WriteBatch()
            batch.put(.meta, bytes.key, value)
            try map.commit(batch)
        }
        let current = StateStoreLimits.formatVersion
        try rewrite([0, 0, 0, 1] + bytes.value.dropFirst(4))
        #expect(throws: StoreError.wrongVersion(found: 1, expected: current)) {
            try StoreMeta.open(map, for: network())
        }
        // A later version may write anything after its number.
        try rewrite([0, 0, 0, 7])
        #expect(throws: StoreError.wrongVersion(found: 7, expected: current)) {
            try StoreMeta.open(map, for: network())
        }
        for broken in [Array(bytes.value.dropLast()), bytes.value + [0], [], [0, 0]] {
            try rewrite(broken)
            #expect(throws: StoreError.corrupt(table: .meta)) { try StoreMeta.open(map, for: network()) }
        }
    }

    @Test func sectionRecordsSurvive() throws {
        let section = Section(depth: 2, index: 200)
        let point = StatePoint(number: 7, hash: Bytes32(1, 2, 3, 4))
        let records = [
            SectionRecord(starting: section, at: point),
            SectionRecord(
                section: section, working: point, previous: StatePoint(number: 3, hash: .max),
                coverage: .complete(.leaf(key: section.lastKey, value: [1, 2])), historyStart: point),
            SectionRecord(
                section: section, working: point,
                coverage: .complete(.branch(path: section.path.appending(3), node: .hash(.max)))),
            SectionRecord(section: section, working: point, coverage: .complete(.empty)),
        ]
        for record in records {
            #expect(try SectionRecord(decoding: record.encoded) == record)
            for length in 0..<record.encoded.count {
                // A shortened leaf or branch may still be one; a shortened record of anything else is not.
                let cut = try? SectionRecord(decoding: Array(record.encoded.prefix(length)))
                #expect(cut != record)
            }
        }
        #expect(throws: StoreError.corrupt(table: .sections)) { _ = try SectionRecord(decoding: []) }
        #expect(throws: StoreError.corrupt(table: .sections)) { _ = try SectionRecord(decoding: [1, 0, 0, 0, 16]) }
        #expect(records[0].coverage == .partial(next: Cursor(account: section.firstKey)))
        #expect(records[3].sectionHash == Subtree.emptyRoot)
        #expect(records[0].sectionHash == nil)
    }

    @Test func codeIsWantedUntilItIsHere() throws {
        let map = FaultyMap()
        let (a, b) = (Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0))
        let sections = [0, 5].map { Section(depth: 1, index: $0) }
        try map.commit(StateWrites.wantedCodes([b, a], of: sections[0]))
        try map.commit(StateWrites.wantedCodes([a], of: sections[1]))
        #expect(try CodeRecords.wanted(in: map.snapshot()) == [a, b])
        #expect(try CodeRecords.wanted(by: sections[0], in: map.snapshot()) == [a, b])
        #expect(try CodeRecords.wanted(by: sections[1], in: map.snapshot()) == [a])
        #expect(try CodeRecords.missing(of: [b, a], in: map.snapshot()) == [b, a])
        try map.commit(StateWrites.codes([(hash: a, code: [1, 2])]))
        #expect(try CodeRecords.wanted(in: map.snapshot()) == [b])
        #expect(try CodeRecords.wanted(by: sections[1], in: map.snapshot()).isEmpty)
        #expect(try CodeRecords.code(a, in: map.snapshot()) == [1, 2])
        #expect(try CodeRecords.code(b, in: map.snapshot()) == nil)
        #expect(try map.snapshot().count(.wantedCodes) == 1)
        try map.commit(StateWrites.wantedCodes([a], of: sections[1]))
        try map.commit(StateWrites.codes([(hash: a, code: [1, 2]), (hash: b, code: [3])], for: [sections[0]]))
        #expect(try map.snapshot().count(.wantedCodes) == 1)
        #expect(try CodeRecords.wanted(in: map.snapshot()).isEmpty)
    }

    @Test func crownsByAnchor() throws {
        let map = FaultyMap()
        let anchors = [300, 2, 0].map { Anchor(epoch: $0, hash: Bytes32($0, 0, 0, 0)) }
        for anchor in anchors { try map.commit(StateWrites.crown(anchor, [UInt8(anchor.epoch & 255)])) }
        #expect(try CrownRecords.anchors(in: map.snapshot()) == anchors.reversed())
        #expect(try CrownRecords.crown(anchors[0], in: map.snapshot()) == [44])
        try map.commit(StateWrites.dropCrowns(before: 0))
        #expect(try CrownRecords.anchors(in: map.snapshot()).count == 3)
        try map.commit(StateWrites.dropCrowns(before: 300))
        #expect(try CrownRecords.anchors(in: map.snapshot()) == [anchors[0]])
        #expect(try CrownRecords.crown(anchors[1], in: map.snapshot()) == nil)
        var batch = WriteBatch()
        batch.put(.crowns, [0], [])
        try map.commit(batch)
        #expect(throws: StoreError.corrupt(table: .crowns)) { _ = try CrownRecords.anchors(in: map.snapshot()) }
    }

    @Test func headersByNumberAndHash() throws {
        let map = FaultyMap()
        let points = [5, 6, 6, 9].enumerated().map {
            StatePoint(number: UInt64($0.element), hash: Bytes32(UInt64(10 - $0.offset), 0, 0, 0))
        }
        for (index, point) in points.enumerated() {
            try map.commit(
                HeaderRecords.writing(header: [UInt8(index)], at: point, certificate: index == 3 ? [9] : nil))
        }
        let snapshot = map.snapshot()
        #expect(try HeaderRecords.highest(in: snapshot) == points[3])
        #expect(try HeaderRecords.header(of: points[1].hash, in: snapshot) == [1])
        #expect(try HeaderRecords.number(of: points[1].hash, in: snapshot) == 6)
        #expect(try HeaderRecords.header(of: .max, in: snapshot) == nil)
        #expect(try HeaderRecords.certificate(of: points[3].hash, in: snapshot) == [9])
        let some = try HeaderRecords.headers(from: 6, through: 9, limit: 10, in: snapshot)
        #expect(some.map(\.point) == [points[2], points[1], points[3]])
        #expect(some.map(\.header) == [[2], [1], [3]])
        #expect(try HeaderRecords.headers(from: 0, through: .max, limit: 2, in: snapshot).map(\.header) == [[0], [2]])
        try map.commit(HeaderRecords.deleting(points[3]))
        #expect(try HeaderRecords.highest(in: map.snapshot()) == points[1])
        #expect(try HeaderRecords.certificate(of: points[3].hash, in: map.snapshot()) == nil)
    }

    @Test func localValues() throws {
        let map = FaultyMap()
        #expect(try LocalValues.value("radius", in: map.snapshot()) == nil)
        try map.commit(StateWrites.local("radius", [3]))
        #expect(try LocalValues.value("radius", in: map.snapshot()) == [3])
    }

    @Test func layersThatAreCutShortAreRefused() throws {
        var generator = SeededGenerator(seed: 8)
        var state = ModelState()
        state.mutate(&generator, steps: 20)
        let store = try ModelStore(ModelState())
        let update = try #require(try store.updates(from: ModelState(), to: state).first { !$0.isEmpty })
        let layer = BlockLayer(
            section: update.section, point: ModelStore.point(1), parent: ModelStore.point(0), sectionHashBefore: .zero,
            sectionHashAfter: .max, update: update, pathProof: [[], [1, 2]])
        #expect(try BlockLayer(decoding: layer.encoded) == layer)
        for length in 0..<layer.encoded.count {
            #expect(throws: StoreError.corrupt(table: .layers)) {
                _ = try BlockLayer(decoding: Array(layer.encoded.prefix(length)))
            }
        }
    }

    // Sections that are fetched bit by bit.

    /// Fetches one section in ranges of a few leaves, as the walk does.
    private func fetch(_ state: ModelState, _ section: Section, into map: FaultyMap, upTo steps: Int) throws {
        let leaves = state.flat.filter { section.contains($0.key.account) }
        var record = SectionRecord(starting: section, at: ModelStore.point(0))
        let tables = state.tables(depth: 1)
        for step in 0..<steps {
            let part = leaves.dropFirst(step * 3).prefix(3)
            var writer = RangeWriter(depth: 1)
            for leaf in part { writer.leaf(leaf.key, leaf.value ?? []) }
            // All branches with the first part: more than a range would show, never fewer.
            if step == 0 {
                for key in state.accounts.keys.sorted() where section.contains(key) {
                    writer.storageBranches(of: key, state.storageBranches(key))
                }
                var branches = BranchColumns()
                for (key, node) in (tables[.accountBranches] ?? [:]).sorted(by: { ByteOrder.isLess($0.key, $1.key) }) {
                    guard let path = Nibbles(storeKey: key), path.hasPrefix(section.path) else { continue }
                    branches.append(path: path, node: node)
                }
                branches.append(path: .root, node: [0xc0])
                writer.accountBranches(branches)
            }
            if let last = part.last, leaves.count > step * 3 + 3 {
                let end = Cursor(account: last.key.account, slot: last.key.slot ?? .zero)
                record.coverage = .partial(next: end.successor ?? .last)
            } else {
                record.coverage = .complete(.empty)
            }
            writer.section(record, missingCodes: [Bytes32(1, 1, 1, UInt64(section.index))])
            try map.commit(writer.finished)
            if record.isComplete { return }
        }
    }

    @Test func aDroppedSectionLeavesNothingAndTakesNothingElse() throws {
        var generator = SeededGenerator(seed: 6)
        var state = ModelState()
        state.mutate(&generator, steps: 60)
        for dropped in Section.all(depth: 1) {
            for steps in [1, 3, 99] {
                let map = FaultyMap()
                for section in Section.all(depth: 1) where section != dropped {
                    try fetch(state, section, into: map, upTo: 99)
                }
                let without = map.snapshot()
                try fetch(state, dropped, into: map, upTo: steps)
                #expect(try SectionRecord.read(dropped, in: map.snapshot()) != nil)
                try map.commit(StateWrites.dropSection(dropped))
                for table in Table.allCases where table != .wantedCodes {
                    #expect(try map.snapshot().contents(table) == without.contents(table))
                }
            }
        }
    }

    @Test func foldedSectionsAreDroppedWhole() throws {
        var generator = SeededGenerator(seed: 7)
        var (before, after) = (ModelState(), ModelState())
        before.mutate(&generator, steps: 40)
        after = before
        after.mutate(&generator, steps: 20)
        var store = try ModelStore(before)
        try store.fold(try store.updates(from: before, to: after), to: 1)
        for section in Section.all(depth: 1) { try store.map.commit(StateWrites.dropSection(section)) }
        for table in Table.allCases where table != .wantedCodes {
            #expect(try store.map.snapshot().count(table) == 0)
        }
    }

    @Test func rangesWriteWhatIsGiven() throws {
        let section = Section(depth: 1, index: 2)
        let key = FlatKey(account: section.firstKey)
        var branches = BranchColumns()
        branches.append(path: .root, node: [1])
        branches.append(path: section.path, node: [2])
        let record = SectionRecord(starting: section, at: ModelStore.point(0))
        let map = FaultyMap()
        try map.commit(
            StateWrites.range(
                leaves: [(key: key, value: [3])], accountBranches: branches,
                storageBranches: [(account: key.account, branches: branches)], records: [record], depth: 1,
                missingCodes: [.max]))
        let snapshot = map.snapshot()
        #expect(try snapshot.contents(.leaves) == [key.bytes: [3]])
        #expect(try snapshot.contents(.accountBranches) == [[2]: [2]])
        #expect(try snapshot.contents(.storageBranches) == [key.account.bytes: [1], key.account.bytes + [2]: [2]])
        #expect(try SectionRecord.all(in: snapshot) == [record])
        #expect(try CodeRecords.wanted(by: section, in: snapshot) == [.max])
    }
}
