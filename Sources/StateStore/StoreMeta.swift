import Chain
import Primitives

/// The record that says whose data a store holds. Checked before anything else is read.
public struct StoreMeta: Hashable, Sendable {
    private static let key = Array("meta".utf8)

    /// The layout's version.
    public let formatVersion: UInt32
    /// The chain id of the network that the store is of.
    public let chainID: UInt64
    /// Hash of block 0.
    public let genesisHash: Bytes32
    /// Leading nibbles that name a section.
    public let sectionDepth: Int
    /// Blocks from one anchor to the next.
    public let epochLength: UInt64
    /// From how wide on storage is spread round the ring; nil: none is.
    public let wideDepth: Int?

    /// What a store of this network says.
    public init(_ network: NetworkConfiguration) {
        formatVersion = StateStoreLimits.formatVersion
        chainID = network.chainID
        genesisHash = network.genesisHash
        sectionDepth = network.sectionDepth
        epochLength = network.epochLength
        wideDepth = network.wideDepth
    }

    /// Checks that the store is of this network and version, and marks a new one as such.
    public static func open(_ store: some OrderedStore, for network: NetworkConfiguration) throws(StoreError) {
        if try !check(try store.snapshot(), for: network) { try store.commit(StoreMeta(network).batch) }
    }

    /// Checks that what is stored is of this network and version; false for a store in which nothing is.
    public static func check(
        _ snapshot: some StoreSnapshot, for network: NetworkConfiguration
    ) throws(StoreError) -> Bool {
        guard let bytes = try snapshot.get(.meta, key) else { return false }
        let found = try StoreMeta(decoding: bytes)
        let expected = StoreMeta(network)
        func compare(_ field: String, _ found: some CustomStringConvertible, _ expected: some CustomStringConvertible)
            throws(StoreError)
        {
            guard found.description == expected.description else {
                throw .wrongNetwork(field: field, found: found.description, expected: expected.description)
            }
        }
        try compare("chain id", found.chainID, expected.chainID)
        try compare("genesis hash", found.genesisHash, expected.genesisHash)
        try compare("section depth", found.sectionDepth, expected.sectionDepth)
        try compare("epoch length", found.epochLength, expected.epochLength)
        func text(_ depth: Int?) -> String { depth.map { "\($0)" } ?? "null" }
        try compare("wide depth", text(found.wideDepth), text(expected.wideDepth))
        return true
    }

    /// What marks a new store.
    public var batch: WriteBatch {
        var writer = ByteWriter()
        writer.append(bigEndian: formatVersion)
        writer.append(bigEndian: chainID)
        writer.append(genesisHash)
        writer.append(bigEndian: UInt32(truncatingIfNeeded: sectionDepth))
        writer.append(bigEndian: epochLength)
        // A network without has no byte for it, as before there were others.
        if let wideDepth { writer.append(uint8: UInt8(truncatingIfNeeded: wideDepth)) }
        var batch = WriteBatch()
        batch.put(.meta, StoreMeta.key, writer.bytes)
        return batch
    }

    /// The version is read first: what follows it may differ in another one.
    private init(decoding bytes: [UInt8]) throws(StoreError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            formatVersion = try reader.uint32BigEndian()
            guard formatVersion == StateStoreLimits.formatVersion else { throw ByteError.notCanonical }
            chainID = try reader.uint64BigEndian()
            genesisHash = try reader.bytes32()
            sectionDepth = Int(try reader.uint32BigEndian())
            epochLength = try reader.uint64BigEndian()
            wideDepth = reader.isAtEnd ? nil : Int(try reader.uint8())
            guard wideDepth != 0 else { throw ByteError.notCanonical }
            try reader.finish()
        } catch {
            var reader = ByteReader(bytes)
            guard let version = try? reader.uint32BigEndian(), version != StateStoreLimits.formatVersion else {
                throw .corrupt(table: .meta)
            }
            throw .wrongVersion(found: version, expected: StateStoreLimits.formatVersion)
        }
    }
}
