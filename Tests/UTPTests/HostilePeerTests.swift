import Primitives
import Testing
import UTP
import UTPLab

/// One machine against packets made by hand.
private struct Bench {
    var machine: UTP
    let peer = NodeAddress(id: Bytes32(1, 1, 1, 1), endpoint: .loopback(port: 9_001))
    var now = Instant(microseconds: 5_000_000)

    init(configure: (inout UTPConfiguration) -> Void = { _ in }) {
        var configuration = UTPConfiguration()
        configuration.firstSequence = 500
        configure(&configuration)
        machine = UTP(configuration: configuration, entropy: Entropy(seed: .zero))
    }

    mutating func give(
        _ kind: PacketKind, id: UInt16, sequence: UInt16, ack: UInt16, payload: [UInt8] = [], bits: [UInt8] = [],
        window: UInt32 = 1 << 20
    ) {
        let header = UTPHeader(
            kind: kind, connectionID: id, timestamp: 1, timestampDifference: 0, window: window, sequence: sequence,
            acknowledgement: ack)
        let bytes = Packet.encode(header, selectiveAck: bits, payload: 0..<payload.count, of: payload)
        machine.receive(bytes, from: peer, at: now)
    }

    /// Packets, and how streams ended, since the last time.
    mutating func take() -> (packets: [(header: UTPHeader, bits: [UInt8])], ends: [UTP.StreamEnd]) {
        var packets: [(header: UTPHeader, bits: [UInt8])] = []
        var ends: [UTP.StreamEnd] = []
        for directive in machine.drain() {
            switch directive {
            case .send(let bytes, _):
                guard let packet = try? Packet(parsing: bytes) else {
                    Issue.record("what was sent is no packet")
                    continue
                }
                packets.append((packet.header, packet.selectiveAck.map { Array(bytes[$0]) } ?? []))
            case .ended(let end): ends.append(end)
            }
        }
        return (packets, ends)
    }

    /// A stream that receives, opened by the peer's SYN 100; the peer's next number is 101.
    mutating func receiver(limit: Int = 100) throws -> (StreamID, id: UInt16) {
        let (stream, id) = try machine.accept(from: peer, transfer: .receive(limit: limit), at: now)
        give(.syn, id: id, sequence: 100, ack: 0)
        _ = take()
        return (stream, id &+ 1)
    }

    /// A stream that sends from 500 on, opened by the peer's SYN 100.
    mutating func sender(_ payload: [UInt8]) throws -> (StreamID, id: UInt16) {
        let (stream, id) = try machine.accept(from: peer, transfer: .send(payload), at: now)
        give(.syn, id: id, sequence: 100, ack: 0)
        return (stream, id &+ 1)
    }
}

