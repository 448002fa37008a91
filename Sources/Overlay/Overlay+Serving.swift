import Discovery
import Primitives
import UTP

/// A FIND_CONTENT of a peer, until it is answered and its stream is over.
struct ServedContent: Sendable {
    enum Stage {
        /// The content is being made, or waits for its turn to be.
        case waiting
        /// A stream was promised for it.
        case promised(StreamID)
        /// It is on its way: bytes of content, and since when.
        case streaming(StreamID, Int, since: Instant)
    }

    let network: Int
    let address: NodeAddress
    let key: [UInt8]
    let token: TalkToken
    var stage = Stage.waiting
}

// FIND_CONTENT of others. A request is handed on when there is room for its answer (`AnswerBudget`); an asker that has
// to wait gets its stream meanwhile, so that its own request does not run out.
extension Overlay {
    mutating func contentAsked(_ network: Int, _ address: NodeAddress, key: [UInt8], _ token: TalkToken) {
        // A datagram that the network doubles asks for nothing more.
        guard !served.ids(of: address.id).contains(where: { served[$0]?.token == token }) else { return }
        let number = nextID()
        let entry = ServedContent(network: network, address: address, key: key, token: token)
        if !served.hasRoom(for: address.id) { makeSlot(for: address.id) }
        guard served.insert(entry, id: number, peer: address.id) else {
            respondBusy(entry)
            return
        }
        statistics.requestsAdmitted += 1
        timers.add(.promiseContent(number), at: clock + OverlayLimits.earlyAnswerDelay)
        answers.add(
            number, peer: address.id, subnet: Subnet(limiting: address.endpoint),
            bytes: networks[network].configuration.answerBytes(key))
        beginAnswers()
    }

    /// Hands on what has its turn. Where one that would have it is held back by readers that take next to nothing,
    /// those lose theirs.
    private mutating func beginAnswers() {
        repeat {
            while let number = answers.next(), let entry = served[number] {
                let id = networks[entry.network].configuration.id
                directives.append(
                    .contentRequested(id, from: entry.address, key: entry.key, ContentToken(value: number)))
            }
        } while giveUpSlowest()
        guard answers.heldBack != nil, !isReliefDue else { return }
        isReliefDue = true
        timers.add(.relieveAnswers, at: clock + OverlayLimits.reliefInterval)
    }

    /// Looks again for slow readers, as long as somebody is held back.
    mutating func relieveAnswers() {
        isReliefDue = false
        beginAnswers()
    }

    /// Gives up the answer that is read most slowly, if that is slow and somebody waits for its room.
    private mutating func giveUpSlowest() -> Bool {
        guard let peer = answers.heldBack else { return false }
        return giveUpSlowest { [answers] in answers.mayGive($0, to: peer) }
    }

    /// The same among the answers of those peers that `mayGive` names; false where none is slow.
    private mutating func giveUpSlowest(of mayGive: (Bytes32) -> Bool) -> Bool {
        let slowest = slowest(
            of: served.all.compactMap { number, entry in
                guard case .streaming(let stream, _, let since) = entry.stage, mayGive(entry.address.id) else {
                    return nil
                }
                return (number, stream, since: since)
            })
        guard let slowest, let entry = release(slowest, .tooSlow) else { return false }
        statistics.slowReaders += 1
        if case .streaming(let stream, _, _) = entry.stage { close(stream) }
        return true
    }

    /// All slots are taken: who has most of them loses its newest request that is not answered yet, to one that would
    /// still have fewer. Where all are being read, the one that is read most slowly goes, if that is slow.
    private mutating func makeSlot(for peer: Bytes32) {
        guard served.isFull else { return }
        if let (crowd, slots) = served.mostSlots, slots > served.count(of: peer) + 1 {
            let unanswered = served.ids(of: crowd).last { number in
                if case .streaming? = served[number]?.stage { false } else { true }
            }
            if let unanswered, let entry = release(unanswered) {
                switch entry.stage {
                case .waiting: respondBusy(entry)
                case .promised(let stream), .streaming(let stream, _, _): close(stream)
                }
                return
            }
        }
        _ = giveUpSlowest { $0 != peer }
    }

