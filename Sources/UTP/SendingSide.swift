import Primitives

/// The payload's way out: what is in flight, what is lost, when to ask again.
///
/// Packets are counted from 0 without wrapping; the last one is the FIN. Every transmission, first or repeated, has a
/// number of its own that grows with time. A transmission is lost when `reorderThreshold` later ones were acknowledged,
/// or when one later one was and a round trip and a quarter have passed; so a repeated packet that is lost again is
/// found just as fast. What nothing later can prove lost, the timeout finds.
struct SendingSide: Sendable {
    private enum Place: UInt8 { case flying, lost, acknowledged }

    private struct Sent {
        var sentAt = Instant.zero
        var transmission = 0
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
    private var flying = 0

    private var nextTransmission = 0
    private var newestAcknowledged = -1
    private var transmissions = Queue<Transmission>()
    /// Packets to be repeated, and none of them is below this one. The lowest goes first: it is what the peer waits
    /// for, and what it has room for whatever else it holds.
    private var lostCount = 0
    private var lowestLost = 0
    private var reorderThreshold = UTPLimits.reorderThreshold
    private var duplicates = 0
    private var peerUsesSelectiveAck = false

    private var roundTrip = RoundTrip()
    private var window = CongestionWindow()
    private var peerWindowPackets = Int.max
    private var attempt = 0
    private var timerStart: Instant?
    /// Transmissions a timeout allows beyond the windows.
    private var probes = 0
    /// Transmissions allowed until the next ack.
    private var credit = UTPLimits.initialWindowPackets

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

    /// Everything and the FIN acknowledged.
    var isComplete: Bool { packetCount > 0 && base == packetCount }

    /// The number of the packet that is sent next for the first time.
    var nextSequence: UInt16 { sequence(fresh) }

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

    /// The round trip of the SYN, the first measure.
    mutating func roundTripSample(_ interval: Interval) { roundTrip.sample(interval.microseconds) }

    // MARK: Sending

    /// The packet to send now, recorded as sent; nil when nothing may be.
    mutating func next(at now: Instant) -> Int? {
        guard let packet = choose() else {
            // What acks earned is spent at once or lost: saved up, it would be a burst one day.
            credit = min(credit, 1)
            return nil
        }
        self[packet].sentAt = now
        self[packet].transmission = nextTransmission
        transmissions.append(Transmission(number: nextTransmission, packet: packet))
        nextTransmission += 1
        flying += 1
        if timerStart == nil { timerStart = now }
        return packet
    }

    /// Takes the lowest lost packet, else the first one never sent.
    private mutating func choose() -> Int? {
        if lostCount > 0 {
            guard maySend(fresh: false) else { return nil }
            lowestLost = max(lowestLost, base)
            while self[lowestLost].place != .lost { lowestLost += 1 }
            lostCount -= 1
            self[lowestLost].isRepeated = true
            self[lowestLost].place = .flying
            return lowestLost
        }
        guard fresh < packetCount, fresh - base < UTPLimits.windowPackets else {
            window.isLimiting = false
            return nil
        }
        guard maySend(fresh: true) else { return nil }
        reserve(fresh - base + 1)
        fresh += 1
        self[fresh - 1] = Sent()
        return fresh - 1
    }

    private mutating func maySend(fresh: Bool) -> Bool {
        if probes > 0 {
            probes -= 1
            return true
        }
        guard Double(flying + 1) <= window.packets, credit > 0 else {
            window.isLimiting = credit > 0
            return false
        }
        if !fresh || flying + lostCount < peerWindowPackets {
            credit -= 1
            return true
        }
        // The peer holds us back. With nothing in flight its next word may be lost: the timer asks again.
        window.isLimiting = false
        if timerStart == nil { timerStart = latest }
        return false
    }

    // MARK: Acknowledgement

    private var latest = Instant.zero

    /// Takes in what a packet from the peer acknowledges. True when something was that was not before.
    mutating func acknowledge(_ packet: Packet, _ bytes: [UInt8], at now: Instant) -> Bool {
        latest = now
        let distance = Int(Int16(bitPattern: packet.header.acknowledgement &- sequence(base)))
        let through = base + distance
        guard through < fresh else { return false }
        if packet.header.timestampDifference != 0 {
            window.delaySample(packet.header.timestampDifference, at: now)
        }
        takeWindow(packet.header.window)

        var news = News()
        if through >= base {
            for index in base...through { arrived(index, &news, at: now) }
            base = through + 1
            duplicates = 0
        }
        if let bits = packet.selectiveAck {
            peerUsesSelectiveAck = true
            takeBits(bytes[bits], from: through + 2, &news, at: now)
        } else if !peerUsesSelectiveAck, through == base - 1, packet.header.kind == .state {
            countDuplicate()
        }
        guard news.count > 0 else { return false }

        credit = max(
            credit + window.exchange(flying: flying) * news.count, UTPLimits.minimumWindowPackets - flying)
        if let sample = news.sample { roundTrip.sample(sample) }
        attempt = 0
        timerStart = base == fresh && fresh == packetCount ? nil : now
        findLost(at: now)
        window.packetsDelivered(news.count, newest: newestAcknowledged, next: nextTransmission)
        return true
    }