@Suite struct ReceiverTests {
    @Test func endBeforeDataAndSelectiveAck() throws {
        var bench = Bench()
        let (stream, id) = try bench.receiver()
        bench.give(.fin, id: id, sequence: 104, ack: 499)
        bench.give(.data, id: id, sequence: 102, ack: 499, payload: [2])
        let first = bench.take().packets
        #expect(first.count == 1)
        #expect(first.first?.header.acknowledgement == 100)
        // 102 and 104 are here: bits 0 and 2.
        #expect(first.first?.bits == [5, 0, 0, 0])
        bench.give(.data, id: id, sequence: 103, ack: 499, payload: [3])
        bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1])
        let second = bench.take()
        #expect(second.ends == [.received(stream, [1, 2, 3])])
        // The last ack is our own FIN; twice, where packets came out of order and so may get lost.
        #expect(second.packets.map { $0.header.kind } == [.fin, .fin])
        #expect(second.packets.first?.header.acknowledgement == 104)
        #expect(bench.machine.streamCount == 0)
    }

    @Test func lastAckAgainAfterTheEnd() throws {
        var bench = Bench()
        let (_, id) = try bench.receiver()
        bench.give(.fin, id: id, sequence: 101, ack: 499)
        _ = bench.take()
        bench.give(.fin, id: id, sequence: 101, ack: 499)
        let again = bench.take().packets
        #expect(again.map { $0.header.kind } == [.fin])
        #expect(again.first?.header.acknowledgement == 101)
        bench.give(.state, id: id, sequence: 102, ack: 500)
        bench.give(.reset, id: id, sequence: 102, ack: 500)
        #expect(bench.take().packets.isEmpty)
        bench.now = bench.now + UTPLimits.endedStreamTime
        bench.give(.fin, id: id, sequence: 101, ack: 499)
        #expect(bench.take().packets.map { $0.header.kind } == [.reset])
    }

    @Test func payloadOverTheLimit() throws {
        for isEarly in [false, true] {
            var bench = Bench()
            let (stream, id) = try bench.receiver(limit: 10)
            bench.give(.data, id: id, sequence: isEarly ? 102 : 101, ack: 499, payload: [UInt8](repeating: 1, count: 6))
            bench.give(.data, id: id, sequence: isEarly ? 101 : 102, ack: 499, payload: [UInt8](repeating: 1, count: 6))
            let taken = bench.take()
            #expect(taken.ends == [.failed(stream, .payloadTooLarge(limit: 10))])
            #expect(taken.packets.map { $0.header.kind } == [.reset])
            #expect(bench.machine.streamCount == 0 && bench.machine.earlyByteCount == 0)
        }
    }

    @Test func exactlyTheLimit() throws {
        var bench = Bench()
        let (stream, id) = try bench.receiver(limit: 6)
        bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1, 2, 3, 4, 5, 6])
        bench.give(.fin, id: id, sequence: 102, ack: 499)
        #expect(bench.take().ends == [.received(stream, [1, 2, 3, 4, 5, 6])])
    }

    @Test func twoEnds() throws {
        for (first, second) in [(104, 103), (103, 105)] as [(UInt16, UInt16)] {
            var bench = Bench()
            let (stream, id) = try bench.receiver()
            bench.give(.fin, id: id, sequence: first, ack: 499)
            bench.give(.fin, id: id, sequence: second, ack: 499)
            #expect(bench.take().ends == [.failed(stream, .conflictingEnd)])
        }
    }

    @Test func payloadBehindTheEnd() throws {
        for isEndFirst in [true, false] {
            var bench = Bench()
            let (stream, id) = try bench.receiver()
            if isEndFirst { bench.give(.fin, id: id, sequence: 103, ack: 499) }
            bench.give(.data, id: id, sequence: 104, ack: 499, payload: [1])
            if !isEndFirst { bench.give(.fin, id: id, sequence: 103, ack: 499) }
            #expect(bench.take().ends == [.failed(stream, .conflictingEnd)])
        }
    }

    @Test func endWithPayload() throws {
        var bench = Bench()
        let (stream, id) = try bench.receiver()
        bench.give(.fin, id: id, sequence: 102, ack: 499, payload: [2])
        bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1])
        #expect(bench.take().ends == [.received(stream, [1, 2])])
    }

    @Test func earlyPacketsAreBoundedAndAdvertised() throws {
        var bench = Bench { $0.receiveWindowBytes = 4_000 }
        let (_, id) = try bench.receiver(limit: 1 << 20)
        for number in 0..<100 as Range<UInt16> {
            bench.give(.data, id: id, sequence: 102 + number, ack: 499, payload: [UInt8](repeating: 7, count: 1_000))
        }
        let state = try #require(bench.take().packets.first)
        #expect(state.header.window == 0)
        #expect(state.bits == [15, 0, 0, 0])
        #expect(bench.machine.earlyByteCount == 4 * 1_020)
        // Farther than a selective ack reaches is not kept, however small.
        bench.give(.data, id: id, sequence: 101 + UInt16(UTPLimits.windowPackets), ack: 499, payload: [])
        #expect(bench.machine.earlyByteCount == 4 * 1_020)
        // In order there is always room, up to the stream's limit.
        bench.give(.data, id: id, sequence: 101, ack: 499, payload: [UInt8](repeating: 7, count: 1_000))
        #expect(bench.machine.earlyByteCount == 0)
        #expect(bench.take().packets.first?.header.window == 4_000)
    }

    @Test func silenceAndRepetitionEndAStream() throws {
        for repeats in [false, true] {
            var bench = Bench()
            let (stream, id) = try bench.receiver()
            bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1])
            var ends = bench.take().ends
            let start = bench.now
            for _ in 0..<1_000 where ends.isEmpty {
                bench.now = bench.now + .milliseconds(100)
                // The same packet again and again is no progress.
                if repeats { bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1]) }
                bench.machine.advance(to: bench.now)
                ends = bench.take().ends
            }
            #expect(ends == [.failed(stream, .idle)])
            #expect(bench.now - start == UTPLimits.idleTime)
        }
    }
}

