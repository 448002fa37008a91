import Primitives

/// How a stream ended.
enum Ending: Equatable {
    case received([UInt8])
    case sent
    case failed(UTPError)
    /// Failed, and the peer is to be told.
    case broken(UTPError)
}

/// What is common to the streams of a machine.
struct StreamSettings: Sendable {
    let payloadBytes: Int
    let windowBytes: Int
}

/// One stream: its handshake, and the one side (sending or receiving) its payload has.
struct Stream: Sendable {
    private enum Phase {
        /// We connect: SYNs sent so far, when the last one was, and how long it is waited for.
        case connecting(attempts: Int, lastSYN: Instant, wait: Interval)
        /// The peer is to connect.
        case awaiting
        /// We gave the id out and the peer's SYN with this number came, or it answered ours.
        case open
    }

    let id: StreamID
    let peer: NodeAddress
    /// The machine's index of the path to the peer.
    let path: Int
    /// In packets to us. The connecting end's is the id handed out, the accepting end's is one more.
    let receiveID: UInt16
    /// In packets from us, the SYN excepted.
    let sendID: UInt16
    let isConnecting: Bool
    private let settings: StreamSettings
    /// Of our SYN when connecting, else of the answer to the peer's and of our first packet.
    private let firstSequence: UInt16
    private var phase: Phase
    private var sending: SendingSide?
    private var receiving: ReceivingSide?
    private let limit: Int
    /// The last number received in order, where we send; where we receive, the receiving side knows.
    private var acknowledged: UInt16 = 0
    private var peerSYN: UInt16?
    private var difference: UInt32 = 0
    private(set) var owesAck = false
    /// DATA and FIN taken in since the last ack.
    private var sinceAck = 0
    /// DATA and FIN taken in.
    private var taken = 0
    private var owesSYNAnswer = false
    /// The answer to the SYN goes out again behind the first packets: nothing can be read without it.
    private var owesSecondAnswer = false
    private let openedAt: Instant
    private var until: Instant
    /// Packets with payload that came before the answer to our SYN, whose number they are counted from.
    private var held: [(packet: Packet, bytes: [UInt8])] = []

    /// Whether it is in line for a turn on its path.
    private(set) var isWaiting = false

    init(
        id: StreamID, peer: NodeAddress, path: Int, connectionID: UInt16, isConnecting: Bool, transfer: UTP.Transfer,
        firstSequence: UInt16, settings: StreamSettings, at now: Instant
    ) {
        self.id = id
        self.peer = peer
        self.path = path
        self.isConnecting = isConnecting
        self.settings = settings
        self.firstSequence = firstSequence
        receiveID = isConnecting ? connectionID : connectionID &+ 1
        sendID = isConnecting ? connectionID &+ 1 : connectionID
        phase = isConnecting ? .connecting(attempts: 0, lastSYN: now, wait: .zero) : .awaiting
        openedAt = now
        until = isConnecting ? now : now + UTPLimits.acceptTime
        // The SYN takes a number; the answer to a SYN does not.
        let first = isConnecting ? firstSequence &+ 1 : firstSequence
        switch transfer {
        case .send(let bytes):
            sending = SendingSide(payload: bytes, payloadBytes: settings.payloadBytes, firstSequence: first)
            limit = 0
        case .sendLater:
            sending = SendingSide(payload: nil, payloadBytes: settings.payloadBytes, firstSequence: first)
            limit = 0
        case .receive(let bytes):
            limit = max(0, bytes)
        }
    }

    /// The payload to send is not known yet.
    private var isPending: Bool { sending?.isSupplied == false }

    /// Enough packets came in that their ack should not wait for the end of the batch.
    var isAckUrgent: Bool {
        guard sinceAck >= UTPLimits.packetsPerEarlyAck else { return false }
        return sinceAck >= UTPLimits.packetsPerAck || taken < UTPLimits.earlyAckPackets || receiving?.hasGap == true
    }

    /// Payload bytes acknowledged by the peer, or taken in order from it.
    var progress: Int { sending?.acknowledgedBytes ?? receiving?.payload.count ?? 0 }

    /// Bytes of packets kept because they came early.
    var earlyBytes: Int { receiving?.earlyBytes ?? 0 }

    /// Whether packets of it were lost or overtaken on their way to us.
    var hadGap: Bool { receiving?.hadGap ?? false }

    // MARK: Events

    mutating func supply(_ bytes: [UInt8], at now: Instant) {
        guard isPending else { return }
        sending?.supply(bytes)
        if case .open = phase { until = now + UTPLimits.idleTime }
    }

