import ArgumentParser
import Chain
import ChainForge
import Foundation
import Shell

extension Carousel {
    /// `carousel developer make-chain`: a chain directory of any size.
    struct MakeChain: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "make-chain",
            abstract: "Makes a chain from a seed: accounts shaped like mainnet's, blocks with their access lists.",
            discussion: """
                Writes a chain directory that 'carousel bridge --chain' replays: genesis, blocks of signed transfers \
                and calls, access lists, the state at the head. The same seed and numbers make the same chain. With \
                --rule its headers are mined, or signed by committees, and network.json beside it is its network's \
                configuration.
                """)

        @Argument(help: "The directory it is written to.") var directory: String
        @Option(help: "Accounts of genesis.") var accounts = 200_000
        @Option(help: "Blocks above genesis.") var blocks = 256
        @Option(help: "Transactions a block: each changes some two accounts and two slots.") var transactions = 120
        @Option(help: "Decides everything about the chain.") var seed: UInt64 = 1
        @Option(help: "Slots of one contract that every block writes to; 0: none beside the others.") var wideSlots = 0
        @Option(
            help: "What makes its headers believed: attested (keys of 'carousel network new'), proofOfWork, committee."
        )
        var rule = MadeRule.attested
        @Option(help: "Blocks of an epoch in network.json.", transform: Bounds.whole(1...65_536))
        var epochLength: UInt64 = 32
        @Option(help: "Its network's ring has 16^d sections.", transform: Bounds.whole(1...3)) var sectionDepth = 1
        @Option(
            help: "With proofOfWork: hashes that are tried for a block, on average.",
            transform: Bounds.whole(1...1_000_000))
        var difficulty: UInt64 = 64
        @Option(
            help: "With proofOfWork: how far a heavier line may reach down.", transform: Bounds.whole(6...4_096))
        var undoDepth: UInt64 = 32
        @Option(help: "With committee: members of each.", transform: Bounds.whole(1...64)) var members = 4
        @Option(help: "With committee: blocks of a term.", transform: Bounds.whole(1...65_536))
        var termLength: UInt64 = 32
        @Flag(help: "Make accounts alone: no storage to speak of, and four codes.") var plain = false
        @Flag(help: "Pack the files with gzip: a third of the size, more time to make.") var gzip = false

        func run() throws {
            let began = Date()
            func seconds() -> String { String(format: "%.1f s", Date().timeIntervalSince(began)) }
            func say(_ line: String) { FileHandle.standardError.write(Data("make-chain: \(line)\n".utf8)) }
            let shape = ForgeShape(
                accounts: accounts, blocks: blocks, transactions: transactions, isPlain: plain, wideSlots: wideSlots)
            let network = try network()
            var forge = try network?.forge(shape, seed: seed) ?? ChainForge(shape: shape, seed: seed)
            say("genesis \(forge.genesis.hash) after \(seconds())")
            let last = UInt64(blocks)
            let step = max(last / 4, 1)
            let summary = try ChainDirectoryWriter.write(&forge, of: network, to: directory, isPacked: gzip) { number in
                if number.isMultiple(of: step) { say("block \(number) of \(last) after \(seconds())") }
            }
            print("head=\(summary.head.hash)")
            print("root=\(summary.head.stateRoot)")
            print("accounts=\(summary.accounts)")
            print("contracts=\(summary.contracts)")
            print("slots=\(summary.slots)")
            print("blocks=\(blocks)")
            print("transactions=\(summary.transactions)")
            print("changed_accounts=\(summary.changedAccounts)")
            print("changed_slots=\(summary.changedSlots)")
            print("distinct_leaves=\(summary.distinctAccounts + summary.distinctSlots)")
            say("done after \(seconds())")
        }

        /// The network whose nodes follow the chain; nil where keys attest it.
        private func network() throws -> MadeNetwork? {
            guard var network = try rule.made(difficulty: difficulty, undoDepth: undoDepth, committees: committees)
            else { return nil }
            network.epochLength = epochLength
            network.sectionDepth = sectionDepth
            return network
        }

        private var committees: MadeCommittees { MadeCommittees(seed: seed, size: members, termLength: termLength) }
    }
}

/// What makes the headers of a made chain believed.
enum MadeRule: String, CaseIterable, ExpressibleByArgument, Sendable {
    case attested, proofOfWork, committee

    /// The network of a chain made under it; nil where keys attest its blocks. Its blocks come every twelve seconds,
    /// as `ChainForge` dates them.
    func made(difficulty: UInt64, undoDepth: UInt64, committees: MadeCommittees) throws -> MadeNetwork? {
        switch self {
        case .attested: return nil
        case .proofOfWork:
            let terms = try WorkTerms(
                minimumDifficulty: max(difficulty / 16, 1), blockSeconds: 10, aheadSeconds: 15, undoDepth: undoDepth,
                minimumWork: 0)
            return MadeNetwork(.work(terms, difficulty: difficulty))
        case .committee: return MadeNetwork(.committees(committees))
        }
    }
}
