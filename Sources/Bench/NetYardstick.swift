import CCrypto
import Foundation
import Primitives
import Shell
import UTP

/// What the streams are compared with: the same number of datagrams of the same size, sealed and opened with
/// AES-128-GCM, through the same socket, and nothing else: no sessions, no streams, no acknowledgements but a credit
/// now and then.
struct YardstickWorkload: Workload {
    let name = "net.udp"
    let items = "datagrams"
    let scales = false
    /// As many as one stream of 64 MiB needs.
    static let datagrams = (64 << 20) / UTPLimits.payloadBytes + 1
    var summary: String { "plain UDP from another process over loopback, AES-GCM on each datagram: the yardstick" }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial { try YardstickTrial() }
}

private final class YardstickTrial: Trial {
    private let far: FarProcess
    private let near: YardstickEnd

    init() throws {
        far = try FarProcess("udp", offload: UDPSocket.Offload())
        guard let line = try far.readLine(), let port = UInt16(line) else {
            throw BenchError.wrongResult(workload: "net.udp", what: "the far process names no port")
        }
        near = try YardstickEnd(far: .loopback(port: port))
        _ = try near.fetch(1_000)
    }

    func run() throws -> Work {
        let count = try near.fetch(YardstickWorkload.datagrams)
        return Work(items: count, bytes: count * UTPLimits.payloadBytes)
    }
}

/// One end of the yardstick.
final class YardstickEnd {
    /// discv5's largest packet, its header in the clear before the message, and the tag behind it.
    private static let size = 1_280, header = 71, tag = 16
    /// Datagrams on their way at most: less than half of what the receive buffer holds.
    private static let window = 1_024
    /// Datagrams a credit stands for.
    private static let credit = 64

    private let socket: UDPSocket
    private let far: Endpoint?
    private let seals = EVP_CIPHER_CTX_new()
    private let opens = EVP_CIPHER_CTX_new()
    private var buffer = DatagramBuffer(limit: 4 << 20)
    private var plain = [UInt8](repeating: 0, count: size)
    private var counter: UInt64 = 0

    init(far: Endpoint?) throws {
        self.far = far
        socket = try UDPSocket(binding: .loopback(port: 0))
        let key = [UInt8](repeating: 7, count: 16)
        _ = EVP_CipherInit_ex(seals, EVP_aes_128_gcm(), nil, key, nil, 1)
        _ = EVP_CipherInit_ex(opens, EVP_aes_128_gcm(), nil, key, nil, 0)
    }

    deinit {
        EVP_CIPHER_CTX_free(seals)
        EVP_CIPHER_CTX_free(opens)
    }

    /// The far end: prints its port and sends what it is asked for until its input ends.
    static func serve() throws {
        let end = try YardstickEnd(far: nil)
        FileHandle.standardOutput.write(Data("\(end.socket.local.port)\n".utf8))
        Thread {
            while !FileHandle.standardInput.availableData.isEmpty {}
            exit(0)
        }.start()
        while true { try end.answer() }
    }

    /// Waits for a request (eight bytes, how many) and sends as many datagrams.
    private func answer() throws {
        var wanted = 0
        var peer = Endpoint.loopback(port: 0)
        while wanted == 0 {
            _ = socket.wait(milliseconds: 1_000)
            _ = try socket.receive { bytes, source in
                guard bytes.count == 8 else { return }
                wanted = Int(UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
                peer = source
            }
        }
        var flying = 0
        while wanted > 0 {
            while wanted > 0, flying < YardstickEnd.window {
                buffer.append(YardstickEnd.size, to: peer) { seal(at: $0) }
                wanted -= 1
                flying += 1
            }
            socket.send(&buffer)
            _ = socket.flush()
            // What comes next may be the next request already.
            guard wanted > 0, socket.wait(milliseconds: 1_000) else { return }
            _ = try socket.receive { bytes, _ in if bytes.count == 1 { flying -= YardstickEnd.credit } }
        }
    }

    private func seal(at target: UnsafeMutableRawPointer) -> Bool {
        let bytes = target.assumingMemoryBound(to: UInt8.self)
        counter += 1
        target.initializeMemory(as: UInt8.self, repeating: 1, count: YardstickEnd.size)
        target.storeBytes(of: counter, as: UInt64.self)
        let message = bytes + YardstickEnd.header
        let count = Int32(YardstickEnd.size - YardstickEnd.header - YardstickEnd.tag)
        var written: Int32 = 0
        return EVP_CipherInit_ex(seals, nil, nil, nil, bytes, 1) == 1
            && EVP_CipherUpdate(seals, nil, &written, bytes, Int32(YardstickEnd.header)) == 1
            && EVP_EncryptUpdate(seals, message, &written, message, count) == 1
            && EVP_EncryptFinal_ex(seals, message + Int(count), &written) == 1
            && EVP_CIPHER_CTX_ctrl(
                seals, EVP_CTRL_AEAD_GET_TAG, Int32(YardstickEnd.tag), message + Int(count)) == 1
    }

    private func open(_ datagram: UnsafeRawBufferPointer) -> Bool {
        guard datagram.count == YardstickEnd.size, let base = datagram.baseAddress else { return false }
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        let count = Int32(YardstickEnd.size - YardstickEnd.header - YardstickEnd.tag)
        let tag = UnsafeMutableRawPointer(mutating: base + YardstickEnd.size - YardstickEnd.tag)
        var written: Int32 = 0
        return plain.withUnsafeMutableBufferPointer { plain in
            EVP_CipherInit_ex(opens, nil, nil, nil, bytes, 0) == 1
                && EVP_CipherUpdate(opens, nil, &written, bytes, Int32(YardstickEnd.header)) == 1
                && EVP_DecryptUpdate(opens, plain.baseAddress, &written, bytes + YardstickEnd.header, count) == 1
                && EVP_CIPHER_CTX_ctrl(opens, EVP_CTRL_AEAD_SET_TAG, Int32(YardstickEnd.tag), tag) == 1
                && EVP_DecryptFinal_ex(opens, plain.baseAddress, &written) == 1
        }
    }

    /// Asks the far end for `count` datagrams and opens them all; how many.
    func fetch(_ count: Int) throws -> Int {
        guard let far else { return 0 }
        socket.send(withUnsafeBytes(of: UInt64(count).bigEndian) { Array($0) }, to: far)
        _ = socket.flush()
        var (opened, refused, credited) = (0, 0, 0)
        while opened + refused < count {
            guard socket.wait(milliseconds: 2_000) else { break }
            _ = try socket.receive { bytes, _ in
                if open(bytes) { opened += 1 } else { refused += 1 }
            }
            while credited + YardstickEnd.credit <= opened {
                credited += YardstickEnd.credit
                socket.send([1], to: far)
            }
            _ = socket.flush()
        }
        guard opened == count else {
            throw BenchError.wrongResult(workload: "net.udp", what: "\(opened) of \(count) datagrams could be opened")
        }
        return opened
    }
}
