import Discovery
import Primitives

/// A sub-network's protocol id: two bytes in TALKREQ.
public struct NetworkID: Hashable, Comparable, Sendable {
    /// Big endian in TALKREQ.
    public let value: UInt16
    /// Any number names a network.
    public init(value: UInt16) { self.value = value }

    /// "Merry-go-round": the state.
    public static let state = NetworkID(value: 0x4353)
    /// "Block by block": the chain.
    public static let chain = NetworkID(value: 0x4342)

    /// The protocol id as TALKREQ carries it.
    public var bytes: [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

    /// nil unless there are two bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 2 else { return nil }
        value = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    public static func < (a: NetworkID, b: NetworkID) -> Bool { a.value < b.value }
}

/// What an overlay is told once.
public struct OverlayConfiguration: Sendable {
    /// One sub-network.
    public struct Network: Sendable {
        /// The protocol id.
        public var id: NetworkID
        /// The ping payload type of its own (10,101 state, 10,102 chain), named among our capabilities; nil for none.
        public var extensionType: UInt16?
        /// What else is named there: of the network's own making, and no type of a payload.
        public var otherCapabilities: [UInt16]
        /// What an asker gets, inline, while all slots are in use: the network's way to say "busy". With nil it gets
        /// an empty list of records, the Portal wire's "not here".
        public var busyAnswer: [UInt8]?
        /// The most bytes that our answer to a key may have. So much memory is set aside before it is made.
        public var answerBytes: @Sendable (_ key: [UInt8]) -> Int

        /// A network without an extension has type 0 and 1 payloads only.
        public init(
            id: NetworkID, extensionType: UInt16? = nil, otherCapabilities: [UInt16] = [], busyAnswer: [UInt8]? = nil,
            answerBytes: @escaping @Sendable (_ key: [UInt8]) -> Int = { _ in OverlayLimits.inlineContentBytes }
        ) {
            self.id = id
            self.extensionType = extensionType
            self.otherCapabilities = otherCapabilities
            self.busyAnswer = busyAnswer
            self.answerBytes = answerBytes
        }
    }

    /// Execution chain id, in the record's `p` entry. Nodes of another chain never enter a table.
    public var chainID: UInt64
    /// Our sub-networks; each id once.
    public var networks: [Network]
    /// Versions of the Portal wire we speak.
    public var versions: ClosedRange<UInt64> = 2...2
    /// The name in ping payload 0 ("name/version-commit/os-cpu/language-version"), cut to 200 bytes.
    public var clientInfo = "carousel"
    /// Where the local record says we are reached; without it the record names no address.
    public var endpoint: Endpoint?
    /// The local record's sequence number; must grow from run to run.
    public var recordSequence: UInt64 = 1

    /// Between two PINGs to a peer of the routing table, ±25 %.
    public var pingInterval = Interval.seconds(30)
    /// The same to a peer that the network above keeps, as long as there are not more of them than
    /// `OverlayLimits.keptPingRate` allows.
    public var keptPingInterval = Interval.seconds(5)
    /// Between two searches for new nodes of a network; while the table has fewer than a bucket of them, a quarter.
    public var refreshInterval = Interval.seconds(60)
    /// How long a request waits for its TALKRESP on a standing session; nil: as Discovery has it.
    public var requestTimeout: Interval?
    /// Requests that fail one after the other before a peer leaves the tables.
    public var failuresBeforeLoss = OverlayLimits.failuresBeforeLoss
    /// Bytes a second that content may have on its way out, by streams and inline, over all peers; nil: no limit.
    public var sentBytesPerSecond: UInt64?
    /// How long an OFFER and its stream may take.
    public var offerTimeout = OverlayLimits.offerTimeout
    /// Whether nodes of one subnet are limited in a table (loopback always exempt).
    public var limitsSubnets = true
    /// The discv5 machine's own; `talkProtocols` is filled in here.
    public var discovery = Discovery.Configuration()

    /// The defaults for everything else.
    public init(chainID: UInt64, networks: [Network]) {
        self.chainID = chainID
        self.networks = networks
    }
}

/// What a peer's own ping payload of the network last said; opaque here.
public struct PeerExtension: Hashable, Sendable {
    /// The network's own payload type.
    public let type: UInt16
    /// Its bytes as they came.
    public let payload: [UInt8]
    /// When it arrived.
    public let receivedAt: Instant
}

/// A peer of one network, or a node that was met there and may become one: alive.
public struct PeerInfo: Hashable, Sendable {
    /// The newest record known.
    public let record: NodeRecord
    /// Where it is reached.
    public let address: NodeAddress
    /// As its type 0 or 1 payload said, or `noteRadius` (which knows the extension's).
    public let radius: UInt256
    /// Ping payload types it understands.
    public let capabilities: [UInt16]
    /// Name and version it gives itself; bytes as they came.
    public let clientInfo: [UInt8]
    /// nil until it has spoken the network's extension.
    public let lastExtension: PeerExtension?
    /// How it behaved, over all networks.
    public let standing: PeerStanding
    /// Whether the network above keeps it.
    public let isKept: Bool

