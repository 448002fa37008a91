// uTP (BEP 29) over discv5, as one pure machine for all streams of a node.
//
// Terms
//   stream        one payload, one way, between two nodes; named by peer address and connection id.
//   connecting    the end that sends the SYN; the other one, which gave the id out in a Portal answer, is *accepting*.
//                 Either may be the sender: FIND_CONTENT's holder accepts and sends, OFFER's offerer connects and does.
//   receive id    the id in packets to us. The id handed out is the connecting end's; the accepting end's is one more.
//   early         a packet that came before one with a lower number.
//   round         one round trip, told apart by transmission numbers.
//
// Picture (the accepting end sends; `seq` r is the accepting end's first number)
//
//     connecting, receives                           accepting, sends
//       SYN   seq s            ─────────────────▶    answers at once, and may send DATA without waiting
//                              ◀─────────────────    STATE seq r   ack s
//       expects r              ◀─────────────────    DATA  seq r   … DATA … FIN seq e
//       STATE ack …, bits      ─────────────────▶    one for the packets between two drains
//       FIN   ack e            ─────────────────▶    `.sent`; STATE for the FIN
//     `.received`
//
// Phases of a stream: connecting or awaiting its SYN → open → ended. A stream ends whole or with an error; a payload
// cut short is never delivered, because it is delivered only when FIN and all before it are here. After a good end a
// `Farewell` is kept for a while: the last ack may be lost, and a peer that repeats itself then gets it again instead
// of a RESET. The receiver's FIN is that ack, for peers that wait for the other side's end too.
//
// Acks. Packets are taken in by `receive`; acks, and payload that acks make room for, come out of `drain`. So a batch
// of datagrams costs one ack a stream (one for every sixteen packets where it is long, one for every four of the first
// ones and while something is missing, so that a lost ack does not silence a whole window), a single datagram is acked
// at once, and no ack waits for a timer. The selective ack names all early packets that it can reach, so a lost ack
// costs nothing when another one follows.
//
// Ends. What a stream waits for at its beginning and end is one packet, whose loss is nothing's but a timer's to find.
// So those timers go by the round trip, which the owner tells where it knows it; the SYN's answer is said twice; and on
// a lossy path so are the FIN, what is repeated after it, and the last ack.
//
// Paths. The streams to one peer share one `Path`: congestion window, round trip, base delay, and turns to send. So
// many streams are to others on the way what one is, each gets the same, and a new one begins with what the others
// learnt. A path of long round trips is paced by a timer of its own, in bursts of a millisecond.
//
// Packets are lent on their way in and written in place on their way out (`PacketSink`): payload is copied once each
// way and a packet allocates nothing, but for those that came early.
//
// Invariants
//   - Bounded: streams in all and a peer, early packets a stream (places and bytes) and in all, packets held before the
//     SYN's answer, farewells. The payload gathered is bounded by the limit given for it.
//   - Nothing is allocated by a length a packet claims; a RESET answers a packet no smaller than itself, and nothing
//     answers a RESET.
//   - A stream that makes no progress ends after `idleTime`, whatever the peer keeps sending.
//   - The order of directives follows from the events alone.
//
// Why not otherwise. Delayed acks would save packets at the price of a timer a stream, and batches save more. A window
// a stream would be the field's way; see `Path`. Several payloads on one stream would need framing that every caller
// has already.

import Primitives

/// A stream of one machine; never used twice.
public struct StreamID: Hashable, Comparable, Sendable {
    /// Counts up from 1 in the order of opening.
    public let value: UInt64

    /// For tests and logs; a machine gives out its own.
    public init(value: UInt64) { self.value = value }

    /// Opened earlier.
    public static func < (a: StreamID, b: StreamID) -> Bool { a.value < b.value }
}

/// All uTP streams of a node. After every batch of events: `drain`, then `nextDeadline`.
public struct UTP: Machine {
    /// What can happen to it. What is asked of it, and has a result at once, is a method of its own.
    public enum Event: Sendable {
        /// A uTP packet came from this peer.
        case received([UInt8], from: NodeAddress)
    }

