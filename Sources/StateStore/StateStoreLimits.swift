/// Bounds of what the store takes and gives. Wire limits stand where the wire is decoded.
public enum StateStoreLimits {
    /// Version of the store's layout. Another one is refused, not guessed at.
    public static let formatVersion: UInt32 = 2
    /// Added to it where the storage of some accounts alone is kept: whoever does not know that must not take such a
    /// store for a whole one.
    static let partialFormat: UInt32 = 1 << 16
    /// Accounts whose storage one store may keep alone: each is named in the store's record and in requests, where
    /// more would be another way to say "nearly all".
    public static let keptStorages = 4_096
    /// Those of them in one section: a request about the section names them all. Source: Specs/wire.md §3.
    public static let keptStoragesPerSection = 16
    /// Bytes of a slot's value without leading zeros. Source: a storage value has 256 bits.
    public static let slotValueBytes = 32
    /// Bytes of a branch's RLP: 16 references of 33, an empty value, the list header, rounded up. Source: RLP.
    public static let branchBytes = 544
    /// Folds that one chain of history may have, so that reading a damaged one ends: 2^16 epochs are over six years.
    public static let historyFolds = 65_536
    /// Entries that a cursor reads ahead at most, in entries: two pages of accounts. Few calls, and still in the
    /// first-level cache.
    static let readAheadEntries = 128
    /// Bytes of changes beyond which one answer of a comparison takes over no more at once: what it left out is asked
    /// for again. As much as a range brings.
    static let comparedBytes = 4 << 20
    /// Slots that are gone and are taken away at once by a comparison: one account may have millions.
    static let comparedRemovals = 16_384
    /// Bytes of code that take as long to hash as one leaf takes to read back, hashed, with the branches over it: 1.25
    /// µs at some 450 MB/s.
    static let scrubbedCodeBytes = 512
    /// Leaves that take as long to read back as one entry of an undo layer takes to prove: it costs a way through a
    /// trie, some 20 µs.
    static let scrubbedUndoEntry = 16
    /// Codes of one section that are remembered as read, so that each is hashed once: 4 MiB of hashes at most. What a
    /// section of mainnet names at depth 3 is a tenth of it.
    static let scrubbedCodes = 65_536
    /// Heights whose blocks are forgotten together, at most: with every block that is written more go than come, and no
    /// transaction grows long by it.
    static let blocksPrunedTogether: UInt64 = 256
    /// Bytes of a name in the table of local values; the store's keys end at 511.
    static let localNameBytes = 255
}
