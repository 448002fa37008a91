import Primitives
import Testing

@testable import Discovery

@Suite struct IdentityKeyTests {
    @Test func refusesWhatIsNoKey() {
        #expect(IdentityKey(bytes: [UInt8](repeating: 0, count: 32)) == nil)
        #expect(IdentityKey(bytes: [UInt8](repeating: 0xff, count: 32)) == nil)
        #expect(IdentityKey(bytes: [1]) == nil)
    }

    @Test func neitherPrintingNorReflectionShowsTheSecret() {
        let key = World.key(1)
        let secret = Hex.encode(key.exportSecret())
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains(secret))
            #expect(!text.contains("pointer"))
        }
    }

    @Test func findsAKeyForAnArc() throws {
        var entropy = World.entropy(4)
        let prefix = Bytes32(0xa500_0000_0000_0000, 0, 0, 0)
        let key = try #require(IdentityKey(idPrefix: prefix, bits: 7, from: &entropy))
        #expect(key.nodeID.word0 >> 57 == 0xa5 >> 1)
        #expect(IdentityKey(idPrefix: prefix, bits: 60, from: &entropy, attempts: 3) == nil)
    }

    @Test func secretsAgreeAndSignaturesVerify() {
        let (a, b) = (World.key(1), World.key(2))
        #expect(a.sharedSecret(with: b.publicKey) == b.sharedSecret(with: a.publicKey))
        let digest = Keccak.hash([1, 2, 3])
        #expect(a.publicKey.verifies(a.sign(digest), digest: digest))
        #expect(!b.publicKey.verifies(a.sign(digest), digest: digest))
        #expect(!a.publicKey.verifies([], digest: digest))
    }
}

@Suite struct NodeRecordTests {
    private func fields() -> NodeRecordFields {
        var fields = NodeRecordFields(sequence: 7)
        fields.set(endpoint: .loopback(port: 30))
        fields.set(portal: NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 70_000))
        return fields
    }

    @Test func builtRecordReadsBack() throws {
        let record = try fields().signed(by: World.key(1))
        let read = try NodeRecord(decoding: record.encoded)
        #expect(read == record)
        #expect(read.sequence == 7)
        #expect(read.endpoint == .loopback(port: 30))
        #expect(read.portal == NodeRecord.PortalEntry(lowestVersion: 2, highestVersion: 2, chainID: 70_000))
        #expect(try NodeRecord(text: record.text) == record)
        #expect(read.pairs.map(\.key) == ["id", "ip", "p", "secp256k1", "udp"].map { Array($0.utf8) })
    }

    @Test func tooLargeIsNotSigned() {
        var fields = fields()
        fields.set("x", .string([UInt8](repeating: 1, count: 200)))
        #expect(throws: NodeRecordError.tooLarge(344)) { try fields.signed(by: World.key(1)) }
    }

    @Test func updatingRaisesTheSequence() throws {
        var world = World(seed: 1)
        try world.add(1)
        let before = world.nodes[0].localRecord
        try world.nodes[0].updateLocalRecord { $0.set("c", .string([1])) }
        #expect(world.nodes[0].localRecord.sequence == before.sequence + 1)
        #expect(world.nodes[0].localRecord.endpoint == before.endpoint)
        _ = try NodeRecord(decoding: world.nodes[0].localRecord.encoded)
    }

    @Test func aForeignRecordIsNoLocalOne() throws {
        let record = try World.record(World.key(2), World.endpoint(1))
        #expect(throws: DiscoveryError.recordOfAnotherKey) {
            _ = try Discovery(key: World.key(1), record: record, entropy: World.entropy(1))
        }
    }

    /// Every byte changed and every length cut: refused, never accepted, never a trap.
    @Test func mutationsAreRefused() throws {
        let encoded = try fields().signed(by: World.key(1)).encoded
        for index in encoded.indices {
            for change: UInt8 in [1, 0x80, 0xff] {
                var bytes = encoded
                bytes[index] ^= change
                #expect(throws: NodeRecordError.self) { try NodeRecord(decoding: bytes) }
            }
            #expect(throws: NodeRecordError.self) { try NodeRecord(decoding: Array(encoded[..<index])) }
        }
    }

    @Test(arguments: [("p", RLPValue.list([.string([1])])), ("p", .string([])), ("ip", .string([1])),
        ("udp", .string([0, 1])), ("udp", .string([1, 2, 3])), ("tcp6", .list([]))])
    func malformedKnownValuesAreRefused(_ key: String, _ value: RLPValue) throws {
        var fields = fields()
        fields.set(key, value)
        #expect(throws: NodeRecordError.malformedValue(key)) { try fields.signed(by: World.key(1)) }
    }
}
