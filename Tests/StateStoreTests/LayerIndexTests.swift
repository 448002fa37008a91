import Chain
import MerklePatricia
import Primitives
import Simulation
import StateStore
import Testing

/// Many layers looked through as few.
@Suite struct LayerIndexTests {
    /// Layers of one section, block by block, and the states they lead to.
    private static func layers(
        _ count: Int, seed: UInt64
    ) throws -> (store: ModelStore, states: [ModelState], layers: [BlockLayer]) {
        var generator = SeededGenerator(seed: seed)
        var state = ModelState()
        state.mutate(&generator, steps: 30)
        let store = try ModelStore(state)
        let section = Section(depth: 1, index: 3)
        var states = [state]
        var layers: [BlockLayer] = []
        var index = LayerIndex()
        for number in 1...count {
            state.mutate(&generator, steps: 4)
            var view = StateView(
                store.map.snapshot(), depth: 1,
                sections: [(section: section, layering: index.layering(over: store.records[3]) ?? .base)])
            let update = try SectionChange.apply(
                states[states.count - 1].changes(to: state, in: section), to: section, in: &view)
            let layer = BlockLayer(
                section: section, point: ModelStore.point(UInt64(number)),
                parent: ModelStore.point(UInt64(number - 1)), sectionHashBefore: .zero,
                sectionHashAfter: update.subtreeAfter.hash(at: 1), update: update, pathProof: [])
            layers.append(layer)
            index.append(layer)
            states.append(state)
        }
        return (store, states, layers)
    }

    @Test(arguments: [UInt64(5), 6]) func readsAsTheStateItLeadsTo(seed: UInt64) throws {
        let (store, states, layers) = try Self.layers(40, seed: seed)
        let section = Section(depth: 1, index: 3)
        var index = LayerIndex()
        for (number, layer) in layers.enumerated() {
            index.append(layer)
            let layering = try #require(index.layering(over: store.records[3]))
            var view = StateView(store.map.snapshot(), depth: 1, sections: [(section: section, layering: layering)])
            #expect(try view.flat() == states[number + 1].flat.filter { section.contains($0.key.account) })
            let subtree = try SectionChange.subtree(of: section, in: &view)
            #expect(subtree.hash(at: 1) == layer.sectionHashAfter)
        }
    }

    @Test func aLookPassesFewRunsHoweverManyLayers() throws {
        let (_, _, layers) = try Self.layers(33, seed: 7)
        var index = LayerIndex()
        for (number, layer) in layers.enumerated() {
            index.append(layer)
            #expect(index.count == number + 1)
            #expect(index.depth == (number + 1).nonzeroBitCount, "a run for each bit of the count")
            #expect(index.top == layer.point)
        }
    }

    @Test func followsWhateverBecomesOfTheLayers() throws {
        let (store, _, layers) = try Self.layers(9, seed: 8)
        var index = LayerIndex()
        #expect(index.layering(over: store.records[3]) == nil, "nothing to look through")
        for list in [Array(layers[..<4]), Array(layers[..<5]), Array(layers[..<5]), Array(layers[..<2]), [], layers] {
            index.follow(list)
            #expect(index.count == list.count && index.top == list.last?.point)
        }
        var moved = store.records[3]
        moved.working = ModelStore.point(3)
        #expect(index.layering(over: moved) == nil, "the base has gone on into the layers")
        index.follow(Array(layers[3...]))
        #expect(index.layering(over: moved) != nil)
    }

