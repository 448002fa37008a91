import Primitives

/// Every bound of the transport, with its unit, reason and source. `UTPConfiguration` starts from these.
public enum UTPLimits {
    /// Bytes of a uTP packet that fit a discv5 packet of 1,280 bytes: what remains after masking IV (16), static header
    /// (23), authdata (32), the AES-GCM tag (16), message type (1) and RLP: list header (3), an 8-byte request id (9),
    /// "utp" (4), header of the data (3). Source: discv5.1 wire, limit 1,280.
    package static let packetBytes = 1_280 - 16 - 23 - 32 - 16 - 1 - 3 - 9 - 4 - 3
    /// Bytes of the header. Source: BEP 29.
    public static let headerBytes = 20
    /// Payload bytes of a full DATA packet. A stream carries payload one way, so DATA never bears a selective ack.
    public static let payloadBytes = packetBytes - headerBytes
    /// Bytes of the longest selective ack: its length is one byte and a multiple of 4. Source: BEP 29.
    package static let selectiveAckBytes = 252
    /// Packets in flight of a stream, and how far ahead of a gap packets are kept: half of what keeps a 16-bit number
    /// unambiguous, and 18 MiB, which fill 1 Gbit/s at a round trip of 150 ms.
    package static let windowPackets = 16_384
    /// Packets in flight to a peer, over all streams.
    static let pathPackets = 65_536
    /// Bytes of packets that came early, a stream; the window advertised. Full packets in all places of
    /// `windowPackets`.
    static let receiveWindowBytes = 18 << 20
    /// Bytes of such packets over all streams; beyond it only packets in order are taken, so every stream still moves.
    static let earlyBytes = 64 << 20
    /// Bytes set aside at first for a payload that is received, and how many times as many when they are full.
    static let gatherBytes = 64 << 10
    static let gatherGrowth = 32
    /// Peers whose path is remembered after its last stream ended, and after what pause what was learnt of it is
    /// doubted: longer than a walker needs between two ranges.
    static let paths = 256
    package static let pathPause = Interval.seconds(2)
    /// Round trips from which on a path is paced, how long its bursts are, and packets of one that need no pacing: a
    /// home router's queue holds some ten; an event loop wakes a thousand times a second without effort.
    static let pacedRoundTrip = Interval.milliseconds(4)
    static let paceInterval = Interval.milliseconds(1)
    static let burstPackets = 10
    /// How much a limit on what leaves may let go at once: an event loop that is busy for so long still keeps to it.
    static let rateBurst = Interval.milliseconds(20)
    /// Packets of a stream before the next one waiting on its path has its turn.
    static let turnPackets = 4
    /// Streams at once, and of one peer. Bounds memory; the peer's share keeps one peer from taking all.
    static let streams = 1_024
    static let streamsPerPeer = 64
    /// Ended streams remembered, so that the peer's repetitions get the last ack again and not a RESET.
    static let endedStreams = 1_024
    /// How long they are remembered: longer than a peer goes on repeating.
    package static let endedStreamTime = Interval.seconds(30)

    /// How long SYNs are repeated: well under a request's time, so that another holder can still be asked within it.
    /// The wait after the first and the second on a path whose round trip is not known, and the growth of the wait in
    /// quarters from then on: 0.2, 0.2, 0.3, 0.45, …. Where the round trip is known the first two waits are a bit more
    /// than half of it, if that is less: a SYN is small, and a stream without one is nothing.
    package static let synTime = Interval.seconds(8)
    static let synWait = Interval.milliseconds(200)
    static let synWaitGrowthQuarters = 6
    /// The shortest time between SYNs repeated because payload came before the SYN's answer.
    static let synRepeatWait = Interval.milliseconds(100)
    /// Packets kept that came before the answer to the SYN; the others are sent again by the peer.
    static let earlyPackets = 64
    /// DATA and FIN packets of one batch that get an ack of their own; and of the first ones of a stream and while a
    /// gap stands, when the sender's window is small and the ack's loss costs it a timeout.
    package static let packetsPerAck = 16
    package static let packetsPerEarlyAck = 4
    package static let earlyAckPackets = 64
    /// Share of packets lost above which the last ones of a stream are said twice. Source: Flach and others, "Reducing
    /// Web Latency: the Virtue of Gentle Aggression" (SIGCOMM 2013).
    static let lossyShare = 0.012
    /// How long an id that was given out waits for its SYN: longer than all SYNs of the peer.
    package static let acceptTime = Interval.seconds(10)
    /// How long `supply` may take.
    static let supplyTime = Interval.seconds(10)
    /// A stream without progress (nothing new acknowledged or received) ends after this. Longer than `supplyTime`.
    package static let idleTime = Interval.seconds(15)