    /// What a stream carries: one payload, one way.
    public enum Transfer: Sendable {
        /// These bytes go to the peer, then FIN.
        case send([UInt8])
        /// Like `send`; the bytes follow with `supply`, at most `UTPLimits.supplyTime` after the stream stands.
        case sendLater
        /// The peer's bytes are gathered up to its FIN; more than `limit` bytes end the stream with an error.
        case receive(limit: Int)
    }

    /// What the owner must do or know.
    public enum Directive: Hashable, Sendable {
        /// Send this packet as TALKREQ "utp"; no answer is waited for.
        case send([UInt8], to: NodeAddress)
        /// A stream is over.
        case ended(StreamEnd)
    }

    /// How a stream ended.
    public enum StreamEnd: Hashable, Sendable {
        /// The whole payload, in order, its end seen.
        case received(StreamID, [UInt8])
        /// The peer has acknowledged the whole payload and its end.
        case sent(StreamID)
        /// The payload did not get through whole.
        case failed(StreamID, UTPError)
    }

    private struct Key: Hashable {
        let peer: NodeAddress
        let receiveID: UInt16
    }

    /// What is asked of a stream with every packet, beside it: so the stream itself is not touched for it.
    private struct Front {
        let key: Key
        let path: Int
        /// Whether it is in the list of those to settle.
        var isListed = false
        var isTaken = true
    }

    private let configuration: UTPConfiguration
    private let settings: StreamSettings
    private var entropy: Entropy
    private var ends: [StreamEnd] = []
    private var packets = PacketQueue()
    /// The latest time heard of; the time of what `drain` sends.
    private var clock = Instant.zero
    private var lastID: UInt64 = 0

    // Streams stand in places that are reused.
    private var places: [Stream?] = []
    private var fronts: [Front] = []
    private var deadlines = Deadlines()
    private var freePlaces: [Int] = []
    private var placeOfKey: [Key: Int] = [:]
    private var placeOfStream: [StreamID: Int] = [:]
    private var streamsOfPeer: [Bytes32: Int] = [:]
    private var paths = Paths()
    /// Places to settle at the next `drain`, in the order they were touched.
    private var touched: [Int] = []
    /// The place of the stream that last came with a receive id of these low bits, found without hashing.
    private var recentPlaces = [Int](repeating: 0, count: UTP.recentCount)
    private static let recentCount = 256
    private var earlyBytes = 0
    private var farewells = Farewells()
    /// nil without a limit on what leaves.
    private var rate: SendRate?

    /// A machine without streams. Ids and first numbers come from `entropy`.
    public init(configuration: UTPConfiguration = UTPConfiguration(), entropy: Entropy) {
        self.configuration = configuration
        self.entropy = entropy
        settings = StreamSettings(
            payloadBytes: min(max(configuration.payloadBytes, 1), UTPLimits.payloadBytes),
            windowBytes: max(configuration.receiveWindowBytes, UTPLimits.packetBytes))
        rate = SendRate(bytesPerSecond: configuration.sentBytesPerSecond)
    }

    /// Streams open or opening.
    public var streamCount: Int { placeOfStream.count }

    /// Bytes kept of packets that came early, over all streams.
    public var earlyByteCount: Int { earlyBytes }

    // MARK: Opening and closing

    /// Opens a stream with the id the peer gave out and sends its SYN. `roundTrip`: to the peer, where the owner knows
    /// it; otherwise the first losses are found out later.
    public mutating func connect(
        to peer: NodeAddress, connectionID: UInt16, transfer: Transfer, roundTrip: Interval? = nil, at now: Instant
    ) throws(UTPError) -> StreamID {
        clock = max(clock, now)
        try checkRoom(peer)
        guard isFree(connectionID, peer) else { throw .connectionIDInUse }
        return open(peer, connectionID, isConnecting: true, transfer, roundTrip)
    }

    /// Reserves an id that `peer` is to connect with, and waits for its SYN for `UTPLimits.acceptTime`. `roundTrip` as
    /// for `connect`.
    public mutating func accept(
        from peer: NodeAddress, transfer: Transfer, roundTrip: Interval? = nil, at now: Instant
    ) throws(UTPError) -> (StreamID, connectionID: UInt16) {
        clock = max(clock, now)
        try checkRoom(peer)
        // Each try hits a taken id only when a peer's streams fill a good part of 65,536.
        for _ in 0..<64 {
            let connectionID = randomNumber()
            guard isFree(connectionID &+ 1, peer), isFree(connectionID, peer) else { continue }
            return (open(peer, connectionID, isConnecting: false, transfer, roundTrip), connectionID)
        }
        throw .connectionIDInUse
    }

