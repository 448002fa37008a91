import Discovery
import Primitives
import UTP

/// An offer of a peer, until it is decided and its items have arrived.
private struct InboundOffer: Sendable {
    let network: Int
    let address: NodeAddress
    let keys: [[UInt8]]
    var token: TalkToken
    /// Once it is decided: our ACCEPT, the stream, and the keys to come.
    var answer: PortalMessage?
    var stream: StreamID?
    var accepted: [[UInt8]] = []
    var acceptedAt = Instant.zero
    /// Bytes that they may have.
    var limit = 0
}

/// Offers of others: OFFER → `offered` → decided by the floors above → the stream of what was accepted, which ends in
/// `offerReceived` or `offerBroken`.
struct InboundOffers: Sendable {
    private var offers = SlotTable<InboundOffer>(
        limit: OverlayLimits.inboundOffers, perPeer: OverlayLimits.inboundOffersPerPeer,
        bytes: OverlayLimits.inboundOfferBytes, bytesPerPeer: OverlayLimits.inboundOfferBytesPerPeer)

    /// Offers under way.
    var count: Int { offers.count }
    /// Bytes that accepted offers may have, as long as they are under way.
    var bytes: Int { offers.bytes }

    /// A peer offers items.
    mutating func offered(
        _ keys: [[UInt8]], by address: NodeAddress, _ token: TalkToken, on profile: LocalProfile,
        through wire: inout PortalWire
    ) {
        let offer = InboundOffer(network: profile.index, address: address, keys: keys, token: token)
        guard !isRepeated(offer, through: &wire) else { return }
        let number = wire.nextID()
        let isWelcome = !keys.isEmpty && offers.count(of: address.id) < InboundOffers.share(of: address.id, wire.book)
        if isWelcome, offers.isFull { giveUpSlowest(through: &wire) }
        guard isWelcome, offers.insert(offer, id: number, peer: address.id) else {
            wire.statistics.offersRefused += 1
            return InboundOffers.decline(offer, keys.map { _ in .rateLimited }, through: &wire)
        }
        wire.statistics.offersAdmitted += 1
        wire.deadlines.add(.decideOffer(number), at: wire.clock + OverlayLimits.offerDecisionDelay)
        wire.directives.append(
            .offered(profile.id, from: address, keys: keys, Overlay.OfferToken(value: number)))
    }

    /// All slots or bytes are taken: the accepted offer that comes most slowly, if that is slow, gives its own back.
    private mutating func giveUpSlowest(through wire: inout PortalWire) {
        let slowest = wire.slowest(
            of: offers.all.lazy.compactMap { number, offer in
                offer.stream.map { (number, $0, since: offer.acceptedAt) }
            }, isSent: false)
        if let slowest { finish(slowest, .timeout, through: &wire) }
    }

    /// Slots for offers of one node. Whose accepted offers mostly never come gets one, so that it can mend its name and
    /// not much else. Its PINGs may be as good as they like: they do not count here.
    private static func share(of peer: Bytes32, _ book: PeerBook) -> Int {
        guard let standing = book.standing(of: peer), standing.offers.count >= OverlayLimits.brokenOffersCounted,
            standing.brokenOfferRate > OverlayLimits.brokenOfferRate
        else { return OverlayLimits.inboundOffersPerPeer }
        return 1
    }

    /// An offerer that missed our ACCEPT offers the same again. It gets the same ACCEPT: to the floors above it would
    /// seem another offer of items that are on their way already.
    private mutating func isRepeated(_ offer: InboundOffer, through wire: inout PortalWire) -> Bool {
        for number in offers.ids(of: offer.address.id) {
            guard let known = offers[number], known.network == offer.network, known.address == offer.address,
                known.keys == offer.keys
            else { continue }
            offers.update(number) { $0.token = offer.token }
            if let answer = known.answer { wire.respond(answer, to: offer.token) }
            return true
        }
        return false
    }

    /// Answers with these codes, of which none accepts.
    private static func decline(
        _ offer: InboundOffer, _ codes: [AcceptCode], through wire: inout PortalWire
    ) {
        wire.statistics.codesGiven.count(codes)
        wire.respond(.accept(connectionID: 0, codes: codes), to: offer.token)
    }

    /// Nobody decided: the offerer may try again.
    mutating func undecided(_ number: UInt64, through wire: inout PortalWire) {
        guard let offer = offers[number], offer.stream == nil else { return }
        offers.remove(number)
        InboundOffers.decline(offer, offer.keys.map { _ in .rateLimited }, through: &wire)
    }

