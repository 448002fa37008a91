import Chain
import Primitives

/// Bytecode by its hash, and which of it the held sections still want. A section is announced only with its code.
public enum CodeRecords {
    /// The code of this hash; nil where it is not here.
    public static func code(_ hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8]? {
        try snapshot.get(.codes, hash.bytes)
    }

    /// Those of `hashes` whose code is not here, in the order given.
    public static func missing(
        of hashes: [Bytes32], in snapshot: some StoreSnapshot
    ) throws(StoreError) -> [Bytes32] {
        var missing: [Bytes32] = []
        for hash in hashes where try snapshot.get(.codes, hash.bytes) == nil { missing.append(hash) }
        return missing
    }

    /// The code hashes that leaves of `section` name and whose code is not here, ascending.
    public static func wanted(by section: Section, in snapshot: some StoreSnapshot) throws(StoreError) -> [Bytes32] {
        var hashes: [Bytes32] = []
        let prefix = section.storeKey
        try snapshot.forEach(.wantedCodes, from: prefix, upTo: ByteOrder.end(ofPrefix: prefix)) {
            (key, _) throws(StoreError) in
            guard let hash = Bytes32(key.dropFirst(prefix.count)) else { throw .corrupt(table: .wantedCodes) }
            hashes.append(hash)
            return true
        }
        // One section may have fetched what another wants too.
        return try missing(of: hashes, in: snapshot)
    }

    static func wantedKey(_ section: Section, _ hash: Bytes32) -> [UInt8] { section.storeKey + hash.bytes }

    /// Hashes of code that accounts have after changes and did not have before; ascending, each once.
    static func newHashes(in leaves: [EntryChange<FlatKey>]) -> [Bytes32] {
        var hashes: Set<Bytes32> = []
        for leaf in leaves where leaf.key.slot == nil {
            guard let after = leaf.after.flatMap({ try? StateAccount(slim: $0) }),
                after.codeHash != StateAccount.emptyCodeHash
            else { continue }
            let before = leaf.before.flatMap { try? StateAccount(slim: $0) }
            if before?.codeHash != after.codeHash { hashes.insert(after.codeHash) }
        }
        return hashes.sorted()
    }
}
