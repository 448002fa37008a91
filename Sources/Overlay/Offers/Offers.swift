import Discovery
import Primitives
import UTP

/// An offer of ours, from the call to its directive.
private struct Offer: Sendable {
    let network: Int
    var contact: Contact
    let items: [ContentItem]
    /// The items of each OFFER message, in order.
    let parts: [Range<Int>]
    /// The part whose ACCEPT is awaited; all parts when none is.
    var part = 0
    /// Times that part was sent.
    var attempts = 0
    var codes: [AcceptCode] = []
    /// Streams that carry accepted items, and their bytes.
    var streams: [StreamID: Int] = [:]
    /// Moves on with every part.
    var deadline: Instant
    /// Where this is the second try of a larger offer: the codes of that one, and where these items stand in it.
    var first: (codes: [AcceptCode], places: [Int])?

    /// Bytes of the values of one part.
    func bytes(of part: Int) -> Int { items[parts[part]].reduce(0) { $0 + $1.value.count } }
}

/// Offers of ours: OFFER → ACCEPT → the stream of what was accepted → the next part, and one `offerFinished`. Items
/// that a receiver has no room for now rest for a while and are offered once more.
struct Offers: Sendable {
    private var offers = SlotTable<Offer>(
        limit: OverlayLimits.offers, perPeer: OverlayLimits.offersPerPeer, bytes: OverlayLimits.offerBytes,
        bytesPerPeer: OverlayLimits.offerBytesPerPeer)
    /// Offers that wait to be made once more.
    private var resting = SlotTable<Offer>(
        limit: OverlayLimits.restingOffers, perPeer: OverlayLimits.restingOffersPerPeer)

    /// Offers under way.
    var count: Int { offers.count }
    /// Offers that wait to be made once more.
    var restingCount: Int { resting.count }

    /// The network of an offer; nil for one that is over.
    func network(of number: UInt64) -> Int? { (offers[number] ?? resting[number])?.network }

    /// Offers items to a peer; see `Overlay.offer`.
    mutating func offer(
        _ items: [ContentItem], to peer: Bytes32, on network: Subnetwork, through wire: inout PortalWire
    ) -> UInt64 {
        let number = wire.nextID()
        wire.statistics.offersMade += 1
        do throws(OverlayError) {
            let offer = Offer(
                network: network.profile.index, contact: try wire.contact(peer, on: network), items: items,
                parts: try Offers.parts(of: items), deadline: wire.clock + wire.configuration.offerTimeout)
            guard offers.insert(offer, id: number, peer: peer) else {
                wire.statistics.slotsMissing += 1
                throw .tooManyRequests
            }
        } catch {
            Offers.refuse(number, error, through: &wire)
            return number
        }
        sendPart(number, as: network.profile, through: &wire)
        return number
    }

    /// An offer that does not even begin.
    static func refuse(_ number: UInt64, _ error: OverlayError, through wire: inout PortalWire) {
        wire.statistics.offersFailed += 1
        wire.directives.append(.offerFinished(Overlay.OfferID(value: number), .failure(error)))
    }

