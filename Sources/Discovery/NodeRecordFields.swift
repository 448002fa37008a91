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
    /// A key stood at the end without a value.
    private(set) var incomplete = false

    /// No keys yet; `id` and `secp256k1` are added by signing.
    public init(sequence: UInt64) { self.sequence = sequence }

    init(sequence: UInt64, rawPairs: [(key: [UInt8], raw: [UInt8])], incomplete: Bool) throws(RLPError) {
        self.sequence = sequence
        self.incomplete = incomplete
        for pair in rawPairs { pairs.append(Pair(key: pair.key, value: try RLPValue(decoding: pair.raw))) }
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
    public mutating func removeEndpoint(isIPv4: Bool) {
        set(isIPv4 ? "ip" : "ip6", nil)
        set(isIPv4 ? "udp" : "udp6", nil)
    }

    /// Sets Portal's `p`.
    public mutating func set(portal entry: NodeRecord.PortalEntry) {
        let numbers = [entry.lowestVersion, entry.highestVersion, entry.chainID]
        set("p", .list(numbers.map { number in
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
        return try NodeRecord(encoded: encoded, publicKey: key.publicKey, fields: complete)
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

    func string(_ key: String) -> [UInt8]? {
        guard case .string(let bytes) = value(key) else { return nil }
        return bytes
    }

    /// An address of exactly `size` bytes; nil where the key is absent.
    func address(_ key: String, size: Int) throws(NodeRecordError) -> [UInt8]? {
        guard value(key) != nil else { return nil }
        guard let bytes = string(key), bytes.count == size else { throw .malformedValue(key) }
        return bytes
    }

    /// A port; nil where the key is absent. Leading zeros and more than 16 bits are refused.
    func port(_ key: String) throws(NodeRecordError) -> UInt16? {
        guard value(key) != nil else { return nil }
        guard let bytes = string(key), bytes.count <= 2, bytes.first != 0 else { throw .malformedValue(key) }
        return bytes.reduce(0) { $0 << 8 | UInt16($1) }
    }

    /// Portal's `p`; nil where it is absent. Items after the third are for versions to come.
    func portalEntry() throws(NodeRecordError) -> NodeRecord.PortalEntry? {
        guard let value = value("p") else { return nil }
        guard case .list(let items) = value, items.count >= 3 else { throw .malformedValue("p") }
        var numbers: [UInt64] = []
        for item in items.prefix(3) {
            guard case .string(let bytes) = item, bytes.count <= 8, bytes.first != 0 else {
                throw .malformedValue("p")
            }
            numbers.append(bytes.reduce(0) { $0 << 8 | UInt64($1) })
        }
        return NodeRecord.PortalEntry(lowestVersion: numbers[0], highestVersion: numbers[1], chainID: numbers[2])
    }
}
