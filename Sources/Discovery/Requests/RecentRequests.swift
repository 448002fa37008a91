import Primitives

/// TALKREQs of others that came a short time ago, and what they were answered with.
///
/// Who misses an answer sends the same request again, under the same id. It must not be carried out twice: a second
/// stream would be opened for the same content. So a repetition gets the same answer again, and one of a request that
/// is still being worked on gets none. Ids alone do not make a repetition, since a peer may use one id for everything:
/// the whole request must be the same, and not long ago.
struct RecentRequests: Sendable {
    /// What a request turned out to be.
    enum Sight {
        /// It has not been seen: it is to be carried out.
        case new
        /// The same one is being worked on, or was repeated too often.
        case known
        /// The same one was answered with this message.
        case answered([UInt8])
    }

    private struct Entry: Sendable {
        let name: [UInt8]
        let request: [UInt8]
        let cameAt: Instant
        var answer: [UInt8]?
        /// Times that the answer was given again.
        var repetitions = 0
    }

    private var entries = LRU<TalkToken, Entry>(limit: DiscoveryLimits.recentRequests)

    /// Looks at a request that has come under the protocol `name`.
    mutating func see(_ request: [UInt8], of name: [UInt8], _ token: TalkToken, at now: Instant) -> Sight {
        if let known = entries.peek(token), now - known.cameAt < DiscoveryLimits.recentTime, known.name == name,
            known.request == request
        {
            guard let answer = known.answer, known.repetitions < DiscoveryLimits.repetitions,
                let slot = entries.slot(of: token)
            else { return .known }
            entries.update(slot) { $0.repetitions += 1 }
            return .answered(answer)
        }
        entries.insert(token, Entry(name: name, request: request, cameAt: now))
        return .new
    }

    /// A request was answered with this message.
    mutating func answered(_ token: TalkToken, with message: [UInt8]) {
        guard let slot = entries.slot(of: token) else { return }
        entries.update(slot) { $0.answer = message }
    }
}
