import Discovery
import Primitives
import UTP

/// A FIND_CONTENT of a peer, until it is answered and its stream is over.
private struct ServedContent: Sendable {
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

/// Requests for content of others. One is handed on when there is room for its answer (`AnswerBudget`); an asker that
/// has to wait gets its stream meanwhile, so that its own request does not run out. `release` is the one way a request
/// leaves.
struct ContentServer: Sendable {
    private var served = SlotTable<ServedContent>(
        limit: OverlayLimits.servedContents, perPeer: OverlayLimits.servedContentsPerPeer)
    private var answers = AnswerBudget()
    /// Whether the deadline runs at which slow readers are looked for.
    private var isReliefDue = false

    /// Requests that are answered or streamed.
    var count: Int { served.count }
    /// Bytes of answers that are being made or read.
    var answerBytes: Int { answers.bytes }

    /// A peer asks for the content of `key`.
    mutating func asked(
        for key: [UInt8], by address: NodeAddress, _ token: TalkToken, on network: Subnetwork,
        through wire: inout PortalWire
    ) {
        // A datagram that the network doubles asks for nothing more.
        guard !served.ids(of: address.id).contains(where: { served[$0]?.token == token }) else { return }
        giveUpLost(key, of: address.id, on: network, through: &wire)
        let number = wire.nextID()
        let entry = ServedContent(network: network.profile.index, address: address, key: key, token: token)
        if !served.hasRoom(for: address.id) { makeSlot(for: address.id, on: network, through: &wire) }
        guard served.insert(entry, id: number, peer: address.id) else {
            return ContentServer.respondBusy(entry, on: network, through: &wire)
        }
        wire.statistics.requestsAdmitted += 1
        wire.deadlines.add(.promiseContent(number), at: wire.clock + OverlayLimits.earlyAnswerDelay)
        answers.add(
            number, peer: address.id, subnet: Subnet(limiting: address.endpoint),
            bytes: network.configuration.answerBytes(key))
        beginAnswers(through: &wire)
    }

    /// Whoever asks for the same again has not got the answer, and waits for that to the new request. The one that was
    /// lost would keep its room for nobody, and so keep the new one from its turn.
    private mutating func giveUpLost(
        _ key: [UInt8], of peer: Bytes32, on network: Subnetwork, through wire: inout PortalWire
    ) {
        for number in served.ids(of: peer) {
            guard let entry = served[number], entry.key == key, entry.network == network.profile.index else { continue }
            release(number)
            switch entry.stage {
            case .waiting: break
            case .promised(let stream), .streaming(let stream, _, _): wire.close(stream)
            }
        }
    }

    // MARK: Turns

    /// Hands on what has its turn. Where one that would have it is held back by readers that take next to nothing,
    /// those lose theirs.
    private mutating func beginAnswers(through wire: inout PortalWire) {
        repeat {
            while let number = answers.next(), let entry = served[number] {
                let id = wire.configuration.networks[entry.network].id
                wire.directives.append(
                    .contentRequested(
                        id, from: entry.address, key: entry.key, Overlay.ContentToken(value: number)))
            }
        } while giveUpSlowest(through: &wire)
        guard !isReliefDue, answers.heldBack != nil else { return }
        isReliefDue = true
        wire.deadlines.add(.relieveAnswers, at: wire.clock + OverlayLimits.reliefInterval)
    }

    /// Looks again for slow readers, as long as somebody is held back.
    mutating func relieve(through wire: inout PortalWire) {
        isReliefDue = false
        beginAnswers(through: &wire)
    }

    /// Gives up the answer that is read most slowly, if that is slow and somebody waits for its room.
    private mutating func giveUpSlowest(through wire: inout PortalWire) -> Bool {
        guard let peer = answers.heldBack else { return false }
        return giveUpSlowest(through: &wire) { answers, other in answers.mayGive(other, to: peer) }
    }

    /// The same among the answers of those peers that `mayGive` names; false where none is slow.
    private mutating func giveUpSlowest(
        through wire: inout PortalWire, of mayGive: (AnswerBudget, Bytes32) -> Bool
    ) -> Bool {
        let slowest = wire.slowest(
            of: served.all.compactMap { number, entry in
                guard case .streaming(let stream, _, let since) = entry.stage, mayGive(answers, entry.address.id)
                else { return nil }
                return (number, stream, since: since)
            }, isSent: true)
        guard let slowest, let entry = release(slowest, .tooSlow) else { return false }
        wire.statistics.slowReaders += 1
        if case .streaming(let stream, _, _) = entry.stage { wire.close(stream) }
        return true
    }

    /// All slots are taken: who has most of them loses its newest request that is not answered yet, to one that would
    /// still have fewer. Where all are being read, the one that is read most slowly goes, if that is slow.
    private mutating func makeSlot(for peer: Bytes32, on network: Subnetwork, through wire: inout PortalWire) {
        guard served.isFull else { return }
        if let (crowd, slots) = served.mostSlots, slots > served.count(of: peer) + 1 {
            let unanswered = served.ids(of: crowd).last { number in
                if case .streaming? = served[number]?.stage { false } else { true }
            }
            if let unanswered, let entry = release(unanswered) {
                switch entry.stage {
                case .waiting: ContentServer.respondBusy(entry, on: network, through: &wire)
                case .promised(let stream), .streaming(let stream, _, _): wire.close(stream)
                }
                return
            }
        }
        _ = giveUpSlowest(through: &wire) { _, other in other != peer }
    }

