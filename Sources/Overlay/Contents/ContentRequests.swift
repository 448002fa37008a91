import Discovery
import Primitives
import UTP

/// A FIND_CONTENT of ours, from the call to its directive.
private struct ContentRequest: Sendable {
    let network: Int
    var contact: Contact
    let key: [UInt8]
    /// Bytes we accept.
    let limit: Int
    let startedAt: Instant
    /// Times FIND_CONTENT was sent.
    var attempts = 0
    var firstAnswerAt: Instant?
    var stream: StreamID?
    /// Requests to the same peer when the stream began, this one included: they share what it has.
    var sharers = 1
    /// Bytes of content that arrived.
    var received = 0
    /// What of its stream was here when its time was last looked at.
    var lastProgress = 0
}

/// Requests for content of ours: asked → (stream) → one `contentAnswered`. `finish` is the one way a request ends, but
/// for `cancel`.
struct ContentRequests: Sendable {
    private var requests = SlotTable<ContentRequest>(
        limit: OverlayLimits.contentRequests, perPeer: OverlayLimits.contentRequestsPerPeer)

    /// Requests under way.
    var count: Int { requests.count }

    /// Asks a peer for the content of `key`; see `Overlay.findContent`.
    mutating func find(
        _ key: [UInt8], of peer: Bytes32, limit: Int, timeout: Interval, on network: Subnetwork,
        through wire: inout PortalWire
    ) -> UInt64 {
        let number = wire.nextID()
        wire.statistics.requestsMade += 1
        do throws(OverlayError) {
            guard key.count <= OverlayLimits.askedKeyBytes else { throw .keyTooLong(key.count) }
            let request = ContentRequest(
                network: network.profile.index, contact: try wire.contact(peer, on: network), key: key,
                limit: min(max(limit, 0), OverlayLimits.answerBytes), startedAt: wire.clock)
            guard requests.insert(request, id: number, peer: peer) else { throw .tooManyRequests }
        } catch {
            ContentRequests.refuse(number, error, of: peer, on: network.profile.id, through: &wire)
            return number
        }
        wire.deadlines.add(.request(number), at: wire.clock + timeout)
        send(number, as: network.profile, through: &wire)
        return number
    }

    /// A request that does not even begin.
    static func refuse(
        _ number: UInt64, _ error: OverlayError, of peer: Bytes32, on network: NetworkID, through wire: inout PortalWire
    ) {
        wire.statistics.requestsFailed += 1
        if error == .tooManyRequests { wire.statistics.slotsMissing += 1 }
        let report = ExchangeReport(
            network: network, peer: peer, bytes: 0, duration: .zero, firstAnswer: .zero, byStream: false)
        wire.directives.append(.contentAnswered(Overlay.RequestID(value: number), .failure(error), report))
    }

    private mutating func send(_ number: UInt64, as profile: LocalProfile, through wire: inout PortalWire) {
        guard let request = requests[number] else { return }
        requests.update(number) { $0.attempts += 1 }
        do throws(PortalMessageError) {
            try wire.ask(.findContent(key: request.key), as: profile, request.contact, .content(number))
        } catch {
            finish(number, .failure(.keyTooLong(request.key.count)), through: &wire)
        }
    }

    /// Gives a request up; there will be no `contentAnswered`.
    mutating func cancel(_ number: UInt64, through wire: inout PortalWire) {
        if let stream = requests.remove(number)?.stream { wire.close(stream) }
    }

    /// The peer answered from its other address: what is still to come of the request goes there.
    mutating func follow(_ number: UInt64, to contact: Contact) { requests.update(number) { $0.contact = contact } }

    /// FIND_CONTENT was answered, or was not.
    mutating func answered(
        _ number: UInt64, _ answer: Result<PortalMessage, OverlayError>, as profile: LocalProfile,
        through wire: inout PortalWire
    ) {
        guard let request = requests[number] else { return }
        if case .failure(.unanswered(.timeout)) = answer, request.attempts < OverlayLimits.requestAttempts {
            // Packets get lost, and FIND_CONTENT may be asked twice.
            wire.note(.unanswered(.timeout), of: request.contact.record.id, network: request.network)
            return send(number, as: profile, through: &wire)
        }
        requests.update(number) { [clock = wire.clock] in $0.firstAnswerAt = clock }
        switch answer {
        case .failure(let error):
            finish(number, .failure(error), through: &wire)
        case .success(.content(.content(let bytes))):
            requests.update(number) { $0.received = bytes.count }
            let fits = bytes.count <= request.limit
            finish(
                number, fits ? .success(.content(bytes)) : .failure(.contentTooLarge(bytes.count)), through: &wire)
        case .success(.content(.records(let encoded))):
            finish(number, ContentRequests.records(encoded, request, through: &wire), through: &wire)
        case .success(.content(.connectionID(let id))):
            openStream(number, request, connectionID: id, through: &wire)
        case .success(let other):
            finish(number, .failure(.unexpectedAnswer(selector: other.selector)), through: &wire)
        }
    }

