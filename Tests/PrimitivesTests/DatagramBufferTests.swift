import Testing

@testable import Primitives

@Suite struct DatagramBufferTests {
    private func filled(_ count: Int) -> DatagramBuffer {
        var buffer = DatagramBuffer(limit: 1 << 20)
        for number in 0..<count {
            let bytes = [UInt8](repeating: UInt8(number), count: 500 + number)
            let isTaken = bytes.withUnsafeBytes { buffer.append($0, to: .loopback(port: UInt16(number))) }
            #expect(isTaken)
        }
        return buffer
    }

    @Test func keepsDatagramsApartAndInOrder() {
        let buffer = filled(200)
        #expect(buffer.count == 200)
        for number in 0..<200 {
            #expect(buffer.bytes(at: number) == [UInt8](repeating: UInt8(number), count: 500 + number))
            #expect(buffer.entries[number].endpoint.port == UInt16(number))
        }
    }

    @Test func removesFromTheFront() {
        var buffer = filled(20)
        buffer.removeFirst(7)
        #expect(buffer.count == 13)
        #expect(buffer.bytes(at: 0) == [UInt8](repeating: 7, count: 507))
        #expect(buffer.bytes(at: 12) == [UInt8](repeating: 19, count: 519))
        buffer.removeFirst(13)
        #expect(buffer.isEmpty)
    }

    @Test func refusesWhatIsBeyondTheLimitOrNotWritten() {
        var buffer = DatagramBuffer(limit: 1_000)
        let here = Endpoint.loopback(port: 1)
        #expect(buffer.append(600, to: here) { _ in true })
        #expect(!buffer.append(401, to: here) { _ in true })
        #expect(!buffer.append(100, to: here) { _ in false })
        #expect(!buffer.append(0, to: here) { _ in true })
        #expect(buffer.count == 1)
        #expect(buffer.append(400, to: here) { _ in true })
        buffer.removeAll()
        #expect(buffer.append(1_000, to: here) { _ in true })
    }
}

@Suite struct EndpointTests {
    @Test func addressesComeBackAsTheyWere() throws {
        let six = (1...16).map { UInt8($0) }
        #expect(try #require(Endpoint(address: six, port: 9)).address == six)
        let four = try #require(Endpoint(address: [192, 0, 2, 7], port: 9))
        #expect(four.address == [192, 0, 2, 7] && four.isIPv4)
        #expect(four == Endpoint(ipv4: (192, 0, 2, 7), port: 9))
        let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 192, 0, 2, 7]
        #expect(Endpoint(address: mapped, port: 9) == four)
        #expect(Endpoint(address: [1, 2, 3], port: 9) == nil)
    }

    @Test func loopbackOfBothFamilies() throws {
        #expect(Endpoint.loopback(port: 1).isLoopback)
        #expect(try #require(Endpoint(address: [UInt8](repeating: 0, count: 15) + [1], port: 1)).isLoopback)
        #expect(!Endpoint(ipv4: (128, 0, 0, 1), port: 1).isLoopback)
        #expect(try #require(Endpoint(address: [UInt8](repeating: 0, count: 16), port: 1)).isLoopback == false)
    }

    /// Neither family stands for the other.
    @Test func familiesDiffer() throws {
        let four = Endpoint(ipv4: (1, 2, 3, 4), port: 5)
        let six = try #require(Endpoint(address: [1, 2, 3, 4] + [UInt8](repeating: 0, count: 12), port: 5))
        #expect(four != six)
    }
}
