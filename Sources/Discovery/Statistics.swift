extension Discovery {
    /// Counts since the start, for the layers that show them. What was refused leaves no other trace.
    public struct Statistics: Hashable, Sendable {
        /// Datagrams handed in.
        public internal(set) var packetsReceived: UInt64 = 0
        /// Datagrams that were no packets, or none for us.
        public internal(set) var packetsRefused: UInt64 = 0
        /// Packets of addresses or nodes over their rate, dropped before anything was decrypted.
        public internal(set) var packetsOverRate: UInt64 = 0
        /// WHOAREYOU sent, repetitions included.
        public internal(set) var challengesSent: UInt64 = 0
        /// Sessions made, whoever began them.
        public internal(set) var handshakes: UInt64 = 0
        /// Handshake packets that answered no challenge or proved nothing.
        public internal(set) var handshakesRefused: UInt64 = 0
        /// Messages of proven peers that do not decode.
        public internal(set) var messagesRefused: UInt64 = 0
        /// Records in NODES that do not verify or were not asked for.
        public internal(set) var recordsRefused: UInt64 = 0
        /// Packets not sent to addresses that strangers named: there was no credit for them.
        public internal(set) var contactsRefused: UInt64 = 0
        /// Times that a request of ours was sent again.
        public internal(set) var requestsRepeated: UInt64 = 0
        /// Requests of others that came again and were not carried out a second time.
        public internal(set) var repetitionsReceived: UInt64 = 0
        /// Requests of ours that ended without an answer.
        public internal(set) var requestsFailed: UInt64 = 0
    }
}