    @discardableResult
    private mutating func release(_ number: UInt64, _ ending: AnswerBudget.Ending = .other) -> ServedContent? {
        answers.remove(number, ending)
        return served.remove(number)
    }

    /// Says "busy" in the network's way. One that has none sends the asker on to others.
    private static func respondBusy(
        _ entry: ServedContent, on network: Subnetwork, through wire: inout PortalWire
    ) {
        wire.statistics.requestsRefused += 1
        if let busy = network.configuration.busyAnswer {
            wire.respond(.content(.content(busy)), to: entry.token)
            return
        }
        let nearest = network.table.closest(to: SHA256.hash(entry.key), limit: OverlayLimits.records + 1)
        wire.respond(
            nearest.compactMap { network.table.contact(of: $0)?.record }, to: entry.address, entry.token)
    }

    // MARK: Answers

    /// Where a request that is still waited for was made; nil for one that is over.
    func network(of number: UInt64) -> Int? { served[number]?.network }

    /// Answers a request for content: inline, or by a stream, as the size demands.
    mutating func answer(
        _ number: UInt64, _ answer: ContentAnswer, on network: Subnetwork, through wire: inout PortalWire
    ) {
        guard let entry = served[number] else { return }
        defer { beginAnswers(through: &wire) }
        switch (entry.stage, answer) {
        case (.streaming, _):
            return
        case (.waiting, .records(let records)):
            release(number)
            wire.respond(records, to: entry.address, entry.token)
        case (.promised(let stream), .records):
            // Too late to say so: the asker sees its stream end.
            release(number)
            wire.close(stream)
        case (.waiting, .content(let bytes)) where bytes.count <= OverlayLimits.inlineContentBytes:
            release(number)
            if wire.respond(.content(.content(bytes)), to: entry.token) {
                // It waits for no limit, being one packet, and counts as all content does.
                wire.utp.spend(bytes.count, at: wire.clock)
                ContentServer.countSent(bytes.count, entry, through: &wire)
            }
        case (.waiting, .content(let bytes)):
            let transfer = UTP.Transfer.send(ItemFrames.encode([bytes]))
            guard let stream = openStream(number, entry, transfer, on: network, through: &wire) else { return }
            began(number, stream, bytes.count, through: &wire)
        case (.promised(let stream), .content(let bytes)):
            wire.utp.supply(stream, ItemFrames.encode([bytes]), at: wire.clock)
            began(number, stream, bytes.count, through: &wire)
        }
    }

    private mutating func began(
        _ number: UInt64, _ stream: StreamID, _ bytes: Int, through wire: inout PortalWire
    ) {
        served.update(number) { [clock = wire.clock] in $0.stage = .streaming(stream, bytes, since: clock) }
        answers.settle(number, bytes: bytes)
        wire.statistics.answerBytesPeak = max(wire.statistics.answerBytesPeak, answers.bytes)
    }

    private static func countSent(_ bytes: Int, _ entry: ServedContent, through wire: inout PortalWire) {
        wire.book.count(bytes, \.contentSent, of: entry.address.id, network: entry.network, at: wire.clock)
    }

    /// Answers with a connection id; nil where there is no stream for it, and the entry is gone.
    private mutating func openStream(
        _ number: UInt64, _ entry: ServedContent, _ transfer: UTP.Transfer, on network: Subnetwork,
        through wire: inout PortalWire
    ) -> StreamID? {
        do throws(UTPError) {
            let (stream, id) = try wire.accept(from: entry.address, transfer, for: .served(number))
            if wire.respond(.content(.connectionID(id)), to: entry.token) { return stream }
            wire.close(stream)
        } catch {
            ContentServer.respondBusy(entry, on: network, through: &wire)
        }
        release(number)
        return nil
    }

    /// The asker does not wait any longer: it gets a stream now, and its content when it is there.
    mutating func promise(_ number: UInt64, on network: Subnetwork, through wire: inout PortalWire) {
        guard let entry = served[number] else { return }
        // Set only now, so that what is answered at once leaves no deadline behind for long.
        wire.deadlines.add(.serve(number), at: wire.clock + OverlayLimits.serveTimeout)
        guard case .waiting = entry.stage else { return }
        guard let stream = openStream(number, entry, .sendLater, on: network, through: &wire) else {
            return beginAnswers(through: &wire)
        }
        served.update(number) { $0.stage = .promised(stream) }
    }

    /// The answer's stream has ended.
    mutating func streamEnded(
        _ number: UInt64, _ result: Result<[UInt8], UTPError>, through wire: inout PortalWire
    ) {
        var isRead = false
        if case .success = result { isRead = true }
        guard let entry = release(number, isRead ? .read : .other) else { return }
        if case .streaming(_, let bytes, _) = entry.stage, isRead {
            ContentServer.countSent(bytes, entry, through: &wire)
        }
        beginAnswers(through: &wire)
    }

    /// Its time is over.
    mutating func timedOut(_ number: UInt64, through wire: inout PortalWire) {
        guard let entry = release(number) else { return }
        switch entry.stage {
        case .waiting: break
        case .promised(let stream), .streaming(let stream, _, _): wire.close(stream)
        }
        beginAnswers(through: &wire)
    }
}
