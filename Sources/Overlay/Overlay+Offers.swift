import Discovery
import Primitives
import UTP

/// An offer of ours, from the call to its directive.
struct Offer: Sendable {
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

/// An offer of a peer, until it is decided and its items have arrived.
struct InboundOffer: Sendable {
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

// OFFER and ACCEPT, both sides.
extension Overlay {
    // MARK: Offering

    /// Offers items to a peer, in as many OFFERs as they need, one after the other. Ends in one `offerFinished`.
    public mutating func offer(
        network id: NetworkID, peer: Bytes32, items: [ContentItem], at now: Instant
    ) -> OfferID {
        clock = now
        let number = nextID()
        let offer = OfferID(value: number)
        statistics.offersMade += 1
        do throws(OverlayError) {
            guard let network = index(of: id) else { throw .unknownNetwork }
            let contact = try self.contact(peer, network: network)
            let entry = Offer(
                network: network, contact: contact, items: items, parts: try Overlay.parts(of: items),
                deadline: now + configuration.offerTimeout)
            guard offers.insert(entry, id: number, peer: peer) else {
                statistics.slotsMissing += 1
                throw .tooManyRequests
            }
        } catch {
            statistics.offersFailed += 1
            directives.append(.offerFinished(offer, .failure(error)))
            return offer
        }
        sendPart(number)
        return offer
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
    private mutating func sendPart(_ number: UInt64) {
        guard let offer = offers[number] else { return }
        guard offer.part < offer.parts.count else {
            if offer.streams.isEmpty { settleOffer(number, offer) }
            return
        }
        // Before it is offered: what a receiver has accepted it waits for.
        if offer.attempts == 0, !offers.promise(offer.bytes(of: offer.part), to: number) {
            statistics.slotsMissing += 1
            return finishOffer(number, .failure(.tooManyRequests))
        }
        offers[number]?.attempts += 1
        offers[number]?.deadline = clock + configuration.offerTimeout
        timers.add(.offerDeadline(number), at: clock + configuration.offerTimeout)
        do throws(PortalMessageError) {
            let keys = offer.items[offer.parts[offer.part]].map(\.key)
            _ = try ask(.offer(keys: keys), network: offer.network, offer.contact, .offer(number))
        } catch {
            finishOffer(number, .failure(.malformed(error)))
        }
    }

    mutating func offerAnswered(_ number: UInt64, _ answer: Result<PortalMessage, OverlayError>) {
        guard let offer = offers[number] else { return }
        if case .failure(.unanswered(.timeout)) = answer, offer.attempts < OverlayLimits.requestAttempts {
            note(.unanswered(.timeout), of: offer.contact.record.id)
            sendPart(number)
            return
        }
        switch answer {
        case .failure(let error):
            finishOffer(number, .failure(error))
        case .success(.accept(let connectionID, let codes)):
            accepted(number, offer, connectionID: connectionID, codes)
        case .success(let other):
            finishOffer(number, .failure(.unexpectedAnswer(selector: other.selector)))
        }
    }

    private mutating func accepted(
        _ number: UInt64, _ offer: Offer, connectionID: UInt16, _ codes: [AcceptCode]
    ) {
        let part = offer.parts[offer.part]
        guard codes.count == part.count else {
            finishOffer(number, .failure(.wrongCodeCount(offered: part.count, answered: codes.count)))
            return
        }
        statistics.codesReceived.count(codes)
        let reactions = codes.map { AcceptReaction($0) }
        if reactions.contains(.askRadius) { askRadius(of: offer.contact.record.id, network: offer.network) }
        let values = zip(offer.items[part], reactions).filter { $0.1 == .send }.map(\.0.value)
        offers.giveBack(offer.bytes(of: offer.part) - values.reduce(0) { $0 + $1.count }, of: number)
        if !values.isEmpty {
            do throws(UTPError) {
                let stream = try utp.connect(
                    to: offer.contact.address, connectionID: connectionID, transfer: .send(ItemFrames.encode(values)),
                    roundTrip: roundTrip(to: offer.contact.address), at: clock)
                streams[stream] = .offer(number)
                offers[number]?.streams[stream] = values.reduce(0) { $0 + $1.count }
            } catch {
                finishOffer(number, .failure(.stream(error)))
                return
            }
        }
        offers[number]?.codes += codes
        offers[number]?.part += 1
        offers[number]?.attempts = 0
        sendPart(number)
    }

    mutating func offerStreamEnded(_ number: UInt64, _ stream: StreamID, _ result: Result<[UInt8], UTPError>) {
        guard let offer = offers[number], let bytes = offer.streams[stream] else { return }
        offers[number]?.streams[stream] = nil
        switch result {
        case .failure(let error):
            finishOffer(number, .failure(.stream(error)))
        case .success:
            offers.giveBack(bytes, of: number)
            book.count(bytes, \.offersSent, of: offer.contact.record.id, network: offer.network, at: clock)
            if offer.part == offer.parts.count { sendPart(number) }
        }
    }

    mutating func offerDue(_ number: UInt64) {
        guard let offer = offers[number], offer.deadline <= clock else { return }
        finishOffer(number, .failure(.timeout))
    }

    /// All is said and sent. Items that the receiver had no room for rest, to be offered once more; else the offer
    /// ends.
    private mutating func settleOffer(_ number: UInt64, _ offer: Offer) {
        if let first = offer.first {
            var codes = first.codes
            for (place, code) in zip(first.places, offer.codes) { codes[place] = code }
            return finishOffer(number, .success(codes))
        }
        let delays = offer.codes.map { AcceptReaction($0).delay }
        let places = delays.indices.filter { delays[$0] != nil }
        let items = places.map { offer.items[$0] }
        // Items that fitted once fit again; without room to rest they are left alone.
        guard !items.isEmpty, case .success(let parts) = Result(catching: { try Overlay.parts(of: items) }),
            restingOffers.insert(
                Offer(
                    network: offer.network, contact: offer.contact, items: items, parts: parts,
                    deadline: offer.deadline, first: (offer.codes, places)),
                id: number, peer: offer.contact.record.id)
        else { return finishOffer(number, .success(offer.codes)) }
        offers.remove(number)
        note(nil, of: offer.contact.record.id)
        timers.add(.offerAgain(number), at: clock + (delays.compactMap { $0 }.max() ?? .zero))
    }

    /// The second try of an offer, where there is a slot for it.
    mutating func offerAgain(_ number: UInt64) {
        guard let offer = restingOffers.remove(number) else { return }
        let peer = offer.contact.record.id
        guard !book.isBanned(peer, at: clock), offers.insert(offer, id: number, peer: peer) else {
            directives.append(.offerFinished(OfferID(value: number), .success(offer.first?.codes ?? offer.codes)))
            return
        }
        statistics.offersRepeated += 1
        sendPart(number)
    }

    /// The one way an offer ends, but for one that rests and finds no slot.
    private mutating func finishOffer(_ number: UInt64, _ result: Result<[AcceptCode], OverlayError>) {
        guard let offer = offers.remove(number) else { return }
        for stream in offer.streams.keys.sorted() { close(stream) }
        switch result {
        case .success: note(nil, of: offer.contact.record.id)
        case .failure(let error):
            statistics.offersFailed += 1
            note(error, of: offer.contact.record.id)
        }
        directives.append(.offerFinished(OfferID(value: number), result))
    }

    // MARK: Being offered

    mutating func itemsOffered(_ network: Int, _ address: NodeAddress, keys: [[UInt8]], _ token: TalkToken) {
        guard !isRepeated(network, address, keys: keys, token) else { return }
        let number = nextID()
        let entry = InboundOffer(network: network, address: address, keys: keys, token: token)
        let isWelcome = inboundOffers.count(of: address.id) < inboundShare(of: address.id)
        if isWelcome, !keys.isEmpty, inboundOffers.isFull { giveUpSlowestOffer() }
        guard !keys.isEmpty, isWelcome, inboundOffers.insert(entry, id: number, peer: address.id)
        else {
            statistics.offersRefused += 1
            decline(entry, .rateLimited)
            return
        }
        statistics.offersAdmitted += 1
        timers.add(.decideOffer(number), at: clock + OverlayLimits.offerDecisionDelay)
        let id = networks[network].configuration.id
        directives.append(.offered(id, from: address, keys: keys, OfferToken(value: number)))
    }

    /// All slots or bytes are taken: the accepted offer that comes most slowly, if that is slow, gives its own back.
    private mutating func giveUpSlowestOffer() {
        let slowest = slowest(
            of: inboundOffers.all.lazy.compactMap { number, entry in
                entry.stream.map { (number, $0, since: entry.acceptedAt) }
            })
        if let slowest { finishInboundOffer(slowest, .timeout) }
    }

    /// Slots for offers of one node. Whose accepted offers mostly never come gets one, so that it can mend its name and
    /// not much else. Its PINGs may be as good as they like: they do not count here.
    private func inboundShare(of peer: Bytes32) -> Int {
        guard let standing = book.standing(of: peer), standing.offers.count >= OverlayLimits.brokenOffersCounted,
            standing.brokenOfferRate > OverlayLimits.brokenOfferRate
        else { return OverlayLimits.inboundOffersPerPeer }
        return 1
    }

    /// An offerer that missed our ACCEPT offers the same again. It gets the same ACCEPT: to the floors above it would
    /// seem another offer of items that are on their way already.
    private mutating func isRepeated(
        _ network: Int, _ address: NodeAddress, keys: [[UInt8]], _ token: TalkToken
    ) -> Bool {
        for number in inboundOffers.ids(of: address.id) {
            guard let entry = inboundOffers[number], entry.network == network, entry.address == address,
                entry.keys == keys
            else { continue }
            inboundOffers[number]?.token = token
            if let answer = entry.answer { respond(answer, to: token) }
            return true
        }
        return false
    }

    private mutating func decline(_ entry: InboundOffer, _ code: AcceptCode) {
        statistics.codesGiven.count(entry.keys.map { _ in code })
        respond(.accept(connectionID: 0, codes: entry.keys.map { _ in code }), to: entry.token)
    }

    /// Nobody decided: the offerer may try again.
    mutating func undecided(_ number: UInt64) {
        guard let entry = inboundOffers[number], entry.stream == nil else { return }
        inboundOffers.remove(number)
        decline(entry, .rateLimited)
    }

    /// Decides an offer: one code for each key of it, or else it is declined. Ignored when it comes too late; then no
    /// items come, as after a decline. The accepted items may have `limit` bytes in all; where that is more than is
    /// left of what all offers, or this peer's, may have at once, they are answered with code 4, and the offer ends in
    /// `offerBroken` here.
    public mutating func respond(
        toOffer token: OfferToken, codes: [AcceptCode], limit: Int = OverlayLimits.offerStreamBytes, at now: Instant
    ) {
        clock = now
        guard let entry = inboundOffers[token.value], entry.stream == nil else { return }
        let accepted = zip(entry.keys, codes).filter { $0.1 == .accepted }.map(\.0)
        guard codes.count == entry.keys.count, !accepted.isEmpty else {
            inboundOffers.remove(token.value)
            let fits = codes.count == entry.keys.count
            let answer = fits ? codes : entry.keys.map { _ in .declined }
            statistics.codesGiven.count(answer)
            respond(.accept(connectionID: 0, codes: answer), to: entry.token)
            return
        }
        let limit = min(max(limit, 0), OverlayLimits.offerStreamBytes)
        inboundOffers[token.value]?.accepted = accepted
        inboundOffers[token.value]?.acceptedAt = now
        inboundOffers[token.value]?.limit = limit
        if !inboundOffers.promise(limit, to: token.value) {
            if inboundOffers.isTooMuch(limit) { giveUpSlowestOffer() }
            guard inboundOffers.promise(limit, to: token.value) else {
                return overBudget(token.value, codes, .tooManyRequests)
            }
        }
        statistics.offerBytesPeak = max(statistics.offerBytesPeak, inboundOffers.bytes)
        do throws(UTPError) {
            let framed = limit + LEB128.byteLimit * accepted.count
            let (stream, id) = try utp.accept(
                from: entry.address, transfer: .receive(limit: framed), roundTrip: roundTrip(to: entry.address),
                at: now)
            streams[stream] = .inboundOffer(token.value)
            inboundOffers[token.value]?.stream = stream
            let answer = PortalMessage.accept(connectionID: id, codes: codes)
            inboundOffers[token.value]?.answer = answer
            statistics.codesGiven.count(codes)
            timers.add(.inboundOfferDeadline(token.value), at: now + configuration.offerTimeout)
            if !respond(answer, to: entry.token) {
                finishInboundOffer(token.value, .timeout)
            }
        } catch {
            overBudget(token.value, codes, .stream(error))
        }
    }

    /// What was accepted is to be offered again later: others hold what it needs.
    private mutating func overBudget(_ number: UInt64, _ codes: [AcceptCode], _ error: OverlayError) {
        guard let entry = inboundOffers[number] else { return }
        statistics.offersOverBudget += 1
        let answer = codes.map { $0 == .accepted ? .rateLimited : $0 }
        statistics.codesGiven.count(answer)
        respond(.accept(connectionID: 0, codes: answer), to: entry.token)
        finishInboundOffer(number, error)
    }

    mutating func inboundOfferStreamEnded(_ number: UInt64, _ result: Result<[UInt8], UTPError>) {
        guard let entry = inboundOffers[number] else { return }
        switch result {
        case .failure(let error):
            finishInboundOffer(number, .stream(error))
        case .success(let bytes):
            book.count(bytes.count, \.offersReceived, of: entry.address.id, network: entry.network, at: clock)
            do throws(ByteError) {
                let values = try ItemFrames.decode(bytes, count: entry.accepted.count, limit: entry.limit)
                inboundOffers.remove(number)
                statistics.offersReceived += 1
                book.offerEnded(entry.address.id, broken: false, at: clock)
                note(nil, of: entry.address.id)
                let items = zip(entry.accepted, values).map { ContentItem(key: $0, value: $1) }
                let id = networks[entry.network].configuration.id
                directives.append(.offerReceived(id, from: entry.address, items: items))
            } catch {
                finishInboundOffer(number, .framing(error))
            }
        }
    }

    /// An accepted offer whose items do not come.
    mutating func finishInboundOffer(_ number: UInt64, _ error: OverlayError) {
        guard let entry = inboundOffers.remove(number) else { return }
        if let stream = entry.stream { close(stream) }
        if !error.isOurs {
            statistics.offersBroken += 1
            book.offerEnded(entry.address.id, broken: true, at: clock)
        }
        note(error, of: entry.address.id)
        let id = networks[entry.network].configuration.id
        directives.append(.offerBroken(id, from: entry.address, keys: entry.accepted, error))
    }
}
