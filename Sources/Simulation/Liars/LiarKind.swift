import Chain
import Node
import Overlay
import Primitives
import StateContent
import StateNetwork

/// A way to lie. A liar is an honest node, with all that it holds, that says something else: what it makes of its own
/// words is one small definition with a name (`LiarKind.all`). `World.corrupt(_:as:)` makes a host one.
public struct LiarKind: Sendable {
    /// What an honest node thinks of whoever does that to it.
    public enum Price: Sendable {
        /// What it sent is proven false: it is banned.
        case ban
        /// Nothing false was sent, but it was of no use: that is kept in mind, and others are asked.
        case patience
        /// Nobody is harmed by it.
        case nothing
    }

    public let name: String
    public let price: Price
    /// What it makes of what it would say of itself.
    var announces: (@Sendable (StatePingPayload) -> StatePingPayload)?
    /// What it makes of content that it would give for a key; nil: it gives nothing at all.
    var answers: (@Sendable (StateContentKey, [UInt8]) -> [UInt8]?)?
    /// The same, of what its store has besides.
    var makes: World.Tampering?
    /// What it makes of an item that it would offer.
    var offers: (@Sendable (ContentItem) -> ContentItem)?
    /// How its packets leave.
    var line: Line?

    init(_ name: String, _ price: Price = .ban) {
        self.name = name
        self.price = price
    }
}

/// Says what a liar says.
struct LiarVoice: StateVoice {
    let liar: LiarKind
    /// What peers asked for and have no answer yet. What is never answered ends with the run.
    private var asked: [Overlay.ContentToken: StateContentKey] = [:]

    init(_ liar: LiarKind) { self.liar = liar }

    mutating func hears(_ key: StateContentKey, _ token: Overlay.ContentToken) { asked[token] = key }

    mutating func says(_ directive: StateSync.Directive) -> [StateSync.Directive] {
        switch directive {
        case .answer(let token, .content(let value)):
            let key = asked.removeValue(forKey: token)
            // That it does not have something it says as it is.
            guard let key, let answers = liar.answers, value.first == 0 else { return [directive] }
            return answers(key, value).map { [.answer(token, .content($0))] } ?? []
        case .name(let token, _, _, _):
            asked[token] = nil
            return [directive]
        case .announce(let payload, let isUrgent, let fellows):
            guard let announces = liar.announces else { return [directive] }
            return [.announce(announces(payload), isUrgent: isUrgent, fellows: fellows)]
        case .offer(let items, let peer):
            guard let offers = liar.offers else { return [directive] }
            return [.offer(items.map(offers), to: peer)]
        default: return [directive]
        }
    }
}

extension World {
    /// Makes a host a liar from now on, in this life and those to come.
    public mutating func corrupt(_ id: HostID, as liar: LiarKind) {
        hosts[id.index].liar = liar
        hosts[id.index].tampering = liar.makes
        hosts[id.index].node?.voice = LiarVoice(liar)
        if let line = liar.line { set(line: line, of: id) }
    }

    /// What a host is, if it is no honest one.
    public func liar(_ id: HostID) -> LiarKind? { hosts[id.index].liar }
}
