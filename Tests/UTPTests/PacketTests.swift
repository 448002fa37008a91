import Primitives
import Testing
import UTP
import UTPLab

@Suite struct PacketTests {
    private static let header = UTPHeader(
        kind: .data, connectionID: 26_237, timestamp: 252_492_495, timestampDifference: 242_289_855, window: 1_048_576,
        sequence: 8_334, acknowledgement: 16_806)

    @Test func layout() throws {
        let bytes = try #require(Hex.decode("0100667d0f0cbacf0e710cbf00100000208e41a600010203040506070809"))
        let packet = try Packet(parsing: bytes)
        #expect(packet.header == PacketTests.header)
        #expect(packet.selectiveAck == nil)
        #expect(packet.payload == 20..<30)
        #expect(Packet.encode(packet.header, payload: packet.payload, of: bytes) == bytes)
    }

    @Test func selectiveAckIsReadAfterOtherExtensions() throws {
        var header = PacketTests.header
        header.kind = .state
        var bytes = Packet.encode(header, selectiveAck: [1, 0, 0, 128])
        #expect(try Packet(parsing: bytes).selectiveAck == 22..<26)
        bytes[1] = 7
        bytes.insert(contentsOf: [1, 3, 9, 9, 9], at: 20)
        #expect(try Packet(parsing: bytes).selectiveAck == 27..<31)
    }

    @Test func refusals() throws {
        func error(_ change: (inout [UInt8]) -> Void) -> UTPPacketError? {
            var bytes = Packet.encode(PacketTests.header, selectiveAck: [0, 0, 0, 1])
            change(&bytes)
            do throws(UTPPacketError) {
                _ = try Packet(parsing: bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(error { _ in } == nil)
        #expect(error { $0.removeLast(7) } == .tooShort)
        #expect(error { $0 = [] } == .tooShort)
        #expect(error { $0[0] = 0x02 } == .unknownVersion(2))
        #expect(error { $0[0] = 0x51 } == .unknownType(5))
        #expect(error { $0.removeLast(6) } == .extensionCut)
        #expect(error { $0.removeLast() } == .extensionCut)
        #expect(error { $0[21] = 3 } == .selectiveAckLength(3))
        #expect(error { $0[21] = 0 } == .selectiveAckLength(0))
        #expect(
            error {
                $0[20] = 1; $0 += [0, 4, 0, 0, 0, 1]
            } == .repeatedSelectiveAck)
        #expect(
            error {
                $0[0] = 0x21; $0.append(1)
            } == .unexpectedPayload)
        #expect(
            error {
                $0[0] = 0x41; $0.append(1)
            } == .unexpectedPayload)
    }

    @Test func aFullPacketFillsADiscv5Packet() {
        // Around the packet: masking IV, static header, authdata, tag; type, list, request id, "utp", data header.
        #expect(UTPLimits.packetBytes + 16 + 23 + 32 + 16 + 1 + 3 + 9 + 4 + 3 == 1_280)
        #expect(UTPLimits.headerBytes + 2 + UTPLimits.selectiveAckBytes <= UTPLimits.packetBytes)
    }

    @Test func anyBytesAreReadOrRefused() {
        var generator = SeededGenerator(seed: 7)
        var read = 0
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...48, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            // Mostly a right first byte and few extensions, so that what follows is reached.
            if !bytes.isEmpty, generator.next() % 8 > 0 { bytes[0] = bytes[0] % 5 << 4 | 1 }
            if bytes.count > 1 { bytes[1] = generator.next() % 2 == 0 ? 0 : bytes[1] % 3 }
            guard let packet = try? Packet(parsing: bytes) else { continue }
            read += 1
            #expect(packet.payload.upperBound == bytes.count)
            #expect(packet.selectiveAck.map { $0.upperBound <= bytes.count } ?? true)
        }
        #expect(read > 300)
    }
}
