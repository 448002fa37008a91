import Primitives
import Testing

@Suite struct BytesTests {
    @Test func fieldsRoundTrip() throws {
        var writer = ByteWriter()
        writer.append(uint8: 7)
        writer.append(littleEndian: UInt16(0x0102))
        writer.append(littleEndian: UInt32(0x0102_0304))
        writer.append(bigEndian: UInt32(0x0102_0304))
        writer.append(littleEndian: UInt64(0x0102_0304_0506_0708))
        writer.append(bigEndian: UInt64(0x0102_0304_0506_0708))
        writer.append(Bytes32(1, 2, 3, 4))
        writer.appendVarintPrefixed([9, 8, 7])
        #expect(Array(writer.bytes[1..<7]) == [2, 1, 4, 3, 2, 1])
        var reader = ByteReader(writer.bytes)
        #expect(try reader.uint8() == 7)
        #expect(try reader.bytes(6) == [2, 1, 4, 3, 2, 1])
        #expect(try reader.uint32BigEndian() == 0x0102_0304)
        #expect(try reader.bytes(8) == [8, 7, 6, 5, 4, 3, 2, 1])
        #expect(try reader.uint64BigEndian() == 0x0102_0304_0506_0708)
        #expect(try reader.bytes32() == Bytes32(1, 2, 3, 4))
        #expect(try reader.varintPrefixed(limit: 3) == [9, 8, 7])
        try reader.finish()
    }

    @Test func neverPastTheEnd() throws {
        var reader = ByteReader([1, 2, 3])
        #expect(throws: ByteError.truncated) { try reader.uint32BigEndian() }
        #expect(throws: ByteError.truncated) { try reader.bytes(4) }
        #expect(throws: ByteError.truncated) { try reader.bytes(-1) }
        #expect(throws: ByteError.truncated) { try reader.bytes(Int.max) }
        #expect(throws: ByteError.trailingBytes) { try reader.finish() }
        #expect(try reader.bytes(3) == [1, 2, 3])
        var part = ByteReader([1, 2, 3, 4], in: 1..<3)
        #expect(part.remaining == 2)
        #expect(throws: ByteError.truncated) { try part.bytes(3) }
        #expect(part.rest() == [2, 3])
    }

    @Test func lengthsAreCheckedBeforeAnythingIsAllocated() {
        var over = ByteReader(LEB128.encode(.max) + [1])
        #expect(throws: ByteError.tooLarge) { try over.varintPrefixed(limit: 1 << 20) }
        var cut = ByteReader(LEB128.encode(1 << 20) + [1])
        #expect(throws: ByteError.truncated) { try cut.varintPrefixed(limit: 1 << 20) }
    }

    @Test func varintsHaveOneForm() throws {
        for shift in 0...32 {
            for delta in [-1, 0, 1] {
                guard let value = UInt32(exactly: (Int64(1) << Int64(shift)) + Int64(delta)) else { continue }
                #expect(try LEB128.decode(LEB128.encode(value)) == value)
            }
        }
        #expect(throws: ByteError.notCanonical) { try LEB128.decode([0x80, 0x00]) }
        #expect(throws: ByteError.tooLarge) { try LEB128.decode([0xff, 0xff, 0xff, 0xff, 0x1f]) }
        #expect(throws: ByteError.tooLarge) { try LEB128.decode([0xff, 0xff, 0xff, 0xff, 0xff, 0x01]) }
        #expect(throws: ByteError.truncated) { try LEB128.decode([0x80]) }
        #expect(throws: ByteError.truncated) { try LEB128.decode([]) }
        #expect(throws: ByteError.trailingBytes) { try LEB128.decode([0x01, 0x01]) }
    }
}
