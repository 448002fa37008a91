import Chain
import Primitives
import Simulation
import StateStore
import Testing

/// Blocks that are kept for others.
@Suite struct BlockRecordsTests {
    private func point(_ number: UInt64, _ salt: UInt64 = 0) -> StatePoint {
        StatePoint(number: number, hash: Bytes32(salt, 0, 0, number))
    }

    private func map(_ numbers: ClosedRange<UInt64>) throws -> FaultyMap {
        let map = FaultyMap()
        for number in numbers {
            try map.commit(
                BlockRecords.writing(body: [0xc0, UInt8(number % 256)], accessList: [0xc1], at: point(number)))
        }
        return map
    }

    @Test func blocksAreReadBack() throws {
        let map = try map(3...5)
        let block = try #require(try BlockRecords.block(at: point(4), in: map.snapshot()))
        #expect(block.body == [0xc0, 4] && block.accessList == [0xc1])
        #expect(try BlockRecords.block(at: point(4, 1), in: map.snapshot()) == nil)
        #expect(try BlockRecords.heights(in: map.snapshot()) == 3...5)
        #expect(try BlockRecords.heights(in: FaultyMap().snapshot()) == nil)
        // Both of one height, while neither is final.
        try map.commit(BlockRecords.writing(body: [], accessList: [], at: point(4, 1)))
        let empty = try #require(try BlockRecords.block(at: point(4, 1), in: map.snapshot()))
        #expect(empty.body.isEmpty && empty.accessList.isEmpty)
    }

    @Test func damageIsNamed() throws {
        let map = try map(1...1)
        var batch = WriteBatch()
        batch.put(.blocks, [1, 2], [0])
        let (key, _) = try #require(try map.snapshot().contents(.blocks).first)
        batch.put(.blocks, key, [0, 0, 0, 9, 1])
        try map.commit(batch)
        #expect(throws: StoreError.corrupt(table: .blocks)) {
            try BlockRecords.block(at: point(1), in: map.snapshot())
        }
        #expect(throws: StoreError.corrupt(table: .blocks)) { try BlockRecords.heights(in: map.snapshot()) }
    }

    @Test func theNewestAreKept() throws {
        let map = try map(1...10)
        try map.commit(try BlockRecords.pruning(keeping: 4, newest: 10, in: map.snapshot()))
        #expect(try BlockRecords.heights(in: map.snapshot()) == 7...10)
        #expect(try BlockRecords.pruning(keeping: 4, newest: 10, in: map.snapshot()).isEmpty)
        #expect(try BlockRecords.pruning(keeping: .max, newest: 10, in: map.snapshot()).isEmpty)
        try map.commit(try BlockRecords.pruning(keeping: 0, newest: 10, in: map.snapshot()))
        #expect(try BlockRecords.heights(in: map.snapshot()) == nil)
    }

    /// Where far fewer are to be kept than before no transaction is a long one.
    @Test func manyGoInSteps() throws {
        let map = try map(1...600)
        var steps = 0
        while let lowest = try BlockRecords.heights(in: map.snapshot())?.lowerBound, lowest < 591 {
            try map.commit(try BlockRecords.pruning(keeping: 10, newest: 600, in: map.snapshot()))
            steps += 1
        }
        #expect(steps == 3)
        #expect(try BlockRecords.heights(in: map.snapshot()) == 591...600)
    }
}
