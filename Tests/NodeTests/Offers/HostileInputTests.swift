import Chain
import Discovery
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Node
@testable import Overlay
@testable import StateNetwork

@Suite("What the network may send") struct HostileInputTests {
    /// Valid messages of every kind.
    private func keys() throws -> [[UInt8]] {
        let point = StatePoint(number: 8, hash: .max)
        let range = try #require(
            RangeKey(anchor: Bench.anchor, origin: Cursor(account: .zero), limit: Cursor(account: .max), maxBytes: 1))
        let diffs = try #require(
            DiffsKey(from: Bench.genesis, to: point, sections: [1, 5], maxBytes: 1_000, withProof: true))
        let codes = try #require(CodesKey(near: .zero, hashes: [.max, .zero]))
        return [
            .range(range), .diffs(diffs), .codes(codes), .blockDiff(BlockDiffKey(point: point, section: 3)),
            .crown(Bench.anchor), .availability,
        ].map { (key: StateContentKey) in key.encoded }
    }

    private func values() throws -> [[UInt8]] {
        let header = try Bench.block(1).header
        let value = BlockDiffValue(
            header: header.rlp, certificate: [], sectionHashBefore: .zero,
            changes: [LeafChange(key: FlatKey(account: Bytes32(3 << 60, 0, 0, 1)), value: nil)], codes: [[1]],
            pathProof: try Bench.crown.proofNodes(forSection: 3))
        return [try #require(value.encoded), CrownValue.serve(Bench.crown)]
    }

    private func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
            case 2: bytes.removeSubrange(place...)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            default: for index in place..<min(place + 8, bytes.count) { bytes[index] = 0xff }
            }
        }
        return bytes
    }

    @Test func noKeyOrItemTrapsOrIsBelieved() throws {
        var generator = SeededGenerator(seed: 4_711)
        var bench = try Bench(.holder)
        let (keys, values) = (try keys(), try values())
        for round in 0..<4_000 {
            let key = mutated(keys[round % keys.count], &generator)
            _ = bench.code(key)
            _ = bench.tell(.asked(key: key, by: Bench.peer, Overlay.ContentToken(value: 1)))
            let itemKey = round.isMultiple(of: 2) ? keys[3 + round % 4 / 2] : key
            let item = ContentItem(key: itemKey, value: mutated(values[round % values.count], &generator))
            _ = bench.tell(.received([item], from: Bench.peer))
            _ = bench.handle(.datagram(mutated(key, &generator), from: Endpoint(ipv4: (10, 0, 0, 2), port: 1)))
        }
        #expect(bench.node.totals.invalidAnswers > 1_000, "items that do not hold are counted")
        #expect(bench.node.state.pending.room.bytes == 0, "a diff of another block than its key's is not queued")
        #expect((0..<16).allSatisfy { bench.book.held($0)?.layers == [] })
        #expect(bench.node.state.holdings.crowns.count == 1)
        #expect(bench.node.state.gossip.expected.count <= StateNetworkLimits.expectedOffers)
    }

    @Test func noPingPayloadTraps() throws {
        var generator = SeededGenerator(seed: 4_712)
        let sections = AnchorSections(anchor: Bench.anchor, runs: [0..<3, 7..<16])
        let payload = StatePingPayload(role: .holder, radius: .max, head: Bench.genesis, served: [sections])
        #expect(try StatePingPayload(decoding: payload.encoded) == payload)
        var refused = 0
        for _ in 0..<4_000 {
            do throws(StateContentError) {
                let read = try StatePingPayload(decoding: mutated(payload.encoded, &generator))
                #expect(read.served.allSatisfy { $0.runs.allSatisfy { !$0.isEmpty && $0.upperBound <= 65_536 } })
            } catch {
                refused += 1
            }
        }
        #expect(refused > 500)
    }

    @Test func queuesAreBounded() {
        var expected = ExpectedOffers()
        for number in 0..<(StateNetworkLimits.expectedOffers + 100) {
            expected.expect([UInt8(number & 255), UInt8(number >> 8 & 255)], from: Bench.peer, at: .zero)
        }
        #expect(expected.count == StateNetworkLimits.expectedOffers)
        #expect(expected.isExpected([0, 0], at: .zero))
        let later = Instant.zero + StateNetworkLimits.expectedWait
        #expect(!expected.isExpected([0, 0], at: later))
        expected.expect([1, 2, 3], from: Bench.peer, at: later)
        #expect(expected.count == 1 && expected.isExpected([1, 2, 3], at: later))
        expected.expect([1, 2, 3], from: .max, at: later)
        #expect(expected.isExpected([1, 2, 3], from: 2, at: later))
        expected.ended([1, 2, 3], from: Bench.peer)
        #expect(expected.isExpected([1, 2, 3], at: later) && !expected.isExpected([1, 2, 3], from: 2, at: later))
        expected.ended([1, 2, 3], from: .max)
        #expect(expected.count == 0)
    }

    @Test func keysForOnePeerAreGatheredAndTravelTogether() throws {
        var gossip = DiffGossip(role: .holder, id: .zero, sectionDepth: 1, arc: 0..<16)
        var holders = HolderDirectory(role: .holder, arc: Arc(around: 0, bits: 0, depth: 1))
        let payload = StatePingPayload(role: .holder, radius: .max, head: Bench.genesis, served: [])
        holders.told(payload, by: try #require(Bench.info(1)), at: .zero)
        let point = StatePoint(number: 1, hash: .max)
        for section in [1, 2] {
            let key = BlockDiffKey(point: point, section: section)
            gossip.remember(key, Bench.diffValue(section), bytes: 1)
            gossip.passOn(
                key, to: holders, except: nil, fanout: 6, at: .zero + .milliseconds(section == 1 ? 0 : 5))
        }
        let due = Instant.zero + StateNetworkLimits.gossipGather
        #expect(gossip.deadline == due, "the first key sets the time")
        let early = gossip.takeOutgoing(for: holders, at: .zero)
        #expect(early.isEmpty)
        let offers = gossip.takeOutgoing(for: holders, at: due)
        let stretch = try #require(BlockDiffsKey(point: point, first: 1, last: 2))
        #expect(offers.map(\.peer) == [Bench.other])
        #expect(offers.first?.items.map(\.key) == [StateContentKey.blockDiffs(stretch).encoded])
        let late = gossip.takeOutgoing(for: holders, at: due)
        #expect(late.isEmpty && gossip.deadline == nil)
    }
}
