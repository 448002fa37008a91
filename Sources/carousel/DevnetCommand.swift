import ArgumentParser
import Chain
import ChainForge
import Foundation
import Primitives
import Shell
import StateNetwork

/// What makes blocks believed that are made as time passes.
enum LiveRule: String, CaseIterable, ExpressibleByArgument, Sendable {
    case proofOfWork, committee
}

/// A chain that is made as time passes.
struct LiveChainOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "What makes a block believed: proofOfWork (it is mined) or committee (keys sign it).", valueName: "rule"))
    var rule = LiveRule.proofOfWork

    @Option(
        name: .long, help: ArgumentHelp("Seconds from a block to the next (default: 2).", valueName: "n"),
        transform: Bounds.whole(1...3_600))
    var blockSeconds: UInt64 = 2

    @Option(
        name: .long, help: ArgumentHelp("Accounts of genesis (default: 1000).", valueName: "n"),
        transform: Bounds.whole(ForgeLimits.accounts.lowerBound...100_000))
    var accounts = 1_000

    @Option(
        name: .long, help: ArgumentHelp("Transactions a block (default: 10).", valueName: "n"),
        transform: Bounds.whole(1...500))
    var transactions = 10

    @Option(
        name: .long, help: ArgumentHelp("Decides about genesis and about what blocks do (default: 1).", valueName: "n"),
        transform: Bounds.whole(0...UInt64.max))
    var seed: UInt64 = 1

    @Option(
        name: .long, help: ArgumentHelp("Blocks of an epoch (default: 16).", valueName: "n"),
        transform: Bounds.whole(1...65_536))
    var epochLength: UInt64 = 16

    @Option(
        name: .long, help: ArgumentHelp("The ring has 16^d sections (default: 1).", valueName: "d"),
        transform: Bounds.whole(1...3))
    var sectionDepth = 1

    @Option(
        name: .long,
        help: ArgumentHelp("Mined: hashes that are tried for a block, on average (default: 20000).", valueName: "n"),
        transform: Bounds.whole(1...1_000_000))
    var difficulty: UInt64 = 20_000

    @Option(
        name: .long,
        help: ArgumentHelp("Mined: how many blocks a heavier line may replace (default: 32).", valueName: "n"),
        transform: Bounds.whole(6...4_096))
    var undoDepth: UInt64 = 32

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Mined: every n blocks a heavier line replaces the newest 1 to \(LiveChain.deepestFork) (default: never).",
            valueName: "n"),
        transform: Bounds.whole(LiveChain.leastBetweenForks...1_000_000))
    var forkEvery: UInt64?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Mined: bridges that make blocks; chance decides which is the first (default: 1).", valueName: "n"),
        transform: Bounds.whole(1...8))
    var makers = 1

    @Option(
        name: .long, help: ArgumentHelp("Signed: members of a committee (default: 4).", valueName: "n"),
        transform: Bounds.whole(1...64))
    var members = 4

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Signed: blocks of a committee's term; the last hands over to the next (default: 32).", valueName: "n"),
        transform: Bounds.whole(1...65_536))
    var termLength: UInt64 = 32

    func validate() throws {
        guard rule == .proofOfWork || forkEvery == nil else {
            throw ValidationError(
                "--fork-every cannot go with --rule committee: a committee that signs two lines stops every node")
        }
        guard rule == .proofOfWork || makers == 1 else {
            throw ValidationError("--makers cannot go with --rule committee: its keys are all in one place")
        }
    }

    /// Seconds after which the head counts as stale: several blocks.
    private var maxAgeSeconds: UInt64 { max(60, 10 * blockSeconds) }

    /// What is made, by this one of the makers.
    func plan(maker: Int = 0) throws -> LiveChain.Plan {
        let rule: MadeNetwork.Rule =
            switch self.rule {
            case .committee:
                .committees(MadeCommittees(seed: seed, size: members, termLength: termLength))
            case .proofOfWork:
                .work(
                    try WorkTerms(
                        minimumDifficulty: max(difficulty / 16, 1), blockSeconds: blockSeconds, aheadSeconds: 15,
                        undoDepth: undoDepth, minimumWork: 0), difficulty: difficulty)
            }
        var network = MadeNetwork(rule)
        network.name = "devnet"
        network.epochLength = epochLength
        network.sectionDepth = sectionDepth
        network.maxAgeSeconds = maxAgeSeconds
        let shape = ForgeShape(
            accounts: accounts, blocks: ForgeLimits.blocks.upperBound, transactions: transactions)
        var plan = LiveChain.Plan(
            network, shape: shape, seed: seed, blockSeconds: blockSeconds, forkEvery: forkEvery)
        (plan.maker, plan.makers) = (maker, makers)
        return plan
    }

    /// The same as a command line has it.
    var arguments: [String] {
        let all: [(String, String?)] = [
            ("rule", rule.rawValue), ("block-seconds", "\(blockSeconds)"), ("accounts", "\(accounts)"),
            ("transactions", "\(transactions)"), ("seed", "\(seed)"), ("epoch-length", "\(epochLength)"),
            ("section-depth", "\(sectionDepth)"), ("difficulty", "\(difficulty)"), ("undo-depth", "\(undoDepth)"),
            ("fork-every", forkEvery.map { "\($0)" }), ("makers", "\(makers)"), ("members", "\(members)"),
            ("term-length", "\(termLength)"),
        ]
        return all.flatMap { name, value in value.map { ["--\(name)", $0] } ?? [] }
    }
}

