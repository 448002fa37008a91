import Chain
import Primitives

/// What bounds the chain network.
public enum ChainNetworkLimits {
    /// Headers asked for at once: some 140 KB with their certificates, a fraction of what one answer may have.
    public static let batch = 100
    /// Most headers one request may ask for. So many are asked for at once where a line is only weighed.
    static let headersPerRequest = 1_000
    /// Most bytes of a headers answer we make: what fits is sent, the asker goes on from there. Several hundred headers
    /// with their certificates.
    public static let answerBytes = 512 << 10
    /// Most blocks one request may ask for: where blocks are empty so many are one answer.
    public static let blocksPerRequest = 1_000
    /// Most blocks that one request may name: a key is one packet.
    public static let hashesPerRequest = 20
    /// Most bytes of a blocks answer beyond its first block: some thirty of mainnet's with their access lists.
    public static let blockAnswerBytes = 4 << 20
    /// Bytes of an answer that has one block alone: what the wire takes in one stream.
    public static let largestAnswerBytes = 32 << 20
    // Blocks (`BlockSync`).

    /// Among the capabilities in the first PING of this network: that a node keeps blocks and answers 0x51. It is the
    /// selector of their key, which is no type of a payload.
    public static let blocksCapability: UInt16 = 0x51

    /// Blocks applied at once: the state is hashed once for all of them.
    public static let blocksApplied = 256
    /// Blocks that are asked for at once before it is known how large they are.
    static let firstBlocks = 16
    /// Most blocks that are asked for at once: as many as are applied at once.
    static let blocksAsked = 256
    /// Blocks above the last one applied that are asked for, checked or waiting: sixteen batches.
    static let blocksAhead = 4_096
    /// Bytes of blocks that are here and not applied yet, before nothing but the next ones is asked for. More than
    /// these is only what was asked for by then, and what was read of them: some three times as much in memory.
    static let blockBytesAhead = 128 << 20
    /// Requests for blocks under way at once: with answers of 4 MiB each, 128 MiB. And to one peer.
    static let blockRequests = 32, blockRequestsPerPeer = 4
    /// Runs that are asked for, checked or waiting.
    static let blockRuns = 400
    /// After so many requests for a run that came to nothing its first block is asked for alone: it may be larger than
    /// the answers that are taken else.
    static let difficultAfter = 2
    /// Bounds of the time that a peer has for an answer: eight times what it usually takes. A first answer may wait for
    /// a handshake and for its turn. Beyond it an answer is waited for as long as something of it comes.
    static let blockTimeouts = Interval.seconds(10)...Interval.seconds(30)
    /// A block that holds up the others is asked of a second peer after twice the time that the first usually takes,
    /// and not sooner than this.
    static let blockStagger = Interval.milliseconds(200)
    /// The same where it is not known yet how long that is.
    static let firstBlockStagger = Interval.seconds(1)
    /// So near to the last block that is wanted, every request is asked of a second peer like that.
    static let doubledNearTip: UInt64 = 50
    /// Before peers are looked for again where none can be asked.
    static let blockPeersRetry = Interval.seconds(1)
    /// How long a peer is taken to have no higher block than it said: who goes block by block itself has more soon, and
    /// each run of blocks that is asked for in vain costs it and us a packet.
    static let blockHeightsAge = Interval.seconds(2)
    /// Answers of a peer that its failure rate is counted over; from so many on a peer that fails half of the time
    /// rests long.
    static let blockOutcomes = 16, fewestBlockOutcomes = 8
    /// One request in so many goes to any peer that can be asked, so that one that has become quicker is noticed; and
    /// one in so many of the others to the second nearest.
    static let exploring = 10, secondNearest = 4

    /// Batches asked for or waiting for the ones before them.
    public static let window = 8
    /// Requests to one peer at once.
    public static let requestsPerPeer = 2
    /// A request unanswered for so long is given to another peer; the overlay's own timeout usually comes first.
    public static let requestTimeout = Interval.seconds(30)
    /// How long a batch is waited for before a second peer is asked for it too: 140 KB at 100 kB/s, and a handshake. So
    /// many peers are asked at once.
    static let batchPatience = Interval.milliseconds(1_500), askedOfAtOnce = 2
    /// Failures in a row after which a peer is no longer waited for as the one who has the checkpoint's header.
    static let checkpointAttempts = 2
    /// Failures in a row after which a line that is weighed is given up: what was read of it is forgotten.
    static let weighingAttempts = 4
    /// First pause after a failure of a peer; doubled with every further one.
    static let firstPause = Interval.seconds(1)
    /// Longest pause of a peer that fails.
    static let longestPause = Interval.seconds(60)
    /// Pause of a peer whose headers turned out to be vouched for by nobody, or broken.
    static let liarPause = Interval.seconds(300)
    /// Peers that one new block is pushed to by one node: with eight, a block reaches all of thousands in a few steps.
    public static let pushFanout = 8
    /// Peers kept in mind.
    public static let peers = 1_024
    /// Final headers kept in memory, about 2 KiB each: what peers that are a day behind ask about. Older ones are
    /// served from the store.
    public static let keptHeaders: UInt64 = 8_192
    /// So many more are let come together before they are forgotten at once.
    static let forgottenTogether: UInt64 = 1_024
    /// Encoded certificate, bytes.
    static let certificateBytes = ChainLimits.certificateClaims * SignedClaim.byteCount
    /// A new block's value, bytes: header and certificate behind their offsets and the status byte.
    public static let newBlockBytes = 9 + ChainLimits.headerBytes + certificateBytes
}