    /// What a packet brought about: bytes kept early, more or fewer, and the stream's end.
    struct Taken {
        let earlyBytes: Int
        let ending: Ending?
    }

    /// Takes a packet, and sends an ack where one should not wait for the end of the batch.
    mutating func take(
        _ packet: Packet, _ bytes: UnsafeRawBufferPointer, on path: inout Path, mayKeep: Bool, at now: Instant,
        into sink: inout some PacketSink
    ) -> Taken {
        let before = earlyBytes
        let ending = receive(packet, bytes, on: &path, mayKeep: mayKeep, at: now)
        let taken = Taken(earlyBytes: earlyBytes - before, ending: ending)
        if ending == nil, isAckUrgent { settle(at: now, on: &path, into: &sink) }
        return taken
    }

    /// A packet whose id is this stream's. `mayKeep`: whether there is room for early packets.
    private mutating func receive(
        _ packet: Packet, _ bytes: UnsafeRawBufferPointer, on path: inout Path, mayKeep: Bool, at now: Instant
    ) -> Ending? {
        let header = packet.header
        if header.kind == .reset { return .failed(.reset) }
        switch phase {
        case .awaiting:
            guard header.kind == .syn else { return nil }
            note(header, at: now)
            sending?.takeWindow(header.window)
            open(peerNumber: header.sequence, at: now)
            peerSYN = header.sequence
            owesSYNAnswer = true
            owesSecondAnswer = sending != nil
            return nil
        case .connecting(let attempts, let lastSYN, _):
            // Only what answers our SYN counts; DATA and FIN before the STATE do not tell the first number.
            guard header.acknowledgement == firstSequence else { return nil }
            if header.kind == .state {
                note(header, at: now)
                sending?.takeWindow(header.window)
                if attempts == 1, sending != nil { path.roundTrip.sample((now - lastSYN).microseconds) }
                open(peerNumber: header.sequence &- 1, at: now)
                return takeHeld(on: &path, mayKeep: mayKeep, at: now)
            }
            if header.kind != .syn, sending == nil, held.count < UTPLimits.earlyPackets {
                held.append((packet, Array(bytes)))
                // The answer may be lost: ask again, soon but once.
                if held.count == 1 {
                    until = min(until, lastSYN + UTPLimits.synRepeatWait)
                }
            }
            return nil
        case .open:
            return takeOpen(packet, bytes, on: &path, mayKeep: mayKeep, at: now)
        }
    }

    private mutating func open(peerNumber: UInt16, at now: Instant) {
        phase = .open
        acknowledged = peerNumber
        until = now + (isPending ? UTPLimits.supplyTime : UTPLimits.idleTime)
        if sending == nil {
            receiving = ReceivingSide(limit: limit, capacity: settings.windowBytes, expected: peerNumber &+ 1)
        }
    }

    private mutating func takeHeld(on path: inout Path, mayKeep: Bool, at now: Instant) -> Ending? {
        let packets = held
        held = []
        for (packet, bytes) in packets {
            let ending = bytes.withUnsafeBytes { takeOpen(packet, $0, on: &path, mayKeep: mayKeep, at: now) }
            if let ending { return ending }
        }
        return nil
    }

    private mutating func note(_ header: UTPHeader, at now: Instant) {
        difference = UInt32(truncatingIfNeeded: now.microseconds) &- header.timestamp
    }

    private mutating func takeOpen(
        _ packet: Packet, _ bytes: UnsafeRawBufferPointer, on path: inout Path, mayKeep: Bool, at now: Instant
    ) -> Ending? {
        let header = packet.header
        if header.kind == .syn {
            // Repeated because our answer was lost or late. Another SYN under the same id is none of this stream.
            if header.sequence == peerSYN { owesSYNAnswer = true }
            return nil
        }
        note(header, at: now)
        if sending != nil { return takeForSender(packet, bytes, on: &path, at: now) }
        guard header.kind != .state else { return nil }
        owesAck = true
        sinceAck += 1
        taken += 1
        switch receiving?.take(packet, bytes, mayKeep: mayKeep) {
        case .progress:
            until = now + UTPLimits.idleTime
            return nil
        case .complete:
            return .received(receiving?.payload ?? [])
        case .failed(let error):
            return .broken(error)
        case .nothing, nil:
            return nil
        }
    }