    private func checkRoom(_ peer: NodeAddress) throws(UTPError) {
        guard placeOfStream.count < configuration.streams else { throw .tooManyStreams }
        guard streamsOfPeer[peer.id, default: 0] < configuration.streamsPerPeer else { throw .tooManyStreamsOfPeer }
    }

    private func isFree(_ receiveID: UInt16, _ peer: NodeAddress) -> Bool {
        placeOfKey[Key(peer: peer, receiveID: receiveID)] == nil && !farewells.has(receiveID, peer, at: clock)
    }

    private mutating func randomNumber() -> UInt16 {
        let bytes = entropy.bytes(2)
        return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    }

    private mutating func open(
        _ peer: NodeAddress, _ connectionID: UInt16, isConnecting: Bool, _ transfer: Transfer, _ roundTrip: Interval?
    ) -> StreamID {
        lastID += 1
        let stream = Stream(
            id: StreamID(value: lastID), peer: peer, path: paths.join(peer), connectionID: connectionID,
            isConnecting: isConnecting, transfer: transfer,
            firstSequence: configuration.firstSequence ?? randomNumber(), settings: settings, at: clock)
        if let roundTrip { paths[stream.path].roundTrip.expect(roundTrip) }
        let place = freePlaces.popLast() ?? places.count
        let front = Front(key: Key(peer: peer, receiveID: stream.receiveID), path: stream.path)
        if place == places.count {
            places.append(stream)
            fronts.append(front)
            deadlines.append()
        } else {
            places[place] = stream
            fronts[place] = front
        }
        placeOfKey[front.key] = place
        placeOfStream[stream.id] = place
        streamsOfPeer[peer.id, default: 0] += 1
        touch(place)
        return stream.id
    }

    /// The payload of a `sendLater` stream. Ignored for other streams, ended ones, and the second time.
    public mutating func supply(_ stream: StreamID, _ bytes: [UInt8], at now: Instant) {
        clock = max(clock, now)
        guard let place = placeOfStream[stream] else { return }
        places[place]?.supply(bytes, at: clock)
        touch(place)
    }

    /// Payload bytes of a stream that have arrived: at the peer, as far as it has acknowledged them, or here. 0 once it
    /// is over.
    public func progress(of stream: StreamID) -> Int {
        guard let place = placeOfStream[stream] else { return 0 }
        return places[place]?.progress ?? 0
    }

    /// Bytes that left beside the streams, of what the limit is for.
    public mutating func spend(_ bytes: Int, at now: Instant) {
        rate?.refill(at: now)
        rate?.spend(bytes)
    }

    /// Bytes a second that all streams may have together; nil without a limit.
    public var sentBytesPerSecond: Double? { rate?.bytesPerSecond }

    /// Gives the stream up: the peer gets a RESET, the owner no further directive of this stream but what is already in
    /// the list.
    public mutating func close(_ stream: StreamID, at now: Instant) {
        clock = max(clock, now)
        guard let place = placeOfStream[stream] else { return }
        places[place]?.emitReset(at: clock, into: &packets)
        free(place)
    }

    private mutating func free(_ place: Int) {
        guard let stream = places[place] else { return }
        earlyBytes -= stream.earlyBytes
        places[place] = nil
        fronts[place].isTaken = false
        deadlines[place] = .max
        freePlaces.append(place)
        placeOfKey[Key(peer: stream.peer, receiveID: stream.receiveID)] = nil
        placeOfStream[stream.id] = nil
        paths.leave(stream, at: place)
        let others = streamsOfPeer[stream.peer.id, default: 1] - 1
        streamsOfPeer[stream.peer.id] = others > 0 ? others : nil
    }

    private mutating func end(_ place: Int, _ ending: Ending) {
        guard let stream = places[place] else { return }
        switch ending {
        case .received(let payload):
            ends.append(.received(stream.id, payload))
            sayFarewell(stream, sendNow: true)
            // Where packets were lost, this one may be: the sender waits for nothing else.
            if stream.hadGap { say(stream.farewell().header(at: clock), to: stream.peer) }
        case .sent:
            ends.append(.sent(stream.id))
            sayFarewell(stream, sendNow: stream.owesAck)
        case .failed(let error):
            ends.append(.failed(stream.id, error))
        case .broken(let error):
            stream.emitReset(at: clock, into: &packets)
            ends.append(.failed(stream.id, error))
        }
        free(place)
    }

