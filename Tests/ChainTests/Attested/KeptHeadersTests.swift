import Chain
import ChainLab
import Primitives
import Testing

/// What a store has of a chain: what the chain said to keep, without what it said to forget.
private struct Shelf {
    let made: MadeChain
    private(set) var chain: AttestedChain
    private(set) var stored: [Bytes32: CertifiedHeader] = [:]

    init(_ made: MadeChain) throws {
        self.made = made
        chain = AttestedChain(configuration: made.configuration)
        try accept(made.bare([made.genesis]))
    }

    @discardableResult
    mutating func accept(_ run: [CertifiedHeader]) throws -> ChainAdvance {
        let advance = try chain.accept(run)
        for point in advance.drop { stored[point.hash] = nil }
        for entry in advance.keep { stored[entry.header.hash] = entry }
        return advance
    }

    var heights: [UInt64] { stored.values.map(\.header.number).sorted() }

    /// What a start from the store comes to.
    func restored() throws -> AttestedChain {
        try AttestedChain(configuration: made.configuration, restoring: Array(stored.values))
    }

    /// A start from the store comes to the same chain, and finds nothing there that it has no use for.
    func expectSame(_ comment: Comment? = nil) throws {
        let again = try restored()
        #expect(again.head == chain.head && again.final == chain.final, comment)
        #expect(again.servedTip == chain.servedTip && again.anchors == chain.anchors, comment)
        #expect(again.leftovers.isEmpty, comment)
    }
}

@Suite struct KeptHeadersTests {
    /// The head goes from block 5 to block 4 of another branch: what is stored is that branch and no more.
    @Test(arguments: [(1, 1), (2, 1), (3, 2)])
    func aReorganisationToAShorterBranchLeavesAStoreThatStarts(keys: Int, threshold: Int) throws {
        let made = try MadeChain.voted(by: keys, threshold: threshold)
        let common = try MadeChain.run(on: made.genesis, 3)
        let (long, short) = (try MadeChain.run(on: common[2], 2, salt: 1), try MadeChain.run(on: common[2], 1, salt: 2))
        let signers = Array(0..<threshold)
        var shelf = try Shelf(made)
        for (index, header) in (common + long).enumerated() {
            try shelf.accept([made.certified(header, by: signers, time: 100 + UInt64(index))])
        }
        #expect(shelf.heights == [0, 1, 2, 3, 4, 5])
        let advance = try shelf.accept([made.certified(short[0], by: signers, time: 200)])
        #expect(advance.head == short[0].point && advance.leftAt == 4)
        #expect(advance.drop == long.map(\.point), "in the transaction that brings the new head")
        #expect(shelf.heights == [0, 1, 2, 3, 4])
        try shelf.expectSame()
        #expect(try shelf.restored().head == short[0].point)
    }

    /// Earlier versions put a new header in the place of the one at its height and left those above.
    @Test(arguments: [(1, 1), (2, 1), (3, 2)])
    func aStoreOfAnEarlierVersionStartsToo(keys: Int, threshold: Int) throws {
        let made = try MadeChain.voted(by: keys, threshold: threshold)
        let common = try MadeChain.run(on: made.genesis, 3)
        let (long, short) = (try MadeChain.run(on: common[2], 4, salt: 1), try MadeChain.run(on: common[2], 2, salt: 2))
        let signers = Array(0..<threshold)
        let stored =
            made.bare([made.genesis]) + (common + long).map { made.certified($0, by: signers, final: common[0]) }
        var older = Dictionary(uniqueKeysWithValues: stored.map { ($0.header.number, $0) })
        for header in short { older[header.number] = made.certified(header, by: signers, time: 200) }
        let chain = try AttestedChain(configuration: made.configuration, restoring: Array(older.values))
        #expect(chain.head == short[1].point && chain.final == common[0].point)
        #expect(chain.leftovers == long[2...].map(\.point), "to be forgotten")
        // The same where the final block has passed the fork.
        older[5] = made.certified(short[1], by: signers, final: short[0], time: 200)
        let later = try AttestedChain(configuration: made.configuration, restoring: Array(older.values))
        #expect(later.head == short[1].point && later.final == short[0].point)
        #expect(later.leftovers == long[2...].map(\.point))
    }

