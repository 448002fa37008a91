import Primitives

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
        public var challengeLimit = 512
        /// Records of nodes outside the table that are remembered.
        public var recordLimit = 2_048
        /// Requests under way in all.
        public var requestLimit = 4_096
        /// Messages waiting behind one handshake.
        public var queueLimit = 64
        /// Packets of strangers (no session) an IP address may send a second, and at once. Loopback is exempt.
        public var strangerRate = 20
        public var strangerBurst = 60
        /// IP addresses whose rate is remembered.
        public var rateLimitedAddresses = 1_024
        /// PING and FINDNODE a peer with a session may send a second, and at once.
        public var peerRequestRate = 50
        public var peerRequestBurst = 200
        /// Voters in as many different subnets must name an address before we believe it to be ours.
        public var addressVotes = 5
        /// Whether an address that won the vote goes into our record by itself.
        public var adoptsVotedAddress = true

        public init() {}
    }
}