    private static func records(
        _ encoded: [[UInt8]], _ request: ContentRequest, through wire: inout PortalWire
    ) -> Result<ContentAnswer, OverlayError> {
        do throws(OverlayError) {
            let (peer, own) = (request.contact.record.id, wire.localRecord.id)
            let records = try wire.read(encoded, from: request.contact.address, distances: nil)
                .filter { $0.id != peer && $0.id != own }
            for record in records { wire.noticed(record, .named, network: request.network) }
            return .success(.records(records))
        } catch {
            return .failure(error)
        }
    }

    private mutating func openStream(
        _ number: UInt64, _ request: ContentRequest, connectionID: UInt16, through wire: inout PortalWire
    ) {
        do throws(UTPError) {
            let stream = try wire.connect(
                to: request.contact.address, connectionID: connectionID,
                .receive(limit: request.limit + LEB128.byteLimit), for: .request(number))
            let sharers = requests.count(of: request.contact.record.id)
            requests.update(number) {
                $0.stream = stream
                $0.sharers = sharers
            }
        } catch {
            finish(number, .failure(.stream(error)), through: &wire)
        }
    }

    /// The content's stream has ended.
    mutating func streamEnded(
        _ number: UInt64, _ result: Result<[UInt8], UTPError>, through wire: inout PortalWire
    ) {
        guard let request = requests[number] else { return }
        switch result {
        case .failure(let error):
            finish(number, .failure(.stream(error)), through: &wire)
        case .success(let bytes):
            requests.update(number) { $0.received = bytes.count }
            do throws(ByteError) {
                let items = try ItemFrames.decode(bytes, count: 1, limit: request.limit)
                requests.update(number) { $0.received = items[0].count }
                finish(number, .success(.content(items[0])), through: &wire)
            } catch {
                finish(number, .failure(.framing(error)), through: &wire)
            }
        }
    }

    /// Its time is over. A stream that still brings something is waited for: its sender may have many to serve, or a
    /// limit on what it sends, and what is here already would have to be asked of another once more.
    mutating func timedOut(_ number: UInt64, through wire: inout PortalWire) {
        guard let request = requests[number] else { return }
        let progress = request.stream.map { wire.utp.progress(of: $0) } ?? 0
        guard progress - request.lastProgress >= OverlayLimits.livingStreamBytes,
            wire.clock - request.startedAt < OverlayLimits.serveTimeout
        else { return finish(number, .failure(.timeout), through: &wire) }
        requests.update(number) { $0.lastProgress = progress }
        wire.deadlines.add(.request(number), at: wire.clock + OverlayLimits.livingStreamLook)
    }

    private mutating func finish(
        _ number: UInt64, _ result: Result<ContentAnswer, OverlayError>, through wire: inout PortalWire
    ) {
        guard let request = requests.remove(number) else { return }
        if let stream = request.stream { wire.close(stream) }
        let (peer, now) = (request.contact.record.id, wire.clock)
        wire.book.count(request.received, \.contentReceived, of: peer, network: request.network, at: now)
        let report = ExchangeReport(
            network: wire.configuration.networks[request.network].id, peer: peer, bytes: request.received,
            duration: now - request.startedAt, firstAnswer: (request.firstAnswerAt ?? now) - request.startedAt,
            byStream: request.stream != nil)
        switch result {
        case .success:
            wire.note(nil, of: peer, network: request.network)
            wire.book.measured(report.firstAnswer, \.answerTime, of: peer, at: now)
            if request.stream != nil, let since = request.firstAnswerAt {
                // What the peer has for us, not what one of several streams at once had of it.
                let sharers = (request.sharers + requests.count(of: peer) + 1) / 2
                wire.book.measured(bytes: request.received * sharers, in: now - since, of: peer, at: now)
            }
        case .failure(let error):
            wire.statistics.requestsFailed += 1
            wire.note(error, of: peer, network: request.network)
            if !error.isOurs { wire.book.measured(report.duration, \.failureTime, of: peer, at: now) }
        }
        wire.directives.append(.contentAnswered(Overlay.RequestID(value: number), result, report))
    }
}
