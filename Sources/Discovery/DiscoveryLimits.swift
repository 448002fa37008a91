import Primitives

/// Sizes fixed by the published protocol (discv5.1, EIP-778) and bounds of ours. What a user may want to change is in
/// `Discovery.Configuration` instead.
public enum DiscoveryLimits {
    /// Addresses remembered from which nothing came back: as many as records beside the table.
    static let silentAddresses = 2_048
    /// Bytes of a record at most. EIP-778.
    static let recordSize = 300
    /// Bytes of a packet. discv5: the smallest is a WHOAREYOU; 1,280 passes every IPv6 path whole.
    public static let packetSizes = 63...1_280
    /// Bytes of a plaintext message in an ordinary packet: 1,280 − masking IV 16 − header 23 − source id 32 − tag 16.
    static let messageSize = 1_193
    /// Bytes of the packet that asks for a WHOAREYOU: as long as one with a PING sealed in it.
    package static let openingSize = 99
    /// Bytes of a TALKRESP's response at most, whatever the request id: message − type 1 − list 3 − id 9 − string 3.
    package static let talkResponseSize = 1_177
    /// Bytes of a request id at most. discv5.
    static let requestIDSize = 8
    /// Bytes of our own request ids: enough never to repeat, and 4 bytes more for the payload than 8 would leave.
    static let ownRequestIDSize = 4
    /// Bytes of stream packets between two drains; those beyond are lost. Several times what one batch of received
    /// datagrams lets streams send.
    static let outboxBytes = 16 << 20
    /// Votes on our own address that are kept, of as many prefixes. Those that count are of two minutes.
    package static let addressVotesKept = 256
    /// Addresses remembered at which nobody reached us.
    static let withdrawnAddresses = 16
    /// Hosts remembered to which we wrote: a node meets some hundreds in ten minutes.
    static let contactedHosts = 4_096
    /// Addresses remembered that records name, and as many that have proven themselves: a node meets some hundreds.
    package static let namedAddresses = 4_096
    /// Bytes that an address may have been named with and still be sent: a dozen packets, so that nobody saves them up.
    package static let namedCredit = 1_200
    /// How long a WHOAREYOU is waited for before it is asked for again: a far round trip. A handshake's second holds
    /// four.
    static let openingPatience = Interval.milliseconds(250)
    /// Times a request is sent again while nobody answers. sigp/discv5 repeats once; two fit into 500 ms.
    static let repetitions = 2
    /// A request is sent again after so long at the earliest: less would double the requests of a busy peer.
    static let leastPatience = Interval.milliseconds(100)
    /// The same where no answer of the peer was timed yet: half of what a request has.
    static let unknownPatience = Interval.milliseconds(250)
    /// Failures in a row that lengthen the patience: to 1.6 s, which is more than a request has.
    static let failuresCounted = 4
    /// Requests of others remembered, so that a repetition is not carried out twice: 2.4 MB of requests and answers.
    /// One that was pushed out is carried out twice, no more.
    static let recentRequests = 1_024
    /// How long each is remembered: longer than anybody waits for an answer. sigp/discv5 repeats after 1 s.
    static let recentTime = Interval.seconds(5)
    /// Records one FINDNODE is answered with at most. discv5: a bucket.
    static let nodesPerAnswer = 16
    /// NODES packets one answer may come in at most: one record each is the worst that is sensible.
    static let nodesPackets = 16

    /// Bytes of a TALKREQ's request at most under a protocol id of `protocolSize` bytes (below 56): message − type 1 −
    /// list 3 − id 5 − protocol − string 3.
    package static func talkRequestSize(protocolSize: Int) -> Int {
        messageSize - 1 - 3 - (1 + ownRequestIDSize) - (1 + protocolSize) - 3
    }
}
