import Chain
import ChainForge
import Discovery
import Foundation
import Node
import Primitives
import StateContent
import StateNetwork

/// Everything that the command line says about a node's run.
public struct RuntimeSettings: Sendable {
    /// When a sync has done what was asked.
    public enum End: Equatable, Sendable {
        /// It follows for ever.
        case never
        /// Once the state is complete at an anchor.
        case synced
        /// Once this block is verified.
        case block(UInt64)
    }

    /// The recorded chain that a bridge brings into the network; of one that goes block by block its genesis alone.
    public struct Replay: Sendable {
        /// The directory with the chain's files.
        public var chainDirectory: String
        public var blocksPerSecond: Double
        /// A block is signed as final this far below the head.
        public var finalityDepth: UInt64
        /// Files with the attesting keys that sign it.
        public var signingKeyFiles: [String]
        /// Whether nothing but genesis is taken from the directory.
        public var isGenesisAlone = false
        /// The chain that is made while it is replayed; of the directory only genesis is read then, to compare. nil:
        /// the chain is the directory's.
        public var made: LiveChain.Plan?

        /// The genesis of a chain.
        public init(genesisOf directory: String) {
            self.init(chainDirectory: directory, blocksPerSecond: 1, finalityDepth: 0, signingKeyFiles: [])
            isGenesisAlone = true
        }

        public init(
            chainDirectory: String, blocksPerSecond: Double, finalityDepth: UInt64, signingKeyFiles: [String]
        ) {
            self.chainDirectory = chainDirectory
            self.blocksPerSecond = blocksPerSecond
            self.finalityDepth = finalityDepth
            self.signingKeyFiles = signingKeyFiles
        }
    }

    /// How much of the line and of memory it may take.
    public struct Limits: Sendable {
        public var rates = NodeConfiguration.Rates()
        /// Bytes of sections that are encoded ahead of requests; 0: none.
        public var serveAheadBytes: UInt64 = 0

        public init() {}
    }

    public var role: Role
    public var dataDirectory: DataDirectory
    public var networkFile: String
    /// Where to listen; port 0 picks a free one.
    public var listen: Endpoint
    /// Whether 0.0.0.0 will do where `listen` is :: and the machine has no IPv6.
    public var fallsBackToIPv4 = false
    /// What peers are told of it.
    public var addressPlan = AddressPlan.auto
    public var bootNodes: [NodeRecord] = []
    /// nil: the key in the data directory.
    public var nodeKeyFile: String?
    public var workers = ProcessInfo.processInfo.activeProcessorCount
    /// The largest size of the database, bytes.
    public var storageCapacityBytes: UInt64 = 64 << 30
    public var logLevel = LogLevel.info
    public var logFormat = LogFormat.auto
    public var statusFile: StatusFile?
    /// What of the state is kept.
    public var keeping = Keeping(arcPlan: .fixed(256))
    public var limits = Limits()
    public var rangeBytes: UInt32 = 1 << 20
    public var lanes = 16
    public var end = End.never
    /// What a bridge replays; nil for the other roles.
    public var replay: Replay?
    /// Final headers that are kept, from the newest down; nil: all.
    public var keptHeaders: UInt64?

    /// How much of the ring a holder keeps.
    public var arcPlan: ArcPlan {
        get { keeping.arcPlan }
        set { keeping.arcPlan = newValue }
    }

    /// Leading nibbles that name a section of the network; throws what is wrong with its file.
    public var sectionDepth: Int {
        get throws { try NetworkConfigurationFile.read(networkFile).sectionDepth }
    }

    /// What makes a header of the network believed; throws what is wrong with its file.
    public var ruleKind: NetworkConfiguration.Rule.Kind {
        get throws { try NetworkConfigurationFile.read(networkFile).rule.kind }
    }

    public init(role: Role, dataDirectory: DataDirectory, networkFile: String, listen: Endpoint) {
        self.role = role
        self.dataDirectory = dataDirectory
        self.networkFile = networkFile
        self.listen = listen
    }
}
