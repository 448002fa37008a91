import Chain
import Primitives

/// Code that a section's accounts name and the store lacks.
public struct WantedCode: Hashable, Sendable {
    public let hash: Bytes32
    /// Index of a section that names it: its holders have it.
    public let section: Int

    public init(hash: Bytes32, section: Int) {
        self.hash = hash
        self.section = section
    }
}

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

    /// All code hashes that leaves name and whose code is not here, ascending.
    public static func wanted(in snapshot: some StoreSnapshot) throws(StoreError) -> [Bytes32] {
        try wanted(in: snapshot) { _ in true }
    }

    /// Those that leaves of `section` name, ascending. Reads all that are wanted: they are few, and gone soon.
    public static func wanted(by section: Section, in snapshot: some StoreSnapshot) throws(StoreError) -> [Bytes32] {
        let key = section.storeKey
        return try wanted(in: snapshot) { $0.elementsEqual(key) }
    }

    private static func wanted(
        in snapshot: some StoreSnapshot, where isWanted: (Slice<UnsafeRawBufferPointer>) -> Bool
    ) throws(StoreError) -> [Bytes32] {
        var hashes: [Bytes32] = []
        try snapshot.forEach(.wantedCodes, from: [], upTo: nil) { (key, _) throws(StoreError) in
            guard let hash = Bytes32(key.prefix(32)) else { throw .corrupt(table: .wantedCodes) }
            if isWanted(key.dropFirst(32)) && hashes.last != hash { hashes.append(hash) }
            return true
        }
        return try missing(of: hashes, in: snapshot)
    }

    /// code hash ‖ section, so that code that arrives strikes out the wishes of all sections at once.
    static func wantedKey(_ section: Section, _ hash: Bytes32) -> [UInt8] { hash.bytes + section.storeKey }

    /// Hashes of code that accounts whose code is kept have after changes and did not have before; ascending, each
    /// once.
    static func newHashes(in leaves: [EntryChange<FlatKey>], keeping kept: KeptStorage = .all) -> [Bytes32] {
        var hashes: Set<Bytes32> = []
        for leaf in leaves where leaf.key.slot == nil && kept.keeps(leaf.key.account) {
            guard let after = codeHash(leaf.after) else { continue }
            if codeHash(leaf.before) != after { hashes.insert(after) }
        }
        return hashes.sorted()
    }

    /// nil for no code, and for what is no account.
    private static func codeHash(_ body: [UInt8]?) -> Bytes32? {
        body?.withUnsafeBytes { SlimBody($0)?.codeHash }
    }
}
