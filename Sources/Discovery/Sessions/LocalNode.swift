import Primitives

/// Who we are: our identity key, and the record that we sign with it.
struct LocalNode: Sendable {
    let key: IdentityKey
    private(set) var record: NodeRecord

    var id: Bytes32 { key.nodeID }

    /// Throws if `record` is not one that `key` signed.
    init(key: IdentityKey, record: NodeRecord) throws(DiscoveryError) {
        guard record.id == key.nodeID else { throw .recordOfAnotherKey }
        self.key = key
        self.record = record
    }

    /// Changes the record, raises its sequence number and signs it.
    mutating func update(_ change: (inout NodeRecordFields) -> Void) throws(DiscoveryError) {
        var fields = record.fields
        change(&fields)
        guard record.sequence < .max else { throw .record(.sequenceExhausted) }
        fields.sequence = record.sequence + 1
        do throws(NodeRecordError) {
            record = try fields.signed(by: key)
        } catch {
            throw .record(error)
        }
    }

    /// The record's address of the same family as `other`.
    func endpoint(like other: Endpoint) -> Endpoint? { other.isIPv4 ? record.endpointIPv4 : record.endpointIPv6 }
}