    /// Decides an offer; see `Overlay.respond`.
    mutating func decide(_ number: UInt64, _ codes: [AcceptCode], limit: Int, through wire: inout PortalWire) {
        guard let offer = offers[number], offer.stream == nil else { return }
        let fits = codes.count == offer.keys.count
        let accepted = zip(offer.keys, codes).filter { $0.1 == .accepted }.map(\.0)
        guard fits, !accepted.isEmpty else {
            offers.remove(number)
            return InboundOffers.decline(offer, fits ? codes : offer.keys.map { _ in .declined }, through: &wire)
        }
        let limit = min(max(limit, 0), OverlayLimits.offerStreamBytes)
        offers.update(number) { [clock = wire.clock] in
            $0.accepted = accepted
            $0.acceptedAt = clock
            $0.limit = limit
        }
        guard hasRoom(for: limit, of: number, through: &wire) else {
            return overBudget(number, codes, .tooManyRequests, through: &wire)
        }
        wire.statistics.offerBytesPeak = max(wire.statistics.offerBytesPeak, offers.bytes)
        do throws(UTPError) {
            let framed = limit + LEB128.byteLimit * accepted.count
            let (stream, id) = try wire.accept(
                from: offer.address, .receive(limit: framed), for: .inboundOffer(number))
            let answer = PortalMessage.accept(connectionID: id, codes: codes)
            offers.update(number) {
                $0.stream = stream
                $0.answer = answer
            }
            wire.statistics.codesGiven.count(codes)
            wire.deadlines.add(.inboundOffer(number), at: wire.clock + wire.configuration.offerTimeout)
            if !wire.respond(answer, to: offer.token) { finish(number, .timeout, through: &wire) }
        } catch {
            overBudget(number, codes, .stream(error), through: &wire)
        }
    }

    /// Promises the offer its bytes; a slow one may give its own back for them.
    private mutating func hasRoom(for bytes: Int, of number: UInt64, through wire: inout PortalWire) -> Bool {
        if offers.promise(bytes, to: number) { return true }
        if offers.isTooMuch(bytes) { giveUpSlowest(through: &wire) }
        return offers.promise(bytes, to: number)
    }

    /// What was accepted is to be offered again later: others hold what it needs.
    private mutating func overBudget(
        _ number: UInt64, _ codes: [AcceptCode], _ error: OverlayError, through wire: inout PortalWire
    ) {
        guard let offer = offers[number] else { return }
        wire.statistics.offersOverBudget += 1
        InboundOffers.decline(offer, codes.map { $0 == .accepted ? .rateLimited : $0 }, through: &wire)
        finish(number, error, through: &wire)
    }

    /// The stream of the accepted items has ended.
    mutating func streamEnded(
        _ number: UInt64, _ result: Result<[UInt8], UTPError>, through wire: inout PortalWire
    ) {
        guard let offer = offers[number] else { return }
        switch result {
        case .failure(let error):
            finish(number, .stream(error), through: &wire)
        case .success(let bytes):
            let peer = offer.address.id
            wire.book.count(bytes.count, \.offersReceived, of: peer, network: offer.network, at: wire.clock)
            do throws(ByteError) {
                let values = try ItemFrames.decode(bytes, count: offer.accepted.count, limit: offer.limit)
                offers.remove(number)
                wire.statistics.offersReceived += 1
                wire.book.offerEnded(peer, broken: false, at: wire.clock)
                wire.note(nil, of: peer)
                let items = zip(offer.accepted, values).map { ContentItem(key: $0, value: $1) }
                let id = wire.configuration.networks[offer.network].id
                wire.directives.append(.offerReceived(id, from: offer.address, items: items))
            } catch {
                finish(number, .framing(error), through: &wire)
            }
        }
    }

    /// Its time is over.
    mutating func timedOut(_ number: UInt64, through wire: inout PortalWire) {
        finish(number, .timeout, through: &wire)
    }

    /// An accepted offer whose items do not come.
    private mutating func finish(_ number: UInt64, _ error: OverlayError, through wire: inout PortalWire) {
        guard let offer = offers.remove(number) else { return }
        if let stream = offer.stream { wire.close(stream) }
        if !error.isOurs {
            wire.statistics.offersBroken += 1
            wire.book.offerEnded(offer.address.id, broken: true, at: wire.clock)
        }
        wire.note(error, of: offer.address.id)
        let id = wire.configuration.networks[offer.network].id
        wire.directives.append(.offerBroken(id, from: offer.address, keys: offer.accepted, error))
    }
}
