import Chain
import ChainNetwork
import Discovery
import Overlay
import Primitives
import StateContent
import StateNetwork

/// Everything a node is told at its start.
public struct NodeConfiguration: Sendable {
    public var network: NetworkConfiguration
    public var role: Role
    public var key: IdentityKey
    /// The address put into the node record; nil where it is not known yet.
    public var endpoint: Endpoint?
    public var bootNodes: [NodeRecord]
    /// Bridges of the network that its configuration names: where a holder goes that nobody else can fill.
    public var bridges: [NodeRecord]
    /// Whether the record follows what peers see, as long as strangers reach us there. Otherwise it stays as it is.
    public var learnsAddress: Bool
    /// Families of addresses that the socket speaks.
    public var families: AddressFamilies
    /// The record's sequence number: it must grow from start to start; the calendar's milliseconds do.
    public var recordSequence: UInt64
    /// What of the state is kept.
    public var keeping = Keeping(arcPlan: .fixed(256))
    /// Bytes that the store may have, by which a holder chooses its arc; nil: no limit.
    public var storageBytes: Int?
    /// Requests of the walk under way at once; 0: a visitor, which fetches nothing and only asks.
    public var lanes: Int
    /// Upper bound of one range answer, bytes.
    public var rangeBytes: UInt32
    public var rates = Rates()
    /// What is encoded ahead of requests.
    public var serveAhead = ServeAhead()
    /// Secret seeds (32 bytes each) of the attesting keys a bridge signs with.
    public var attestingSeeds: [[UInt8]]
    /// A bridge signs as final the block this far below its head.
    public var finalityDepth: UInt64
    /// Final headers that are kept, from the newest down, beside those of epoch boundaries; nil: all, so that whoever
    /// begins at the checkpoint finds what leads from there.
    public var keptHeaders: UInt64?
    public var knows = KnownContents()
    /// "name/version-commit/os-cpu/language", told to peers.
    public var clientInfo: String

    public init(network: NetworkConfiguration, role: Role, key: IdentityKey, clientInfo: String) {
        self.network = network
        self.role = role
        self.key = key
        self.clientInfo = clientInfo
        endpoint = nil
        bootNodes = []
        bridges = []
        learnsAddress = false
        families = [.ipv4, .ipv6]
        recordSequence = 1
        lanes = 16
        rangeBytes = 1 << 20
        attestingSeeds = []
        finalityDepth = 2
    }

    /// How much of the ring is kept.
    public var arcPlan: ArcPlan {
        get { keeping.arcPlan }
        set { keeping.arcPlan = newValue }
    }

    /// Bytes a second; nil: no limit.
    public struct Rates: Sendable {
        /// What is asked of others.
        public var download: UInt64?
        /// The content that others are sent, over all of them.
        public var upload: UInt64?

        public init(download: UInt64? = nil, upload: UInt64? = nil) {
            self.download = download
            self.upload = upload
        }
    }
}

extension NodeConfiguration {
    /// Whether it has blocks that others may ask for: they come with being applied.
    var keepsBlocks: Bool { keeping.blocks.kept > 0 && (role == .bridge || keeping.blocks.applies) }

    /// What the Portal wire is told.
    var overlay: OverlayConfiguration {
        let depth = network.sectionDepth
        var overlay = OverlayConfiguration(
            chainID: network.chainID,
            networks: [
                OverlayConfiguration.Network(
                    id: .state, extensionType: StatePingPayload.type, otherCapabilities: knows.capabilities,
                    busyAnswer: StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded
                ) { key in
                    guard case .success(let key) = Result(catching: { try StateContentKey(decoding: key) }) else {
                        // What is no key gets names.
                        return OverlayLimits.inlineContentBytes
                    }
                    return key.servedBytes(sectionDepth: depth)
                },
                OverlayConfiguration.Network(
                    id: .chain, extensionType: ChainPingPayload.extensionType,
                    otherCapabilities: keepsBlocks ? [ChainNetworkLimits.blocksCapability] : []
                ) { key in
                    key.first == BlocksKey.selector
                        ? ChainNetworkLimits.blockAnswerBytes : ChainNetworkLimits.answerBytes
                },
            ])
        overlay.clientInfo = clientInfo
        overlay.endpoint = endpoint
        overlay.recordSequence = recordSequence
        overlay.keptPingInterval = NodeLimits.pingInterval
        overlay.sentBytesPerSecond = rates.upload
        overlay.discovery.adoptsVotedAddress = learnsAddress
        overlay.discovery.families = families
        return overlay
    }

    /// What the state network's machine is told.
    var stateSync: StateSync.Configuration {
        var stateSync = StateSync.Configuration(
            network: network, role: role, id: key.nodeID,
            arcPlan: keeping.arcPlan, lanes: lanes,
            rangeBytes: rangeBytes, downloadBytesPerSecond: rates.download, bridges: bridges,
            attestingSeeds: attestingSeeds, finalityDepth: finalityDepth)
        stateSync.knows = knows
        stateSync.keeping = keeping
        stateSync.serveAhead = serveAhead
        stateSync.storageBytes = storageBytes
        return stateSync
    }
}
