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
