import Chain
import ChainForge
import ChainLab
import ChainNetwork
import Primitives
import Testing

/// Headers of proof of work among machines: who is asked, what is kept, and which line all end on.
@Suite struct WorkWalkTests {
    @Test func aMinedChainIsFollowed() throws {
        let lab = try WorkLab(difficulty: 4)
        var branch = lab.branch
        try branch.grow(350)
        var network = HeaderNetwork(lab.configuration)
        try network.add(branch.entries, genesis: lab.genesis)
        try network.add()
        try network.add()
        try network.run(10)
        for member in 1...2 {
            #expect(network.members[member].head == branch.last.point)
            #expect(network.members[member].attested.work == branch.work)
            #expect(network.disks[member].headers.count == 351)
        }
        // What is mined from now on is pushed.
        let new = try branch.grow(3)
        for entry in new {
            network.produce(entry, by: 0)
            try network.run(1)
        }
        #expect(network.members[1...].allSatisfy { $0.head == new[2].point && $0.final.number == 347 })
        #expect(network.penalised(by: 1).isEmpty && network.penalised(by: 2).isEmpty)
    }

    // MARK: Liars

    /// It claims a great height, and so great work, and has nothing to show for it; or headers without work.
    @Test func claimsWithNothingBehindThemMoveNothing() throws {
        let lab = try WorkLab(difficulty: 4)
        var branch = lab.branch
        try branch.grow(120)
        let plain = try MadeChain.run(on: lab.genesis, 300, salt: 7).map { CertifiedHeader(header: $0) }
        let line = ScriptedLine(lab.genesis, plain)
        for answer in [{ _ in nil }, { key in line.answer(key) }] as [([UInt8]) -> [UInt8]?] {
            var network = HeaderNetwork(lab.configuration)
            try network.add(HeaderNetwork.Liar(payload: line.payload(claiming: 1_000_000), answer: answer))
            try network.add(branch.entries, genesis: lab.genesis)
            try network.add()
            try network.run(20)
            #expect(network.members[2].head == branch.last.point)
            #expect(network.disks[2].headers.count == 121)
            #expect(network.penalised(by: 2).allSatisfy { $0.peer == 0 })
        }
    }

    /// A long line of easy blocks, with less work than the network asks for at least. Nothing of it is kept.
    @Test func aCheapLongChainIsNeverKept() throws {
        let honest = try WorkLab(difficulty: 64, minimumWork: 6_000)
        var (branch, cheap) = (honest.branch, honest.branch)
        try branch.grow(120)
        #expect(branch.work > 6_000)
        try cheap.grow(70, seconds: 2_000, salt: 1)
        try cheap.grow(1_500, salt: 1)
        #expect(cheap.work < 6_000 && cheap.last.number > branch.last.number)
        let line = ScriptedLine(honest.genesis, cheap.entries)
        var network = HeaderNetwork(honest.configuration)
        try network.add(HeaderNetwork.Liar(payload: line.payload(), answer: { line.answer($0) }))
        try network.add()
        try network.run(20)
        #expect(network.members[1].lacksWork && network.members[1].head == honest.genesis.point)
        #expect(network.members[1].attested.unfinalCount == 0)
        #expect(Set(network.disks[1].headers.keys) == [honest.genesis.point])
        // And it hinders nobody.
        try network.add(branch.entries, genesis: honest.genesis)
        try network.run(70)
        #expect(network.members[1].head == branch.last.point && !network.members[1].lacksWork)
        #expect(network.disks[1].headers.count == 121)
    }

    /// Enough work the first time, and another line the second time.
    @Test func anotherLineTheSecondTimeCostsItsSender() throws {
        let lab = try WorkLab(difficulty: 4, minimumWork: 1_200)
        var (branch, other) = (lab.branch, lab.branch)
        try branch.grow(320)
        try other.grow(320, salt: 1)
        let (first, second) = (ScriptedLine(lab.genesis, branch.entries), ScriptedLine(lab.genesis, other.entries))
        final class Turns { var count = 0 }
        let turns = Turns()
        var network = HeaderNetwork(lab.configuration)
        try network.add(
            HeaderNetwork.Liar(payload: first.payload()) { key in
                guard case .success(.headers(let wanted)) = Result(catching: { try ChainContentKey(decoding: key) })
                else { return nil }
                if wanted.start == .number(1) { turns.count += 1 }
                return (turns.count < 2 ? first : second).answer(key)
            })
        try network.add()
        try network.run(10)
        guard case .invalid(.work(.notAsBefore(let number)))? = network.penalised(by: 1).first?.reason else {
            Issue.record("\(network.penalised(by: 1))")
            return
        }
        #expect(number < 16 && network.members[1].head == lab.genesis.point)
        #expect(Set(network.disks[1].headers.keys) == [lab.genesis.point])
    }

