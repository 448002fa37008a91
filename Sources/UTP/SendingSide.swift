import Primitives

/// The payload's way out: what is in flight, what is lost, when to ask again. How much may be in flight is not its own
/// affair but its path's, which it shares with the other streams to the same peer.
///
/// Packets are counted from 0 without wrapping; the last one is the FIN. Every transmission, first or repeated, has a
/// number of its own that grows with time. A transmission is lost when `reorderThreshold` later ones were acknowledged,
/// or when one later one was and a round trip and a quarter have passed; so a repeated packet that is lost again is
/// found just as fast. What nothing later can prove lost, the timeout finds.
struct SendingSide: Sendable {
    /// `silent`: too old to be on its way still, and too far behind the gap for an ack to name it.
    private enum Place: UInt8 { case flying, silent, lost, acknowledged }

    private struct Sent {
        var sentAt = Instant.zero
        var transmission = 0
        /// The path's number of that transmission.
        var onPath = 0
        var isRepeated = false
        /// Taken for lost because later transmissions arrived before it.
        var isOvertaken = false
        var place = Place.flying
    }

    private struct Transmission {
        let number: Int
        let packet: Int
    }

    private(set) var payload: [UInt8]?
    private let payloadBytes: Int
    private let firstSequence: UInt16
    /// All packets, the FIN included; 0 until the payload is known.
    private var packetCount = 0
    /// Packets below are acknowledged.
    private var base = 0
    /// The first packet never sent.
    private var fresh = 0
    private var sent: [Sent] = []
    /// Packets in flight, counted in the path's too.
    private(set) var flying = 0

    private var nextTransmission = 0
    private var newestAcknowledged = -1
    /// Of packets sent for the first time, which is in their own order, and of repeated ones; each oldest first. Apart,
    /// because the first queue waits where acks cannot reach yet (`couldBeNamed`), and the second must not.
    private var transmissions = Queue<Transmission>()
    private var repetitions = Queue<Transmission>()
    private var silent = Queue<Int>()
    /// Packets to be repeated, and none of them is below this one. The lowest goes first: it is what the peer waits
    /// for, and what it has room for whatever else it holds.
    private var lostCount = 0
    private var lowestLost = 0
    private var reorderThreshold = UTPLimits.reorderThreshold
    private var duplicates = 0
    private var peerUsesSelectiveAck = false

    private var peerWindowPackets = Int.max
    /// When the first packet left.
    private var began: Instant?
    private var attempt = 0
    private var timerStart: Instant?
    /// Transmissions a timeout allows beyond the windows.
    private(set) var probes = 0
    /// The timeout's one packet goes out twice (RFC 9002 allows two).
    private(set) var saysTwice = false

    /// `firstSequence`: of packet 0. `payloadBytes`: of a full packet.
    init(payload: [UInt8]?, payloadBytes: Int, firstSequence: UInt16) {
        self.payloadBytes = payloadBytes
        self.firstSequence = firstSequence
        if let payload { supply(payload) }
    }

    mutating func supply(_ bytes: [UInt8]) {
        guard payload == nil else { return }
        payload = bytes
        packetCount = (bytes.count + payloadBytes - 1) / payloadBytes + 1
    }

    /// Payload bytes that the peer has acknowledged without a gap.
    var acknowledgedBytes: Int { min(base * payloadBytes, payload?.count ?? 0) }

    /// Everything and the FIN acknowledged.
    var isComplete: Bool { packetCount > 0 && base == packetCount }

    /// Whether all was sent at least once: what is sent now is what the end waits for.
    var isEnding: Bool { packetCount > 0 && fresh == packetCount }

    /// Whether the peer has acknowledged nothing yet.
    var isUnheard: Bool { base == 0 && newestAcknowledged < 0 }

    /// The number of the packet that is sent next for the first time.
    var nextSequence: UInt16 { sequence(fresh) }

    /// Whether `packet` was sent before, or is the FIN.
    func isRepeatedOrLast(_ packet: Int) -> Bool { packet == packetCount - 1 || self[packet].isRepeated }