    /// Timeout of a transmission before the first round trip was measured, and its bounds after (RFC 6298, with lower
    /// ones: acks are never delayed here, the first timeout only probes, and a tail must get through within
    /// `idleTime`).
    static let timeoutInitial = Interval.milliseconds(500)
    /// The first one before a round trip was measured; it only probes.
    static let probeInitial = Interval.milliseconds(200)
    /// Timeouts in a row that only probe before all in flight counts as lost. Source: RFC 9002, persistent congestion.
    static let probes = 2
    static let timeoutMinimum = Interval.milliseconds(150)
    static let timeoutMaximum = Interval.milliseconds(1_500)
    /// The least wait before the first probe of an unanswered tail: two packets, no change of the window. Above the
    /// pauses of a busy event loop.
    static let probeTime = Interval.milliseconds(30)
    /// Later transmissions acknowledged before one counts as lost, at first; doubles with every loss found to be mere
    /// reordering, up to the maximum. Source: RFC 5681's three duplicates.
    static let reorderThreshold = 3
    static let reorderThresholdMaximum = 192

    /// Packets of the first window (RFC 6928) and of the smallest: enough for three acks to follow a loss.
    static let initialWindowPackets = 10
    static let minimumWindowPackets = 4
    /// Round trips without a queue and without loss beyond the usual before the window doubles again as at the start.
    static let calmRounds = 4
    /// Queueing delay at which only `rateLowest` is left to us. Source: BEP 29, LEDBAT (RFC 6817).
    static let targetDelay = Interval.milliseconds(100)
    /// The least that the path's own buffer, where losses have shown it to be short, makes of the target: above the
    /// jitter of one-way delays.
    static let targetMinimum = Interval.milliseconds(4)
    /// Queueing delay that is as good as none.
    static let queueNoise = Interval.milliseconds(2)
    /// Queueing delay that ends startup: an eighth of the round trip between these. Source: RFC 9406.
    static let startupQueueLeast = Interval.milliseconds(4)
    static let startupQueue = Interval.milliseconds(16)
    /// How long after startup, and how long after the last time, a sender lets the queue run empty to see its base
    /// delay. Sources: BBR's 10 s; LEDBAT++'s initial slowdown.
    static let firstListen = Interval.seconds(2)
    static let listenInterval = Interval.seconds(10)
    /// How long before its turn it joins another who does.
    static let listenJoin = Interval.seconds(5)
    /// A buffer so short that `targetDelay` never fits: at 1 Gbit/s the fair rate leaves a queue of about this much.
    static let shortQueue = Interval.milliseconds(25)
    /// A buffer that `targetDelay` fits but for single losses: those are not worth a target of one's own.
    static let mediumQueue = Interval.milliseconds(80)
    /// How long a loss tells of the path's buffer: routes rarely change, and it makes us but more timid.
    static let depthTime = Interval.seconds(600)
    /// Packets a second that are fair without a queue and at the target delay: above 10 Gbit/s, and 1 Mbit/s.
    static let rateHighest = 1_000_000.0
    static let rateLowest = 100.0
    /// How long the smallest one-way delay stays the base the queueing delay is measured from: two slots of this.
    static let baseDelaySlot = Interval.seconds(60)
}

/// What a machine may be told to do differently; tests and small machines use it.
public struct UTPConfiguration: Sendable {
    /// Payload bytes of a DATA packet, 1 … `UTPLimits.payloadBytes`.
    public var payloadBytes = UTPLimits.payloadBytes
    /// Bytes held of packets that came early, a stream.
    public var receiveWindowBytes = UTPLimits.receiveWindowBytes
    /// Streams at once.
    public var streams = UTPLimits.streams
    /// Streams at once with one node id.
    public var streamsPerPeer = UTPLimits.streamsPerPeer
    /// Bytes a second that packets with payload of all streams may have; nil: no limit.
    public var sentBytesPerSecond: UInt64?
    /// The first sequence number of every stream; random where nil.
    public var firstSequence: UInt16?

    /// The limits as they stand in `UTPLimits`.
    public init() {}
}
