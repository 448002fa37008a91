import ArgumentParser
import Chain
import Foundation
import Node
import Shell
import StateContent
import StateNetwork
import StateStore

/// A command that runs a node until it ends.
protocol NodeCommand: ParsableCommand {
    var node: NodeOptions { get }

    /// What the options say.
    func settings() throws -> RuntimeSettings

    /// What is to be done before the node begins.
    func prepare(_ settings: RuntimeSettings) throws
}

extension NodeCommand {
    func prepare(_ settings: RuntimeSettings) throws {}

    func run() throws { try run(telling: []) }

    /// Runs the node and leaves the process with its exit code, unless that is 0. `lines` are told first.
    func run(telling lines: [String]) throws {
        var settings = try settings()
        if node.ephemeral { settings.dataDirectory = try DataDirectory.ephemeral() }
        let code = Result {
            try prepare(settings)
            return try NodeRuntime.run(settings, telling: lines)
        }
        if node.ephemeral { try settings.dataDirectory.remove() }
        if try code.get() != 0 { throw ExitCode(try code.get()) }
    }
}

extension Carousel {
    /// `carousel run`
    struct Run: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Holds a part of the state and serves it.",
            discussion: """
                Fills the arc round its own id from the other nodes, keeps it at the newest anchors and at the head, \
                and serves it. Prints 'ready enr=...' when others may join by it. Runs until SIGINT or SIGTERM.
                """)

        @OptionGroup var node: NodeOptions
        @OptionGroup var fetch: FetchOptions

        @Option(
            name: .long,
            help: ArgumentHelp(
                "How much of the ring to hold (default: auto, as much as --storage-capacity has room for).",
                discussion: """
                    auto: one section at first, and twice as much whenever what is held says that there is room. \
                    static:N: the 2^N keys round the id; static:256 is all, static:255 the half, static:254 the \
                    quarter.
                    """, valueName: "auto|static:N"),
            transform: { try Radius($0) })
        var radius = Radius.auto

        @Flag(
            name: .long,
            help: ArgumentHelp(
                "Throw away the state that is held, which is damaged, and fill the arc from the other nodes again.",
                discussion: "The key, the nodes that are known and the size of the arc are kept."))
        var rebuild = false

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Memory for sections encoded ahead of requests, with a unit (256MiB; default: 0B, none).",
                discussion: "At each new anchor half of the workers encode what is held, as far as this goes.",
                valueName: "size"),
            transform: ByteCount.parse)
        var serveAhead = ByteCount(bytes: 0)

        func settings() throws -> RuntimeSettings {
            var settings = try RuntimeSettings(role: .holder, node: node, fetch: fetch)
            settings.arcPlan = radius.plan
            settings.limits.serveAheadBytes = serveAhead.bytes
            return settings
        }

        func prepare(_ settings: RuntimeSettings) throws {
            if rebuild { try StoreRebuild.run(settings.dataDirectory, networkFile: settings.networkFile) }
        }
    }

    /// `carousel sync`
    struct Sync: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetches the whole state, verified, and follows the chain.",
            discussion: """
                Walks the keyspace from 0x00 on, in lanes, at the newest anchor; carries what it holds over every \
                epoch boundary by diffs; ends with the complete state at an anchor whose root it recomputed itself; \
                then goes to the head and follows. Killed at any moment, it goes on where it was. Serves what it has \
                meanwhile.
                """)

        @OptionGroup var node: NodeOptions
        @OptionGroup var fetch: FetchOptions
        @OptionGroup var blocks: BlockOptions

        @Option(
            name: .long,
            help: ArgumentHelp(
                "Keep all accounts, and storage and code of these contracts alone (default: the whole state).",
                discussion: """
                    'accounts' alone, or 'accounts,0xADDRESS,...'. Of every other contract the storage root is kept \
                    current, and no slot. Such a node serves nobody. A data directory is of one kind for good; the \
                    contracts may be others at the next start.
                    """, valueName: "accounts[,address...]"),
            transform: OnlySome.parse)
        var only = KeptStorage.all

        @Flag(
            name: .long,
            help: ArgumentHelp(
                "Apply blocks, from genesis on (with --chain) or on top of a state that was fetched before.",
                discussion: """
                    Headers come first, then blocks with their access lists from many peers at once; each is checked \
                    by itself, and the state root of every batch is compared. Blocks are applied once they are final. \
                    From genesis on that takes a network whose checkpoint is genesis, and peers that keep all its \
                    blocks. A data directory with a whole state, as 'sync --until-synced' leaves it, needs but the \
                    blocks above its anchor.
                    """))
        var blockByBlock = false

        @Option(
            name: .long,
            help: ArgumentHelp(
                "With --block-by-block from genesis on: a chain directory, of which genesis alone is read.",
                valueName: "dir"))
        var chain: String?

        @Option(
            name: .long,
            help: ArgumentHelp(
                "With --block-by-block: how to come to the head when it is far (default: blocks).",
                discussion: """
                    blocks: by blocks, however many. state: the state of the newest anchor is fetched first, and \
                    blocks are applied from there on. auto: state where it is more than two epochs away or costs \
                    fewer bytes, blocks otherwise. 'carousel status' shows both costs.
                    """, valueName: "blocks|state|auto"))
        var catchUp = CatchUp.blocks

        @Flag(
            name: .long,
            help: ArgumentHelp(
                "End with exit code 0 once the state is complete at an anchor.",
                discussion: "With --block-by-block: once the last final block is applied."))
        var untilSynced = false

        @Option(
            name: .long, help: ArgumentHelp("End with exit code 0 once block N is verified.", valueName: "n"),
            transform: Bounds.whole(UInt64.min...UInt64.max))
        var untilBlock: UInt64?

        func validate() throws {
            if untilSynced && untilBlock != nil {
                throw ValidationError("--until-synced and --until-block cannot both be the end: give one")
            }
            guard blockByBlock else {
                guard chain == nil, blocks.keepBlocks == nil, catchUp == .blocks else {
                    throw ValidationError(
                        "--chain, --keep-blocks and --catch-up are for --block-by-block alone")
                }
                return
            }
            guard only.isAll else {
                throw ValidationError("--only cannot go with --block-by-block: blocks are applied to the whole state")
            }
            guard catchUp == .blocks else { return }
            guard fetch.maxDownloadRate == nil, fetch.lanes == Defaults.lanes, fetch.rangeSize == Defaults.rangeSize
            else {
                throw ValidationError(
                    "--max-download-rate, --lanes and --range-size are for state alone, and cannot go with "
                        + "--block-by-block")
            }
        }

        func settings() throws -> RuntimeSettings {
            var settings = try RuntimeSettings(role: .walker, node: node, fetch: fetch)
            settings.end = untilSynced ? .synced : untilBlock.map { .block($0) } ?? .never
            settings.keeping.storage = only
            settings.keeping.blocks = try blocks.plan(headers: node.pruneHeaders, applies: blockByBlock)
            settings.keeping.blocks.catchUp = catchUp
            if let chain { settings.replay = RuntimeSettings.Replay(genesisOf: chain) }
            try OnlySome.check(only, depth: settings.sectionDepth)
            return settings
        }
    }

    /// `carousel bridge`
    struct Bridge: NodeCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replays a recorded chain into the network.",
            discussion: """
                Verifies each block of a chain directory (genesis.json, genesis_header.rlp, chain.rlp, and bals.rlp or \
                diffs.jsonl), signs head and final block, and gossips every block's section diffs and every anchor's \
                crown. Serves ranges only to nodes that fill their arcs. Where blocks are mined, or signed by a \
                committee (certificates.rlp), it signs nothing.
                """)

        @OptionGroup var node: NodeOptions
        @OptionGroup var blocks: BlockOptions

        @Option(name: .long, help: ArgumentHelp("The chain's directory (required).", valueName: "dir"))
        var chain: String?

        @Option(
            name: .long,
            help: ArgumentHelp(
                "The pace, a decimal number (default: \(Defaults.blocksPerSecond)).", valueName: "n"),
            transform: Bounds.above0(through: 10_000))
        var blocksPerSecond = Defaults.blocksPerSecond

        @Option(
            name: .long,
            help: ArgumentHelp(
                "The block this far below the head is signed as final (default: \(Defaults.finalityDepth)).",
                valueName: "n"),
            transform: Bounds.whole(0...ChainLimits.finalityDepth))
        var finalityDepth = Defaults.finalityDepth

        @Option(
            name: .long,
            help: ArgumentHelp(
                "A file with an attesting key ('carousel key signing'); may be repeated (required where keys attest).",
                valueName: "file"))
        var signingKeyFile: [String] = []

        @Flag(
            name: .long,
            help: ArgumentHelp(
                "Keep the addresses and slots of all that blocks change, by their hashes.",
                discussion: "'carousel export --format genesis' needs them. Given later, they are read from the chain.")
        )
        var preimages = false

        func settings() throws -> RuntimeSettings {
            var settings = try RuntimeSettings(role: .bridge, node: node, fetch: nil)
            guard let chain else { throw ValidationError("--chain is missing: give a chain's directory") }
            guard try !signingKeyFile.isEmpty || settings.ruleKind != .attested else {
                throw ValidationError("--signing-key-file is missing: 'carousel key signing FILE' makes one")
            }
            settings.replay = RuntimeSettings.Replay(
                chainDirectory: chain, blocksPerSecond: blocksPerSecond, finalityDepth: finalityDepth,
                signingKeyFiles: signingKeyFile)
            settings.keeping.preimages = preimages
            settings.keeping.blocks = try blocks.plan(headers: node.pruneHeaders, applies: false)
            return settings
        }
    }
}