    /// Whether the payload is known.
    var isSupplied: Bool { packetCount > 0 }

    /// What `packet` is, and the part of the payload it carries.
    func part(_ packet: Int) -> (kind: PacketKind, sequence: UInt16, content: Range<Int>) {
        let size = payload?.count ?? 0
        let start = min(packet * payloadBytes, size)
        let content = start..<min(start + payloadBytes, size)
        return (packet == packetCount - 1 ? .fin : .data, sequence(packet), content)
    }

    private func sequence(_ packet: Int) -> UInt16 { firstSequence &+ UInt16(truncatingIfNeeded: packet) }

    /// What the peer's SYN or its answer to ours advertised, in bytes.
    mutating func takeWindow(_ bytes: UInt32) { peerWindowPackets = Int(bytes) / payloadBytes }

    // MARK: Sending

    /// Whether there is a packet to send, were there room on the path.
    var isReady: Bool { lostCount > 0 || (hasFresh && flying + lostCount < peerWindowPackets) }

    private var hasFresh: Bool { fresh < packetCount && fresh - base < UTPLimits.windowPackets }

    /// Where the peer holds us back with nothing in flight, its next word may be lost: the timer asks again.
    mutating func watchPeerWindow(at now: Instant) {
        if timerStart == nil, hasFresh, !isReady { timerStart = now }
    }

    /// The packet to send now, recorded as sent; nil when there is none or the path has no room, which is not looked at
    /// where a timeout has allowed it.
    mutating func next(on path: inout Path, at now: Instant) -> Int? {
        guard probes > 0 || path.hasRoom, let packet = choose() else { return nil }
        if probes > 0 {
            probes -= 1
        } else {
            path.credit -= 1
            saysTwice = false
        }
        if began == nil { began = now }
        self[packet].sentAt = now
        self[packet].transmission = nextTransmission
        self[packet].onPath = path.sent(at: now)
        let transmission = Transmission(number: nextTransmission, packet: packet)
        if self[packet].isRepeated { repetitions.append(transmission) } else { transmissions.append(transmission) }
        nextTransmission += 1
        flying += 1
        if timerStart == nil { timerStart = now }
        return packet
    }

    /// Takes the lowest lost packet, else the first one never sent.
    private mutating func choose() -> Int? {
        if lostCount > 0 {
            lowestLost = max(lowestLost, base)
            while self[lowestLost].place != .lost { lowestLost += 1 }
            lostCount -= 1
            self[lowestLost].isRepeated = true
            self[lowestLost].place = .flying
            return lowestLost
        }
        guard hasFresh, probes > 0 || isReady else { return nil }
        reserve(fresh - base + 1)
        fresh += 1
        self[fresh - 1] = Sent()
        return fresh - 1
    }

    // MARK: Acknowledgement

    /// Takes in what a packet from the peer acknowledges. True when something was that was not before.
    mutating func acknowledge(
        _ packet: Packet, _ bytes: UnsafeRawBufferPointer, on path: inout Path, at now: Instant
    ) -> Bool {
        let distance = Int(Int16(bitPattern: packet.header.acknowledgement &- sequence(base)))
        let through = base + distance
        guard through < fresh else { return false }
        if packet.header.timestampDifference != 0 {
            path.window.delaySample(packet.header.timestampDifference, at: now)
        }
        takeWindow(packet.header.window)

        var news = News()
        if through >= base {
            for index in base...through { arrived(index, &news, &path, at: now) }
            base = through + 1
            duplicates = 0
        }
        if let bits = packet.selectiveAck {
            peerUsesSelectiveAck = true
            takeBits(UnsafeRawBufferPointer(rebasing: bytes[bits]), from: through + 2, &news, &path, at: now)
        } else if !peerUsesSelectiveAck, through == base - 1, packet.header.kind == .state {
            countDuplicate(&path)
        }
        guard news.count > 0 else { return false }

        path.earn(news.count, at: now)
        if let sample = news.sample {
            path.roundTrip.sample(sample)
        } else if !path.roundTrip.isMeasured, let began {
            // All that is acknowledged was repeated before its ack could come: without this no sample ever would.
            path.roundTrip.sample((now - began).microseconds)
        }
        attempt = 0
        timerStart = base == fresh && fresh == packetCount ? nil : now
        findLost(on: &path, at: now)
        path.window.isBlind = !silent.isEmpty
        path.delivered(news.count, newest: news.onPath)
        return true
    }