    @Test func enoughWorkIsTakenTheSecondTime() throws {
        let lab = try WorkLab(difficulty: 4, minimumWork: 1_200)
        var branch = lab.branch
        try branch.grow(1_500)
        var network = HeaderNetwork(lab.configuration)
        try network.add(branch.entries, genesis: lab.genesis)
        try network.add()
        try network.run(10)
        #expect(network.members[1].head == branch.last.point && network.penalised(by: 1).isEmpty)
        #expect(network.disks[1].headers.count == 1_501)
    }

    // MARK: Two lines

    /// The other line is heavier and shorter, so no claimed height tells of it: its head is a block that is not known.
    @Test func aHeavierLineIsFoundWhateverItsHeight() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(12)
        var (slow, fast) = (trunk, trunk)
        try slow.grow(6, seconds: 40, salt: 1)
        try fast.grow(4, seconds: 1, salt: 2)
        #expect(fast.work > slow.work)
        var network = HeaderNetwork(lab.configuration)
        try network.add(slow.entries, genesis: lab.genesis)
        try network.add(fast.entries, genesis: lab.genesis)
        try network.run(10)
        #expect(network.members.allSatisfy { $0.head == fast.last.point })
        #expect(network.log.allSatisfy { if case .penalise = $0.directive { false } else { true } })
        // Each line was asked for once.
        #expect(network.asked.count < 10)
    }

    /// A line that would be heavier, were it not for one header in its middle that has no work in it. It costs its
    /// sender, and nothing of it is kept.
    @Test func aHeavierLineThatIsFalseInItsMiddleChangesNothing() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(12)
        var (own, other) = (trunk, trunk)
        try own.grow(4, salt: 1)
        try other.grow(6, salt: 2)
        var entries = other.entries
        for place in 0..<10 {
            guard let parent = entries.last?.header else { continue }
            var fields = BlockHeader.Fields(
                parentHash: parent.hash, stateRoot: .zero, number: parent.number + 1,
                timestamp: parent.timestamp + WorkLab.pace)
            fields.difficulty = UInt256(
                low128: lab.rule.difficulty(on: WorkStanding(checkpoint: parent), at: fields.timestamp))
            var header = try Miner.mine(fields)
            while place == 3, ProofOfWork.isUnderTarget(header.hash, difficulty: header.difficulty.low128 ?? 0) {
                fields.nonce += 1
                header = try BlockHeader(fields)
            }
            entries.append(CertifiedHeader(header: header))
        }
        let line = ScriptedLine(lab.genesis, entries)
        var network = HeaderNetwork(lab.configuration)
        try network.add(own.entries, genesis: lab.genesis)
        let before = network.disks[0].headers
        try network.add(HeaderNetwork.Liar(payload: line.payload(), answer: { line.answer($0) }))
        try network.run(10)
        #expect(network.members[0].head == own.last.point && network.disks[0].headers == before)
        #expect(network.members[0].attested.unfinalCount == own.entries.count)
        let bad = entries[21].header
        let penalties = network.penalised(by: 0)
        #expect(!penalties.isEmpty && penalties.allSatisfy { $0.peer == 1 })
        #expect(
            penalties.first?.reason == .invalid(.work(.aboveTarget(number: bad.number, hash: bad.hash))),
            "\(penalties)")
    }

    /// Two groups of miners that do not hear of each other, and then do. The lost anchor is told before the new head.
    @Test func aPartitionOfMinersEndsOnOneLine() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(12)
        var network = HeaderNetwork(lab.configuration)
        for _ in 0..<4 { try network.add(trunk.entries, genesis: lab.genesis) }
        try network.run(3)
        for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] { network.cut(a, b) }
        var (left, right) = (trunk, trunk)
        for round in 0..<12 {
            for entry in try left.grow(1, salt: 1) { network.produce(entry, by: 0) }
            if round != 3 { for entry in try right.grow(1, salt: 2) { network.produce(entry, by: 3) } }
            try network.run(1)
        }
        #expect(network.members[1].head == left.last.point && network.members[2].head == right.last.point)
        #expect(network.members[2].anchors.last?.hash == right[16].header.hash)
        network.join()
        try network.run(10)
        #expect(network.members.allSatisfy { $0.head == left.last.point && $0.final == left[18].point })
        #expect(network.members.allSatisfy { $0.anchors.last?.hash == left[16].header.hash })
        for member in [2, 3] {
            let told = network.log.filter { $0.member == member }.map(\.directive)
            let lost = told.firstIndex(of: .anchorsLost([Anchor(epoch: 2, hash: right[16].header.hash)]))
            let head = told.firstIndex { if case .headAdvanced(_, leaving: 13) = $0 { true } else { false } }
            #expect(lost != nil && head != nil && (lost ?? 0) < (head ?? 0))
        }
        #expect(network.log.allSatisfy { if case .penalise = $0.directive { false } else { true } })
    }

    /// A line with more work that leaves ours deeper than may be undone: the node says so and stops.
    @Test func aHeavierLineFromTooDeepStopsTheNode() throws {
        let lab = try WorkLab()
        var trunk = lab.branch
        try trunk.grow(37)
        var (old, new) = (trunk, trunk)
        try old.grow(43, salt: 1)
        try new.grow(60, salt: 2)
        var network = HeaderNetwork(lab.configuration)
        try network.add(old.entries, genesis: lab.genesis)
        try network.add(new.entries, genesis: lab.genesis)
        try network.run(20)
        // Who has the heavier line goes on; of the other's it is known that it is lighter.
        let error = ChainError.tooDeep(fork: trunk[37].point, rival: new[81].point)
        #expect(network.conflicts(of: 0) == [error] && network.members[0].conflict == error)
        #expect(network.members[0].head == old.last.point)
        #expect(network.conflicts(of: 1).isEmpty && network.members[1].head == new.last.point)
        #expect(network.penalised(by: 0).isEmpty && network.penalised(by: 1).isEmpty)
    }

    /// The same, but the other line is lighter: nothing comes of it.
    @Test func aLighterLineFromTooDeepIsPassedBy() throws {
        let lab = try WorkLab()
        var (old, new) = (lab.branch, lab.branch)
        try old.grow(60, salt: 1)
        try new.grow(80, seconds: 40, salt: 2)
        #expect(new.work < old.work)
        var network = HeaderNetwork(lab.configuration)
        try network.add(old.entries, genesis: lab.genesis)
        try network.add(new.entries, genesis: lab.genesis)
        try network.run(20)
        #expect(network.conflicts(of: 0).isEmpty && network.members[0].head == old.last.point)
        #expect(network.penalised(by: 0).isEmpty)
    }

    // MARK: Restarts

    /// A small run with a reorganisation, killed after each of its writes in turn, ends where it does without.
    @Test func aKillAfterAnyWriteChangesNothing() throws {
        let lab = try WorkLab(difficulty: 4, minimumWork: 400)
        var (old, new) = (lab.branch, lab.branch)
        try old.grow(150, salt: 1)
        try new.grow(140, salt: 1)
        try new.grow(14, salt: 2)
        func run(killedAfter write: Int?) throws -> HeaderNetwork {
            var network = HeaderNetwork(lab.configuration)
            try network.add(old.entries, genesis: lab.genesis)
            try network.add()
            network.killing = write.map { (1, $0) }
            try network.run(3)
            try network.add(new.entries, genesis: lab.genesis)
            try network.run(8)
            return network
        }
        let whole = try run(killedAfter: nil)
        let writes = whole.disks[1].writes
        #expect(whole.members[1].head == new.last.point && writes >= 3)
        for write in 1...writes {
            let network = try run(killedAfter: write)
            let member = network.members[1]
            #expect(member.head == new.last.point, "killed after write \(write)")
            #expect(member.anchors == whole.members[1].anchors, "killed after write \(write)")
            #expect(network.disks[1].headers == whole.disks[1].headers, "killed after write \(write)")
            #expect(network.disks[1].floor == whole.disks[1].floor, "killed after write \(write)")
        }
    }
}