    @Test func branchesThatTheFinalBlockExcludesAreForgotten() throws {
        let made = try MadeChain.voted(by: 2, threshold: 1)
        let common = try MadeChain.run(on: made.genesis, 2)
        let (a, b) = (try MadeChain.run(on: common[1], 3, salt: 1), try MadeChain.run(on: common[1], 4, salt: 2))
        var shelf = try Shelf(made)
        try shelf.accept(made.bare(common + a.dropLast()) + [made.certified(a[2], by: [0])])
        try shelf.accept(made.bare(b.dropLast()) + [made.certified(b[3], by: [1])])
        #expect(shelf.heights == [0, 1, 2, 3, 3, 4, 4, 5, 5, 6], "both branches have their voter")
        try shelf.expectSame()
        let advance = try shelf.accept([made.certified(b[3], by: [1], final: b[0], time: 300)])
        #expect(advance.final == b[0].point && advance.drop == a.map(\.point))
        #expect(shelf.heights == [0, 1, 2, 3, 4, 5, 6])
        try shelf.expectSame()
    }

    /// Final claims count for ever, also where they came with a header that their signer has left.
    @Test func aFinalClaimIsKeptWithTheHeaderThatCarriesIt() throws {
        let made = try MadeChain.voted(by: 3, threshold: 2)
        let common = try MadeChain.run(on: made.genesis, 3)
        let (a, b) = (try MadeChain.run(on: common[2], 2, salt: 1), try MadeChain.run(on: common[2], 1, salt: 2))
        var shelf = try Shelf(made)
        try shelf.accept(made.bare(common + [a[0]]) + [made.certified(a[1], by: [0], final: common[1])])
        try shelf.accept([made.certified(b[0], by: [0], time: 200)])
        #expect(shelf.heights == [0, 1, 2, 3, 4, 4, 5])
        try shelf.expectSame()
        // The other key's word makes the block final, before and after a start.
        let word = [made.certified(b[0], by: [1], final: common[1], time: 201)]
        var again = try shelf.restored()
        #expect(try again.accept(word).final == common[1].point)
        #expect(try shelf.accept(word).final == common[1].point)
        #expect(shelf.heights == [0, 1, 2, 3, 4], "what it carried has nothing more to say")
    }

    /// Random branches and claims: after each step a start from the store comes to the same chain.
    @Test(arguments: 1...24 as ClosedRange<UInt64>)
    func aStartComesToTheSameChainWhateverHappened(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let (keys, threshold) = [(1, 1), (2, 1), (3, 2), (5, 3)][Int(seed % 4)]
        let made = try MadeChain.voted(by: keys, threshold: threshold)
        var shelf = try Shelf(made)
        var blocks: [BlockHeader] = [made.genesis]
        var parents: [Bytes32: BlockHeader] = [:]
        for step in 1...60 as ClosedRange<UInt64> {
            let final = shelf.chain.final
            func isAbove(_ block: BlockHeader) -> Bool {
                var current: BlockHeader? = block
                while let header = current, header.number > final.number { current = parents[header.hash] }
                return current?.hash == final.hash
            }
            // Mostly on the head, else anywhere above the final block, so that branches grow and are left.
            let above = blocks.filter { isAbove($0) && shelf.chain.holds($0.hash) }
            let head = blocks.last { $0.hash == shelf.chain.head.hash } ?? made.genesis
            let isOnHead = Int.random(in: 0..<3, using: &generator) > 0
            let parent = isOnHead ? head : above.randomElement(using: &generator) ?? head
            let header = try MadeChain.header(parent: parent, salt: step)
            blocks.append(header)
            parents[header.hash] = parent
            let signers = (0..<keys).filter { _ in Bool.random(using: &generator) }
            var claims = signers.map { made.claim(.head, header, key: $0, time: step) }
            // Only what is attested is called final, by all who speak, so that no two finals contradict each other.
            let isAttested = shelf.chain.head.number >= final.number + 3
            if isAttested, let old = shelf.chain.header(at: shelf.chain.head.number - 2), parent.hash == head.hash {
                claims += signers.map { made.claim(.final, old, key: $0, time: step) }
            }
            try shelf.accept([CertifiedHeader(header: header, certificate: Certificate(claims))])
            try shelf.expectSame("seed \(seed) step \(step)")
        }
        #expect(shelf.chain.final.number > 0, "seed \(seed)")
    }
}
