import Chain
import ChainLab
import ChainNetwork
import Primitives
import Testing

/// Headers that committees sign among machines.
@Suite struct CommitteeWalkTests {
    @Test func aCommitteesChainIsFollowedTermByTerm() throws {
        let lab = try CommitteeLab(termLength: 40)
        var branch = lab.branch
        try branch.grow(250)
        var network = HeaderNetwork(lab.configuration)
        try network.add(branch.entries, genesis: lab.genesis)
        try network.add()
        try network.run(10)
        #expect(network.members[1].head == branch.last.point && network.members[1].final == branch.last.point)
        #expect(network.disks[1].headers.count == 251)
        // No batch goes beyond the end of a term.
        for (_, key) in network.asked {
            guard case .headers(let wanted) = try ChainContentKey(decoding: key), case .number(let first) = wanted.start
            else { continue }
            let last = first + UInt64(wanted.count) - 1
            #expect(first == 0 || (first - 1) / 40 == (last - 1) / 40, "\(first) to \(last)")
        }
        for entry in try branch.grow(3) {
            network.produce(entry, by: 0)
            try network.run(1)
        }
        #expect(network.members[1].head == branch.last.point)
        #expect(network.penalised(by: 1).isEmpty)
    }

    /// The headers are the chain's, and the signatures are missing, or of members of another term.
    @Test func headersWithoutTheirCommitteesWordCostTheirSender() throws {
        let lab = try CommitteeLab(termLength: 40)
        var branch = lab.branch
        try branch.grow(100)
        let bare = ScriptedLine(lab.genesis, branch.entries.map { CertifiedHeader(header: $0.header) })
        let old = lab.committees.keys(of: 0).map(\.key)
        let others = ScriptedLine(
            lab.genesis, branch.entries.map { $0.header.number == 41 ? lab.certified($0.header, by: old) : $0 })
        for line in [bare, others] {
            var network = HeaderNetwork(lab.configuration)
            try network.add(HeaderNetwork.Liar(payload: line.payload()) { line.answer($0) })
            try network.add()
            try network.run(10)
            #expect(network.penalised(by: 1).contains { $0.peer == 0 })
            #expect(network.members[1].head.number <= 40)
            try network.add(branch.entries, genesis: lab.genesis)
            try network.run(70)
            #expect(network.members[1].head == branch.last.point)
        }
    }

    @Test func twoLinesOfOneCommitteeStopTheNode() throws {
        let lab = try CommitteeLab(termLength: 40)
        var trunk = lab.branch
        try trunk.grow(10)
        var (a, b) = (trunk, trunk)
        try a.grow(5, salt: 1)
        try b.grow(8, salt: 2)
        var network = HeaderNetwork(lab.configuration)
        try network.add(a.entries, genesis: lab.genesis)
        try network.add(b.entries, genesis: lab.genesis)
        try network.run(5)
        #expect(network.conflicts(of: 0) == [.conflictingFinals(a[15].point, b[16].point)])
        #expect(network.members[0].conflict != nil && network.members[0].head == a.last.point)
    }

    @Test func aKillAfterAnyWriteChangesNothing() throws {
        let lab = try CommitteeLab(termLength: 7)
        var branch = lab.branch
        try branch.grow(40)
        func run(killedAfter write: Int?) throws -> HeaderNetwork {
            var network = HeaderNetwork(lab.configuration)
            try network.add(branch.entries, genesis: lab.genesis)
            try network.add()
            network.killing = write.map { (1, $0) }
            try network.run(6)
            return network
        }
        let whole = try run(killedAfter: nil)
        #expect(whole.members[1].head == branch.last.point)
        for write in 1...whole.disks[1].writes {
            let network = try run(killedAfter: write)
            #expect(network.members[1].head == branch.last.point, "killed after write \(write)")
            #expect(network.disks[1].headers == whole.disks[1].headers, "killed after write \(write)")
            #expect(network.disks[1].floor == whole.disks[1].floor, "killed after write \(write)")
        }
    }
}