    /// The one way a request of others leaves the table.
    @discardableResult
    private mutating func release(_ number: UInt64, _ ending: AnswerBudget.Ending = .other) -> ServedContent? {
        defer { answers.remove(number, ending) }
        return served.remove(number)
    }

    /// Says "busy" in the network's way. One that has none sends the asker on to others.
    private mutating func respondBusy(_ entry: ServedContent) {
        statistics.requestsRefused += 1
        if let busy = networks[entry.network].configuration.busyAnswer {
            respond(.content(.content(busy)), to: entry.token)
            return
        }
        let records = closestRecords(
            to: SHA256.hash(entry.key), network: networks[entry.network].configuration.id, besides: entry.address.id)
        respond(.content(.records(fitting(told(records, to: entry.address), reserved: 2))), to: entry.token)
    }

    /// Answers a request for content: inline, or by a stream, as the size demands.
    public mutating func answer(_ token: ContentToken, _ answer: ContentAnswer, at now: Instant) {
        clock = now
        guard let entry = served[token.value] else { return }
        defer { beginAnswers() }
        switch (entry.stage, answer) {
        case (.streaming, _):
            return
        case (.waiting, .records(let records)):
            release(token.value)
            respond(.content(.records(fitting(told(records, to: entry.address), reserved: 2))), to: entry.token)
        case (.promised(let stream), .records):
            // Too late to say so: the asker sees its stream end.
            release(token.value)
            close(stream)
        case (.waiting, .content(let bytes)) where bytes.count <= OverlayLimits.inlineContentBytes:
            release(token.value)
            if respond(.content(.content(bytes)), to: entry.token) { countSent(bytes.count, entry) }
        case (.waiting, .content(let bytes)):
            guard let stream = openStream(token.value, entry, .send(ItemFrames.encode([bytes]))) else { return }
            began(token.value, stream, bytes.count)
        case (.promised(let stream), .content(let bytes)):
            utp.supply(stream, ItemFrames.encode([bytes]), at: now)
            began(token.value, stream, bytes.count)
        }
    }

    private mutating func began(_ number: UInt64, _ stream: StreamID, _ bytes: Int) {
        served[number]?.stage = .streaming(stream, bytes, since: clock)
        answers.settle(number, bytes: bytes)
        statistics.answerBytesPeak = max(statistics.answerBytesPeak, answers.bytes)
    }

    private mutating func countSent(_ bytes: Int, _ entry: ServedContent) {
        book.count(bytes, \.contentSent, of: entry.address.id, network: entry.network, at: clock)
    }

    /// Answers with a connection id; nil where there is no stream for it, and the entry is gone.
    private mutating func openStream(
        _ number: UInt64, _ entry: ServedContent, _ transfer: UTP.Transfer
    ) -> StreamID? {
        do throws(UTPError) {
            let (stream, id) = try utp.accept(
                from: entry.address, transfer: transfer, roundTrip: roundTrip(to: entry.address), at: clock)
            streams[stream] = .served(number)
            if respond(.content(.connectionID(id)), to: entry.token) { return stream }
            close(stream)
        } catch {
            respondBusy(entry)
        }
        release(number)
        return nil
    }

    /// The asker does not wait any longer: it gets a stream now, and its content when it is there.
    mutating func promiseContent(_ number: UInt64) {
        guard let entry = served[number] else { return }
        // Set only now, so that what is answered at once leaves no timer behind for long.
        timers.add(.serveDeadline(number), at: clock + OverlayLimits.serveTimeout)
        guard case .waiting = entry.stage else { return }
        guard let stream = openStream(number, entry, .sendLater) else { return beginAnswers() }
        served[number]?.stage = .promised(stream)
    }

    mutating func servedStreamEnded(_ number: UInt64, _ result: Result<[UInt8], UTPError>) {
        var isRead = false
        if case .success = result { isRead = true }
        guard let entry = release(number, isRead ? .read : .other) else { return }
        if case .streaming(_, let bytes, _) = entry.stage, isRead { countSent(bytes, entry) }
        beginAnswers()
    }

    mutating func stopServing(_ number: UInt64) {
        guard let entry = release(number) else { return }
        switch entry.stage {
        case .waiting: break
        case .promised(let stream), .streaming(let stream, _, _): close(stream)
        }
        beginAnswers()
    }
}
