/// The fixed sizes of this floor.
public enum MerklePatriciaLimits {
    /// Nibbles of a key: 32 bytes. Every trie of the state is keyed by a hash (yellow paper, app. D).
    public static let keyNibbles = 64

    /// Bytes of one proof node. A full branch is 532, a leaf of an account at most about 150; the bound is that of
    /// Portal's `TrieNode` (portal-network-specs, legacy/state).
    public static let nodeBytes = 1_024

    /// Leaves that are laid out and hashed together, in leaves. Measured: 4,096 to 16,384 is best; beyond that the
    /// nodes fall out of the second-level cache.
    static let batchLeaves = 8_192

    /// Nodes that are hashed in one call where nothing else asks for more, in nodes. Their bytes are in the first-level
    /// cache still; a call costs nothing beside so many.
    static let hashBatch = 256

    /// Leaves that a part of the trie may have without its branches being stored, in leaves: such a part is a twig,
    /// read as leaves and built when it is needed. Figures: the essay of `MerklePatricia.swift`, "Why twigs".
    public static let twigLeaves = 32

    /// Depth of a crown, in nibbles. 4 would be 4,369 nodes, about 2.3 MB; the networks use 1 to 3.
    static let crownDepth = 4
}