    private mutating func sayFarewell(_ stream: Stream, sendNow: Bool) {
        let farewell = stream.farewell()
        if sendNow { say(farewell.header(at: clock), to: stream.peer) }
        farewells.add(farewell, at: clock)
    }

    // MARK: Packets

    /// Takes one event in.
    public mutating func handle(_ event: Event, at now: Instant) {
        switch event {
        case .received(let packet, let peer): receive(packet, from: peer, at: now)
        }
    }

    /// A packet from `peer`. Acks and payload it gives rise to come out of the next `drain`: one ack a stream for the
    /// packets received between two drains (one for every `UTPLimits.packetsPerAck` of them). What is not a packet, or
    /// of no stream, changes nothing.
    public mutating func receive(_ packet: [UInt8], from peer: NodeAddress, at now: Instant) {
        packet.withUnsafeBytes { receive($0, from: peer, at: now) }
    }

    /// The same where the bytes lie; they are not kept.
    public mutating func receive(_ packet: UnsafeRawBufferPointer, from peer: NodeAddress, at now: Instant) {
        clock = max(clock, now)
        let parsed: Packet
        do throws(UTPPacketError) {
            parsed = try Packet(parsing: packet)
        } catch {
            // Whoever sends garbage in an authenticated session learns nothing and costs nothing.
            return
        }
        guard let place = place(of: parsed.header, peer) else {
            answerStranger(parsed.header, peer)
            return
        }
        let mayKeep = earlyBytes < UTPLimits.earlyBytes
        let path = fronts[place].path
        let taken = places[place]?.take(
            parsed, packet, on: &paths[path], mayKeep: mayKeep, at: clock, into: &packets)
        guard let taken else { return }
        earlyBytes += taken.earlyBytes
        if let ending = taken.ending { end(place, ending) } else { touch(place) }
    }

    private mutating func place(of header: UTPHeader, _ peer: NodeAddress) -> Int? {
        let id = header.connectionID
        switch header.kind {
        case .data, .fin, .state:
            let key = Key(peer: peer, receiveID: id)
            let recent = recentPlaces[Int(id) % UTP.recentCount]
            if recent < fronts.count, fronts[recent].isTaken, fronts[recent].key == key { return recent }
            guard let place = placeOfKey[key] else { return nil }
            recentPlaces[Int(id) % UTP.recentCount] = place
            return place
        case .syn:
            // A SYN bears the other end's receive id, one less than ours.
            guard let place = placeOfKey[Key(peer: peer, receiveID: id &+ 1)] else { return nil }
            return places[place]?.isConnecting == false ? place : nil
        case .reset:
            // Peers that know the stream put our receive id, those that don't repeat the id we sent.
            let candidates = [id, id &+ 1, id &- 1].lazy.compactMap { [placeOfKey] candidate in
                placeOfKey[Key(peer: peer, receiveID: candidate)]
            }
            return candidates.first { [places] place in
                places[place].map { $0.receiveID == id || $0.sendID == id } ?? false
            }
        }
    }

    /// The last word again where the stream ended well, else a RESET: no larger than what it answers, never to a RESET.
    private mutating func answerStranger(_ header: UTPHeader, _ peer: NodeAddress) {
        guard header.kind != .reset else { return }
        let receiveID = header.kind == .syn ? header.connectionID &+ 1 : header.connectionID
        switch farewells.answer(to: header, receiveID, peer, at: clock) {
        case .packet(let header): say(header, to: peer)
        case .silence: return
        case .unknown:
            let reset = UTPHeader(
                kind: .reset, connectionID: header.connectionID,
                timestamp: UInt32(truncatingIfNeeded: clock.microseconds), timestampDifference: 0, window: 0,
                sequence: 0, acknowledgement: header.sequence)
            say(reset, to: peer)
        }
    }

    private mutating func say(_ header: UTPHeader, to peer: NodeAddress) {
        let layout = PacketLayout(header)
        packets.send(layout.size, to: peer, at: clock) { layout.writeHeader(to: $0) }
    }

