import Primitives

/// What we say of ourselves on one network: the payloads that our PING and PONG carry there.
struct LocalProfile: Sendable {
    /// The network's place in the configuration.
    let index: Int
    let id: NetworkID
    /// Its protocol id as TALKREQ carries it.
    let protocolID: [UInt8]
    /// The network's own payload type; nil for none.
    let extensionType: UInt16?
    /// Ping payload types we understand on this network, and what else it tells of, ascending.
    let capabilities: [UInt16]
    private let clientInfo: [UInt8]
    private(set) var radius = UInt256.zero
    private(set) var extensionPayload: [UInt8]?

    init(_ network: OverlayConfiguration.Network, index: Int, clientInfo: String) {
        self.index = index
        id = network.id
        protocolID = network.id.bytes
        extensionType = network.extensionType
        let own = (network.extensionType.map { [$0] } ?? []) + network.otherCapabilities
        capabilities =
            [PingPayload.clientInfoType, PingPayload.radiusType] + own.sorted() + [PingPayload.errorType]
        self.clientInfo = Array(clientInfo.utf8.prefix(OverlayLimits.clientInfoBytes))
    }

    /// Says something else from now on; false where that is no news.
    mutating func set(radius: UInt256, extensionPayload: [UInt8]?) -> Bool {
        guard self.radius != radius || self.extensionPayload != extensionPayload else { return false }
        self.radius = radius
        self.extensionPayload = extensionPayload
        return true
    }

    /// The payload type that a PING to a node of these capabilities bears.
    func pingType(for capabilities: [UInt16]) -> UInt16 {
        guard let extensionType, extensionPayload != nil, capabilities.contains(extensionType) else {
            return PingPayload.clientInfoType
        }
        return extensionType
    }

    /// Our payload of a type; nil for a type that we have nothing of.
    func payload(of type: UInt16) -> [UInt8]? {
        if type == extensionType { return extensionPayload }
        do throws(SSZError) {
            switch type {
            case PingPayload.clientInfoType:
                return try PingPayload.clientInfo(client: clientInfo, radius: radius, capabilities: capabilities)
                    .encoded()
            case PingPayload.radiusType:
                return try PingPayload.radius(radius).encoded()
            default:
                return nil
            }
        } catch {
            return nil
        }
    }

    /// A PING of a type; nil for a type that we have nothing of.
    func ping(of type: UInt16, sequence: UInt64) -> PortalMessage? {
        payload(of: type).map { .ping(recordSequence: sequence, type: type, payload: $0) }
    }
}
