import Discovery
import Primitives
import UTP

/// A FIND_CONTENT of ours, from the call to its directive.
struct ContentRequest: Sendable {
    let network: Int
    let contact: Contact
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
}

// FIND_CONTENT of ours.
extension Overlay {
    /// Asks `peer` (of the table, or any node whose record is known) for the content of `key`, at most `limit` bytes of
    /// it. `timeout` covers the whole exchange, its stream too. Ends in one `contentAnswered`.
    public mutating func findContent(
        network id: NetworkID, peer: Bytes32, key: [UInt8], limit: Int, timeout: Interval, at now: Instant
    ) -> RequestID {
        clock = now
        let number = nextID()
        let request = RequestID(value: number)
        statistics.requestsMade += 1
        func refuse(_ error: OverlayError) {
            statistics.requestsFailed += 1
            if error == .tooManyRequests { statistics.slotsMissing += 1 }
            let report = ExchangeReport(
                network: id, peer: peer, bytes: 0, duration: .zero, firstAnswer: .zero, byStream: false)
            directives.append(.contentAnswered(request, .failure(error), report))
        }
        guard let network = index(of: id) else {
            refuse(.unknownNetwork)
            return request
        }
        guard key.count <= OverlayLimits.askedKeyBytes else {
            refuse(.keyTooLong(key.count))
            return request
        }
        let contact: Contact
        do throws(OverlayError) {
            contact = try self.contact(peer, network: network)
        } catch {
            refuse(error)
            return request
        }
        let entry = ContentRequest(
            network: network, contact: contact, key: key, limit: min(max(limit, 0), OverlayLimits.answerBytes),
            startedAt: now)
        guard requests.insert(entry, id: number, peer: peer) else {
            refuse(.tooManyRequests)
            return request
        }
        timers.add(.requestDeadline(number), at: now + timeout)
        sendRequest(number)
        return request
    }

    /// Where to reach a node, if we talk to it at all.
    func contact(_ id: Bytes32, network: Int) throws(OverlayError) -> Contact {
        guard !book.isBanned(id, at: clock) else { throw .peerBanned }
        if let peer = networks[network].table[id] { return peer.contact }
        guard let record = discovery.record(of: id), isCompatible(record),
            let endpoint = discovery.endpoint(of: record)
        else { throw .unknownPeer }
        return Contact(record, at: endpoint)
    }

    private mutating func sendRequest(_ number: UInt64) {
        guard let request = requests[number] else { return }
        requests[number]?.attempts += 1
        do throws(PortalMessageError) {
            let message = PortalMessage.findContent(key: request.key)
            _ = try ask(message, network: request.network, request.contact, .content(number))
        } catch {
            finishRequest(number, .failure(.keyTooLong(request.key.count)))
        }
    }

    /// Gives a request of ours up; there will be no `contentAnswered`.
    public mutating func cancel(_ request: RequestID, at now: Instant) {
        clock = now
        if let entry = requests.remove(request.value), let stream = entry.stream { close(stream) }
    }

    mutating func contentAnswered(_ number: UInt64, _ answer: Result<PortalMessage, OverlayError>) {
        guard let request = requests[number] else { return }
        if case .failure(.unanswered(.timeout)) = answer, request.attempts < OverlayLimits.requestAttempts {
            // Packets get lost, and FIND_CONTENT may be asked twice.
            note(.unanswered(.timeout), of: request.contact.record.id, network: request.network)
            sendRequest(number)
            return
        }
        requests[number]?.firstAnswerAt = clock
        switch answer {
        case .failure(let error):
            finishRequest(number, .failure(error))
        case .success(.content(.content(let bytes))):
            requests[number]?.received = bytes.count
            finishRequest(
                number, bytes.count <= request.limit
                    ? .success(.content(bytes)) : .failure(.contentTooLarge(bytes.count)))
        case .success(.content(.records(let encoded))):
            finishRequest(number, records(encoded, request))
        case .success(.content(.connectionID(let id))):
            receiveStream(number, request, connectionID: id)
        case .success(let other):
            finishRequest(number, .failure(.unexpectedAnswer(selector: other.selector)))
        }
    }

    private mutating func records(
        _ encoded: [[UInt8]], _ request: ContentRequest
    ) -> Result<ContentAnswer, OverlayError> {
        do throws(OverlayError) {
            let peer = request.contact.record.id
            let records = try read(encoded, from: request.contact.address, distances: nil)
                .filter { $0.id != peer && $0.id != localRecord.id }
            for record in records { consider(record, .named, network: request.network) }
            return .success(.records(records))
        } catch {
            return .failure(error)
        }
    }

    private mutating func receiveStream(_ number: UInt64, _ request: ContentRequest, connectionID: UInt16) {
        do throws(UTPError) {
            let stream = try utp.connect(
                to: request.contact.address, connectionID: connectionID,
                transfer: .receive(limit: request.limit + LEB128.byteLimit),
                roundTrip: roundTrip(to: request.contact.address), at: clock)
            streams[stream] = .request(number)
            let sharers = requests.count(of: request.contact.record.id)
            requests[number]?.stream = stream
            requests[number]?.sharers = sharers
        } catch {
            finishRequest(number, .failure(.stream(error)))
        }
    }

    mutating func requestStreamEnded(_ number: UInt64, _ result: Result<[UInt8], UTPError>) {
        guard let request = requests[number] else { return }
        switch result {
        case .failure(let error):
            finishRequest(number, .failure(.stream(error)))
        case .success(let bytes):
            requests[number]?.received = bytes.count
            do throws(ByteError) {
                let items = try ItemFrames.decode(bytes, count: 1, limit: request.limit)
                requests[number]?.received = items[0].count
                finishRequest(number, .success(.content(items[0])))
            } catch {
                finishRequest(number, .failure(.framing(error)))
            }
        }
    }

    /// The one way a request ends, but for `cancel`.
    mutating func finishRequest(_ number: UInt64, _ result: Result<ContentAnswer, OverlayError>) {
        guard let request = requests.remove(number) else { return }
        if let stream = request.stream { close(stream) }
        let peer = request.contact.record.id
        book.count(request.received, \.contentReceived, of: peer, network: request.network, at: clock)
        let report = ExchangeReport(
            network: networks[request.network].configuration.id, peer: peer, bytes: request.received,
            duration: clock - request.startedAt, firstAnswer: (request.firstAnswerAt ?? clock) - request.startedAt,
            byStream: request.stream != nil)
        switch result {
        case .success:
            note(nil, of: peer, network: request.network)
            book.measured(report.firstAnswer, \.answerTime, of: peer, at: clock)
            if request.stream != nil, let since = request.firstAnswerAt {
                // What the peer has for us, not what one of several streams at once had of it.
                let sharers = (request.sharers + requests.count(of: peer) + 1) / 2
                book.measured(bytes: request.received * sharers, in: clock - since, of: peer, at: clock)
            }
        case .failure(let error):
            statistics.requestsFailed += 1
            note(error, of: peer, network: request.network)
            if !error.isOurs { book.measured(report.duration, \.failureTime, of: peer, at: clock) }
        }
        directives.append(.contentAnswered(RequestID(value: number), result, report))
    }
}
