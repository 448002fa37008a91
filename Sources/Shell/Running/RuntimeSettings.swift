import Discovery
import Foundation
import Node
import Primitives
import StateNetwork

/// What program this is.
public enum ProgramVersion {
    /// The version of the program and of its own wire.
    public static let number = "0.1.0"
    /// Told to people: program, version, system.
    public static let text = "carousel \(number) (\(system))"
    /// Told to peers in the ping payload: name/version/system/language.
    public static let clientInfo = "carousel/\(number)/\(system)/swift"

    private static var system: String {
        #if arch(x86_64)
            return "linux-x86_64"
        #elseif arch(arm64)
            return "linux-aarch64"
        #else
            return "linux"
        #endif
    }
}

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
    /// The arc is 2^radiusExponent keys.
    public var radiusExponent = 256
    public var downloadBytesPerSecond: UInt64?
    public var rangeBytes: UInt32 = 1 << 20
    public var lanes = 16
    public var end = End.never
    /// A bridge's chain, pace, depth of finality and keys.
    public var chainDirectory: String?
    public var blocksPerSecond = 1.0
    public var finalityDepth: UInt64 = 2
    /// Final headers that are kept, from the newest down; nil: all.
    public var keptHeaders: UInt64?
    public var signingKeyFiles: [String] = []

    public init(role: Role, dataDirectory: DataDirectory, networkFile: String, listen: Endpoint) {
        self.role = role
        self.dataDirectory = dataDirectory
        self.networkFile = networkFile
        self.listen = listen
    }
}
