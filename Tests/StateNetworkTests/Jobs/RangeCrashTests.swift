import Chain
import MerklePatricia
import Primitives
import Simulation
import StateLab
import StateStore
import Testing

@testable import StateNetwork

/// A walk over the whole state, stored range by range, on a machine that crashes.
@Suite struct RangeCrashTests {
    private static let seed: UInt64 = 4_101
    private let state: TestState

    init() throws {
        var generator = SeededGenerator(seed: Self.seed)
        state = try TestState.random(&generator, accounts: 24)
    }

    private static let point = StatePoint(number: 24, hash: TestState.anchor.hash)

    /// Fetches what is missing, section after section, as a walker does: from where its record says.
    private func walk(_ map: FaultyMap) throws {
        for section in Section.all(depth: 1) {
            while true {
                let snapshot = map.snapshot()
                let record =
                    try SectionRecord.read(section, in: snapshot)
                    ?? SectionRecord(starting: section, at: Self.point)
                guard case .partial(let origin) = record.coverage else { break }
                let key = try TestState.key(origin, Cursor.end(of: section.lastKey), maxBytes: 4_500)
                let job = TakeRange(
                    value: try state.serve(key), key: key, section: section, point: Self.point,
                    stateRoot: state.root)
                try map.commit(try job.run(on: snapshot).batch)
            }
        }
    }

    private func everything(_ map: FaultyMap) throws -> [[[UInt8]]] {
        try Table.allCases.map { table in
            var rows: [[UInt8]] = []
            try map.snapshot().forEach(table, from: [], upTo: nil) { (key, value) throws(StoreError) in
                rows.append(Array(key) + [0xff] + Array(value))
                return true
            }
            return rows
        }
    }

    /// The leaves of a section are exactly those before its watermark.
    private func checkWatermarks(_ map: FaultyMap) throws {
        let snapshot = map.snapshot()
        var leaves: [MemoryState.Leaf] = []
        for record in try SectionRecord.all(in: snapshot) {
            leaves += state.leaves.filter { leaf in
                guard record.section.contains(leaf.key.account) else { return false }
                guard case .partial(let next) = record.coverage else { return true }
                // An account's own leaf is there once a range has begun with it.
                return leaf.key < next.firstKey
            }
        }
        let stored = try StateView(snapshot, depth: 1).leaves(from: .first, through: .last, count: .max)
        #expect(stored.map(\.key) == leaves.map(\.key))
        #expect(stored.map(\.value) == leaves.map(\.value))
    }

    @Test func aCrashAtEveryWriteLeavesTheWatermarkTrue() throws {
        let whole = FaultyMap()
        try walk(whole)
        let end = try everything(whole)
        #expect(whole.commits > 16, "some sections take more than one range")
        for index in 0..<whole.writes {
            var faults = StoreFaults()
            faults.crashAtWrite = index
            let map = FaultyMap(faults: faults)
            #expect(throws: StoreError.closed) { try walk(map) }
            map.restart()
            map.faults = .none
            try checkWatermarks(map)
            try walk(map)
            #expect(try everything(map) == end, "seed \(Self.seed), crash at write \(index)")
        }
    }
}