@Suite struct SenderTests {
    @Test func threeAcksOfOneNumberRepeatThePacket() throws {
        var bench = Bench { $0.payloadBytes = 10 }
        let (_, id) = try bench.sender([UInt8](repeating: 1, count: 60))
        let sent = bench.take().packets
        // The answer to the SYN goes out again behind the first turn.
        let kinds = [.state] + [PacketKind](repeating: .data, count: 4) + [.state, .data, .data, .fin]
        #expect(sent.map { $0.header.kind } == kinds)
        #expect(sent[1].header.sequence == 500)
        // A peer without selective acks: 500 arrived, 501 did not.
        for _ in 0..<4 {
            bench.give(.state, id: id, sequence: 101, ack: 500)
            _ = bench.machine.nextDeadline
        }
        #expect(bench.take().packets.map { $0.header.sequence } == [501])
    }

    @Test func selectiveAckRepeatsOnlyWhatIsMissing() throws {
        var bench = Bench { $0.payloadBytes = 10 }
        let (stream, id) = try bench.sender([UInt8](repeating: 1, count: 60))
        _ = bench.take()
        bench.now = bench.now + .milliseconds(20)
        // 500 and 502…505 are there; 506 is the FIN.
        bench.give(.state, id: id, sequence: 101, ack: 500, bits: [0b1111, 0, 0, 0])
        #expect(bench.take().packets.map { $0.header.sequence } == [501])
        bench.now = bench.now + .milliseconds(20)
        bench.give(.state, id: id, sequence: 101, ack: 506)
        #expect(bench.take().ends == [.sent(stream)])
    }

    @Test func acksOfWhatWasNeverSentAreIgnored() throws {
        var bench = Bench { $0.payloadBytes = 10 }
        let (_, id) = try bench.sender([UInt8](repeating: 1, count: 20))
        _ = bench.take()
        for ack in [503, 504, 20_000, 40_000] as [UInt16] {
            bench.give(.state, id: id, sequence: 101, ack: ack, bits: [UInt8](repeating: 255, count: 252))
        }
        #expect(bench.take().ends.isEmpty)
        #expect(bench.machine.streamCount == 1)
    }

    @Test func closedWindowIsAskedAgain() throws {
        var bench = Bench { $0.payloadBytes = 10 }
        let (_, id) = try bench.sender([UInt8](repeating: 1, count: 400))
        _ = bench.take()
        // Ten packets went out; all arrived, and there is no room.
        bench.now = bench.now + .milliseconds(20)
        bench.give(.state, id: id, sequence: 101, ack: 509, window: 0)
        #expect(bench.take().packets.isEmpty)
        let deadline = try #require(bench.machine.nextDeadline)
        #expect(deadline <= bench.now + .seconds(2))
        bench.now = deadline
        bench.machine.advance(to: bench.now)
        #expect(bench.take().packets.map { $0.header.sequence } == [510])
        bench.give(.state, id: id, sequence: 101, ack: 510, window: 1 << 20)
        #expect(bench.take().packets.count >= 3)
        #expect(bench.machine.streamCount == 1)
    }

    @Test func payloadFromTheReceiverIsRefused() throws {
        var bench = Bench()
        let (stream, id) = try bench.sender([1])
        bench.give(.data, id: id, sequence: 101, ack: 499, payload: [1])
        let taken = bench.take()
        #expect(taken.ends == [.failed(stream, .payloadFromReceiver)])
        #expect(taken.packets.contains { $0.header.kind == .reset })
    }

    @Test func peerThatNeverAcknowledges() throws {
        var bench = Bench()
        let (stream, id) = try bench.sender([UInt8](repeating: 1, count: 100_000))
        var packets = 0
        var ends: [UTP.StreamEnd] = []
        let start = bench.now
        while ends.isEmpty, let deadline = bench.machine.nextDeadline {
            bench.now = max(bench.now, deadline)
            bench.machine.advance(to: bench.now)
            // It speaks, but acknowledges nothing.
            bench.give(.state, id: id, sequence: 101, ack: 499)
            let taken = bench.take()
            packets += taken.packets.count
            ends = taken.ends
        }
        #expect(ends == [.failed(stream, .idle)])
        #expect(bench.now - start == UTPLimits.idleTime)
        #expect(packets < 100)
        #expect(bench.machine.nextDeadline == nil)
    }

    @Test func resetByEitherID() throws {
        for isOurs in [true, false] {
            var bench = Bench()
            let (stream, id) = try bench.sender([1])
            _ = bench.take()
            bench.give(.reset, id: isOurs ? id : id &- 1, sequence: 101, ack: 499)
            let taken = bench.take()
            #expect(taken.ends == [.failed(stream, .reset)])
            #expect(taken.packets.isEmpty)
        }
    }

    @Test func closingResetsThePeerAndSaysNothing() throws {
        var bench = Bench()
        let (stream, _) = try bench.sender([1])
        _ = bench.take()
        bench.machine.close(stream, at: bench.now)
        bench.machine.close(stream, at: bench.now)
        let taken = bench.take()
        #expect(taken.packets.map { $0.header.kind } == [.reset])
        #expect(taken.ends.isEmpty)
        #expect(bench.machine.streamCount == 0 && bench.machine.nextDeadline == nil)
    }
}

