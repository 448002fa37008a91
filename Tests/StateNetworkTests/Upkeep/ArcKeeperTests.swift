import Primitives
import StateStore
import Testing

@testable import StateNetwork

/// How much of the ring a holder keeps, decided by figures alone.
@Suite("The arc by the room there is") struct ArcKeeperTests {
    private static let capacity = 16_000
    private static let day = UpkeepLimits.retryAfter

    /// A holder whose sections each take `bytes`, and what comes of its decisions until there are none.
    private struct Holder {
        var keeper: ArcKeeper
        /// By exponent above the floor: what the state of that arc takes up.
        var state: (Int) -> Int
        var history = 0
        var fixed = 0
        var isSiblingUnderHeld = false
        var now = Instant.zero
        var moves: [ArcMark] = []
        var dropped = 0

        init(
            first: Int = 252, largest: Int = 256, mark: ArcMark? = nil, state: @escaping (Int) -> Int
        ) {
            keeper = ArcKeeper(
                capacity: ArcKeeperTests.capacity, floor: 252, ceiling: largest,
                mark: mark ?? ArcMark(kept: first, announced: first))
            self.state = state
        }

        var use: StoreUse {
            let own = state(keeper.mark.kept - 252)
            return StoreUse(
                all: own + history + fixed, state: own, history: history, hasOldHistory: history > 0)
        }

        /// Carries out what is decided, with everything filled and tidied at once. What is kept and announced is one
        /// step apart at most, and moves by one step.
        mutating func settle() {
            for _ in 0..<64 {
                let sight = ArcKeeper.Sight(isComplete: true, isTidy: true, isSiblingUnderHeld: isSiblingUnderHeld)
                // Others have heard of the step before.
                now = now + UpkeepLimits.stepPause
                guard let decision = keeper.decide(sight, at: now) else { return }
                #expect(keeper.decide(sight, at: now) == nil, "one at a time")
                switch decision {
                case .measure: keeper.measured(use)
                case .dropHistory:
                    history = max(0, history - 500)
                    dropped += 1
                    keeper.gaveUp()
                case .move(let mark):
                    #expect(abs(mark.kept - keeper.mark.kept) <= 1 && mark.kept - mark.announced <= 1)
                    moves.append(mark)
                    keeper.moved(to: mark, at: now)
                case .tellShort: return
                }
            }
            Issue.record("decides without end")
        }

        /// So much was written, so that it looks again.
        mutating func write(_ bytes: Int = 1_000) {
            keeper.wrote(bytes)
            settle()
        }
    }

    @Test func beginsWithOneSectionAndDoublesAsLongAsThereIsRoom() {
        var holder = Holder { 1_000 << $0 }
        holder.settle()
        // 8,000 of 16,000 are right; 16,000 would be too many.
        #expect(holder.keeper.mark == ArcMark(kept: 255, announced: 255))
        let kept = holder.moves.map(\.kept)
        #expect(kept == [253, 253, 254, 254, 255, 255], "filled first, announced then")
        #expect(holder.moves.map(\.announced) == [252, 253, 253, 254, 254, 255])
    }

    @Test func nothingIsDecidedBeforeTheArcIsComplete() {
        var keeper = ArcKeeper(
            capacity: 16_000, floor: 252, ceiling: 256, mark: ArcMark(kept: 252, announced: 252))
        let sight = ArcKeeper.Sight(isComplete: false, isTidy: true, isSiblingUnderHeld: true)
        #expect(keeper.decide(sight, at: .zero) == nil)
        // What is fetched is measured all the same: it may be too much.
        keeper.wrote(1_000)
        #expect(keeper.decide(sight, at: .zero) == .measure)
        keeper.measured(StoreUse(all: 500, state: 500, history: 0, hasOldHistory: false))
        #expect(keeper.decide(sight, at: .zero) == nil)
    }

    @Test func theNextStepWaitsUntilOthersHaveHeardOfTheOneBefore() {
        var keeper = ArcKeeper(
            capacity: 16_000, floor: 252, ceiling: 256, mark: ArcMark(kept: 253, announced: 252))
        let sight = ArcKeeper.Sight(isComplete: true, isTidy: true, isSiblingUnderHeld: false)
        let small = StoreUse(all: 500, state: 500, history: 0, hasOldHistory: false)
        let first = keeper.decide(sight, at: .zero)
        #expect(first == .move(ArcMark(kept: 253, announced: 253)))
        keeper.moved(to: ArcMark(kept: 253, announced: 253), at: .zero)
        let second = keeper.decide(sight, at: .zero)
        #expect(second == .measure)
        keeper.measured(small)
        let early = keeper.decide(sight, at: Instant.zero + .seconds(9))
        let late = keeper.decide(sight, at: Instant.zero + UpkeepLimits.stepPause)
        #expect(early == nil && late == .move(ArcMark(kept: 254, announced: 253)))
    }

    @Test func aHalfThatIsNotCompleteIsNotAnnounced() {
        var keeper = ArcKeeper(
            capacity: 16_000, floor: 252, ceiling: 256, mark: ArcMark(kept: 254, announced: 253))
        var sight = ArcKeeper.Sight(isComplete: false, isTidy: true, isSiblingUnderHeld: false)
        #expect(keeper.decide(sight, at: .zero) == nil)
        sight.isComplete = true
        #expect(keeper.decide(sight, at: .zero) == .move(ArcMark(kept: 254, announced: 254)))
    }

