import Chain
import Primitives
import Simulation
import Testing

@testable import StateStore

/// A store that has all accounts and the storage of some.
@Suite("A store with the storage of some") struct PartialStoreTests {
    private func network() throws -> NetworkConfiguration {
        let genesis = Bytes32(1, 2, 3, 4)
        return try NetworkConfiguration(
            name: "test", chainID: 1, genesisHash: genesis, checkpoint: StatePoint(number: 0, hash: genesis),
            epochLength: 16, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [Bytes32(9, 9, 9, 9)], threshold: 1, maxAgeSeconds: 60))
    }

    private func sections(_ map: FaultyMap) throws -> [Int] {
        try SectionRecord.all(in: map.snapshot()).map(\.section.index)
    }

    @Test func aStoreIsOfOneKindAndItsContractsMayChange() throws {
        let network = try network()
        let (one, two) = (Bytes32(1 << 60, 0, 0, 0), Bytes32(2 << 60, 0, 0, 0))
        let whole = FaultyMap()
        try StoreMeta.open(whole, for: network)
        #expect(throws: StoreError.wrongKind(keptStorages: nil)) {
            try StoreMeta.open(whole, for: network, keeping: .only([one]))
        }
        let map = FaultyMap()
        try StoreMeta.open(map, for: network, keeping: .only([two, one]))
        #expect(throws: StoreError.wrongKind(keptStorages: 2)) { try StoreMeta.open(map, for: network) }
        #expect(try StoreMeta.check(map.snapshot(), for: network))
        #expect(try StoreMeta.read(from: map.snapshot())?.kept == .only([one, two]))
        var batch = WriteBatch()
        for index in 0..<4 {
            let record = SectionRecord(
                starting: Section(depth: 1, index: index), at: StatePoint(number: 16, hash: .max))
            batch.append(StateWrites.record(record))
        }
        let part = Section(depth: 1, index: 3, of: two)
        batch.append(StateWrites.record(SectionRecord(starting: part, at: StatePoint(number: 16, hash: .max))))
        try map.commit(batch)
        // The same again changes nothing; another one takes the section that it lies in, and its parts.
        try StoreMeta.open(map, for: network, keeping: .only([one, two]))
        #expect(try sections(map) == [0, 1, 2, 3, 3])
        try StoreMeta.open(map, for: network, keeping: .only([one]))
        #expect(try sections(map) == [0, 1, 3])
        try StoreMeta.open(map, for: network, keeping: .only([one, Bytes32(3 << 60, 7, 0, 0)]))
        #expect(try sections(map) == [0, 1])
        try StoreMeta.open(map, for: network, keeping: .only([]))
        #expect(try sections(map) == [0])
        #expect(try StoreMeta.read(from: map.snapshot())?.kept == .only([]))
    }

    /// Every byte of the record counts, and a program that does not know the kind finds another layout.
    @Test func theRecordIsReadStrictly() throws {
        let (map, network) = (FaultyMap(), try network())
        try StoreMeta.open(map, for: network, keeping: .only([Bytes32(1, 0, 0, 0), Bytes32(2, 0, 0, 0)]))
        let entry = try #require(try map.snapshot().contents(.meta).first)
        #expect(Array(entry.value.prefix(4)) == [0, 1, 0, 2])
        func rewrite(_ value: [UInt8]) throws -> StoreError? {
            var batch = WriteBatch()
            batch.put(.meta, entry.key, value)
            try map.commit(batch)
            do throws(StoreError) { _ = try StoreMeta.read(from: map.snapshot()) } catch { return error }
            return nil
        }
        #expect(try rewrite(entry.value) == nil)
        #expect(try rewrite(entry.value.dropLast()) == .corrupt(table: .meta))
        #expect(try rewrite(entry.value + [0]) == .corrupt(table: .meta))
        let (first, second) = (entry.value.suffix(64).prefix(32), entry.value.suffix(32))
        #expect(try rewrite(entry.value.dropLast(64) + second + first) == .corrupt(table: .meta))
        #expect(try rewrite(entry.value.dropLast(32) + first) == .corrupt(table: .meta))
        #expect(try rewrite(Array(entry.value.dropLast(65))) == .corrupt(table: .meta))
    }

    @Test func whoseStorageIsKept() {
        let keys = (0..<9).map { Bytes32(UInt64($0 * 2), 0, 0, 0) }
        let kept = KeptStorage.only(keys.shuffled())
        #expect(kept.accounts == keys)
        for number in 0..<20 {
            #expect(kept.keeps(Bytes32(UInt64(number), 0, 0, 0)) == (number % 2 == 0 && number < 18))
            #expect(KeptStorage.all.keeps(Bytes32(UInt64(number), 0, 0, 0)))
            #expect(!KeptStorage.only([]).keeps(Bytes32(UInt64(number), 0, 0, 0)))
        }
        #expect(kept.within([Section(depth: 1, index: 0)]) == kept)
        #expect(kept.within([Section(depth: 1, index: 1)]) == .only([]))
        #expect(KeptStorage.all.within([Section(depth: 1, index: 1)]) == .all)
        #expect(kept.differing(from: .only(keys.dropFirst())) == [keys[0]])
    }
}
