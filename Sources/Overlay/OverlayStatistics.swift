/// Counts of this floor since the start, for the layers that show them. What was refused leaves no other trace.
public struct OverlayStatistics: Hashable, Sendable {
    /// Codes of ACCEPT by number; what is none of 0…6 counts as 7.
    public struct Codes: Hashable, Sendable {
        private var counts = [UInt64](repeating: 0, count: 8)

        /// How often `code` was given.
        public subscript(code: AcceptCode) -> UInt64 { counts[min(Int(code.rawValue), 7)] }

        mutating func count(_ codes: some Sequence<AcceptCode>) {
            for code in codes { counts[min(Int(code.rawValue), 7)] += 1 }
        }
    }

    /// Codes we gave to offers of others, and those that offers of ours got.
    public internal(set) var codesGiven = Codes(), codesReceived = Codes()
    /// Offers of others: admitted; not admitted for want of a slot, or of the offerer's good name; wanted, but told to
    /// come back because of the bytes or streams that others hold; whose accepted items came; whose accepted items
    /// never did.
    public internal(set) var offersAdmitted: UInt64 = 0, offersRefused: UInt64 = 0, offersOverBudget: UInt64 = 0
    public internal(set) var offersReceived: UInt64 = 0, offersBroken: UInt64 = 0
    /// The most bytes that were promised to offers of others at once.
    public internal(set) var offerBytesPeak = 0
    /// Offers of ours: all; those made once more after code 4 or 5; those that came to nothing.
    public internal(set) var offersMade: UInt64 = 0, offersRepeated: UInt64 = 0, offersFailed: UInt64 = 0
    /// Requests for content of others: admitted; told that we are busy, for want of a slot or of a stream.
    public internal(set) var requestsAdmitted: UInt64 = 0, requestsRefused: UInt64 = 0
    /// Answers given up because their readers took next to nothing of them while others waited.
    public internal(set) var slowReaders: UInt64 = 0
    /// The most bytes of answers that were under way at once.
    public internal(set) var answerBytesPeak = 0
    /// Requests for content of ours: all; those that came to nothing.
    public internal(set) var requestsMade: UInt64 = 0, requestsFailed: UInt64 = 0
    /// Exchanges of ours that were not begun for want of a slot.
    public internal(set) var slotsMissing: UInt64 = 0
    /// PING and FIND_NODES dropped because their sender had no allowance left.
    public internal(set) var messagesOverRate: UInt64 = 0
    /// Messages of others that do not decode, or are answers to nothing.
    public internal(set) var messagesRefused: UInt64 = 0
    /// Requests of nodes that are banned or of another chain or version.
    public internal(set) var strangersRefused: UInt64 = 0
    /// Rules broken, and bans that came of it or of lies.
    public internal(set) var breaches: UInt64 = 0, bans: UInt64 = 0
    /// PINGs and FIND_NODES of ours, and those of others that were answered.
    public internal(set) var pingsSent: UInt64 = 0, queriesSent: UInt64 = 0
    public internal(set) var pingsAnswered: UInt64 = 0, queriesAnswered: UInt64 = 0

    /// Nothing counted yet.
    public init() {}
}
