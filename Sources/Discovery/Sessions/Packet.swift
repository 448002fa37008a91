import Primitives

/// The 12 bytes that number a packet under its key: a counter, and a tail that tells sessions apart.
struct Nonce: Hashable, Sendable {
    var counter: UInt32
    var tail: UInt64

    init(counter: UInt32, tail: UInt64) {
        self.counter = counter
        self.tail = tail
    }

    /// Reads 12 bytes.
    init(loading pointer: UnsafeRawPointer) {
        counter = UInt32(bigEndian: pointer.loadUnaligned(as: UInt32.self))
        tail = UInt64(bigEndian: pointer.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
    }

    /// Writes 12 bytes.
    func store(to pointer: UnsafeMutableRawPointer) {
        pointer.storeBytes(of: counter.bigEndian, as: UInt32.self)
        pointer.storeBytes(of: tail.bigEndian, toByteOffset: 4, as: UInt64.self)
    }
}

/// 16 random bytes: a masking IV or an id-nonce.
struct Random16: Hashable, Sendable {
    var high: UInt64
    var low: UInt64

    func store(to pointer: UnsafeMutableRawPointer) {
        pointer.storeBytes(of: high.bigEndian, as: UInt64.self)
        pointer.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
}

/// What a packet's second byte after the version says.
enum PacketFlag: UInt8, Sendable {
    case ordinary = 0
    case whoAreYou = 1
    case handshake = 2
}

/// Where the parts of a packet lie in a buffer of: masking IV (16) ‖ static header (23) ‖ authdata ‖ message.
///
/// Static header: "discv5" ‖ version 1 (2) ‖ flag (1) ‖ nonce (12) ‖ authdata size (2). All integers big endian.
struct PacketHeader: Sendable {
    static let ivSize = 16
    static let staticSize = 23
    static let authStart = ivSize + staticSize
    static let nonceStart = ivSize + 9
    /// Source id.
    static let ordinaryAuthSize = 32
    /// Id-nonce and record sequence.
    static let whoAreYouAuthSize = 24
    /// Source id, two sizes, signature, ephemeral key; the record follows.
    static let handshakeAuthSize = 32 + 2 + 64 + 33
    /// "discv5" and version 1.
    static let protocolBytes: [UInt8] = Array("discv5".utf8) + [0, 1]

    let flag: PacketFlag
    let nonce: Nonce
    let authSize: Int

    /// Where the message begins.
    var messageStart: Int { PacketHeader.authStart + authSize }
}

/// A received packet in a buffer that is used again for the next, so that receiving allocates nothing.
struct PacketBuffer: Sendable {
    /// The masking IV and header in the clear, the message as it came.
    private(set) var bytes = [UInt8](repeating: 0, count: DiscoveryLimits.packetSizes.upperBound)
    private(set) var count = 0
    /// The message decrypted.
    private(set) var plaintext = [UInt8](repeating: 0, count: DiscoveryLimits.packetSizes.upperBound)
    private(set) var plaintextCount = 0

