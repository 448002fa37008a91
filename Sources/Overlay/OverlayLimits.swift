import Primitives

/// Every bound of this floor: unit, reason and source of each.
public enum OverlayLimits {
    // Sizes of the wire, bytes.

    /// A discv5 packet (1,280) less masking IV 16, static header 23, source id 32, tag 16, message type 1, list header
    /// 3, request id 9 and string header 3 leaves 1,177 bytes for a TALKRESP; two are kept in reserve.
    static let responseBytes = 1_175
    /// Content that travels inside its CONTENT message; the Portal clients' own figure, a little below `responseBytes`.
    public static let inlineContentBytes = 1_165
    /// A request of ours: a TALKREQ carries the protocol id too. Specs/wire.md, 2.
    static let requestBytes = 1_024
    /// A key we ask for: a request less selector and offset.
    package static let askedKeyBytes = requestBytes - 5
    /// Selector and offset of an OFFER, before its keys.
    static let offerOverhead = 5
    /// A request that may have to ride in a handshake packet beside our record (up to 300 bytes).
    /// Specs/wire.md, 2.
    static let handshakeRequestBytes = 700

    // Limits of the SSZ containers. Portal wire, version 2.

    /// Bytes of a ping payload.
    static let pingPayloadBytes = 1_100
    /// Distances in FIND_NODES.
    static let distances = 256
    /// Records in NODES and CONTENT.
    static let records = 32
    /// Bytes of one record on the wire. EIP-778 allows 300; the list's own limit is wider.
    static let recordBytes = 2_048
    /// Bytes of a content key.
    static let contentKeyBytes = 2_048
    /// Bytes of content inside CONTENT.
    public static let contentBytes = 2_048
    /// Keys in OFFER, codes in ACCEPT.
    static let offerKeys = 64
    /// Bytes of the client's name in ping payload 0.
    static let clientInfoBytes = 200
    /// Capabilities in ping payload 0.
    static let capabilities = 400
    /// Bytes of the message in ping payload 65,535.
    static let errorMessageBytes = 300

    // The table.

    /// Nodes in a bucket (k), and in the replacement list beside it. As discv5.
    public static let bucketSize = 16
    /// Nodes of one IPv4 /24 or IPv6 /48 in a bucket: as few as in the table of Discovery.
    static let subnetNodesPerBucket = 2
    /// Nodes of one IPv4 /24 or IPv6 /48 in a table: as few as in the table of Discovery.
    package static let subnetNodesPerTable = 10
    /// Peers that the network above keeps, in the routing table or not: three holders for each of 4,096 sections, and a
    /// third more for what moves; some 700 bytes each.
    public static let keptPeers = 16_384
    /// Nodes remembered that were met and found no place, and for how long none of them is pinged again unasked.
    static let metNodes = 2_048, metMemory = Interval.seconds(60)
    /// Requests that fail one after the other before a peer leaves the table.
    static let failuresBeforeLoss = 3

    // Lookups.

    /// Queries of one lookup in flight (α of Kademlia), each on a path of its own.
    static let lookupParallelism = 3
    /// Candidates a lookup holds at most.
    package static let lookupCandidates = 128
    /// Queries one lookup makes at most.
    package static let lookupQueries = 64
    /// Lookups running at once, all networks.
    static let lookups = 32
    /// Distances we name in one FIND_NODES.
    static let askedDistances = 8

    // Admission of peers.

    /// Nodes waiting for their first PING, per network.
    package static let candidates = 512
    /// First PINGs in flight, per network: in all for nodes that nobody seeks, and with those that are sought.
    static let candidatePings = 16, soughtPings = 64
    /// Nodes remembered for another visit after a failed PING, per network.
    package static let revisits = 256
    /// The wait before the first such visit, short because a lost packet is the likeliest reason: a handshake has four,
    /// and where every fifth is lost more of them fail than not. Every second failure doubles it.
    static let revisitDelay = Interval.milliseconds(500)
    /// Failed visits after which a node that is not a boot node is forgotten: a quarter of an hour.
    static let revisitAttempts = 20

    // Exchanges.