    // MARK: Time and output

    /// When `advance` is to be called next.
    public var nextDeadline: Instant? {
        if !touched.isEmpty || !paths.touched.isEmpty || !packets.isEmpty { return clock }
        let first = min(deadlines.earliest, paths.deadlines.earliest, rate?.deadline?.microseconds ?? .max)
        return first == .max ? nil : Instant(microseconds: first)
    }

    /// Fires what is due at `now`.
    public mutating func advance(to now: Instant) {
        clock = max(clock, now)
        paths.touchDue(at: clock.microseconds)
        guard deadlines.earliest <= clock.microseconds else { return }
        for place in deadlines.indices where deadlines[place] <= clock.microseconds {
            let path = fronts[place].path
            if let ending = places[place]?.advance(to: clock, on: &paths[path]) {
                end(place, ending)
            } else {
                touch(place)
            }
        }
    }

    private mutating func touch(_ place: Int) {
        guard fronts[place].isTaken, !fronts[place].isListed else { return }
        fronts[place].isListed = true
        touched.append(place)
    }

    /// The directives since the last call, packets first; acks and payload that became due are made here.
    public mutating func drain() -> [Directive] {
        var sink = DirectiveSink()
        let ended = drain(into: &sink)
        return sink.directives + ended.map { .ended($0) }
    }

    /// The same with the packets written straight to where they leave from; what comes back is how streams ended.
    public mutating func drain(into sink: inout some PacketSink) -> [StreamEnd] {
        packets.flush(into: &sink, at: clock)
        for place in touched { settle(place, into: &sink) }
        touched.removeAll(keepingCapacity: true)
        rate?.refill(at: clock)
        for index in paths.touched { serve(index, into: &sink) }
        paths.clearTouched()
        while let index = rate?.next() { serve(index, isItsTurn: true, into: &sink) }
        deadlines.settle()
        paths.deadlines.settle()
        guard !ends.isEmpty else { return [] }
        defer { ends = [] }
        return ends
    }

    private mutating func settle(_ place: Int, into sink: inout some PacketSink) {
        fronts[place].isListed = false
        guard fronts[place].isTaken else { return }
        let path = fronts[place].path
        let state = places[place]?.settled(at: clock, on: &paths[path], into: &sink)
        deadlines[place] = state?.deadline.microseconds ?? .max
        // What a timeout lets go counts, and waits for nothing.
        rate?.spend(paths[path].takeSentBytes())
        if state?.beginsToWait == true {
            if paths[path].waiting.isEmpty { paths[path].begin(at: clock) }
            paths[path].waiting.append(place)
        }
        paths.touch(path)
    }

    /// Lets the streams that wait on a path send by turns, as far as it has room. Where what leaves is limited over all
    /// paths, a path waits in line, and has one turn of one stream each time: so each of them gets the same.
    private mutating func serve(_ index: Int, isItsTurn: Bool = false, into sink: inout some PacketSink) {
        paths[index].isListed = false
        paths[index].refill(at: clock)
        if rate != nil, !isItsTurn {
            if paths[index].hasRoom, !paths[index].waiting.isEmpty { rate?.wait(index) }
            return endTurns(index)
        }
        while paths[index].hasRoom, let place = paths[index].waiting.first {
            paths[index].waiting.removeFirst()
            let state = places[place]?.hadTurn(
                of: UTPLimits.turnPackets, at: clock, on: &paths[index], into: &sink)
            deadlines[place] = state?.deadline.microseconds ?? .max
            if state?.isWaiting == true { paths[index].waiting.append(place) }
            guard rate == nil else {
                rate?.spend(paths[index].takeSentBytes())
                if paths[index].hasRoom, !paths[index].waiting.isEmpty { rate?.wait(index) }
                break
            }
        }
        endTurns(index)
    }

    private mutating func endTurns(_ index: Int) {
        // In line for the limit over all: it is not the path that holds it back.
        let isInLine = rate != nil && paths[index].hasRoom && !paths[index].waiting.isEmpty
        if isInLine { paths[index].isHeldBack() } else { paths[index].endTurns() }
        paths.deadlines[index] = paths[index].deadline?.microseconds ?? .max
    }
}