    /// Points come from the ends of folds; taking back goes in steps, each of which leaves a fetched part.
    @Test func sectionsAreTakenBackInSteps() throws {
        var generator = SeededGenerator(seed: 9)
        var state = ModelState()
        state.mutate(&generator, steps: 80)
        var store = try ModelStore(state)
        var next = state
        next.mutate(&generator, steps: 20)
        try store.fold(try store.updates(from: state, to: next), to: 1)
        let section = Section(depth: 1, index: 3)
        let before = next.flat
        var rest: SectionRecord? = store.records[3]
        var steps = 0
        while let record = rest {
            let step = try StateWrites.takeBack(record, leaves: 1, in: store.map.snapshot())
            try store.map.commit(step.batch)
            steps += 1
            rest = step.record
            let snapshot = store.map.snapshot()
            #expect(try SectionRecord.read(section, in: snapshot) == step.record)
            let left = try StateView(snapshot, depth: 1).flat()
            let expected = before.filter { leaf in
                guard section.contains(leaf.key.account) else { return true }
                guard case .partial(let next)? = step.record?.coverage else { return false }
                return leaf.key.account < next.account
            }
            #expect(left == expected)
            for table in [Table.history, .layers, .undoLeaves] {
                try snapshot.forEach(table, from: section.storeKey, upTo: nil) { (key, _) throws(StoreError) in
                    #expect(table == .undoLeaves || !key.starts(with: section.storeKey))
                    return true
                }
            }
        }
        #expect(steps > 2)
        var view = StateView(store.map.snapshot(), depth: 1)
        #expect(try SectionChange.subtree(of: section, in: &view) == .empty, "no branch is left")
    }
}

/// What is given up when the store is nearly full.
@Suite struct StorageReliefTests {
    private func store(folds: Int) throws -> (store: ModelStore, states: [ModelState]) {
        var generator = SeededGenerator(seed: 31)
        var state = ModelState()
        state.mutate(&generator, steps: 40)
        var store = try ModelStore(state)
        var states = [state]
        for number in 0..<folds {
            var next = state
            next.mutate(&generator, steps: 6)
            try store.fold(try store.updates(from: state, to: next), to: UInt64(number + 1))
            state = next
            states.append(state)
        }
        return (store, states)
    }

    @Test func historyGoesFirstAndTheOldestOfIt() throws {
        let (store, states) = try store(folds: 8)
        let section = Section(depth: 1, index: 3)
        #expect(try StorageRelief.step(used: 80, capacity: 100, in: store.map.snapshot()) == .none)
        var seen: [Int] = []
        while case .dropHistory(let number) = try StorageRelief.step(
            used: 99, capacity: 100, in: store.map.snapshot())
        {
            let batches = try StorageRelief.dropHistory(upTo: number, in: store.map.snapshot())
            #expect(!batches.isEmpty, "a step gives something up")
            for batch in batches { try store.map.commit(batch) }
            let points = try History.points(of: section, in: store.map.snapshot())
            seen.append(points.count)
            for point in points {
                let changes = try History.compose(
                    section, from: point, to: ModelStore.point(8), in: store.map.snapshot())
                #expect(changes == states[Int(point.number)].changes(to: states[8], in: section))
            }
            #expect(throws: StoreError.noHistory(from: ModelStore.point(0))) {
                try History.compose(
                    section, from: ModelStore.point(0), to: ModelStore.point(8), in: store.map.snapshot())
            }
        }
        #expect(seen == seen.sorted(by: >) && seen.count > 3, "a quarter at a time: \(seen)")
        #expect(seen.last == 1, "what leads from the anchor before to the working one stays: both are served")
        #expect(try StorageRelief.step(used: 99, capacity: 100, in: store.map.snapshot()) == .shrinkArc)
        #expect(try StateView(store.map.snapshot(), depth: 1).flat() == states[8].flat, "the state itself stays whole")
    }

    @Test func theArcIsHalvedUntilItFits() {
        func exponent(_ used: Int, from: Int = 256) -> Int {
            StorageRelief.radiusExponent(fitting: 1_000, used: used, from: from, depth: 1)
        }
        #expect(exponent(875) == 256)
        #expect(exponent(900) == 255)
        #expect(exponent(3_000) == 254)
        #expect(exponent(1_000_000) == 252, "one section at least")
        #expect(exponent(900, from: 254) == 253)
    }
}
