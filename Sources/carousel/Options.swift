import ArgumentParser
import Discovery
import Foundation
import Primitives
import Shell
import StateNetwork

extension ByteCount: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }

    /// The count, or an error that tells how to write one.
    static func parse(_ text: String) throws -> ByteCount {
        guard let count = ByteCount(text) else {
            throw ValidationError("write a number and a unit: B, KB, MB, GB, KiB, MiB or GiB")
        }
        return count
    }
}

/// What options are where they are not given. The parser tells no default of an option that is read by a function of
/// ours, so the help says it.
enum Defaults {
    static let udpPort: UInt16 = 9009
    static let storageCapacity = ByteCount(bytes: 64 << 30)
    static let rangeSize = ByteCount(bytes: 1 << 20)
    static let lanes = 16
    static let blocksPerSecond = 1.0
    static let finalityDepth: UInt64 = 2
    static let secondsOfADoctor = 30
}

extension LogLevel: ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
extension CatchUp: ExpressibleByArgument {}

/// Where a node's files are.
struct DataOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("The directory of the node's key and state.", valueName: "dir"))
    var dataDir = DataDirectory.standard()

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The network's configuration, a JSON file, or the name of one that is installed (required).",
            discussion: """
                Names are looked for in ~/.config/carousel/networks, /etc/carousel/networks and where the program is \
                installed.
                """, valueName: "file|name"))
    var network: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A JSON file with the options that are not given here.",
            discussion: """
                {"udp-port": 9010} is --udp-port 9010. Each option can also be set by the environment: \
                CAROUSEL_UDP_PORT=9010. The command line comes before the environment, and that before the file.
                """, valueName: "file"))
    var config: String?

    /// The configuration's path. Not left to the parser, which would complain of this first, and only then of a flag
    /// that it does not know.
    func networkFile() throws -> String {
        guard let network else {
            throw ValidationError("--network is missing: give the network's configuration file")
        }
        return try NetworkFolder.file(of: network)
    }
}

/// Where a node's secret key is.
struct KeyFileOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The file of the node's secret key (default: node.key in the data directory).", valueName: "file"))
    var nodeKeyFile: String?
}

/// How many threads do the heavy work.
struct WorkerOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Threads for verifying and serving (default: one a core).", valueName: "n"),
        transform: Bounds.workers)
    var workers: Int?

    /// What was given, or one a core.
    var count: Int { workers ?? ProcessInfo.processInfo.activeProcessorCount }
}

/// What every node is told, whatever its part.
struct NodeOptions: ParsableArguments {
    @OptionGroup var data: DataOptions

