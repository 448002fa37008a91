import ArgumentParser
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
                and calls, access lists, the state at the head. The same seed and numbers make the same chain.
                """)

        @Argument(help: "The directory it is written to.") var directory: String
        @Option(help: "Accounts of genesis.") var accounts = 200_000
        @Option(help: "Blocks above genesis.") var blocks = 256
        @Option(help: "Transactions a block: each changes some two accounts and two slots.") var transactions = 120
        @Option(help: "Decides everything about the chain.") var seed: UInt64 = 1
        @Option(help: "Slots of one contract that every block writes to; 0: none beside the others.") var wideSlots = 0
        @Flag(help: "Make accounts alone: no storage to speak of, and four codes.") var plain = false
        @Flag(help: "Pack the files with gzip: a third of the size, more time to make.") var gzip = false

        func run() throws {
            let began = Date()
            func seconds() -> String { String(format: "%.1f s", Date().timeIntervalSince(began)) }
            func say(_ line: String) { FileHandle.standardError.write(Data("make-chain: \(line)\n".utf8)) }
            var forge = try ChainForge(
                shape: ForgeShape(
                    accounts: accounts, blocks: blocks, transactions: transactions, isPlain: plain,
                    wideSlots: wideSlots), seed: seed)
            say("genesis \(forge.genesis.hash) after \(seconds())")
            let last = UInt64(blocks)
            let step = max(last / 4, 1)
            let summary = try ChainDirectoryWriter.write(&forge, to: directory, isPacked: gzip) { number in
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
    }
}
