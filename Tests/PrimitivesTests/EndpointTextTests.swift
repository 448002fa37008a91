import Primitives
import Testing

/// Addresses as RFC 5952 writes them.
@Suite struct EndpointTextTests {
    @Test(
        arguments: [
            ([0, 0, 0, 0, 0, 0, 0, 0], "[::]:9"), ([0, 0, 0, 0, 0, 0, 0, 1], "[::1]:9"),
            ([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], "[2001:db8::1:0:0:1]:9"),
            ([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], "[2001:db8:0:1:1:1:1:1]:9"), ([1, 0, 0, 0, 0, 0, 0, 0], "[1::]:9"),
            ([1, 0, 0, 2, 0, 0, 0, 3], "[1:0:0:2::3]:9"), ([1, 2, 3, 4, 5, 6, 7, 8], "[1:2:3:4:5:6:7:8]:9"),
        ] as [([UInt16], String)])
    func zerosAreLeftOutOnce(groups: [UInt16], text: String) throws {
        let bytes = groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        #expect(try #require(Endpoint(address: bytes, port: 9)).description == text)
    }

    @Test func iPv4IsWrittenAsEver() {
        #expect(Endpoint(ipv4: (0, 0, 0, 0), port: 9).description == "0.0.0.0:9")
    }
}