    private mutating func takeForSender(
        _ packet: Packet, _ bytes: UnsafeRawBufferPointer, on path: inout Path, at now: Instant
    ) -> Ending? {
        guard packet.payload.isEmpty else { return .broken(.payloadFromReceiver) }
        let header = packet.header
        if header.kind == .fin {
            // The receiver's own end, which says that it has all.
            if header.sequence == acknowledged &+ 1 { acknowledged = header.sequence }
            owesAck = true
        }
        if sending?.acknowledge(packet, bytes, on: &path, at: now) == true {
            if sending?.isComplete == true { return .sent }
            until = now + UTPLimits.idleTime
        }
        return nil
    }

    // MARK: Time

    /// When `advance` is due.
    func deadline(on path: Path) -> Instant {
        guard case .open = phase, let due = sending?.deadline(on: path) else { return until }
        return min(until, due)
    }

    mutating func advance(to now: Instant, on path: inout Path) -> Ending? {
        switch phase {
        case .connecting:
            return until <= now && now >= openedAt + UTPLimits.synTime ? .failed(.connectTimedOut) : nil
        case .awaiting:
            return until <= now ? .failed(.acceptTimedOut) : nil
        case .open:
            if until <= now {
                return .broken(isPending ? .supplyTimedOut : .idle)
            }
            sending?.timeout(on: &path, at: now)
            // Who never had our answer to his SYN can acknowledge nothing.
            if !isConnecting, sending?.isUnheard == true, sending?.probes ?? 0 > 0 { owesSYNAnswer = true }
            return nil
        }
    }

    // MARK: Output

    /// Whether there is payload to send, were there room on the path.
    var isReady: Bool {
        guard case .open = phase else { return false }
        return sending?.isReady ?? false
    }

    /// Packets in flight.
    var flying: Int { sending?.flying ?? 0 }

    /// Settles, and says when it is due next and whether it is to be put in line for its path.
    mutating func settled(
        at now: Instant, on path: inout Path, into sink: inout some PacketSink
    ) -> (deadline: Instant, beginsToWait: Bool) {
        settle(at: now, on: &path, into: &sink)
        let begins = isReady && !isWaiting
        if begins { isWaiting = true }
        return (deadline(on: path), begins)
    }

    /// Sends what it may in one turn, and says when it is due next and whether it stays in line.
    mutating func hadTurn(
        of count: Int, at now: Instant, on path: inout Path, into sink: inout some PacketSink
    ) -> (deadline: Instant, isWaiting: Bool) {
        send(count, at: now, on: &path, into: &sink)
        isWaiting = isReady
        return (deadline(on: path), isWaiting)
    }

    /// Sends what is due and needs no room on the path: a SYN, the answer to one, what a timeout has allowed, or the
    /// one ack for all that was received.
    mutating func settle(at now: Instant, on path: inout Path, into sink: inout some PacketSink) {
        switch phase {
        case .awaiting: return
        case .connecting(let attempts, _, let wait):
            guard until <= now, now < openedAt + UTPLimits.synTime else { return }
            let next = min(synWait(attempts, wait, path), openedAt + UTPLimits.synTime - now)
            phase = .connecting(attempts: attempts + 1, lastSYN: now, wait: next)
            until = now + next
            emit(.syn, connectionID: receiveID, sequence: firstSequence, at: now, into: &sink)
        case .open:
            if owesSYNAnswer {
                // Always with the first number, however much was sent since: the peer counts from it.
                owesSYNAnswer = false
                emit(.state, sequence: firstSequence, at: now, into: &sink)
            }
            while sending?.probes ?? 0 > 0, let packet = sending?.next(on: &path, at: now) {
                transmit(packet, on: &path, at: now, into: &sink)
            }
            sending?.watchPeerWindow(at: now)
            guard owesAck else { return }
            owesAck = false
            sinceAck = 0
            emit(.state, sequence: stateSequence, at: now, into: &sink)
        }
    }

    /// Sends up to `count` packets of payload, as far as the path has room.
    mutating func send(_ count: Int, at now: Instant, on path: inout Path, into sink: inout some PacketSink) {
        for _ in 0..<count {
            guard let packet = sending?.next(on: &path, at: now) else { break }
            transmit(packet, on: &path, at: now, into: &sink)
        }
        if owesSecondAnswer {
            owesSecondAnswer = false
            emit(.state, sequence: firstSequence, at: now, into: &sink)
        }
    }

    /// How long to wait for the answer to a SYN that follows `attempts` others, the last of which waited for `wait`.
    private func synWait(_ attempts: Int, _ wait: Interval, _ path: Path) -> Interval {
        guard attempts >= 2 else {
            let smoothed = path.roundTrip.smoothed
            guard smoothed > 0 else { return UTPLimits.synWait }
            let bitMoreThanHalf = Interval(microseconds: smoothed * 9 / 16)
            return min(max(bitMoreThanHalf, UTPLimits.probeTime), UTPLimits.synWait)
        }
        return Interval(microseconds: wait.microseconds * UInt64(UTPLimits.synWaitGrowthQuarters) / 4)
    }

