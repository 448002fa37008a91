import CSecp256k1
import CSodium
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
        let key = DiscoveryWorld.key(1)
        let secret = Hex.encode(key.exportSecret())
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains(secret))
            #expect(!text.contains("pointer"))
        }
    }

    @Test func findsAKeyForAnArc() throws {
        var entropy = DiscoveryWorld.entropy(4)
        let prefix = Bytes32(0xa500_0000_0000_0000, 0, 0, 0)
        let key = try #require(IdentityKey(idPrefix: prefix, bits: 7, from: &entropy))
        #expect(key.nodeID.word0 >> 57 == 0xa5 >> 1)
        #expect(IdentityKey(idPrefix: prefix, bits: 60, from: &entropy, attempts: 3) == nil)
    }

    @Test func secretsAgreeAndSignaturesVerify() {
        let (a, b) = (DiscoveryWorld.key(1), DiscoveryWorld.key(2))
        #expect(a.sharedSecret(with: b.publicKey) == b.sharedSecret(with: a.publicKey))
        let digest = Keccak.hash([1, 2, 3])
        #expect(a.publicKey.verifies(a.sign(digest), digest: digest))
        #expect(!b.publicKey.verifies(a.sign(digest), digest: digest))
        #expect(!a.publicKey.verifies([], digest: digest))
    }
}

/// What is done here by faster means than the libraries' own, against the libraries.
@Suite struct CurveTests {
    /// A secret or message for every case: random ones, and a few at the edges.
    private static func numbers(_ seed: UInt64) -> [Bytes32] {
        var entropy = DiscoveryWorld.entropy(seed)
        let order = Bytes32(.max, .max - 1, 0xbaae_dce6_af48_a03b, 0xbfd2_5e8c_d036_4141)
        var above = order
        above.word3 = 0
        above.word2 += 1
        let edges = [Bytes32(0, 0, 0, 1), .max, .zero, Bytes32(1 << 63, 0, 0, 0), order, above]
        return edges + (0..<60).map { _ in entropy.bytes32() }
    }

    @Test func noncesAreThoseOfTheLibrary() {
        for (secret, message) in zip(CurveTests.numbers(1), CurveTests.numbers(2).reversed()) {
            for attempt: UInt32 in 0..<4 {
                var (ours, theirs) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 1, count: 32))
                #expect(SignatureNonce.function(&ours, message.bytes, secret.bytes, nil, nil, attempt) == 1)
                _ = secp256k1_nonce_function_rfc6979(&theirs, message.bytes, secret.bytes, nil, nil, attempt)
                #expect(ours == theirs)
            }
        }
    }

    @Test func aOneTimeKeyAgreesWithAnyOther() {
        var entropy = DiscoveryWorld.entropy(3)
        for seed: UInt64 in 0..<50 {
            let key = DiscoveryWorld.key(seed)
            let oneTime = OneTimeKey(from: &entropy)
            let point = oneTime.point
            let other = PublicKey(compressed: point)
            #expect(other != nil)
            #expect(oneTime.sharedSecret(with: key.publicKey) == other.flatMap { key.sharedSecret(with: $0) })
        }
    }

    @Test(arguments: [0, 1, 32, 55, 63, 64, 65, 127, 200])
    func digestsAreThoseOfTheLibrary(_ size: Int) {
        let digester = Digester()
        var entropy = DiscoveryWorld.entropy(UInt64(size))
        let (key, message) = (entropy.bytes(size) + [7], entropy.bytes(size))
        digester.begin()
        digester.add(message)
        #expect(digester.finish() == SHA256.hash(message))
        var (ours, theirs) = ([UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 32))
        digester.authenticate(key: key, count: key.count, to: &ours) { digester.add(message) }
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key, key.count)
        crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
        crypto_auth_hmacsha256_final(&state, &theirs)
        #expect(ours == theirs)
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
        let record = try fields().signed(by: DiscoveryWorld.key(1))
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
        #expect(throws: NodeRecordError.tooLarge(344)) { try fields.signed(by: DiscoveryWorld.key(1)) }
    }

    @Test func updatingRaisesTheSequence() throws {
        var world = DiscoveryWorld(seed: 1)
        try world.add(1)
        let before = world.nodes[0].localRecord
        try world.nodes[0].updateLocalRecord { $0.set("c", .string([1])) }
        #expect(world.nodes[0].localRecord.sequence == before.sequence + 1)
        #expect(world.nodes[0].localRecord.endpoint == before.endpoint)
        _ = try NodeRecord(decoding: world.nodes[0].localRecord.encoded)
    }

    @Test func aForeignRecordIsNoLocalOne() throws {
        let record = try DiscoveryWorld.record(DiscoveryWorld.key(2), DiscoveryWorld.endpoint(1))
        #expect(throws: DiscoveryError.recordOfAnotherKey) {
            _ = try Discovery(key: DiscoveryWorld.key(1), record: record, entropy: DiscoveryWorld.entropy(1))
        }
    }

    /// Every byte changed and every length cut: refused, never accepted, never a trap.
    @Test func mutationsAreRefused() throws {
        let encoded = try fields().signed(by: DiscoveryWorld.key(1)).encoded
        for index in encoded.indices {
            for change: UInt8 in [1, 0x80, 0xff] {
                var bytes = encoded
                bytes[index] ^= change
                #expect(throws: NodeRecordError.self) { try NodeRecord(decoding: bytes) }
            }
            #expect(throws: NodeRecordError.self) { try NodeRecord(decoding: Array(encoded[..<index])) }
        }
    }

    @Test(arguments: [
        ("p", RLPValue.list([.string([1])])), ("p", .string([])), ("ip", .string([1])),
        ("udp", .string([0, 1])), ("udp", .string([1, 2, 3])), ("tcp6", .list([])),
    ])
    func malformedKnownValuesAreRefused(_ key: String, _ value: RLPValue) throws {
        var fields = fields()
        fields.set(key, value)
        #expect(throws: NodeRecordError.malformedValue(key)) { try fields.signed(by: DiscoveryWorld.key(1)) }
    }
}