    private struct News {
        var count = 0
        var newest = -1
        /// The path's number of the newest one, whenever it was sent.
        var onPath = -1
        var sample: UInt64?
    }

    private mutating func takeBits(
        _ bits: UnsafeRawBufferPointer, from first: Int, _ news: inout News, _ path: inout Path, at now: Instant
    ) {
        var index = first
        for byte in bits {
            if byte != 0 {
                for bit in 0..<8 where byte & (1 &<< UInt8(bit)) != 0 && index + bit >= base && index + bit < fresh {
                    arrived(index + bit, &news, &path, at: now)
                }
            }
            index += 8
            if index >= fresh { return }
        }
    }

    private mutating func arrived(_ packet: Int, _ news: inout News, _ path: inout Path, at now: Instant) {
        let record = self[packet]
        guard record.place != .acknowledged else { return }
        news.count += 1
        self[packet].place = .acknowledged
        switch record.place {
        case .flying:
            flying -= 1
            path.flying -= 1
        case .lost: lostCount -= 1
        case .silent, .acknowledged: break
        }
        let age = (now - record.sentAt).microseconds
        if record.place == .lost || (record.isRepeated && age < path.roundTrip.minimum) {
            // An earlier transmission arrived after all.
            if record.isOvertaken {
                reorderThreshold = min(reorderThreshold * 2, UTPLimits.reorderThresholdMaximum)
                path.window.packetFound()
            }
            return
        }
        newestAcknowledged = max(newestAcknowledged, record.transmission)
        news.onPath = max(news.onPath, record.onPath)
        // Only the newest transmission measures the round trip: the others may have arrived long ago, their acks lost.
        // A repeated packet does not say which of its transmissions arrived.
        if record.transmission > news.newest {
            news.newest = record.transmission
            news.sample = record.isRepeated ? nil : age
        }
    }

    /// For peers without selective acks: three acks of the same number say that the next packet is missing.
    private mutating func countDuplicate(_ path: inout Path) {
        guard flying > 0 else { return }
        duplicates += 1
        if duplicates == 3, base < fresh, self[base].place == .flying { markLost(base, on: &path) }
    }

    // MARK: Loss

    private mutating func findLost(on path: inout Path, at now: Instant) {
        while let packet = silent.first, packet < base || couldBeNamed(packet) {
            // Now that an ack could name it, none did.
            if packet >= base, self[packet].place == .silent { markLost(packet, on: &path) }
            silent.removeFirst()
        }
        findLost(repeated: false, on: &path, at: now)
        findLost(repeated: true, on: &path, at: now)
    }

    private mutating func findLost(repeated: Bool, on path: inout Path, at now: Instant) {
        let wait = overtakenWait(path)
        while let oldest = repeated ? repetitions.first : transmissions.first {
            if isCurrent(oldest) {
                guard oldest.number < newestAcknowledged else { return }
                let isOld = self[oldest.packet].sentAt + wait <= now
                let isFar = oldest.number + reorderThreshold <= newestAcknowledged
                if couldBeNamed(oldest.packet) {
                    guard isOld || isFar else { return }
                    markLost(oldest.packet, on: &path)
                    self[oldest.packet].isOvertaken = true
                } else {
                    guard isOld, !repeated else { return }
                    self[oldest.packet].place = .silent
                    silent.append(oldest.packet)
                    flying -= 1
                    path.flying -= 1
                }
            }
            if repeated { repetitions.removeFirst() } else { transmissions.removeFirst() }
        }
    }