@Suite struct StrangerTests {
    @Test func unknownPacketsGetAResetAndNoMore() {
        var bench = Bench()
        for kind in [PacketKind.data, .fin, .state, .syn] {
            bench.give(kind, id: 77, sequence: 3, ack: 4)
            let packets = bench.take().packets
            #expect(packets.map { $0.header.kind } == [.reset])
            #expect(packets.first?.header.connectionID == 77)
        }
        bench.give(.reset, id: 77, sequence: 3, ack: 4)
        #expect(bench.take().packets.isEmpty)
        #expect(bench.machine.streamCount == 0)
    }

    @Test func aStreamIsOfOneAddress() throws {
        var bench = Bench()
        let (_, id) = try bench.receiver()
        let other = NodeAddress(id: bench.peer.id, endpoint: .loopback(port: 9_002))
        let header = UTPHeader(
            kind: .reset, connectionID: id, timestamp: 0, timestampDifference: 0, window: 0, sequence: 101,
            acknowledgement: 0)
        bench.machine.receive(Packet.encode(header), from: other, at: bench.now)
        #expect(bench.take().ends.isEmpty)
        #expect(bench.machine.streamCount == 1)
    }

    /// Transfers whose packets are changed at random: every stream ends, memory stays bounded, nothing traps.
    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func mutatedPackets(_ seed: UInt64) throws {
        var pair = Pair(Link(delay: .milliseconds(20), loss: 0.02, reorder: 0.2), seed: seed) {
            $0.payloadBytes = 100
            $0.receiveWindowBytes = 64 << 10
        }
        var generator = SeededGenerator(seed: seed)
        pair.filter = { _, packet in
            guard Int.random(in: 0..<20, using: &generator) == 0, !packet.isEmpty else { return true }
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: packet[Int.random(in: 0..<min(packet.count, 28), using: &generator)] ^= 1 << UInt8(seed % 8)
                case 1:
                    packet[Int.random(in: 0..<packet.count, using: &generator)] = UInt8.random(
                        in: 0...255, using: &generator)
                case 2 where packet.count > 1: packet.removeLast(Int.random(in: 1..<packet.count, using: &generator))
                default: packet.insert(UInt8.random(in: 0...255, using: &generator), at: packet.count)
                }
            }
            return true
        }
        for number in 0..<6 as Range<UInt64> {
            try pair.open(number % 2 == 0 ? .connectorSends : .accepterSends, Pair.payload(60_000, seed: number))
        }
        let isDone = pair.run(for: .seconds(600))
        #expect(isDone, "seed \(seed)")
        #expect(pair.outcomes[0].count == 6 && pair.outcomes[1].count == 6)
        #expect(pair.mostEarlyBytes <= 6 * (64 << 10) * 2)
        #expect(pair.machines.allSatisfy { $0.earlyByteCount == 0 && $0.nextDeadline == nil })
    }

    @Test func randomPacketsToOpenStreams() throws {
        var bench = Bench { $0.receiveWindowBytes = 32 << 10 }
        var generator = SeededGenerator(seed: 99)
        for round in 0..<50 {
            let (_, receiver) = try bench.receiver(limit: 50_000)
            let (_, sender) = try bench.sender(Pair.payload(50_000, seed: UInt64(round)))
            for _ in 0..<200 {
                let kind = PacketKind(rawValue: UInt8(generator.next() % 40 == 0 ? 3 : generator.next() % 3)) ?? .data
                let near = UInt16(truncatingIfNeeded: 100 + generator.next() % 300)
                let count = Int(generator.next() % 60)
                bench.give(
                    kind, id: generator.next() % 2 == 0 ? receiver : sender,
                    sequence: generator.next() % 4 == 0 ? UInt16(truncatingIfNeeded: generator.next()) : near,
                    ack: generator.next() % 2 == 0 ? UInt16(truncatingIfNeeded: generator.next()) : near &+ 400,
                    payload: kind == .data ? [UInt8](repeating: 1, count: count) : [],
                    bits: [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: count / 4 * 4),
                    window: UInt32(truncatingIfNeeded: generator.next()))
                bench.now = bench.now + Interval(microseconds: generator.next() % 50_000)
                if generator.next() % 4 == 0 { bench.machine.advance(to: bench.now) }
                _ = bench.take()
                #expect(bench.machine.earlyByteCount <= 64 * (32 << 10))
            }
        }
    }
}