    /// Cuts the items into OFFERs: by the bytes of a request, the number of keys, and the bytes of a stream.
    static func parts(of items: [ContentItem]) throws(OverlayError) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = 0
        var keyBytes = OverlayLimits.offerOverhead
        var valueBytes = 0
        for (index, item) in items.enumerated() {
            let (key, value) = (4 + item.key.count, LEB128.byteLimit + item.value.count)
            guard OverlayLimits.offerOverhead + key <= OverlayLimits.requestBytes else {
                throw .keyTooLong(item.key.count)
            }
            guard value <= OverlayLimits.offerStreamBytes else { throw .itemTooLarge(item.value.count) }
            if keyBytes + key > OverlayLimits.requestBytes || index - start == OverlayLimits.offerKeys
                || valueBytes + value > OverlayLimits.offerStreamBytes
            {
                parts.append(start..<index)
                (start, keyBytes, valueBytes) = (index, OverlayLimits.offerOverhead, 0)
            }
            keyBytes += key
            valueBytes += value
        }
        if start < items.count { parts.append(start..<items.count) }
        return parts
    }

    /// Sends the OFFER that is next, or finishes if all is done.
    private mutating func sendPart(_ number: UInt64, as profile: LocalProfile, through wire: inout PortalWire) {
        guard let offer = offers[number] else { return }
        guard offer.part < offer.parts.count else {
            if offer.streams.isEmpty { settle(number, offer, through: &wire) }
            return
        }
        // Before it is offered: what a receiver has accepted it waits for.
        if offer.attempts == 0, !offers.promise(offer.bytes(of: offer.part), to: number) {
            wire.statistics.slotsMissing += 1
            return finish(number, .failure(.tooManyRequests), through: &wire)
        }
        let deadline = wire.clock + wire.configuration.offerTimeout
        offers.update(number) {
            $0.attempts += 1
            $0.deadline = deadline
        }
        wire.deadlines.add(.offer(number), at: deadline)
        do throws(PortalMessageError) {
            let keys = offer.items[offer.parts[offer.part]].map(\.key)
            try wire.ask(.offer(keys: keys), as: profile, offer.contact, .offer(number))
        } catch {
            finish(number, .failure(.malformed(error)), through: &wire)
        }
    }

    /// The peer answered from its other address: what is still to come of the offer goes there.
    mutating func follow(_ number: UInt64, to contact: Contact) { offers.update(number) { $0.contact = contact } }

    /// OFFER was answered, or was not.
    mutating func answered(
        _ number: UInt64, _ answer: Result<PortalMessage, OverlayError>, as profile: LocalProfile,
        through wire: inout PortalWire
    ) {
        guard let offer = offers[number] else { return }
        if case .failure(.unanswered(.timeout)) = answer, offer.attempts < OverlayLimits.requestAttempts {
            wire.note(.unanswered(.timeout), of: offer.contact.record.id)
            return sendPart(number, as: profile, through: &wire)
        }
        do throws(OverlayError) {
            switch answer {
            case .failure(let error): throw error
            case .success(.accept(let connectionID, let codes)):
                try accepted(number, offer, connectionID: connectionID, codes, through: &wire)
            case .success(let other): throw .unexpectedAnswer(selector: other.selector)
            }
            sendPart(number, as: profile, through: &wire)
        } catch {
            finish(number, .failure(error), through: &wire)
        }
    }

    /// Sends what was accepted of the part that was offered, and moves on to the next.
    private mutating func accepted(
        _ number: UInt64, _ offer: Offer, connectionID: UInt16, _ codes: [AcceptCode], through wire: inout PortalWire
    ) throws(OverlayError) {
        let part = offer.parts[offer.part]
        guard codes.count == part.count else {
            throw .wrongCodeCount(offered: part.count, answered: codes.count)
        }
        wire.statistics.codesReceived.count(codes)
        let reactions = codes.map { AcceptReaction($0) }
        if reactions.contains(.askRadius) {
            wire.doubtsRadius(of: offer.contact.record.id, network: offer.network)
        }
        let declined = zip(offer.items[part], codes).filter { $0.1 == .declined }.map(\.0.key)
        if !declined.isEmpty {
            let id = wire.configuration.networks[offer.network].id
            wire.directives.append(.offerDeclined(id, by: offer.contact.record.id, keys: declined))
        }
        let values = zip(offer.items[part], reactions).filter { $0.1 == .send }.map(\.0.value)
        let bytes = values.reduce(0) { $0 + $1.count }
        offers.giveBack(offer.bytes(of: offer.part) - bytes, of: number)
        if !values.isEmpty {
            do throws(UTPError) {
                let stream = try wire.connect(
                    to: offer.contact.address, connectionID: connectionID, .send(ItemFrames.encode(values)),
                    for: .offer(number))
                offers.update(number) { $0.streams[stream] = bytes }
            } catch {
                throw .stream(error)
            }
        }
        offers.update(number) {
            $0.codes += codes
            $0.part += 1
            $0.attempts = 0
        }
    }

    /// A stream of accepted items has ended.
    mutating func streamEnded(
        _ number: UInt64, _ stream: StreamID, _ result: Result<[UInt8], UTPError>, through wire: inout PortalWire
    ) {
        guard let offer = offers[number], let bytes = offer.streams[stream] else { return }
        offers.update(number) { $0.streams[stream] = nil }
        switch result {
        case .failure(let error):
            finish(number, .failure(.stream(error)), through: &wire)
        case .success:
            offers.giveBack(bytes, of: number)
            let peer = offer.contact.record.id
            wire.book.count(bytes, \.offersSent, of: peer, network: offer.network, at: wire.clock)
            if offer.part == offer.parts.count, offer.streams.count == 1, let done = offers[number] {
                settle(number, done, through: &wire)
            }
        }
    }

    /// The time of an offer's part is over, unless another has begun since.
    mutating func timedOut(_ number: UInt64, through wire: inout PortalWire) {
        guard let deadline = offers[number]?.deadline, deadline <= wire.clock else { return }
        finish(number, .failure(.timeout), through: &wire)
    }

    /// All is said and sent. Items that the receiver had no room for rest, to be offered once more; else the offer
    /// ends.
    private mutating func settle(_ number: UInt64, _ offer: Offer, through wire: inout PortalWire) {
        if let first = offer.first {
            var codes = first.codes
            for (place, code) in zip(first.places, offer.codes) { codes[place] = code }
            return finish(number, .success(codes), through: &wire)
        }
        let delays = offer.codes.map { AcceptReaction($0).delay }
        let places = delays.indices.filter { delays[$0] != nil }
        let items = places.map { offer.items[$0] }
        // Items that fitted once fit again; without room to rest they are left alone.
        guard !items.isEmpty, case .success(let parts) = Result(catching: { try Offers.parts(of: items) }),
            resting.insert(
                Offer(
                    network: offer.network, contact: offer.contact, items: items, parts: parts,
                    deadline: offer.deadline, first: (offer.codes, places)),
                id: number, peer: offer.contact.record.id)
        else { return finish(number, .success(offer.codes), through: &wire) }
        offers.remove(number)
        wire.note(nil, of: offer.contact.record.id)
        wire.deadlines.add(.offerAgain(number), at: wire.clock + (delays.compactMap { $0 }.max() ?? .zero))
    }

    /// The second try of an offer, where there is a slot for it.
    mutating func offerAgain(_ number: UInt64, as profile: LocalProfile, through wire: inout PortalWire) {
        guard let offer = resting.remove(number) else { return }
        let peer = offer.contact.record.id
        guard !wire.book.isBanned(peer, at: wire.clock), offers.insert(offer, id: number, peer: peer) else {
            let codes = offer.first?.codes ?? offer.codes
            wire.directives.append(.offerFinished(Overlay.OfferID(value: number), .success(codes)))
            return
        }
        wire.statistics.offersRepeated += 1
        sendPart(number, as: profile, through: &wire)
    }

    /// The one way an offer ends, but for one that rests and finds no slot.
    private mutating func finish(
        _ number: UInt64, _ result: Result<[AcceptCode], OverlayError>, through wire: inout PortalWire
    ) {
        guard let offer = offers.remove(number) else { return }
        for stream in offer.streams.keys.sorted() { wire.close(stream) }
        switch result {
        case .success: wire.note(nil, of: offer.contact.record.id)
        case .failure(let error):
            wire.statistics.offersFailed += 1
            wire.note(error, of: offer.contact.record.id)
        }
        wire.directives.append(.offerFinished(Overlay.OfferID(value: number), result))
    }
}
