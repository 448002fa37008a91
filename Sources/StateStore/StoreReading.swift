/// Work that reads the store and makes a value for a peer of it, whatever network the value belongs to.
public protocol StoreReading: Sendable {
    /// The value.
    func value(from snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]
    /// What the peer is told where the store cannot be read now.
    var refusal: [UInt8] { get }
}
