import Chain
import ChainLab
import Primitives
import Testing

/// A chain that work decides: head, final block, anchors, floor, and what a heavier line does to them.
@Suite struct WorkChainTests {
    @Test func sixDeepIsFinalAndTheFloorFollows() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        var chain = try lab.chain()
        #expect(chain.anchors.map(\.epoch) == [0])
        let first = try chain.accept(branch.grow(13))
        #expect(first.head == branch[13].point && first.final == branch[7].point && first.anchors.isEmpty)
        #expect(first.attested == branch.entries && first.keep == branch.entries && first.drop.isEmpty)
        #expect(chain.floor == lab.genesis.point)
        let second = try chain.accept(branch.grow(1))
        #expect(second.final == branch[8].point && second.anchors == [Anchor(epoch: 1, hash: branch[8].header.hash)])
        _ = try chain.accept(branch.grow(16))
        #expect(chain.floor == branch[10].point && chain.final == branch[24].point)
        #expect(chain.anchors.map(\.epoch) == [0, 1, 2, 3])
        #expect(chain.work == branch.work && chain.unfinalCount == 20)
        #expect(chain.header(at: 5)?.hash == branch[5].header.hash && chain.header(at: 31) == nil)
        #expect(chain.attestedAt == branch.last.timestamp)
    }

    @Test func nothingIsJudgedWithoutTheCheckpointsHeader() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        var chain = AttestedChain(configuration: lab.configuration)
        let run = try branch.grow(3)
        #expect(throws: ChainError.unknownParent(number: 1, parentHash: lab.genesis.hash)) {
            _ = try chain.accept(run)
        }
        #expect(chain.storedFloor == nil && chain.floorStanding == nil)
        #expect(try chain.accept([CertifiedHeader(header: lab.genesis)] + run).head == run[2].point)
    }

    // MARK: A heavier line

    /// Blocks that come sooner raise the difficulty: fewer of them may weigh more.
    @Test func theHeavierLineIsFollowedNotTheLongerOne() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(10)
        var (slow, fast) = (trunk, trunk)
        try slow.grow(4, seconds: 40, salt: 1)
        try fast.grow(3, seconds: 1, salt: 2)
        #expect(fast.work > slow.work)
        var chain = try lab.chain()
        _ = try chain.accept(slow.entries)
        let advance = try chain.accept(Array(fast.entries.suffix(3)))
        #expect(chain.head == fast.last.point && advance.leftAt == 11)
        #expect(advance.drop == slow.entries.suffix(4).map(\.point))
        #expect(advance.keep == Array(fast.entries.suffix(3)))
        // Block 8 was final before, and nothing says that it is not.
        #expect(chain.final == trunk[8].point && advance.final == nil && advance.lostAnchors.isEmpty)
    }

    @Test func ofTwoLinesWithTheSameWorkTheFirstStays() throws {
        let lab = try WorkLab()
        var (a, b) = (lab.branch, lab.branch)
        try a.grow(5, salt: 1)
        try b.grow(5, salt: 2)
        var chain = try lab.chain()
        _ = try chain.accept(a.entries)
        let advance = try chain.accept(b.entries)
        #expect(advance.isEmpty && advance.keep.isEmpty && chain.head == a.last.point)
        #expect(try chain.accept(b.grow(1)).leftAt == 1)
        #expect(chain.head == b.last.point)
    }

    /// A boundary block that was final is replaced: the anchor goes, and the rival's takes its place once it is final.
    @Test func anchorsAboveTheForkAreDropped() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(14)
        var (old, new) = (trunk, trunk)
        try old.grow(16, salt: 1)
        try new.grow(17, salt: 2)
        var chain = try lab.chain()
        _ = try chain.accept(old.entries)
        #expect(chain.final == old[24].point && chain.floor == trunk[10].point)
        let lost = [16, 24].map { Anchor(epoch: UInt64($0 / 8), hash: old[$0].header.hash) }
        #expect(lost.allSatisfy { chain.isFinal($0) })
        // Batch by batch, as headers come: nothing happens until the line is heavier.
        let before = try chain.accept(Array(new.entries[14..<30]))
        #expect(before.isEmpty && before.lostAnchors.isEmpty)
        let advance = try chain.accept([new[31]])
        let gained = [16, 24].map { Anchor(epoch: UInt64($0 / 8), hash: new[$0].header.hash) }
        #expect(advance.lostAnchors == lost && advance.anchors == gained && advance.leftAt == 15)
        #expect(advance.final == new[25].point)
        #expect(lost.allSatisfy { !chain.isFinal($0) } && gained.allSatisfy { chain.isFinal($0) })
        #expect(chain.isCanonical(old[20].point) == false && chain.isCanonical(new[20].point) == true)
        #expect(chain.anchors.map(\.epoch) == [0, 1, 2, 3])
    }

    /// The fork is at the floor, the deepest that may be undone; and then below it.
    @Test func nothingBelowTheFloorIsReplaced() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(10)
        var (old, atFloor, below) = (trunk, trunk, lab.branch)
        try old.grow(20, salt: 1)
        try atFloor.grow(21, salt: 2)
        try below.grow(9)
        try below.grow(30, seconds: 1, salt: 3)
        var chain = try lab.chain()
        _ = try chain.accept(old.entries)
        #expect(chain.floor == trunk[10].point)
        #expect(throws: ChainError.belowFinal(number: 10)) { _ = try chain.accept(Array(below.entries[9...])) }
        #expect(chain.head == old.last.point && chain.conflict == nil)
        #expect(try chain.accept(Array(atFloor.entries[10...])).head == atFloor.last.point)
        Judging.stop(&chain, fork: trunk[9].point, rival: below.last.point)
        let error = ChainError.tooDeep(fork: trunk[9].point, rival: below.last.point)
        #expect(throws: error) { _ = try chain.accept(atFloor.grow(1)) }
        #expect("\(error)".contains("undoDepth"))
    }

    /// Branches that nobody follows take no more room than there is.
    @Test func branchesAreBounded() throws {
        let lab = try WorkLab(difficulty: 2, undoDepth: 4_096)
        var (trunk, other) = (lab.branch, lab.branch)
        var chain = try lab.chain()
        _ = try chain.accept(trunk.grow(4_000))
        for salt in 1...4 as ClosedRange<UInt64> {
            other = lab.branch
            _ = try chain.accept(other.grow(3_000, salt: salt))
            #expect(chain.unfinalCount <= ChainLimits.heldHeaders)
        }
        #expect(chain.head == trunk.last.point && chain.holds(other.last.hash))
        _ = try chain.accept(trunk.grow(500))
        #expect(chain.floor == trunk[404].point && !chain.holds(other.last.hash))
    }

    /// What a state at an old head needs: work below the floor is known as far as headers are.
    @Test func standingsBelowTheFloorAreKnown() throws {
        let lab = try WorkLab()
        var branch = lab.branch
        var chain = try lab.chain()
        var works: [UInt128] = [0]
        for index in 0..<40 {
            try branch.grow(1, seconds: UInt64(1 + index % 30))
            works.append(branch.work)
        }
        _ = try chain.accept(branch.entries)
        #expect(chain.floor.number == 20)
        for number in 0...20 { #expect(Judging.standing(at: UInt64(number), in: chain)?.work == works[number]) }
        #expect(Judging.standing(at: 21, in: chain) == nil)
    }

    // MARK: Restarts

    /// A store as it would be after each transaction: the chain comes back to where it was.
    @Test func aRestartAfterAnyTransactionGoesOnFromThere() throws {
        let lab = try WorkLab()
        var (old, new) = (lab.branch, lab.branch)
        try old.grow(30, salt: 1)
        try new.grow(12, salt: 1)
        try new.grow(20, salt: 2)
        var chain = try lab.chain()
        var stored: [StatePoint: CertifiedHeader] = [lab.genesis.point: CertifiedHeader(header: lab.genesis)]
        let runs = [
            old.entries[..<11], old.entries[11..<30], new.entries[12..<20], new.entries[20..<31], new.entries[31...],
        ]
        for run in runs {
            let advance = try chain.accept(Array(run))
            for point in advance.drop { stored[point] = nil }
            for entry in advance.keep { stored[entry.point] = entry }
            let again = try AttestedChain(
                configuration: lab.configuration, restoring: Array(stored.values), floor: chain.storedFloor)
            #expect(again.head == chain.head && again.final == chain.final && again.floor == chain.floor)
            #expect(again.work == chain.work && again.anchors == chain.anchors && again.leftovers.isEmpty)
        }
        #expect(chain.head == new.last.point)
        // What was pruned is not missed, and what does not belong there is found.
        let floor = try #require(chain.storedFloor)
        stored = stored.filter { $0.key.number >= floor.point.number }
        stored[old[25].point] = old[25]
        let again = try AttestedChain(
            configuration: lab.configuration, restoring: Array(stored.values), floor: floor)
        #expect(again.head == chain.head && again.work == chain.work && again.leftovers == [old[25].point])
        stored[floor.point] = nil
        #expect(throws: ChainError.lostFloor(floor.point)) {
            _ = try AttestedChain(configuration: lab.configuration, restoring: Array(stored.values), floor: floor)
        }
    }
}
