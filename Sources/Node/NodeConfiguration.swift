import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateNetwork

/// What part a process plays. All three run the same node.
public enum Role: Sendable, Equatable {
    /// Keeps an arc round its id, at anchors and at the head, and serves it: `carousel run`.
    case holder
    /// Walks the whole ring for a full state; serves what it has as it goes: `carousel sync`.
    case walker
    /// Replays an execution chain, signs its blocks and gossips their diffs: `carousel bridge`. Serves state only to
    /// holders that fill their arcs.
    case bridge

    init(_ announced: StatePingPayload.Role) {
        switch announced {
        case .node: self = .holder
        case .syncing: self = .walker
        case .bridge: self = .bridge
        }
    }

    /// How the role is told to peers.
    var announced: StatePingPayload.Role {
        switch self {
        case .holder: .node
        case .walker: .syncing
        case .bridge: .bridge
        }
    }
}

/// Everything a node is told at its start.
public struct NodeConfiguration: Sendable {
    public var network: NetworkConfiguration
    public var role: Role
    public var key: IdentityKey
    /// The address put into the node record; nil where it is not known yet.
    public var endpoint: Endpoint?
    public var bootNodes: [NodeRecord]
    /// Whether the record follows what peers see, as long as strangers reach us there. Otherwise it stays as it is.
    public var learnsAddress: Bool
    /// Families of addresses that the socket speaks.
    public var families: AddressFamilies
    /// The record's sequence number: it must grow from start to start; the calendar's milliseconds do.
    public var recordSequence: UInt64
    /// The arc is the aligned stretch of 2^radiusExponent keys round the node's id; 256 is the whole ring.
    public var radiusExponent: Int
    public var lanes: Int
    /// Upper bound of one range answer, bytes.
    public var rangeBytes: UInt32
    /// nil: no limit.
    public var downloadBytesPerSecond: UInt64?
    /// Secret seeds (32 bytes each) of the attesting keys a bridge signs with.
    public var attestingSeeds: [[UInt8]]
    /// A bridge signs as final the block this far below its head.
    public var finalityDepth: UInt64
    /// "name/version-commit/os-cpu/language", told to peers.
    public var clientInfo: String

    public init(network: NetworkConfiguration, role: Role, key: IdentityKey, clientInfo: String) {
        self.network = network
        self.role = role
        self.key = key
        self.clientInfo = clientInfo
        endpoint = nil
        bootNodes = []
        learnsAddress = false
        families = [.ipv4, .ipv6]
        recordSequence = 1
        radiusExponent = 256
        lanes = 16
        rangeBytes = 1 << 20
        downloadBytesPerSecond = nil
        attestingSeeds = []
        finalityDepth = 2
    }

    /// Section indices of the arc: the aligned stretch of 2^radiusExponent keys that holds `id`, in whole sections.
    public func arc(of id: Bytes32) -> Range<Int> {
        let depth = network.sectionDepth
        let count = 1 << (4 * depth)
        guard radiusExponent < 256 else { return 0..<count }
        // An arc smaller than a section is widened to one: a section is the unit of responsibility.
        let bits = min(256 - radiusExponent, 4 * depth)
        let width = 1 << (4 * depth - bits)
        let prefix = Int(id.word0 >> UInt64(64 - 4 * depth))
        let start = prefix / width * width
        return start..<(start + width)
    }
}

/// The time of an event: monotonic for timers, the wall clock for the age of attestations.
public struct Moment: Sendable, Equatable {
    public var instant: Instant
    /// Seconds since 1970.
    public var unixSeconds: UInt64

    public init(instant: Instant, unixSeconds: UInt64) {
        self.instant = instant
        self.unixSeconds = unixSeconds
    }
}

extension NodeConfiguration {
    /// What the Portal wire is told.
    var overlay: OverlayConfiguration {
        var overlay = OverlayConfiguration(
            chainID: network.chainID,
            networks: [
                OverlayConfiguration.Network(
                    id: .state, extensionType: StatePingPayload.type,
                    busyAnswer: StateStatus.busy(seconds: NodeLimits.busySeconds).encoded),
                OverlayConfiguration.Network(id: .chain, extensionType: ChainPingPayload.extensionType),
            ])
        overlay.clientInfo = clientInfo
        overlay.endpoint = endpoint
        overlay.recordSequence = recordSequence
        overlay.pingInterval = NodeLimits.pingInterval
        overlay.discovery.adoptsVotedAddress = learnsAddress
        overlay.discovery.families = families
        return overlay
    }
}