    /// Copies `datagram` in and unmasks its header with the cipher of our own id.
    mutating func unmask(_ datagram: [UInt8], with mask: inout MaskCipher) throws(PacketError) -> PacketHeader {
        let result = datagram.withUnsafeBytes { bytes -> Result<PacketHeader, PacketError> in
            do throws(PacketError) {
                return .success(try unmask(bytes, with: &mask))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The same from where the datagram lies.
    mutating func unmask(
        _ datagram: UnsafeRawBufferPointer, with mask: inout MaskCipher
    ) throws(PacketError) -> PacketHeader {
        guard DiscoveryLimits.packetSizes.contains(datagram.count) else { throw .size(datagram.count) }
        count = datagram.count
        plaintextCount = 0
        let result = bytes.withUnsafeMutableBytes { buffer -> Result<PacketHeader, PacketError> in
            buffer.copyMemory(from: datagram)
            do throws(PacketError) {
                return .success(try PacketBuffer.unmask(buffer, count: datagram.count, with: &mask))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func unmask(
        _ buffer: UnsafeMutableRawBufferPointer, count: Int, with mask: inout MaskCipher
    ) throws(PacketError) -> PacketHeader {
        guard let base = buffer.baseAddress else { throw .size(count) }
        let fixed = base + PacketHeader.ivSize
        guard mask.begin(iv: base), mask.apply(fixed, count: PacketHeader.staticSize) else { throw .notForUs }
        guard UnsafeRawBufferPointer(start: fixed, count: 8).elementsEqual(PacketHeader.protocolBytes) else {
            throw .notForUs
        }
        guard let flag = PacketFlag(rawValue: fixed.load(fromByteOffset: 8, as: UInt8.self)) else {
            throw .unknownFlag(fixed.load(fromByteOffset: 8, as: UInt8.self))
        }
        let authSize = Int(UInt16(bigEndian: fixed.loadUnaligned(fromByteOffset: 21, as: UInt16.self)))
        let rest = count - PacketHeader.authStart
        switch flag {
        case .ordinary: guard authSize == PacketHeader.ordinaryAuthSize else { throw .authenticationDataSize }
        case .whoAreYou: guard authSize == PacketHeader.whoAreYouAuthSize else { throw .authenticationDataSize }
        case .handshake: guard authSize >= PacketHeader.handshakeAuthSize else { throw .authenticationDataSize }
        }
        guard authSize <= rest else { throw .authenticationDataSize }
        // A WHOAREYOU has no message, the others at least a tag.
        let message = rest - authSize
        guard flag == .whoAreYou ? message == 0 : message >= MessageCipher.tagSize else { throw .size(count) }
        guard mask.apply(base + PacketHeader.authStart, count: authSize) else { throw .notForUs }
        return PacketHeader(flag: flag, nonce: Nonce(loading: fixed + 9), authSize: authSize)
    }

    /// The source id, the first 32 bytes of the authdata of ordinary and handshake packets.
    var sourceID: Bytes32 {
        bytes.withUnsafeBytes { $0.baseAddress.map { Bytes32(loading: $0 + PacketHeader.authStart) } ?? .zero }
    }

    /// The authdata of a handshake, taken apart.
    func handshake(_ header: PacketHeader) throws(PacketError) -> HandshakeData {
        let result = bytes.withUnsafeBytes { packet -> Result<HandshakeData, PacketError> in
            do throws(PacketError) {
                let data = packet[PacketHeader.authStart..<header.messageStart]
                return .success(try HandshakeData(UnsafeRawBufferPointer(rebasing: data)))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The sequence number of the record that the sender of a WHOAREYOU has of us; 0 for none.
    var knownSequence: UInt64 {
        let start = PacketHeader.authStart + 16
        return bytes.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self)) }
    }

    /// Masking IV and header in the clear: the additional data of a message, the challenge data of a WHOAREYOU.
    func headerBytes(_ header: PacketHeader) -> [UInt8] { Array(bytes[..<header.messageStart]) }

    /// Decrypts the message into `plaintext`. False when the tag is wrong; the buffer's packet is as before then.
    mutating func open(_ header: PacketHeader, with cipher: inout MessageCipher) -> Bool {
        let start = header.messageStart
        let opened = bytes.withUnsafeBytes { packet in
            plaintext.withUnsafeMutableBytes { output in
                guard let base = packet.baseAddress, let target = output.baseAddress else { return false }
                return cipher.open(
                    UnsafeRawBufferPointer(rebasing: packet[start..<count]), to: target,
                    nonce: base + PacketHeader.nonceStart, data: UnsafeRawBufferPointer(rebasing: packet[..<start]))
            }
        }
        plaintextCount = opened ? count - start - MessageCipher.tagSize : 0
        return opened
    }

    /// The request of the decrypted message where it is a TALKREQ under `name`; nil for any other, and where it does
    /// not decode. It lies in `plaintext`.
    func talkRequest(under name: [UInt8]) -> Range<Int>? {
        plaintext.withUnsafeBytes { buffer in
            TalkRequestReader.request(in: UnsafeRawBufferPointer(rebasing: buffer[..<plaintextCount]), under: name)
        }
    }

    /// Reads the decrypted message.
    func message() throws(MessageError) -> Message {
        let result = plaintext.withUnsafeBytes { buffer -> Result<Message, MessageError> in
            do throws(MessageError) {
                return .success(try Message(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<plaintextCount])))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// Builds packets.
enum PacketWriter {
    /// Writes masking IV and header; `authData` writes `authSize` bytes.
    private static func writeHeader(
        _ base: UnsafeMutableRawPointer, iv: Random16, flag: PacketFlag, nonce: Nonce, authSize: Int,
        authData: (UnsafeMutableRawPointer) -> Void
    ) {
        iv.store(to: base)
        let fixed = base + PacketHeader.ivSize
        PacketHeader.protocolBytes.withUnsafeBytes { Session.copy($0, to: fixed) }
        fixed.storeBytes(of: flag.rawValue, toByteOffset: 8, as: UInt8.self)
        nonce.store(to: fixed + 9)
        fixed.storeBytes(of: UInt16(authSize).bigEndian, toByteOffset: 21, as: UInt16.self)
        authData(base + PacketHeader.authStart)
    }

    /// A packet with a message; only the packet itself is allocated.
    static func sealed(
        iv: Random16, flag: PacketFlag, nonce: Nonce, authSize: Int, messageSize: Int,
        mask: inout MaskCipher, cipher: inout MessageCipher,
        authData: (UnsafeMutableRawPointer) -> Void, message: (UnsafeMutableRawPointer) -> Void
    ) -> [UInt8]? {
        let size = size(authSize: authSize, messageSize: messageSize)
        guard size <= DiscoveryLimits.packetSizes.upperBound else { return nil }
        var done = false
        let packet = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            done = seal(
                at: base, iv: iv, flag: flag, nonce: nonce, authSize: authSize, messageSize: messageSize, mask: &mask,
                cipher: &cipher, authData: authData, message: message)
            count = size
        }
        return done ? packet : nil
    }

    /// Bytes of a packet with a message.
    static func size(authSize: Int, messageSize: Int) -> Int {
        PacketHeader.authStart + authSize + messageSize + MessageCipher.tagSize
    }

    /// Writes a packet with a message to `base`: header in the clear first, since it is the message's additional data;
    /// then the message sealed in place; then the header masked.
    static func seal(
        at base: UnsafeMutableRawPointer, iv: Random16, flag: PacketFlag, nonce: Nonce, authSize: Int,
        messageSize: Int, mask: inout MaskCipher, cipher: inout MessageCipher,
        authData: (UnsafeMutableRawPointer) -> Void, message: (UnsafeMutableRawPointer) -> Void
    ) -> Bool {
        let start = PacketHeader.authStart + authSize
        writeHeader(base, iv: iv, flag: flag, nonce: nonce, authSize: authSize, authData: authData)
        message(base + start)
        return cipher.seal(
            base + start, count: messageSize, nonce: base + PacketHeader.nonceStart,
            data: UnsafeRawBufferPointer(start: base, count: start))
            && mask.begin(iv: base)
            && mask.apply(base + PacketHeader.ivSize, count: start - PacketHeader.ivSize)
    }

    /// A packet whose message is `tail` as it stands: nothing (WHOAREYOU), or random bytes (the packet that asks for a
    /// WHOAREYOU). Also gives the header in the clear.
    static func plain(
        iv: Random16, flag: PacketFlag, nonce: Nonce, authSize: Int, tail: [UInt8], mask: inout MaskCipher,
        authData: (UnsafeMutableRawPointer) -> Void
    ) -> (packet: [UInt8], header: [UInt8]) {
        let start = PacketHeader.authStart + authSize
        let header = [UInt8](unsafeUninitializedCapacity: start) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            writeHeader(base, iv: iv, flag: flag, nonce: nonce, authSize: authSize, authData: authData)
            count = start
        }
        var packet = header + tail
        packet.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = mask.begin(iv: base) && mask.apply(base + PacketHeader.ivSize, count: start - PacketHeader.ivSize)
        }
        return (packet, header)
    }
}

extension MaskCipher {
    /// The mask of packets to the node `id`.
    init(to id: Bytes32) {
        var half = (id.word0.bigEndian, id.word1.bigEndian)
        self = withUnsafePointer(to: &half) { words in
            words.withMemoryRebound(to: UInt8.self, capacity: 16) { MaskCipher(key: $0) }
        }
    }
}
