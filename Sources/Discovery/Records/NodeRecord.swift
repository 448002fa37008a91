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
        /// Beside the key, which is larger: it is asked for more often than all the rest.
        let id: Bytes32
        let sequence: UInt64
        let endpointIPv4: Endpoint?
        let endpointIPv6: Endpoint?
        let portal: PortalEntry?

        init(
            encoded: [UInt8], publicKey: PublicKey, contents: NodeRecordContents, in buffer: UnsafeRawBufferPointer
        ) throws(NodeRecordError) {
            self.encoded = encoded
            self.publicKey = publicKey
            id = publicKey.nodeID
            sequence = contents.sequence
            let port4 = try contents.port("udp", in: buffer)
            let port6 = try contents.port("udp6", in: buffer)
            _ = try contents.port("tcp", in: buffer)
            _ = try contents.port("tcp6", in: buffer)
            let ip4 = try contents.address("ip", size: 4, in: buffer)
            let ip6 = try contents.address("ip6", size: 16, in: buffer)
            endpointIPv4 = ip4.flatMap { address in port4.flatMap { Endpoint(address: address, port: $0) } }
            endpointIPv6 = ip6.flatMap { address in (port6 ?? port4).flatMap { Endpoint(address: address, port: $0) } }
            portal = try contents.portalEntry(in: buffer)
        }
    }

    private let storage: Storage

    /// The record's own encoding, at most 300 bytes.
    public var encoded: [UInt8] { storage.encoded }
    /// keccak256 of the public key.
    public var id: Bytes32 { storage.id }
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
        self = try NodeRecord.reading(bytes) { buffer throws(NodeRecordError) in
            let contents = try NodeRecordContents(reading: buffer)
            let publicKey = try contents.publicKey(in: buffer)
            guard publicKey.point.verifies(contents.signature(in: buffer), digest: contents.digest(in: buffer)) else {
                throw .signatureInvalid
            }
            return NodeRecord(
                storage: try Storage(encoded: bytes, publicKey: publicKey, contents: contents, in: buffer))
        }
    }

    /// A record that was just signed by the secret side of `publicKey`.
    init(encoded bytes: [UInt8], publicKey: PublicKey) throws(NodeRecordError) {
        self = try NodeRecord.reading(bytes) { buffer throws(NodeRecordError) in
            let contents = try NodeRecordContents(reading: buffer)
            return NodeRecord(
                storage: try Storage(encoded: bytes, publicKey: publicKey, contents: contents, in: buffer))
        }
    }

    private init(storage: Storage) { self.storage = storage }

    private static func reading<Value>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(NodeRecordError) -> Value
    ) throws(NodeRecordError) -> Value {
        try bytes.withUnsafeBytes { buffer -> Result<Value, NodeRecordError> in
            do throws(NodeRecordError) {
                return .success(try body(buffer))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    /// Every key with its value, in the order of the record.
    public var pairs: [(key: [UInt8], value: RLPValue)] { fields.pairs.map { ($0.key, $0.value) } }

    /// The 64 bytes r ‖ s.
    public var signature: [UInt8] {
        // The bytes were read once already; they read again.
        (try? NodeRecord.reading(encoded) { buffer throws(NodeRecordError) in
            Array(try NodeRecordContents(reading: buffer).signature(in: buffer))
        }) ?? []
    }

    /// The value of `key`, or nil where the record has none.
    public func value(_ key: String) -> RLPValue? { fields.value(key) }

    /// The fields of this record, to change some and sign again.
    public var fields: NodeRecordFields {
        let fields = try? NodeRecord.reading(encoded) { buffer throws(NodeRecordError) in
            try NodeRecordContents(reading: buffer).fields(in: buffer)
        }
        return fields ?? NodeRecordFields(sequence: sequence)
    }
}
