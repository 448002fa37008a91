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
    /// Whose storage and code is kept.
    public let kept: KeptStorage

    /// What a store of this network says.
    public init(_ network: NetworkConfiguration, keeping kept: KeptStorage = .all) {
        self.kept = kept
        formatVersion = StateStoreLimits.formatVersion
        chainID = network.chainID
        genesisHash = network.genesisHash
        sectionDepth = network.sectionDepth
        epochLength = network.epochLength
        wideDepth = network.wideDepth
    }

    /// Checks that the store is of this network, version and kind, and marks a new one as such. Where the storage of
    /// other accounts is to be kept than before, the sections that these lie in go in the same transaction: they are
    /// fetched anew with what they are to have.
    public static func open(
        _ store: some OrderedStore, for network: NetworkConfiguration, keeping kept: KeptStorage = .all
    ) throws(StoreError) {
        let (snapshot, expected) = (try store.snapshot(), StoreMeta(network, keeping: kept))
        guard try check(snapshot, for: network), let found = try read(from: snapshot)?.kept else {
            return try store.commit(expected.batch)
        }
        guard found.isAll == kept.isAll else { throw .wrongKind(keptStorages: found.accounts?.count) }
        guard found != kept else { return }
        var batch = expected.batch
        let others = found.differing(from: kept)
        for record in try SectionRecord.all(in: snapshot) {
            let isOther = others.contains { account in
                record.section.owner.map { $0 == account } ?? record.section.contains(account)
            }
            if isOther { batch.append(StateWrites.dropSection(record.section)) }
        }
        try store.commit(batch)
    }

    /// What the store says of itself; nil where nothing is in it.
    public static func read(from snapshot: some StoreSnapshot) throws(StoreError) -> StoreMeta? {
        guard let bytes = try snapshot.get(.meta, key) else { return nil }
        return try StoreMeta(decoding: bytes)
    }

    /// Checks that what is stored is of this network and version; false for a store in which nothing is.
    public static func check(
        _ snapshot: some StoreSnapshot, for network: NetworkConfiguration
    ) throws(StoreError) -> Bool {
        guard let found = try read(from: snapshot) else { return false }
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
        writer.append(bigEndian: formatVersion + (kept.isAll ? 0 : StateStoreLimits.partialFormat))
        writer.append(bigEndian: chainID)
        writer.append(genesisHash)
        writer.append(bigEndian: UInt32(truncatingIfNeeded: sectionDepth))
        writer.append(bigEndian: epochLength)
        // A network without has no byte for it, as before there were others.
        if wideDepth != nil || !kept.isAll { writer.append(uint8: UInt8(truncatingIfNeeded: wideDepth ?? 0)) }
        for account in kept.accounts ?? [] { writer.append(account) }
        var batch = WriteBatch()
        batch.put(.meta, StoreMeta.key, writer.bytes)
        return batch
    }

    /// The version is read first: what follows it may differ in another one.
    private init(decoding bytes: [UInt8]) throws(StoreError) {
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let version = try reader.uint32BigEndian()
            let isPartial = version == StateStoreLimits.formatVersion + StateStoreLimits.partialFormat
            formatVersion = StateStoreLimits.formatVersion
            guard isPartial || version == formatVersion else { throw ByteError.notCanonical }
            chainID = try reader.uint64BigEndian()
            genesisHash = try reader.bytes32()
            sectionDepth = Int(try reader.uint32BigEndian())
            epochLength = try reader.uint64BigEndian()
            let wide = reader.isAtEnd ? nil : Int(try reader.uint8())
            guard isPartial ? wide != nil : wide != 0 else { throw ByteError.notCanonical }
            wideDepth = wide == 0 ? nil : wide
            var accounts: [Bytes32] = []
            while isPartial, !reader.isAtEnd { accounts.append(try reader.bytes32()) }
            kept = isPartial ? .only(accounts) : .all
            guard kept.accounts ?? [] == accounts else { throw ByteError.notCanonical }
            try reader.finish()
        } catch {
            let known = [0, StateStoreLimits.partialFormat].map { StateStoreLimits.formatVersion + $0 }
            var reader = ByteReader(bytes)
            guard let version = try? reader.uint32BigEndian(), !known.contains(version) else {
                throw .corrupt(table: .meta)
            }
            throw .wrongVersion(found: version, expected: StateStoreLimits.formatVersion)
        }
    }
}
