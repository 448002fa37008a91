import Primitives

/// What a record says, before it is signed: the sequence number and the keys with their values, kept sorted.
public struct NodeRecordFields: Sendable {
    struct Pair: Sendable {
        let key: [UInt8]
        let value: RLPValue
    }

    /// Raised with every change that is published.
    public var sequence: UInt64
    private(set) var pairs: [Pair] = []

    /// No keys yet; `id` and `secp256k1` are added by signing.
    public init(sequence: UInt64) { self.sequence = sequence }

    /// Those of a record that was read.
    init(sequence: UInt64, pairs: [Pair]) {
        self.sequence = sequence
        self.pairs = pairs
    }

    /// Sets `key` to `value`; nil removes it.
    public mutating func set(_ key: [UInt8], _ value: RLPValue?) {
        pairs.removeAll { $0.key == key }
        guard let value else { return }
        let place = pairs.firstIndex { key.lexicographicallyPrecedes($0.key) } ?? pairs.endIndex
        pairs.insert(Pair(key: key, value: value), at: place)
    }

    /// Sets `key`, a text, to `value`; nil removes it.
    public mutating func set(_ key: String, _ value: RLPValue?) { set(Array(key.utf8), value) }

    /// Sets `key` to an integer, big endian without leading zeros.
    public mutating func set(_ key: String, integer: UInt64) {
        set(key, .string(withUnsafeBytes(of: integer.bigEndian) { Array($0.drop { $0 == 0 }) }))
    }

    /// Sets `ip` and `udp`, or `ip6` and `udp6`, after the family of `endpoint`.
    public mutating func set(endpoint: Endpoint) {
        set(endpoint.isIPv4 ? "ip" : "ip6", .string(endpoint.address))
        set(endpoint.isIPv4 ? "udp" : "udp6", integer: UInt64(endpoint.port))
    }

    /// Removes what `set(endpoint:)` sets for a family.
    mutating func removeEndpoint(isIPv4: Bool) {
        set(isIPv4 ? "ip" : "ip6", nil)
        set(isIPv4 ? "udp" : "udp6", nil)
    }

    /// Sets Portal's `p`.
    public mutating func set(portal entry: NodeRecord.PortalEntry) {
        let numbers = [entry.lowestVersion, entry.highestVersion, entry.chainID]
        set(
            "p",
            .list(
                numbers.map { number in
                    .string(withUnsafeBytes(of: number.bigEndian) { Array($0.drop { $0 == 0 }) })
                }))
    }

    /// The record of these fields, `id` and `secp256k1` added, signed by `key`.
    public func signed(by key: IdentityKey) throws(NodeRecordError) -> NodeRecord {
        var complete = self
        complete.set("id", .string(Array("v4".utf8)))
        complete.set("secp256k1", .string(key.publicKey.compressed))
        let signature = key.sign(complete.digest)
        let encoded = RLPWriter.list { writer in
            writer.append(signature)
            complete.append(to: &writer)
        }
        guard encoded.count <= DiscoveryLimits.recordSize else { throw .tooLarge(encoded.count) }
        return try NodeRecord(encoded: encoded, publicKey: key.publicKey)
    }

    /// keccak256 of the list [seq, k, v, …], which is what is signed.
    public var digest: Bytes32 { Keccak.hash(RLPWriter.list { append(to: &$0) }) }

    private func append(to writer: inout RLPWriter) {
        writer.append(sequence)
        for pair in pairs {
            writer.append(pair.key)
            pair.value.append(to: &writer)
        }
    }

    func value(_ key: String) -> RLPValue? { pairs.first { $0.key.elementsEqual(key.utf8) }?.value }
}
