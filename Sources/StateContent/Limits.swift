import StateStore

/// What bounds the state network's content. Sizes are in bytes unless the name says otherwise; every limit is checked
/// before anything is allocated for what it bounds.
public enum StateContentLimits {
    /// One answer, status byte included. A range of this size takes half a minute at a poor 1 MB/s. Source:
    /// Specs/wire.md §2.
    public static let answerBytes = 32 * 1_024 * 1_024
    /// What we give of that at once: a range of more is cut to this, and the asker goes on from there. Whole sections'
    /// diffs cannot be cut, so they may have more. It bounds what one request makes us hold.
    public static let servedRangeBytes = 4 << 20, servedDiffBytes = 16 << 20
    /// Bytes of history gone through for one section's diff, per byte that the answer may have, and in any case.
    public static let historyFactor = 8, historyFloor = 256 << 10
    /// A request of ours must fit a packet beside a header, and has 1,024 bytes: this is what is left of that beside
    /// the selector and the offset of FIND_CONTENT. A longer key could be asked of nobody. Source: Specs/wire.md §3.
    public static let keyBytes = 1_019
    /// What a query about one account takes for a range of one position: two ways of 64 levels at most, of which a real
    /// trie has a dozen, at 532 bytes a branch.
    public static let queryBytes: UInt32 = 64 << 10
    /// Leaves (accounts and slots) of one answer. Source: Specs/wire.md §4.1.
    public static let leaves = 65_536
    /// Proof nodes of one edge; a path of 64 nibbles passes at most 65 nodes. Source: Specs/wire.md §4.1.
    public static let edgeProofNodes = 256
    /// Both edges of a range.
    public static let rangeProofNodes = 2 * edgeProofNodes
    /// One trie node: a full branch of hashes has 532 bytes, a leaf with an account at most 150.
    public static let nodeBytes = 1_024
    /// An account in slim form: nonce 9, balance 33, root 33, code hash 33, list header 2.
    public static let bodyBytes = 110
    /// A slot value as RLP: header and 32 bytes.
    public static let slotValueBytes = 33
    /// Accounts of a range whose storage is proven by nodes: the first and the last, where it starts or ends inside
    /// their storage, and those whose storage is elsewhere. Each of the latter has a slim body of 70 bytes at least and
    /// w + 1 nodes of 400; an answer of `servedRangeBytes` has no more.
    public static let provenStorages = 8_192
    /// Sections that one key may name: the width of its mask in bits. Source: Specs/wire.md §3.
    public static let maskBits = 256
    /// Path proof nodes of one diffs answer: of 256 sections at most 4 branches, each once, and a spanning node each.
    public static let diffProofNodes = 2_048
    /// The same of an answer with several sections, where the spanning nodes make it at most two a section.
    public static let sectionsProofNodes = diffProofNodes
    /// A block diff on offer: as much as one OFFER may bring. Source: Specs/wire.md §1.3.
    public static let offeredDiffBytes = 8 << 20
    /// Block diffs that we make: in the stream of an OFFER their length stands before them. What is more goes in
    /// several stretches.
    public static let blockDiffsBytes = offeredDiffBytes - 64
    /// Sections of one stretch: all of the deepest network.
    public static let stretchSections = 65_536
    /// Path proof nodes of one section.
    public static let pathProofNodes = 64
    /// Places that one key of subtree hashes names, and how many levels of nodes from each. Source: Specs/wire.md §3.
    public static let subtreePlaces = 128, subtreeLevels = 3
    /// Bytes of one place: two paths of 64 nibbles, each behind its length.
    static let placeBytes = 66
    /// Nodes of one answer with subtree hashes: as many as 30 places have on three levels. Source: Specs/wire.md §4.9.
    public static let subtreeNodes = 8_192
    /// What we give of them at once: the asker goes on from there.
    public static let servedSubtreeBytes = 1 << 20
    /// Nodes of one storage crown: on the way to the account, those that show the placement, and on the ways to 256
    /// parts at most 4 branches, each once, and a spanning node each. Source: Specs/wire.md §4.12.
    public static let storageCrownNodes = 2_048
    /// Entries of a wide directory. Source: Specs/wire.md §4.13.
    public static let wideEntries = 65_536
    /// Accounts that a key without the storage of others names: with its 512 bytes it still fits beside all else that a
    /// key says. Source: Specs/wire.md §3.
    public static let keptStorages = StateStoreLimits.keptStoragesPerSection
    /// Code hashes in one key. Source: Specs/wire.md §3.
    public static let codeHashes = 20
    /// New codes of one block, in one section's diff or in those of a stretch: a block of 100 M gas
    /// deploys at most some 3,000 tiny contracts.
    public static let blockCodes = 4_096
    /// Crown nodes: all branches above depth 4 and as many spanning nodes as there are sections.
    public static let crownNodes = 69_905
    /// The bytes that a crown may have: full branches of 532 bytes, spanning nodes of 150, each behind its offset.
    public static func crownBytes(depth: Int) -> Int {
        let sections = Section.count(depth: depth)
        return 1 + (sections - 1) / 15 * (532 + 4) + sections * (150 + 4)
    }
    /// The largest coverage certificate that is read: headers down to the checkpoint, and every section of the deepest
    /// network with its crown.
    public static let coverageBytes = 128 << 20
    /// Anchors listed by status 1 and by availability: the working one, the one before it, and room for two more.
    public static let servedAnchors = 4
    /// The ping payload 10,101, so that a PING with it fits a packet with a handshake. Source: Specs/wire.md §5.
    public static let pingPayloadBytes = 700
    /// Anchors in the ping payload. Source: Specs/wire.md §5.
    public static let pingAnchors = 2
    /// Runs of sections in the ping payload: as many as fit its bytes, rounded up.
    public static let pingRuns = 256
    /// Runs in an availability answer: every second section of 16^4.
    public static let availabilityRuns = 32_768
    /// The bytes that it may have: for each anchor its runs of 4 bytes, the anchor, and two offsets.
    static let availabilityBytes = 1 + servedAnchors * (availabilityRuns * 4 + 40 + 8)
    /// Seconds that a busy answer may ask for; longer ones are read as this.
    public static let busySeconds: UInt16 = 600
}