extension Carousel {
    /// `carousel devnet`
    struct DevnetCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "devnet",
            abstract: "Starts a network on this machine, with blocks that are made as time passes.",
            discussion: """
                Nodes that hold the state, a bridge that makes the blocks, and a client that syncs and follows, each a \
                process with a folder of its own under --data-dir; the network's file is network.json there. Blocks \
                are ChainForge's: signed transactions with their access lists, and no program is run in them. It ends \
                with all of them at SIGINT or SIGTERM.
                """)

        @OptionGroup var live: LiveChainOptions

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Replay this chain directory in place of making blocks.",
                discussion: """
                    Its blocks come at the pace of --block-seconds. Where it has a network.json that is its network; \
                    else a key is made that attests its blocks.
                    """, valueName: "dir"))
        var chain: String?

        @Option(
            name: .long, help: ArgumentHelp("Nodes that hold the whole state (default: 3).", valueName: "n"),
            transform: Bounds.whole(1...64))
        var nodes = 3

        @Flag(name: .long, help: "Add a client that applies every block from genesis on.")
        var blockByBlock = false

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Kill the last node after n seconds; it comes back after as many more.", valueName: "n"),
            transform: Bounds.whole(1...86_400))
        var loseNode: UInt64?

        @Option(
            name: .long, help: ArgumentHelp("The client's line: milliseconds each way (default: 0).", valueName: "ms"),
            transform: Bounds.whole(0...10_000))
        var lineDelay: UInt64 = 0

        @Option(
            name: .long,
            help: ArgumentHelp(
                "The client's line: packets in a hundred that are lost (default: none).", valueName: "percent"),
            transform: Bounds.above0(through: 90))
        var lineLoss: Double?

        @Option(
            name: .long,
            help: ArgumentHelp(
                "The client's line: what goes through in a second each way, with a unit (256KiB/s; default: all).",
                valueName: "rate"),
            transform: ByteCount.parse)
        var lineRate: ByteCount?

        @Option(
            name: .long,
            help: ArgumentHelp("The folder for all of it; it must not be there, or be empty.", valueName: "dir"))
        var dataDir = "devnet"

        @Flag(name: .long, help: "Keep nothing: a temporary folder, removed at the end, instead of --data-dir.")
        var ephemeral = false

        @Flag(name: .long, help: "End with exit code 0 once every client has the whole state.")
        var untilSynced = false

        func validate() throws {
            if loseNode != nil, nodes == 1, live.makers == 1 {
                throw ValidationError("--lose-node needs --nodes 2 at least: one has to be left")
            }
            if chain != nil, live.makers > 1 || live.forkEvery != nil {
                throw ValidationError(
                    "--makers and --fork-every are about blocks that are made, and cannot go with --chain")
            }
            if let lineRate, lineRate.bytes < 4 << 10 {
                throw ValidationError("--line-rate must be 4KiB/s at least: with less nothing would come in time")
            }
        }

        func run() throws {
            let directory = ephemeral ? try DataDirectory.ephemeral() : DataDirectory(dataDir)
            try Devnet.prepare(directory)
            let code = Result { try Devnet(try settings(in: directory)).run() }
            if ephemeral { try directory.remove() }
            if try code.get() != 0 { throw ExitCode(try code.get()) }
        }

        /// Writes the network's files; gives what is to run.
        private func settings(in directory: DataDirectory) throws -> Devnet.Settings {
            let network = directory.path + "/network.json"
            let genesis: String
            var bridges: [[String]]
            if let chain {
                genesis = chain
                let pace = "\(1 / Double(live.blockSeconds))"
                let keys = try recorded(chain, network: network, in: directory)
                bridges = [["bridge", "--chain", chain, "--blocks-per-second", pace] + keys]
            } else {
                genesis = directory.path + "/genesis"
                let plan = try live.plan()
                try ChainDirectoryWriter.writeGenesis(of: plan, to: genesis)
                try DevnetFiles.copy(genesis + "/network.json", to: network)
                bridges = (0..<live.makers).map { maker in
                    ["developer", "make-blocks", "--chain", genesis, "--maker", "\(maker)"] + live.arguments
                }
            }
            let holders = (1...nodes).map { Devnet.Member("node-\($0)", ["run", "--radius", "static:256"]) }
            // Bridges come after the first node, so that --lose-node, which takes the last, is about one of them only
            // where there is no other node.
            var members = [holders[0]]
            for (index, bridge) in bridges.enumerated() {
                members.append(Devnet.Member(index == 0 ? "bridge" : "bridge-\(index + 1)", bridge))
            }
            members += holders.dropFirst()
            members.append(Devnet.Member("client", ["sync"], isClient: true))
            if blockByBlock {
                let arguments = ["sync", "--block-by-block", "--chain", genesis]
                members.append(Devnet.Member("blocks", arguments, isClient: true))
            }
            var settings = Devnet.Settings(directory: directory, network: network, members: members)
            settings.lostAfter = loseNode
            var line = LineShape()
            line.delay = Interval(microseconds: lineDelay * 1_000)
            line.lostOfThousand = UInt64((lineLoss ?? 0) * 10)
            line.bytesPerSecond = lineRate?.bytes
            if !line.isPlain { settings.slowLine = ("client", line, live.seed) }
            settings.endsWhenSynced = untilSynced
            return settings
        }

        /// The network of a recorded chain; gives what its bridge is told besides.
        private func recorded(_ chain: String, network: String, in directory: DataDirectory) throws -> [String] {
            if try DevnetFiles.copy(chain + "/network.json", to: network, isOptional: true) { return [] }
            var made = try NewNetwork(name: "network", chainDirectory: chain)
            made.epochLength = live.epochLength
            made.sectionDepth = live.sectionDepth
            let paths = try made.write(to: directory.path)
            return paths.dropFirst().flatMap { ["--signing-key-file", $0] }
        }
    }

    /// `carousel developer make-blocks`: the bridge of a devnet.
    struct MakeBlocks: NodeCommand {
        static let configuration = CommandConfiguration(
            commandName: "make-blocks",
            abstract: "Makes a chain as time passes and brings it into the network, as a bridge does.")

        @OptionGroup var node: NodeOptions
        @OptionGroup var live: LiveChainOptions

        @Option(help: "The directory that has its genesis.") var chain: String
        @Option(help: "Which of the makers this is, from 0.", transform: Bounds.whole(0...7)) var maker = 0

        func settings() throws -> RuntimeSettings {
            var settings = try RuntimeSettings(role: .bridge, node: node, fetch: nil)
            settings.replay = RuntimeSettings.Replay(
                chainDirectory: chain, blocksPerSecond: 1 / Double(live.blockSeconds), finalityDepth: 0,
                signingKeyFiles: [])
            settings.replay?.made = try live.plan(maker: maker)
            return settings
        }
    }
}