/// `--radius auto`, or `static:N`.
struct Radius: Sendable {
    let plan: ArcPlan

    static let auto = Radius(plan: .automatic)

    init(plan: ArcPlan) { self.plan = plan }

    init(_ text: String) throws {
        if text == "auto" {
            self = .auto
            return
        }
        guard text.hasPrefix("static:"), let exponent = Int(text.dropFirst(7)), (0...256).contains(exponent) else {
            throw ValidationError(
                "'\(text)' is neither auto nor static:N with N from 0 to 256 (static:255 is half the ring)")
        }
        plan = .fixed(exponent)
    }
}

extension RuntimeSettings {
    /// What the options say, for a node of `role`.
    init(role: Role, node: NodeOptions, fetch: FetchOptions?) throws {
        self.init(
            role: role, dataDirectory: DataDirectory(node.data.dataDir), networkFile: try node.data.networkFile(),
            listen: try node.listenEndpoint())
        addressPlan = try node.addressPlan()
        fallsBackToIPv4 = node.listensAnywhere
        bootNodes = try node.bootRecords()
        nodeKeyFile = node.key.nodeKeyFile
        workers = node.work.count
        storageCapacityBytes = node.storageCapacity.bytes
        keptHeaders = node.pruneHeaders
        limits.rates.upload = node.maxUploadRate?.bytes
        logLevel = node.logLevel
        logFormat = node.logFormat
        statusFile = node.statusFile.map { StatusFile($0) }
        if let fetch {
            limits.rates.download = fetch.maxDownloadRate?.bytes
            rangeBytes = UInt32(fetch.rangeSize.bytes)
            lanes = fetch.lanes
        }
    }
}
