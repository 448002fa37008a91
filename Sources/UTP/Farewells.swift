import Primitives

/// The last words on streams that ended well, oldest first, a bounded number for a bounded time. Nothing fires when one
/// grows old: it is dropped when the next comes, and not used before.
struct Farewells: Sendable {
    enum Answer: Equatable {
        case packet(UTPHeader)
        /// Of a known stream, but nothing needs saying.
        case silence
        case unknown
    }

    private struct Key: Hashable {
        let peer: NodeAddress
        let receiveID: UInt16
    }

    private var words: [Key: (farewell: Farewell, until: Instant)] = [:]
    private var order = Queue<Key>()

    mutating func add(_ farewell: Farewell, at now: Instant) {
        while let oldest = order.first, let word = words[oldest],
            word.until <= now || words.count >= UTPLimits.endedStreams
        {
            words[oldest] = nil
            order.removeFirst()
        }
        let key = Key(peer: farewell.peer, receiveID: farewell.receiveID)
        // A key comes again only after it was dropped or grew old; then everything older was dropped just now.
        if words.updateValue((farewell, now + UTPLimits.endedStreamTime), forKey: key) == nil { order.append(key) }
    }

    func has(_ receiveID: UInt16, _ peer: NodeAddress, at now: Instant) -> Bool {
        words[Key(peer: peer, receiveID: receiveID)].map { $0.until > now } ?? false
    }

    mutating func answer(to header: UTPHeader, _ receiveID: UInt16, _ peer: NodeAddress, at now: Instant) -> Answer {
        let key = Key(peer: peer, receiveID: receiveID)
        guard var word = words[key], word.until > now else { return .unknown }
        guard word.farewell.takes(header, at: now) else { return .silence }
        words[key] = word
        return .packet(word.farewell.header(at: now))
    }
}
