import Chain
import ChainLab
import Primitives
import Testing

/// Lines of headers that show by themselves that a block is believed, under each rule.
@Suite struct LineCheckTests {
    @Test func theShortestLineShowsThatABlockIsFinal() throws {
        let made = try MadeChain(keys: 2, threshold: 2, epochLength: 8)
        let headers = try MadeChain.run(on: made.genesis, 40)
        var chain = AttestedChain(configuration: made.configuration)
        _ = try chain.accept([CertifiedHeader(header: made.genesis)])
        for (index, header) in headers.enumerated() {
            let final = index >= 2 ? headers[index - 2] : nil
            _ = try chain.accept([made.certified(header, by: [index % 2], final: final)])
        }
        // Each key speaks on every second block only, so both have said that a block is final three blocks above it.
        let point = headers[15].point
        let line = try #require(AttestedLine.shortest(to: point, in: chain))
        #expect(line.entries.map(\.header) == Array(headers[15...18]))
        let standing = try line.verify(point, of: made.configuration)
        #expect(standing.isFinal && !standing.isFromCheckpoint && standing.header == headers[15])
        // With fewer headers it is attested, with fewer still not even that.
        let fewer = AttestedLine(Array(line.entries.prefix(2)))
        #expect(try fewer.verify(point, of: made.configuration).isFinal == false)
        let one = AttestedLine(Array(line.entries.prefix(1)))
        #expect(throws: LineError.notAttested(point)) { try one.verify(point, of: made.configuration) }
        // The checkpoint stands as it is.
        let first = try #require(AttestedLine.shortest(to: made.genesis.point, in: chain))
        #expect(first.entries.count == 1)
        #expect(try first.verify(made.genesis.point, of: made.configuration).isFromCheckpoint)
    }

    @Test func aLineFromTheCheckpointIsTakenInRuns() throws {
        let made = try MadeChain(epochLength: 8)
        let headers = try MadeChain.run(on: made.genesis, 30)
        var check = LineCheck(headers[7].point, of: made.configuration)
        try check.take([CertifiedHeader(header: made.genesis)])
        try check.take(made.bare(Array(headers[..<20])))
        #expect(throws: LineError.notAttested(headers[7].point)) { try check.finish() }
        try check.take([made.certified(headers[20], final: headers[18])])
        try check.take(made.bare(Array(headers[21...])))
        let standing = try check.finish()
        #expect(standing.isFinal && standing.isFromCheckpoint)
        // Another block of that height is not among them.
        let other = try MadeChain.header(parent: headers[6], salt: 9)
        var wrong = LineCheck(other.point, of: made.configuration)
        try wrong.take([CertifiedHeader(header: made.genesis)] + made.bare(headers))
        #expect(throws: LineError.lacks(other.point)) { try wrong.finish() }
    }

    @Test func underProofOfWorkALineBeginsAtTheCheckpoint() throws {
        let lab = try WorkLab(minimumWork: 100)
        var branch = lab.branch
        let entries = try branch.grow(20)
        var chain = try lab.chain()
        _ = try chain.accept(entries)
        let point = entries[7].point
        let line = try #require(AttestedLine.shortest(to: point, in: chain))
        #expect(line.entries.first?.header == lab.genesis)
        #expect(try line.verify(point, of: lab.configuration).isFinal)
        // What begins at the block proves nothing, and a line that is too short has too little work.
        let cut = AttestedLine(Array(entries[7...]))
        #expect(throws: LineError.beginsElsewhere(point)) { try cut.verify(point, of: lab.configuration) }
        let light = AttestedLine(Array(line.entries.prefix(9)))
        #expect(throws: LineError.notAttested(point)) { try light.verify(point, of: lab.configuration) }
    }
}
