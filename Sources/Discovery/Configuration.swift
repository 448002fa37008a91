import Primitives

/// Families of addresses that a socket speaks.
public struct AddressFamilies: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Addresses of IPv4.
    public static let ipv4 = AddressFamilies(rawValue: 1)
    /// Addresses of IPv6.
    public static let ipv6 = AddressFamilies(rawValue: 2)
}

extension Discovery {
    /// What may be set from outside; the defaults are the field's.
    public struct Configuration: Sendable {
        /// A request in an established session, from packet to answer. discv5: 500 ms.
        public var requestTimeout = Interval.milliseconds(500)
        /// A handshake, from the first packet to the first answer. discv5: 1 s.
        public var handshakeTimeout = Interval.seconds(1)
        /// Protocol ids whose TALKREQ are passed on; any other is answered with nothing at once.
        public var talkProtocols: [[UInt8]] = []

        /// Nodes a bucket holds. Kademlia's k.
        public var bucketSize = 16
        /// Nodes kept beside a full bucket.
        public var replacementsPerBucket = 10
        /// Nodes of one /24 (IPv4) or /48 (IPv6) in a bucket, replacements included. Loopback is exempt.
        public var bucketSubnetLimit = 2
        /// The same for the whole table.
        public var tableSubnetLimit = 10
        /// Pings in a row without an answer after which a node leaves the table.
        public var failuresBeforeRemoval = 3

        /// Requests a lookup has under way, one on each of as many disjoint paths. Kademlia's α.
        public var lookupParallelism = 3
        /// Lookups under way at once; those beyond wait.
        public var lookupLimit = 16
        /// Between two checks of one random node of the table.
        public var revalidationInterval = Interval.seconds(5)
        /// Between two refreshes (a lookup of ourselves and of random keys) of a settled table.
        public var refreshInterval = Interval.seconds(300)
        /// Between two tries to reach the boot nodes while the table is empty.
        public var bootstrapInterval = Interval.seconds(2)

        /// Sessions kept, each some 3 KiB; the one longest unused goes first.
        public var sessionLimit = 1_024
        /// Challenges awaiting a handshake.
        public var challengeLimit = 4_096
        /// Records of nodes outside the table that are remembered.
        public var recordLimit = 2_048
        /// Requests under way in all.
        public var requestLimit = 4_096
        /// Messages waiting behind one handshake.
        public var queueLimit = 64
        /// Packets of strangers (no session) an IP address may send a second, and at once. Loopback is exempt.
        public var strangerRate = 20
        public var strangerBurst = 60
        /// The same of one node id at one IP address, so that one node cannot use up what its whole house may send.
        public var strangerNodeRate = 10
        public var strangerNodeBurst = 20
        /// IP addresses, and nodes at them, whose rate is remembered.
        public var rateLimitedAddresses = 4_096
        /// Packets a second, and at once, that may begin handshakes at addresses of one /24 or /48 that strangers named
        /// and nobody has answered from. Loopback is exempt.
        public var namedPrefixRate = 1
        public var namedPrefixBurst = 20
        /// Packets that are decrypted of a peer with a session a second, and at once: one peer may keep one core busy
        /// (300 MB/s of streams are 270,000 packets), not more.
        public var peerPacketRate = 400_000
        public var peerPacketBurst = 100_000
        /// PING and FINDNODE a peer with a session may send a second, and at once.
        public var peerRequestRate = 50
        public var peerRequestBurst = 200
        /// Families of addresses that the socket speaks; nodes that have no other are not tried.
        public var families: AddressFamilies = [.ipv4, .ipv6]
        /// Voters of as many different prefixes must name an address before we believe it to be ours.
        public var addressVotes = 10
        /// A vote counts this long.
        public var addressVoteLifetime = Interval.seconds(120)
        /// The winner must have so many per cent more votes than the next.
        public var addressVoteMarginPercent = 30
        /// Whether an address that won the vote goes into our record by itself.
        public var adoptsVotedAddress = true
        /// How long an address that went into the record by votes has to show that strangers reach us there.
        public var inboundProofTime = Interval.seconds(300)
        /// Strangers of as many different prefixes must make contact in that time.
        public var inboundProofs = 2
        /// A host that we wrote to is no stranger for so long: a router may still let through what comes from there.
        public var contactMemory = Interval.seconds(600)
        /// How long an address at which nobody reached us is not taken into the record again.
        public var withdrawalTime = Interval.seconds(6 * 3_600)

        public init() {}
    }
}