    /// Whether it is the last one of its packet, and not known to have arrived or been lost.
    private func isCurrent(_ transmission: Transmission) -> Bool {
        transmission.packet >= base && self[transmission.packet].transmission == transmission.number
            && self[transmission.packet].place == .flying
    }

    /// Whether an ack could have told that the packet arrived: a selective ack reaches only so far behind the gap. That
    /// it is silent about the others says nothing.
    private func couldBeNamed(_ packet: Int) -> Bool { packet - base <= UTPLimits.selectiveAckBytes * 8 }

    private func overtakenWait(_ path: Path) -> Interval {
        path.roundTrip.overtakenWait(reorders: reorderThreshold > UTPLimits.reorderThreshold)
    }

    private mutating func markLost(_ packet: Int, on path: inout Path) {
        markForRepetition(packet, on: &path)
        path.window.packetLost(number: self[packet].onPath)
    }

    private mutating func markForRepetition(_ packet: Int, on path: inout Path) {
        if self[packet].place == .flying {
            flying -= 1
            path.flying -= 1
        }
        self[packet].place = .lost
        self[packet].isOvertaken = false
        lowestLost = lostCount == 0 ? packet : min(lowestLost, packet)
        lostCount += 1
    }

    // MARK: Time

    /// When to call `timeout`; nil while nothing is on its way.
    func deadline(on path: Path) -> Instant? {
        guard let timerStart else { return nil }
        let timeout = timerStart + path.roundTrip.timeout(attempt: attempt)
        let first = lossTime(transmissions.first, path) ?? timeout
        return min(timeout, first, lossTime(repetitions.first, path) ?? timeout)
    }

    /// When a transmission that a later one has overtaken counts as lost.
    private func lossTime(_ oldest: Transmission?, _ path: Path) -> Instant? {
        guard let oldest, isCurrent(oldest), oldest.number < newestAcknowledged else { return nil }
        // A repeated one out of reach waits for the timeout.
        guard couldBeNamed(oldest.packet) || !self[oldest.packet].isRepeated else { return nil }
        return self[oldest.packet].sentAt + overtakenWait(path)
    }

    mutating func timeout(on path: inout Path, at now: Instant) {
        findLost(on: &path, at: now)
        guard let start = timerStart, start + path.roundTrip.timeout(attempt: attempt) <= now else { return }
        timerStart = now
        attempt += 1
        if flying == 0, silent.isEmpty {
            probes = 1
        } else if attempt <= UTPLimits.probes {
            // A tail without an answer: say the two oldest again, without blaming the window.
            probes = repeatOldest(2, on: &path)
            saysTwice = probes == 1
        } else {
            for packet in base..<fresh where isOpen(packet) { markLost(packet, on: &path) }
            path.wentSilent(since: start)
        }
    }

    /// Neither known to have arrived nor to be lost.
    private func isOpen(_ packet: Int) -> Bool { self[packet].place == .flying || self[packet].place == .silent }

    private mutating func repeatOldest(_ count: Int, on path: inout Path) -> Int {
        var repeated = 0
        for packet in base..<fresh where repeated < count && isOpen(packet) {
            markForRepetition(packet, on: &path)
            repeated += 1
        }
        return repeated
    }

    // MARK: Ring of records

    private subscript(_ packet: Int) -> Sent {
        get { sent[packet & (sent.count - 1)] }
        set { sent[packet & (sent.count - 1)] = newValue }
        _modify { yield &sent[packet & (sent.count - 1)] }
    }

    /// Room for `count` records from `base` on; a power of two, so that the place is the low bits.
    private mutating func reserve(_ count: Int) {
        guard count > sent.count else { return }
        var size = max(sent.count * 2, 16)
        while size < count { size *= 2 }
        var larger = [Sent](repeating: Sent(), count: size)
        for packet in base..<fresh { larger[packet & (size - 1)] = self[packet] }
        sent = larger
    }
}