    /// The peer's node id.
    public var id: Bytes32 { record.id }
}

/// What is known of how a node behaved, over all networks.
public struct PeerStanding: Hashable, Sendable {
    /// −100…100; 0 for a stranger. Below −60 the node is banned for a while.
    public internal(set) var score: Double = 0
    /// Mean time from PING to PONG, exponentially weighted; nil before the first.
    public internal(set) var roundTrip: Interval?
    /// The same from a request for content to its first answer, and from a request that failed to its end.
    public internal(set) var answerTime: Interval?, failureTime: Interval?
    /// Bytes a second that the peer has for us, over all its streams at once, exponentially weighted; nil before the
    /// first.
    public internal(set) var throughput: Double?
    /// By network, in the configuration's order: the last requests of ours for content. PINGs and offers say nothing of
    /// them, and what is small and at hand says nothing of what has to be made.
    var windows: [OutcomeWindow] = []
    /// Offers of the peer's that we accepted: those that failed never came.
    var offers = OutcomeWindow()
    /// Failures since the last success.
    public internal(set) var failuresInARow = 0
    /// The end of a ban; past or nil when there is none.
    public internal(set) var bannedUntil: Instant?

    /// Failed requests for content of the last 32 on each network, 0…1.
    public var failureRate: Double {
        sampleCount == 0 ? 0 : Double(windows.reduce(0) { $0 + $1.failures }) / Double(sampleCount)
    }

    /// Offers that were accepted and never came, of the last 32 accepted, 0…1.
    public var brokenOfferRate: Double { offers.rate }

    /// Requests that the failure rate is made of, at most 32 on each network.
    public var sampleCount: Int { windows.reduce(0) { $0 + $1.count } }

    /// The window of one network, by its place in the configuration.
    func window(_ network: Int) -> OutcomeWindow {
        windows.indices.contains(network) ? windows[network] : OutcomeWindow()
    }

    /// Seconds until `bytes` of content are here, as far as experience tells: the time to an answer, the transfer
    /// beside `load` others that are under way already, and the failures that come before it at the failure rate of
    /// the network (by its place in the configuration). One that has not answered yet gets a second request only where
    /// nobody else is at hand.
    func expectedSeconds(for bytes: Int, load: Int = 0, network: Int = 0) -> Double {
        let trip = (answerTime ?? roundTrip ?? OverlayLimits.unknownRoundTrip).seconds
        let shared = Double(max(bytes, 0)) * Double(1 + max(load, 0))
        let success = trip + shared / max(throughput ?? OverlayLimits.unknownThroughput, 1)
        let window = window(network)
        let failures = Double(window.failures)
        // One success beside the failures keeps it finite.
        let perSuccess = failures / (Double(window.count + 1) - failures)
        let doubt = window.count == 0 ? Double(max(load, 0)) * OverlayLimits.untriedSeconds : 0
        return success + perSuccess * max(success, failureTime?.seconds ?? 0) + doubt
    }

    /// Whether a ban holds at `now`.
    public func isBanned(at now: Instant) -> Bool { bannedUntil.map { now < $0 } ?? false }
}

/// How the last exchanges of one kind with a peer went, at most 32.
struct OutcomeWindow: Hashable, Sendable {
    /// Newest lowest: 1 failed.
    private var bits: UInt32 = 0
    private(set) var count = 0

    var failures: Int { bits.nonzeroBitCount }
    /// 0…1.
    var rate: Double { count == 0 ? 0 : Double(failures) / Double(count) }

    mutating func note(failed: Bool) {
        bits = bits << 1 | (failed ? 1 : 0)
        count = min(count + 1, 32)
    }
}

/// Bytes of content exchanged with one peer on one network: values only, no keys, headers or repetitions.
public struct PeerTraffic: Hashable, Sendable {
    /// Content that answered requests of ours, inline or by stream; refused content too.
    public internal(set) var contentReceived: UInt64 = 0
    /// Content that requests of the peer got.
    public internal(set) var contentSent: UInt64 = 0
    /// Items the peer offered and we took.
    public internal(set) var offersReceived: UInt64 = 0
    /// Items we offered and the peer took.
    public internal(set) var offersSent: UInt64 = 0

    /// All that came from the peer.
    public var received: UInt64 { contentReceived + offersReceived }
}

/// An item offered or received: its content key and value.
public struct ContentItem: Hashable, Sendable {
    /// The content key.
    public var key: [UInt8]
    /// The content.
    public var value: [UInt8]
    /// Both as they go on the wire.
    public init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// What an asker of content gets.
public enum ContentAnswer: Hashable, Sendable {
    case content([UInt8])
    /// Nodes that may have it.
    case records([NodeRecord])
}

/// How an exchange of content went, for accounting.
public struct ExchangeReport: Hashable, Sendable {
    /// Where the content was asked for.
    public let network: NetworkID
    /// Who was asked.
    public let peer: Bytes32
    /// Bytes of content received.
    public let bytes: Int
    /// From the request to its end.
    public let duration: Interval
    /// From the request to the first answer (content, connection id or failure).
    public let firstAnswer: Interval
    /// Whether the content came by a stream.
    public let byStream: Bool
}

/// What a peer did, in the view of the floors above.
public enum PeerVerdict: Hashable, Sendable {
    /// Content that was verified and new.
    case useful
    /// Content that was not what it claims to be: nobody sends that by accident.
    case lie
    /// Something out of order, but possibly in good faith (late, stale, out of place).
    case unhelpful
}

/// A peer that may be asked for something.
public struct AskCandidate: Sendable {
    public let id: Bytes32
    /// Requests of ours that it has to answer.
    public let load: Int
    /// Whether another peer of its network prefix (IPv4 /24, IPv6 /48; loopback exempt) has something to answer.
    public let sharesPrefix: Bool
    /// How long it has owed an answer, where that is longer than usual: it may owe the next one as long.
    public let silentFor: Interval

    public init(id: Bytes32, load: Int, sharesPrefix: Bool = false, silentFor: Interval = .zero) {
        self.id = id
        self.load = load
        self.sharesPrefix = sharesPrefix
        self.silentFor = silentFor
    }
}