    /// Sends a packet; where the path loses many and the end waits for this one, twice.
    private func transmit(_ packet: Int, on path: inout Path, at now: Instant, into sink: inout some PacketSink) {
        path.spent(transmit(packet, at: now, into: &sink))
        let isCritical =
            path.saysTwice && sending?.isEnding == true && sending?.isRepeatedOrLast(packet) == true
        guard isCritical || sending?.saysTwice == true else { return }
        path.sentCopy()
        path.spent(transmit(packet, at: now, into: &sink))
    }

    /// What STATE bears: the number of our next packet.
    private var stateSequence: UInt16 { sending?.nextSequence ?? ownSequence }

    /// The number of our next packet on a stream whose payload comes to us.
    private var ownSequence: UInt16 { isConnecting ? firstSequence &+ 1 : firstSequence }

    private var acknowledgement: UInt16 { receiving.map { $0.expected &- 1 } ?? acknowledged }

    private func header(_ kind: PacketKind, connectionID: UInt16, sequence: UInt16, at now: Instant) -> UTPHeader {
        UTPHeader(
            kind: kind, connectionID: connectionID, timestamp: UInt32(truncatingIfNeeded: now.microseconds),
            timestampDifference: difference,
            window: UInt32(clamping: receiving?.window ?? settings.windowBytes),
            sequence: sequence, acknowledgement: acknowledgement)
    }

    private func emit(
        _ kind: PacketKind, connectionID: UInt16? = nil, sequence: UInt16, at now: Instant,
        into sink: inout some PacketSink
    ) {
        let header = header(kind, connectionID: connectionID ?? sendID, sequence: sequence, at: now)
        let bits = kind == .state ? receiving?.selectiveAck ?? [] : []
        let layout = PacketLayout(header, selectiveAckBytes: bits.count)
        sink.send(layout.size, to: peer, at: now) { target in
            layout.writeHeader(to: target)
            bits.withUnsafeBytes { layout.writeSelectiveAck($0, to: target) }
        }
    }

    /// Sends a packet; its bytes.
    private func transmit(_ packet: Int, at now: Instant, into sink: inout some PacketSink) -> Int {
        guard let part = sending?.part(packet), let payload = sending?.payload else { return 0 }
        let header = header(part.kind, connectionID: sendID, sequence: part.sequence, at: now)
        let layout = PacketLayout(header, payloadBytes: part.content.count)
        sink.send(layout.size, to: peer, at: now) { target in
            layout.writeHeader(to: target)
            payload.withUnsafeBytes { bytes in
                layout.writePayload(UnsafeRawBufferPointer(rebasing: bytes[part.content]), to: target)
            }
        }
        return layout.size
    }

    /// RESET, where the peer may know of the stream.
    func emitReset(at now: Instant, into sink: inout some PacketSink) {
        if case .awaiting = phase { return }
        emit(.reset, sequence: stateSequence, at: now, into: &sink)
    }

    /// What the peer is answered when it repeats itself after the end: to a sender that all is here, by our own FIN; to
    /// a receiver that its FIN has come.
    func farewell() -> Farewell {
        Farewell(
            kind: sending == nil ? .fin : .state, peer: peer, receiveID: receiveID, sendID: sendID,
            sequence: stateSequence, acknowledgement: acknowledgement, window: UInt32(clamping: settings.windowBytes),
            difference: difference)
    }
}

/// The last word on a stream that ended well, kept for a while.
struct Farewell: Sendable {
    let kind: PacketKind
    let peer: NodeAddress
    let receiveID: UInt16
    let sendID: UInt16
    let sequence: UInt16
    var acknowledgement: UInt16
    let window: UInt32
    var difference: UInt32

    /// The peer's packet after the end; whether it asks for the last word again.
    mutating func takes(_ header: UTPHeader, at now: Instant) -> Bool {
        guard header.kind == .data || header.kind == .fin else { return false }
        if header.kind == .fin, kind == .state, header.sequence == acknowledgement &+ 1 {
            acknowledgement = header.sequence
        }
        difference = UInt32(truncatingIfNeeded: now.microseconds) &- header.timestamp
        return true
    }

    func header(at now: Instant) -> UTPHeader {
        UTPHeader(
            kind: kind, connectionID: sendID, timestamp: UInt32(truncatingIfNeeded: now.microseconds),
            timestampDifference: difference, window: window, sequence: sequence, acknowledgement: acknowledgement)
    }
}
