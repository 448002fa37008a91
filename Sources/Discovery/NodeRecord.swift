import Primitives

/// A node record (ENR, EIP-778): what a node says of itself, signed. Every value of this type was checked: strict RLP,
/// sorted keys, the "v4" identity's signature, and the form of each known key.
///
/// Lists among the values (Portal's `p`) and keys not known here are kept as they came.
public struct NodeRecord: Hashable, Sendable {
    /// One immutable object behind every copy: records are handed around and kept in many places.
    private final class Storage: Sendable {
        let encoded: [UInt8]
        let publicKey: PublicKey
        let sequence: UInt64
        let endpointIPv4: Endpoint?
        let endpointIPv6: Endpoint?
        let portal: PortalEntry?

        init(encoded: [UInt8], publicKey: PublicKey, fields: NodeRecordFields) throws(NodeRecordError) {
            self.encoded = encoded
            self.publicKey = publicKey
            sequence = fields.sequence
            let port4 = try fields.port("udp")
            let port6 = try fields.port("udp6")
            _ = try fields.port("tcp")
            _ = try fields.port("tcp6")
            let ip4 = try fields.address("ip", size: 4)
            let ip6 = try fields.address("ip6", size: 16)
            endpointIPv4 = ip4.flatMap { address in port4.flatMap { Endpoint(address: address, port: $0) } }
            endpointIPv6 = ip6.flatMap { address in (port6 ?? port4).flatMap { Endpoint(address: address, port: $0) } }
            portal = try fields.portalEntry()
        }
    }

    private let storage: Storage

    /// The record's own encoding, at most 300 bytes.
    public var encoded: [UInt8] { storage.encoded }
    /// keccak256 of the public key.
    public var id: Bytes32 { storage.publicKey.nodeID }
    public var sequence: UInt64 { storage.sequence }
    public var publicKey: PublicKey { storage.publicKey }
    /// `ip` and `udp`.
    public var endpointIPv4: Endpoint? { storage.endpointIPv4 }
    /// `ip6` and `udp6` (or `udp` where there is no `udp6`).
    public var endpointIPv6: Endpoint? { storage.endpointIPv6 }
    /// The `p` entry.
    public var portal: PortalEntry? { storage.portal }

    /// Portal's `p` entry: the wire versions a node speaks, and its chain.
    public struct PortalEntry: Hashable, Sendable {
        public var lowestVersion: UInt64
        public var highestVersion: UInt64
        public var chainID: UInt64

        public init(lowestVersion: UInt64, highestVersion: UInt64, chainID: UInt64) {
            self.lowestVersion = lowestVersion
            self.highestVersion = highestVersion
            self.chainID = chainID
        }
    }

    /// Where to reach the node: its IPv4 endpoint if it has one, else the other.
    public var endpoint: Endpoint? { endpointIPv4 ?? endpointIPv6 }

    /// The same for a socket that speaks only some families; nil where it has no way there.
    public func endpoint(among families: AddressFamilies) -> Endpoint? {
        (families.contains(.ipv4) ? endpointIPv4 : nil) ?? (families.contains(.ipv6) ? endpointIPv6 : nil)
    }

    /// Every endpoint that the record names.
    var endpoints: [Endpoint] { [endpointIPv4, endpointIPv6].compactMap { $0 } }

    public static func == (a: NodeRecord, b: NodeRecord) -> Bool {
        a.storage === b.storage || a.encoded == b.encoded
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(encoded) }

    /// Reads and verifies a record.
    public init(decoding bytes: [UInt8]) throws(NodeRecordError) {
        let contents = try NodeRecordContents(reading: bytes)
        guard contents.publicKey.verifies(contents.signature, digest: contents.fields.digest) else {
            throw .signatureInvalid
        }
        try self.init(encoded: bytes, publicKey: contents.publicKey, fields: contents.fields)
    }

    init(encoded: [UInt8], publicKey: PublicKey, fields: NodeRecordFields) throws(NodeRecordError) {
        storage = try Storage(encoded: encoded, publicKey: publicKey, fields: fields)
    }

    /// Every key with its value, in the order of the record.
    public var pairs: [(key: [UInt8], value: RLPValue)] {
        // The bytes were read once already; they read again.
        (try? NodeRecordContents(reading: encoded).fields.pairs.map { ($0.key, $0.value) }) ?? []
    }

    /// The 64 bytes r ‖ s.
    public var signature: [UInt8] { (try? NodeRecordContents(reading: encoded).signature) ?? [] }

    /// The value of `key`, or nil where the record has none.
    public func value(_ key: String) -> RLPValue? { pairs.first { $0.key == Array(key.utf8) }?.value }

    /// The fields of this record, to change some and sign again.
    public var fields: NodeRecordFields {
        (try? NodeRecordContents(reading: encoded).fields) ?? NodeRecordFields(sequence: sequence)
    }
}

/// A record taken apart, its signature not yet verified.
struct NodeRecordContents {
    let signature: [UInt8]
    let publicKey: PublicKey
    let fields: NodeRecordFields

    init(reading bytes: [UInt8]) throws(NodeRecordError) {
        guard bytes.count <= DiscoveryLimits.recordSize else { throw .tooLarge(bytes.count) }
        do throws(RLPError) {
            var reader = try RLPReader.list(bytes)
            signature = try reader.nextBytes()
            let sequence = try reader.nextUInt64()
            var pairs: [(key: [UInt8], raw: [UInt8])] = []
            var keyLeft = false
            while !reader.isAtEnd {
                let key = try reader.nextBytes()
                keyLeft = reader.isAtEnd
                if !keyLeft { pairs.append((key, try reader.nextRaw())) }
            }
            fields = try NodeRecordFields(sequence: sequence, rawPairs: pairs, incomplete: keyLeft)
        } catch {
            throw .malformed(error)
        }
        guard !fields.incomplete else { throw .missingValue }
        for (a, b) in zip(fields.pairs, fields.pairs.dropFirst()) where !a.key.lexicographicallyPrecedes(b.key) {
            throw a.key == b.key ? .duplicateKey : .unsortedKeys
        }
        guard signature.count == 64 else { throw .signatureSize }
        guard fields.string("id") == Array("v4".utf8) else { throw .identityScheme }
        guard fields.value("secp256k1") != nil else { throw .missingPublicKey }
        guard let bytes = fields.string("secp256k1"), let key = PublicKey(compressed: bytes) else {
            throw .invalidPublicKey
        }
        publicKey = key
    }
}