    @Option(
        name: .long,
        help: ArgumentHelp("The UDP port; 0 picks a free one (default: \(Defaults.udpPort)).", valueName: "port"),
        transform: Bounds.port)
    var udpPort = Defaults.udpPort

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The address to listen on; any is every one, IPv6 and IPv4, :: too, and 0.0.0.0 is every one of IPv4.",
            valueName: "any|ip"))
    var listenAddress = "any"

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The address that peers are told.",
            discussion: """
                auto: the listen address, where it is a particular one, until peers of ten networks see this node \
                somewhere else; that is withdrawn again if no stranger reaches it there in five minutes. none: the \
                listen address alone. extip: the address, with a port where it differs from the UDP port.
                """, valueName: "auto|none|extip:IP[:PORT]"))
    var nat = "auto"

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Records of nodes to join by, comma between them; none for a network's first node (required).",
            valueName: "none|enr"),
        transform: { try BootNodes($0) })
    var bootnodes: BootNodes?

    @OptionGroup var key: KeyFileOptions
    @OptionGroup var work: WorkerOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The most content to send in a second, over all peers, with a unit (2MiB/s; default: no limit).",
            discussion: "Bounds the packets of streams while they run. Messages that are one packet never wait.",
            valueName: "rate"),
        transform: ByteCount.parse)
    var maxUploadRate: ByteCount?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How large the database may become, with a unit (10GB; default: \(Defaults.storageCapacity)).",
            discussion: "Old history goes first; then a holder keeps a smaller part of the ring.", valueName: "size"),
        transform: ByteCount.parse)
    var storageCapacity = Defaults.storageCapacity

    @Option(
        name: .long,
        help: ArgumentHelp(
            "How many final headers to keep, from the newest down (default: all).",
            discussion: "Who begins at the network's checkpoint needs all of them from somebody.", valueName: "n"),
        transform: Bounds.headers)
    var pruneHeaders: UInt64?

    @Flag(
        name: .long,
        help: ArgumentHelp(
            "Keep nothing: a temporary data directory, removed at the end, instead of --data-dir.",
            discussion: "A node that is killed cannot remove it."))
    var ephemeral = false

    @Option(name: .long, help: ArgumentHelp("How much is logged.", valueName: "level"))
    var logLevel = LogLevel.info

    @Option(name: .long, help: ArgumentHelp("How log lines are written.", valueName: "format"))
    var logFormat = LogFormat.auto

    @Option(
        name: .long,
        help: ArgumentHelp("Keep figures of the node in this file, name=value, for scripts.", valueName: "file"))
    var statusFile: String?

    func validate() throws {
        if let rate = maxUploadRate, rate.bytes < 16 << 10 {
            throw ValidationError("--max-upload-rate must be 16KiB/s at least: with less a request would run out")
        }
        _ = try listenEndpoint()
        _ = try addressPlan()
    }

    /// The nodes to join by.
    func bootRecords() throws -> [NodeRecord] {
        guard let bootnodes else {
            throw ValidationError("--bootnodes is missing: give a node's record (enr:-...), or none for the first node")
        }
        return bootnodes.records
    }

    /// Whether any address will do.
    var listensAnywhere: Bool { listenAddress == "any" }

    /// Where to listen.
    func listenEndpoint() throws -> Endpoint {
        let text = listensAnywhere ? "::" : listenAddress
        guard let endpoint = Endpoint(parsing: text, port: udpPort) else {
            throw ValidationError("--listen-address: '\(listenAddress)' is no IP address: write 127.0.0.1 or ::1")
        }
        return endpoint
    }

    /// What `--nat` says.
    func addressPlan() throws -> AddressPlan {
        guard let plan = AddressPlan(nat) else {
            throw ValidationError("--nat: '\(nat)' is none of auto, none and extip:IP[:PORT]")
        }
        return plan
    }
}

/// What bounds a node that fetches.
struct FetchOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The most state to ask for in a second, with a unit (2MiB/s; default: no limit).",
            discussion: "Bounds ranges, diffs and codes. Block diffs that peers offer come on top, once all is held.",
            valueName: "rate"),
        transform: ByteCount.parse)
    var maxDownloadRate: ByteCount?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The largest range to ask for, with a unit (default: \(Defaults.rangeSize)).", valueName: "size"),
        transform: ByteCount.parse)
    var rangeSize = Defaults.rangeSize

    @Option(
        name: .long,
        help: ArgumentHelp("Requests under way at once (default: \(Defaults.lanes)).", valueName: "n"),
        transform: Bounds.workers)
    var lanes = Defaults.lanes

    func validate() throws {
        guard (4 << 10...32 << 20).contains(rangeSize.bytes) else {
            throw ValidationError("--range-size must be 4KiB to 32MiB")
        }
    }
}

/// Records of nodes to join by.
struct BootNodes: Sendable {
    let records: [NodeRecord]

    /// "none", or text records with commas between them; throws naming the one that is wrong.
    init(_ text: String) throws {
        guard text != "none" else {
            records = []
            return
        }
        records = try text.split(separator: ",").map { part in
            let part = part.trimmingCharacters(in: .whitespaces)
            do {
                return try NodeRecord(text: part)
            } catch let error as NodeRecordError {
                throw ValidationError("the record '\(part.prefix(40))' is refused: \(RecordText.reason(error))")
            }
        }
        guard !records.isEmpty else { throw ValidationError("no record given: write none, or enr:-...") }
    }
}

/// What a node that applies blocks does with them.
struct BlockOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "How many of the newest blocks to keep with their access lists (default: all, or as many as headers).",
            discussion: "For those who go block by block. 0: none.", valueName: "n"),
        transform: Bounds.whole(UInt64.min...UInt64(Int64.max)))
    var keepBlocks: UInt64?

    /// Which blocks are kept. One without its header could be given to nobody.
    func plan(headers: UInt64?, applies: Bool) throws -> BlockPlan {
        guard let keepBlocks else { return BlockPlan(kept: headers ?? .max, applies: applies) }
        if let headers, keepBlocks > headers {
            throw ValidationError(
                "--keep-blocks \(keepBlocks) is more than --prune-headers \(headers): a block is kept no longer than "
                    + "its header")
        }
        return BlockPlan(kept: keepBlocks, applies: applies)
    }
}