    @Test func historyGoesBeforeTheArc() {
        var holder = Holder(first: 255) { 1_000 << $0 }
        holder.history = 6_000
        holder.write()
        #expect(holder.keeper.mark.kept == 255 && holder.dropped == 2, "down to 13 of 16 parts")
        #expect(holder.history == 5_000)
        #expect(holder.moves.isEmpty)
    }

    @Test func aStateThatGrowsIsHalvedAndNotDoubledAgain() {
        var size = 1_000.0
        let sizes = { (step: Int, size: Double) in Int(size) << step }
        var holder = Holder { sizes($0, 1_000) }
        holder.settle()
        #expect(holder.keeper.mark.kept == 255)
        holder.moves = []
        // The state grows by 2 % a step up to six times its size, days apart.
        while size < 6_000 {
            size *= 1.02
            let now = size
            holder.state = { sizes($0, now) }
            holder.now = holder.now + Self.day
            holder.write()
            #expect(holder.use.all <= Self.capacity / 16 * UpkeepLimits.keepsUpTo)
        }
        #expect(holder.moves.map(\.kept) == [254, 253, 252 + 0].prefix(holder.moves.count).map { $0 })
        #expect(holder.moves.count >= 2, "never up again on the way")
    }

    @Test func aHalfLargerThanTheOtherIsNotTriedAgainAtOnce() {
        // One section has 4,000, two have 15,000.
        var holder = Holder(largest: 253) { $0 == 0 ? 4_000 : 15_000 }
        holder.settle()
        holder.write()
        #expect(holder.moves.map(\.kept) == [253, 253, 252])
        for _ in 0..<10 { holder.write() }
        #expect(holder.moves.count == 3)
        holder.now = holder.now + Self.day
        holder.write()
        #expect(holder.moves.count > 3, "a day later it may be otherwise")
    }

    @Test func theArcBesideIsTakenForOthersWhereThereIsRoom() {
        var holder = Holder(largest: 253) { 5_500 << $0 }
        holder.settle()
        #expect(holder.moves.isEmpty, "11 of 16 parts are too many for itself")
        holder.isSiblingUnderHeld = true
        holder.write()
        #expect(holder.keeper.mark == ArcMark(kept: 253, announced: 253))
        var full = Holder(largest: 253) { 6_500 << $0 }
        full.isSiblingUnderHeld = true
        full.settle()
        #expect(full.moves.isEmpty, "and 13 for anybody")
    }

    @Test func theSmallestArcStaysAndIsToldOfOnce() {
        var holder = Holder { 15_000 << $0 }
        holder.write()
        #expect(holder.moves.isEmpty && holder.keeper.mark.kept == 252)
        holder.write()
        let sight = ArcKeeper.Sight(isComplete: true, isTidy: true, isSiblingUnderHeld: false)
        #expect(holder.keeper.decide(sight, at: holder.now) == nil)
    }

    @Test func aPlanOfOneSizeIsKeptAndNeverExceeded() {
        var holder = Holder(first: 254, largest: 254) { 10 << $0 }
        holder.settle()
        holder.write()
        #expect(holder.moves.isEmpty)
    }

    @Test func whatWasWrittenDownIsWhereAStartBegins() throws {
        let id = Bytes32(0x3000_0000_0000_0000, 1, 2, 3)
        func start(_ stored: (mark: ArcMark, plan: ArcPlan)?, _ plan: ArcPlan, complete: Set<Int> = []) -> ArcMark {
            ArcMark.start(stored: stored, plan: plan, id: id, depth: 1, complete: complete)
        }
        let midway = ArcMark(kept: 255, announced: 254)
        #expect(start(nil, .automatic) == ArcMark(kept: 252, announced: 252))
        #expect(start(nil, .automatic, complete: Set(0..<8)) == ArcMark(kept: 255, announced: 255), "what is whole")
        #expect(start((midway, .automatic), .automatic) == midway)
        #expect(start((midway, .fixed(256)), .automatic) == midway)
        #expect(start((midway, .automatic), .fixed(256)) == ArcMark(kept: 256, announced: 256), "as asked for")
        #expect(start((midway, .fixed(256)), .fixed(256)) == midway, "it had become smaller")
        #expect(start((midway, .automatic), .fixed(253)) == ArcMark(kept: 253, announced: 253))
        var snapshot = MemorySnapshot()
        #expect(try ArcMark.read(from: snapshot) == nil)
        snapshot.apply(midway.writing(under: .automatic))
        let read = try #require(try ArcMark.read(from: snapshot))
        #expect(read == (midway, .automatic))
        snapshot.apply(ArcMark(kept: 300, announced: 300).writing(under: .automatic))
        #expect(throws: StoreError.corrupt(table: .local)) { try ArcMark.read(from: snapshot) }
        snapshot.apply(ArcMark(kept: 200, announced: 198).writing(under: .automatic))
        #expect(throws: StoreError.corrupt(table: .local)) { try ArcMark.read(from: snapshot) }
    }
}