    /// Requests for content of ours under way, in all and to one peer.
    package static let contentRequests = 1_024, contentRequestsPerPeer = 64
    /// Requests for content of others that are answered or streamed, in all and for one peer.
    package static let servedContents = 512, servedContentsPerPeer = 32
    /// Bytes of answers under way: made, or being made, and not yet taken by their readers; in all and for one IPv4 /24
    /// or IPv6 /48. They are what others can make us hold; the store's own memory comes on top.
    package static let answersUnderWay = 48 << 20, answersUnderWayPerSubnet = 24 << 20
    /// The same for one peer that has more than one answer: four ranges of the usual megabyte, and what is small
    /// besides.
    static let answerWindow = 6 << 20
    /// A reader that, after so long, has taken less than so many bytes a second loses its answer where others wait for
    /// the room; so does an offerer whose items come more slowly. A poor line of 1 Mbit/s is twice as fast.
    package static let slowPatience = Interval.seconds(2), slowRate = 65_536.0
    /// Bytes that a stream of content must have brought from one look to the next to be waited for beyond its request's
    /// timeout, which at most `serveTimeout` ends: 2 KB/s, a share of the least limit that is of use. Whoever lets a
    /// stream creep at that pace takes one lane of an asker's, for two minutes.
    static let livingStreamBytes = 16 << 10, livingStreamLook = Interval.seconds(8)
    /// Between two looks for such readers, as long as somebody waits.
    static let reliefInterval = Interval.milliseconds(250)
    /// Offers of ours under way, in all and to one peer.
    static let offers = 1_024, offersPerPeer = 16
    /// Bytes of items that are offered or on their way, in all and to one peer: what receivers who take their time make
    /// us hold. Beyond them an offer comes to nothing, and the receiver asks for what it lacks.
    static let offerBytes = 128 << 20, offerBytesPerPeer = 3 * offerStreamBytes
    /// Offers of ours that wait to be made once more, in all and to one peer; beyond them the codes are final.
    package static let restingOffers = 512, restingOffersPerPeer = 8
    /// The wait before that, after "rate limited": a receiver's slots turn over in some hundred milliseconds unless
    /// someone holds them. After "in progress": by then the other has brought the item, or was waited for too long.
    public static let offerAgainDelay = Interval.seconds(1), inProgressDelay = Interval.seconds(3)
    /// A node of whose last accepted offers (32 at most, this many at least) more than this share never came gets one
    /// slot for them. Sui's state sync calls 30 % failing (MystenLabs/sui#24894); here it is wider, for lossy paths.
    static let brokenOfferRate = 0.5, brokenOffersCounted = 8
    /// Offers of others under way, in all and from one peer.
    package static let inboundOffers = 64, inboundOffersPerPeer = 8
    /// Bytes that their accepted items may have, in all and from one peer: what they may make us hold at once. Sixteen
    /// offers of the largest kind; without it the slots alone would promise half a gigabyte.
    package static let inboundOfferBytes = 16 * offerStreamBytes, inboundOfferBytesPerPeer = 4 * offerStreamBytes
    /// Bytes of the items accepted from one OFFER. A block's diffs are far below it: some 80 KB on mainnet.
    public static let offerStreamBytes = 8 << 20
    /// Bytes of one answer. Specs/wire.md, 2.
    static let answerBytes = 32 << 20
    /// Streams with one peer: what all its exchanges may need.
    static let streamsPerPeer =
        contentRequestsPerPeer + servedContentsPerPeer + 2 * offersPerPeer + inboundOffersPerPeer
    /// PING and FIND_NODES one node may send a second, and at once; more are dropped. The other requests hold slots.
    package static let requestRate = 20.0, requestBurst = 100.0
    /// How often a request that got no answer is sent in all. FIND_CONTENT, OFFER and FIND_NODES may be repeated
    /// safely.
    package static let requestAttempts = 2
    /// The answer to FIND_CONTENT is given as a connection id after this time if the content is not ready: the asker's
    /// discv5 request lives for 500 ms only.
    static let earlyAnswerDelay = Interval.milliseconds(200)
    /// An OFFER that was not decided by then is declined with code 4, for the same reason.
    static let offerDecisionDelay = Interval.milliseconds(300)
    /// A served answer (making it and sending it) may take this long. The asker's own timeout is usually shorter.
    package static let serveTimeout = Interval.seconds(120)
    /// An OFFER and its stream may take this long, on both sides.
    static let offerTimeout = Interval.seconds(60)

    // PING.

    /// Bytes of a network's own ping payload. Specs/wire.md, 5.
    package static let extensionPayloadBytes = 700
    /// PINGs a second that the upkeep of kept peers takes at most: with more of them each is pinged less often. At 600
    /// bytes for a PING with its PONG that is 12 KB/s.
    static let keptPingRate = 20
    /// PINGs a second by which news that peers wait for are told.
    static let urgentPingRate = 200
    /// A PING that failed is repeated after this, so that a dead peer is known to be one in a few seconds.
    static let failedPingDelay = Interval.seconds(2)

    // The peer book.

    /// Nodes with a standing. The least recently used one without traffic makes room.
    package static let standings = 8_192
    /// Between two PINGs that carry a changed payload to the same peer. Specs/wire.md, 11.
    static let payloadPingGap = Interval.seconds(5)
    /// The same to the few that the network above names as waiting for each bit of news: a walker needs several seconds
    /// for a section of a large state, and a second for a hundred of a small one.
    package static let eagerPingGap = Interval.seconds(1)
    /// The same for a payload that peers wait for, such as a new anchor: once in an epoch.
    static let urgentPingGap = Interval.milliseconds(250)
    /// A ban begins below the one score; no score exceeds the other.
    static let banScore = -60.0, highestScore = 100.0
    /// How long a ban lasts.
    package static let banInterval = Interval.seconds(600)
    /// What a broken rule and a lie cost. Rules are also broken by old or careless programs; a lie is none of these.
    package static let breachPoints = 20.0, liePoints = 200.0
    /// What useful content earns, and what content costs that was of no use though no lie.
    static let usefulPoints = 2.0, unhelpfulPoints = 5.0
    /// The share of choices among peers that goes to the one not chosen for longest, so that a peer that became better,
    /// or is new, is noticed. Source: MystenLabs/sui#24894 (0.1).
    package static let explorationShare = 0.1
    /// What is taken for the throughput (bytes a second) and round trip of a peer that was never measured: hopeful, so
    /// that each is tried soon.
    static let unknownThroughput = 4e6, unknownRoundTrip = Interval.milliseconds(50)
    /// What each request under way to a peer costs the next one (seconds) as long as none was ever answered or failed:
    /// one that never answers shall not hold all lanes at once for a timeout.
    static let untriedSeconds = 10.0
    /// A peer most of whose exchanges failed is explored at most this often: it may cost a whole timeout each time.
    package static let failingRate = 0.5, failingGap = Interval.seconds(60)
    /// Streams smaller than this (bytes) say nothing about throughput.
    static let throughputSampleBytes = 8_192
}
