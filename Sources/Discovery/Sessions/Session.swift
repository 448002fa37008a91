import CSodium
import Primitives

/// Keys shared with one node at one address, and what numbers the packets to it.
struct Session: Sendable {
    enum Opened: Sendable {
        /// Under the newest keys, and the first packet that is: the peer has them too.
        case confirming
        /// Under the newest keys.
        case current
        /// Under the keys before: the packet was under way when they changed, or both sides began a handshake at once
        /// and the peer goes on with the other one.
        case previous
    }

    /// What numbers our packets: a counter, and a tail by which a WHOAREYOU that names one of them is recognised.
    /// The pair never repeats under a key, since the counter does not.
    private(set) var counter: UInt32 = 0
    let tail: UInt64
    /// The peer's record when the session was made: what a new handshake needs.
    let record: NodeRecord
    /// Whether the peer has shown that it has these keys.
    private(set) var isConfirmed = false
    private var sending: MessageCipher
    private var mask: MaskCipher
    private var receiving: MessageCipher
    private var previous: MessageCipher?
    private var previousFirst = false
    /// PING and FINDNODE the peer may still send.
    var budget: TokenBucket
    /// How long its answers take.
    var answerTimes: AnswerTimes
    /// Packets of the peer that may still be decrypted; nil before the first.
    private var packets: TokenBucket?

    /// `replacing` is the session these keys take the place of.
    init(
        with record: NodeRecord, keys: SessionKeys, asInitiator: Bool, tail: UInt64, budget: TokenBucket,
        replacing old: Session?
    ) {
        self.tail = tail
        self.record = record
        self.budget = budget
        sending = MessageCipher(key: asInitiator ? keys.initiator : keys.recipient, encrypts: true)
        receiving = MessageCipher(key: asInitiator ? keys.recipient : keys.initiator, encrypts: false)
        previous = old?.receiving
        answerTimes = old?.answerTimes ?? AnswerTimes()
        mask = MaskCipher(to: record.id)
    }

    /// The nonce of the next packet; nil when the counter has run out and new keys are needed.
    private mutating func nextNonce() -> Nonce? {
        guard counter < .max else { return nil }
        defer { counter += 1 }
        return Nonce(counter: counter, tail: tail)
    }

    /// An ordinary packet from `source` with a message of `size` bytes that `write` puts in place.
    mutating func seal(
        from source: Bytes32, iv: Random16, size: Int, write: (UnsafeMutableRawPointer) -> Void
    ) -> [UInt8]? {
        guard let nonce = nextNonce() else { return nil }
        return PacketWriter.sealed(
            iv: iv, flag: .ordinary, nonce: nonce, authSize: PacketHeader.ordinaryAuthSize, messageSize: size,
            mask: &mask, cipher: &sending, authData: { source.store(to: $0) }, message: write)
    }

    /// The same written to `target`, which has room for it. False when new keys are needed.
    mutating func seal(
        at target: UnsafeMutableRawPointer, from source: Bytes32, iv: Random16, size: Int,
        write: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        guard let nonce = nextNonce() else { return false }
        return PacketWriter.seal(
            at: target, iv: iv, flag: .ordinary, nonce: nonce, authSize: PacketHeader.ordinaryAuthSize,
            messageSize: size, mask: &mask, cipher: &sending, authData: { source.store(to: $0) }, message: write)
    }

    /// The same with a message already written.
    mutating func seal(_ message: [UInt8], from source: Bytes32, iv: Random16) -> [UInt8]? {
        seal(from: source, iv: iv, size: message.count) { target in
            message.withUnsafeBytes { Session.copy($0, to: target) }
        }
    }

    /// The handshake packet that opens this session; `authData` writes `authSize` bytes.
    mutating func sealHandshake(
        _ message: [UInt8], authSize: Int, iv: Random16, authData: (UnsafeMutableRawPointer) -> Void
    ) -> [UInt8]? {
        guard let nonce = nextNonce() else { return nil }
        return PacketWriter.sealed(
            iv: iv, flag: .handshake, nonce: nonce, authSize: authSize, messageSize: message.count, mask: &mask,
            cipher: &sending, authData: authData,
            message: { target in message.withUnsafeBytes { Session.copy($0, to: target) } })
    }

    static func copy(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
        if let base = source.baseAddress { target.copyMemory(from: base, byteCount: source.count) }
    }

    /// Whether one more packet of the peer is to be decrypted; `rate` is packets a second, `burst` at once.
    mutating func admitsPacket(rate: Int, burst: Int, at now: Instant) -> Bool {
        if packets == nil { packets = TokenBucket(burst: burst, at: now) }
        return packets?.take(rate: rate, burst: burst, at: now) ?? false
    }

    /// Decrypts the message in `buffer`. Keys that worked last are tried first.
    mutating func open(_ buffer: inout PacketBuffer, _ header: PacketHeader) -> Opened? {
        if previousFirst, openPrevious(&buffer, header) { return .previous }
        if buffer.open(header, with: &receiving) {
            previousFirst = false
            defer { isConfirmed = true }
            return isConfirmed ? .current : .confirming
        }
        guard !previousFirst, openPrevious(&buffer, header) else { return nil }
        previousFirst = true
        return .previous
    }

    private mutating func openPrevious(_ buffer: inout PacketBuffer, _ header: PacketHeader) -> Bool {
        guard var cipher = previous.take() else { return false }
        let opened = buffer.open(header, with: &cipher)
        previous = cipher
        return opened
    }
}
