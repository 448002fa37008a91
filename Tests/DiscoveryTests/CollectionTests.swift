import Primitives
import Testing

@testable import Discovery

@Suite struct CollectionTests {
    /// Against a plain list, last used at the end.
    @Test(arguments: 0..<4)
    func leastRecentlyUsedLeavesFirst(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var map = LRU<Int, Int>(limit: 8)
        var model: [(key: Int, value: Int)] = []
        for step in 0..<5_000 {
            let key = Int(generator.next() % 14)
            let place = model.firstIndex { $0.key == key }
            switch generator.next() % 4 {
            case 0, 1:
                let evicted = map.insert(key, step)
                if let place { model.remove(at: place) }
                let expected = model.count == 8 ? model.removeFirst() : nil
                model.append((key, step))
                #expect(evicted?.key == expected?.key)
            case 2:
                #expect(map.use(key) == place.map { model[$0].value })
                if let place { model.append(model.remove(at: place)) }
            default:
                #expect(map.remove(key) == place.map { model.remove(at: $0).value })
            }
            #expect(map.count == model.count)
        }
    }

    @Test func talkRequestsAreWrittenAsTheyAreEncoded() {
        for size in [0, 1, 2, 50, 51, 52, 55, 56, 200, 255, 256, 257, 1_100] {
            for byte: UInt8 in [0, 0x7f, 0x80] {
                for id in [RequestID(own: 0), RequestID(own: 0xffff_ffff)] {
                    let request = [UInt8](repeating: byte, count: size)
                    let writer = TalkRequestWriter(
                        id: id, protocol: testProtocol, requestSize: size, first: request.first)
                    var bytes = [UInt8](repeating: 0xaa, count: writer.size)
                    bytes.withUnsafeMutableBytes { target in
                        guard let base = target.baseAddress else { return }
                        writer.write(to: base) { place in
                            request.withUnsafeBytes { from in
                                if let from = from.baseAddress { place.copyMemory(from: from, byteCount: size) }
                            }
                        }
                    }
                    #expect(bytes == Message.talkRequest(id, protocol: testProtocol, request: request).encoded)
                }
            }
        }
    }

    @Test func distancesOfALookupSurroundTheTarget() {
        let id = Bytes32(0, 0, 0, 0)
        #expect(NodeLookup.distances(from: id, to: Bytes32(1 << 63, 0, 0, 0)) == [256, 255, 254])
        #expect(NodeLookup.distances(from: id, to: Bytes32(0, 0, 0, 8)) == [4, 5, 3])
        #expect(NodeLookup.distances(from: id, to: id) == [1, 2, 3])
    }

    @Test func budgetsFillAtTheirRate() {
        var bucket = TokenBucket(burst: 2, at: .zero)
        func take(_ milliseconds: Int) -> Bool {
            bucket.take(rate: 10, burst: 2, at: .zero + .milliseconds(milliseconds))
        }
        #expect(
            [take(0), take(0), take(0), take(99), take(100), take(150), take(200)]
                == [true, true, false, false, true, false, true])
        #expect([take(100_000), take(100_000), take(100_000)] == [true, true, false])
    }
}