    private struct News {
        var count = 0
        var newest = -1
        var sample: UInt64?
    }

    private mutating func takeBits(_ bits: ArraySlice<UInt8>, from first: Int, _ news: inout News, at now: Instant) {
        var index = first
        for byte in bits {
            if byte != 0 {
                for bit in 0..<8 where byte & (1 &<< UInt8(bit)) != 0 && index + bit >= base && index + bit < fresh {
                    arrived(index + bit, &news, at: now)
                }
            }
            index += 8
            if index >= fresh { return }
        }
    }

    private mutating func arrived(_ packet: Int, _ news: inout News, at now: Instant) {
        let record = self[packet]
        guard record.place != .acknowledged else { return }
        news.count += 1
        self[packet].place = .acknowledged
        if record.place == .flying { flying -= 1 } else { lostCount -= 1 }
        let age = (now - record.sentAt).microseconds
        if record.place == .lost || (record.isRepeated && roundTrip.smoothed > 0 && age < roundTrip.minimum) {
            // An earlier transmission arrived after all.
            if record.isOvertaken {
                reorderThreshold = min(reorderThreshold * 2, UTPLimits.reorderThresholdMaximum)
                window.packetFound()
            }
            return
        }
        newestAcknowledged = max(newestAcknowledged, record.transmission)
        // Only the newest transmission measures the round trip: the others may have arrived long ago, their acks lost.
        // A repeated packet does not say which of its transmissions arrived.
        if record.transmission > news.newest {
            news.newest = record.transmission
            news.sample = record.isRepeated ? nil : age
        }
    }

    /// For peers without selective acks: three acks of the same number say that the next packet is missing.
    private mutating func countDuplicate() {
        guard flying > 0 else { return }
        duplicates += 1
        if duplicates == 3, base < fresh, self[base].place == .flying { markLost(base) }
    }

    // MARK: Loss

    private mutating func findLost(at now: Instant) {
        while let oldest = transmissions.first {
            let isCurrent =
                oldest.packet >= base && self[oldest.packet].transmission == oldest.number
                && self[oldest.packet].place == .flying
            if isCurrent {
                guard oldest.number < newestAcknowledged else { return }
                let isFar = oldest.number + reorderThreshold <= newestAcknowledged
                guard isFar || self[oldest.packet].sentAt + overtakenWait <= now else { return }
                markLost(oldest.packet)
                self[oldest.packet].isOvertaken = true
            }
            transmissions.removeFirst()
        }
    }

    private var overtakenWait: Interval {
        roundTrip.overtakenWait(reorders: reorderThreshold > UTPLimits.reorderThreshold)
    }

    private mutating func markLost(_ packet: Int) {
        markForRepetition(packet)
        window.packetsLost(1)
    }

    private mutating func markForRepetition(_ packet: Int) {
        self[packet].place = .lost
        self[packet].isOvertaken = false
        flying -= 1
        lowestLost = lostCount == 0 ? packet : min(lowestLost, packet)
        lostCount += 1
    }

    // MARK: Time

    /// When to call `timeout`; nil while nothing is on its way.
    var deadline: Instant? {
        guard let timerStart else { return nil }
        let timeout = timerStart + roundTrip.timeout(attempt: attempt)
        guard let oldest = transmissions.first, oldest.number < newestAcknowledged, oldest.packet >= base else {
            return timeout
        }
        let record = self[oldest.packet]
        guard record.place == .flying, record.transmission == oldest.number else { return timeout }
        return min(timeout, record.sentAt + overtakenWait)
    }

    mutating func timeout(at now: Instant) {
        latest = now
        findLost(at: now)
        guard let start = timerStart, start + roundTrip.timeout(attempt: attempt) <= now else { return }
        timerStart = now
        attempt += 1
        if flying == 0 {
            probes = 1
        } else if attempt == 1 {
            // A tail without an answer: say the two oldest again, without blaming the window.
            probes = repeatOldest(2)
        } else {
            for packet in base..<fresh where self[packet].place == .flying { markLost(packet) }
            window.collapse(next: nextTransmission)
            credit = UTPLimits.minimumWindowPackets
        }
    }

    private mutating func repeatOldest(_ count: Int) -> Int {
        var repeated = 0
        for packet in base..<fresh where repeated < count && self[packet].place == .flying {
            markForRepetition(packet)
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
