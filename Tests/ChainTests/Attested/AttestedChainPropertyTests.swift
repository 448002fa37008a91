import Chain
import ChainLab
import Primitives
import Testing

/// Random trees of headers and random claims, compared with what the definitions say, computed from scratch.
@Suite struct AttestedChainPropertyTests {
    /// All blocks and all claims, and the definitions read off them one by one.
    fileprivate struct Oracle {
        let made: MadeChain
        var headers: [Bytes32: BlockHeader] = [:]
        var heads: [Int: (time: UInt64, point: StatePoint)] = [:]
        var finals: [(voter: Int, block: Bytes32)] = []

        func line(to hash: Bytes32) -> [Bytes32] {
            var line: [Bytes32] = []
            var current = hash
            while let header = headers[current] {
                line.append(current)
                current = header.parentHash
            }
            return line
        }

        func voters(for block: Bytes32, finalsOnly: Bool) -> Set<Int> {
            var voters = Set(finals.filter { line(to: $0.block).contains(block) }.map(\.voter))
            guard !finalsOnly else { return voters }
            for (voter, vote) in heads where line(to: vote.point.hash).contains(block) { voters.insert(voter) }
            return voters
        }

        func deepestFinal() -> Set<Bytes32> {
            let enough = headers.keys.filter {
                voters(for: $0, finalsOnly: true).count >= made.configuration.rule.threshold
            }
            let highest = enough.compactMap { headers[$0]?.number }.max()
            return Set(enough.filter { headers[$0]?.number == highest })
        }
    }

    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func headAndFinalAreAsDefined(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        // With more than half of the keys needed at most one branch can have enough.
        let made = try MadeChain.voted(by: 5, threshold: 3)
        var chain = AttestedChain(configuration: made.configuration)
        var oracle = Oracle(made: made)
        var blocks: [BlockHeader] = [made.genesis]
        var trunk = made.genesis
        _ = try chain.accept([CertifiedHeader(header: made.genesis)])
        for step in 1...40 as ClosedRange<UInt64> {
            let above = blocks.filter { $0.number >= chain.final.number && oracle.isOnFinalLine($0, chain.final) }
            let parent = Bool.random(using: &generator) ? trunk : above.randomElement(using: &generator) ?? trunk
            let header = try MadeChain.header(parent: parent, salt: step)
            blocks.append(header)
            oracle.headers[header.hash] = header
            if parent == trunk { trunk = header }
            var claims: [SignedClaim] = []
            for key in 0..<5 where Bool.random(using: &generator) {
                claims.append(made.claim(.head, header, key: key, time: step))
                oracle.heads[key] = (step, header.point)
            }
            // Final claims stay on the trunk, so that they never contradict each other.
            if header == trunk {
                let ancestors = oracle.line(to: header.hash).compactMap { oracle.headers[$0] }
                let old = ancestors.filter { $0.number + 4 <= header.number }
                for key in 0..<5 where Bool.random(using: &generator) {
                    guard let final = old.first else { break }
                    claims.append(made.claim(.final, final, key: key, time: step))
                    oracle.finals.append((key, final.hash))
                }
            }
            _ = try chain.accept([CertifiedHeader(header: header, certificate: Certificate(claims))])
            let finals = oracle.deepestFinal()
            #expect(finals.isEmpty ? chain.final == made.genesis.point : finals == [chain.final.hash], "seed \(seed)")
            // A final claim counts for the head beside the key's newest head claim, so two branches may have enough;
            // the head is the end of one of them, and of the only one where there is one.
            let ends = oracle.ends(above: chain.final)
            #expect(ends.isEmpty ? chain.head == chain.final : ends.contains(chain.head.hash), "seed \(seed)")
            let line = oracle.line(to: chain.head.hash)
            #expect(line.allSatisfy { chain.header(hash: $0) != nil }, "seed \(seed)")
        }
        #expect(chain.final.number > 0, "seed \(seed)")
    }
}

extension AttestedChainPropertyTests.Oracle {
    /// Blocks above the final one that have enough voters and no child that has.
    fileprivate func ends(above final: StatePoint) -> Set<Bytes32> {
        let enough = headers.values.filter { header in
            header.number > final.number && isOnFinalLine(header, final)
                && voters(for: header.hash, finalsOnly: false).count >= made.configuration.rule.threshold
        }
        let parents = Set(enough.map(\.parentHash))
        return Set(enough.map(\.hash)).subtracting(parents)
    }

    fileprivate func isOnFinalLine(_ block: BlockHeader, _ final: StatePoint) -> Bool {
        final.number == 0 || line(to: block.hash).contains(final.hash)
    }
}
