import Chain
import MerklePatricia
import Primitives
import StateStore

/// The trie that a key is about.
public enum StateTrie: Hashable, Sendable {
    case accounts
    /// The storage of one account, placed at depth j of the ring (`Placement`). At j = 0 it is beside its account and
    /// reached through `accounts`. In a network that spreads no storage a key naming a storage trie gets status 5.
    case storage(account: Bytes32, placement: UInt8)

    static let schema = SSZType.union([nil, .container([("account", .bytes32), ("placement", .uint8)])])

    var encoded: [UInt8] {
        switch self {
        case .accounts: [0]
        case .storage(let account, let placement): [1] + account.bytes + [placement]
        }
    }

    /// Leading nibbles that name a section of this trie, where those of the accounts have `sectionDepth`.
    public func depth(_ sectionDepth: Int) -> Int {
        if case .storage(_, let placement) = self { Int(placement) } else { sectionDepth }
    }

    /// The account of whose storage trie the sections are parts; nil: sections of the account trie.
    public var owner: Bytes32? {
        if case .storage(let account, _) = self { account } else { nil }
    }

    /// Where on the ring a section of this trie lies: its first key, of a part the account's key with the part's
    /// nibbles laid over its first ones.
    func position(ofSection index: Int, sectionDepth: Int) -> Bytes32 {
        switch self {
        case .accounts: Bytes32(StateTrie.first(index, depth: sectionDepth), 0, 0, 0)
        case .storage(let account, let placement):
            Bytes32(
                account.word0 ^ StateTrie.first(index, depth: Int(placement)), account.word1, account.word2,
                account.word3)
        }
    }

    /// The first word of a section's first key.
    private static func first(_ index: Int, depth: Int) -> UInt64 {
        (1...15).contains(depth) ? UInt64(truncatingIfNeeded: index) << UInt64(64 - 4 * depth) : 0
    }

    /// Where a leaf lies.
    func position(of cursor: Cursor) -> Bytes32 {
        guard case .storage(_, let placement) = self, (1...15).contains(placement) else { return cursor.account }
        let index = Nibbles.section(of: cursor.slot, depth: Int(placement))
        return position(ofSection: index, sectionDepth: 0)
    }

    init(_ value: SSZValue) throws(SSZError) {
        guard let storage = try value.union.value else {
            self = .accounts
            return
        }
        let fields = try storage.fields
        self = .storage(account: try fields[0].bytes32, placement: UInt8(truncatingIfNeeded: try fields[1].uint64))
    }
}

/// A stretch of the flat order at an anchor.
public struct RangeKey: Hashable, Sendable {
    public let trie: StateTrie
    public let anchor: Anchor
    /// First position asked for.
    public let origin: Cursor
    /// Last position asked for, included.
    public let limit: Cursor
    /// Largest value the asker takes, status byte included.
    public let maxBytes: UInt32
    /// Whose storage is asked for with the accounts.
    public let kept: KeptStorage

    /// nil where the origin is after the limit.
    public init?(
        trie: StateTrie = .accounts, anchor: Anchor, origin: Cursor, limit: Cursor, maxBytes: UInt32,
        keeping kept: KeptStorage = .all
    ) {
        guard origin <= limit, PartialForm.mayName(kept, of: trie) else { return nil }
        self.kept = kept
        self.trie = trie
        self.anchor = anchor
        self.origin = origin
        self.limit = limit
        self.maxBytes = maxBytes
    }
}

/// What changed in some sections between two state points.
public struct DiffsKey: Hashable, Sendable {
    public let trie: StateTrie
    public let from: StatePoint
    public let to: StatePoint
    /// Indices of the sections asked for: ascending, at least one, the last less than 256 above the first.
    public let sections: [Int]
    /// Largest value the asker takes, status byte included.
    public let maxBytes: UInt32
    /// Whether path proofs at `to` are wanted; an asker that has the crown of `to` needs none.
    public let withProof: Bool
    /// Whose storage is asked for with the accounts.
    public let kept: KeptStorage

    /// nil where the sections are not as they must be.
    public init?(
        trie: StateTrie = .accounts, from: StatePoint, to: StatePoint, sections: [Int], maxBytes: UInt32,
        withProof: Bool, keeping kept: KeptStorage = .all
    ) {
        guard SectionMask.holds(sections), PartialForm.mayName(kept, of: trie) else { return nil }
        self.kept = kept
        self.trie = trie
        self.from = from
        self.to = to
        self.sections = sections
        self.maxBytes = maxBytes
        self.withProof = withProof
    }
}

/// Codes by hash, asked of nodes near an account that has one of them.
public struct CodesKey: Hashable, Sendable {
    public let near: Bytes32
    /// 1…20 code hashes.
    public let hashes: [Bytes32]

    /// nil without a hash or with more than 20.
    public init?(near: Bytes32, hashes: [Bytes32]) {
        guard (1...StateContentLimits.codeHashes).contains(hashes.count) else { return nil }
        self.near = near
        self.hashes = hashes
    }
}

/// What one block changed in one section.
public struct BlockDiffKey: Hashable, Sendable {
    public let trie: StateTrie
    /// The block.
    public let point: StatePoint
    /// Index of the section.
    public let section: Int

    public init(trie: StateTrie = .accounts, point: StatePoint, section: Int) {
        self.trie = trie
        self.point = point
        self.section = section
    }
}

/// What one block changed in a stretch of the ring.
public struct BlockDiffsKey: Hashable, Sendable {
    public let trie: StateTrie
    /// The block.
    public let point: StatePoint
    /// The first and the last section that the value has changes of: what one block changed in one stretch has one key.
    /// Of a value without all storage, which is asked for and never offered, they are the bounds of what is asked for.
    public let first: Int
    public let last: Int
    /// Whose storage is asked for with the accounts.
    public let kept: KeptStorage

    /// nil where the stretch is none.
    public init?(
        trie: StateTrie = .accounts, point: StatePoint, first: Int, last: Int, keeping kept: KeptStorage = .all
    ) {
        guard first >= 0, first <= last, UInt32(exactly: last) != nil, PartialForm.mayName(kept, of: trie) else {
            return nil
        }
        self.kept = kept
        self.trie = trie
        self.point = point
        self.first = first
        self.last = last
    }

    /// The sections of the stretch. The block need not have changed those between the first and the last.
    public var stretch: ClosedRange<Int> { first...last }
}

/// A content key of the state network: a selector byte and an SSZ container. Schemas: `StateContentKey.schemas`.
public enum StateContentKey: Hashable, Sendable {
    case range(RangeKey)
    case diffs(DiffsKey)
    case codes(CodesKey)
    case blockDiff(BlockDiffKey)
    case crown(Anchor)
    case sections(SectionsKey)
    case subtrees(SubtreesKey)
    case wideDirectory(WideDirectoryKey)
    case availability
    case blockDiffs(BlockDiffsKey)
    case storageCrown(StorageCrownKey)

    /// The first byte of keys.
    public enum Selector: UInt8, Sendable, CaseIterable {
        case range = 0x40
        case diffs = 0x41
        case codes = 0x42
        case blockDiff = 0x43
        case crown = 0x44
        case sections = 0x45
        case subtrees = 0x46
        case wideDirectory = 0x47
        case availability = 0x48
        case blockDiffs = 0x4A
        case storageCrown = 0x4B
        /// A range, diffs, sections or block diffs without the storage of most accounts (`PartialForm`).
        case partial = 0x4C
    }

    /// Which content this is a key of.
    public var selector: Selector { kept.isAll ? contentSelector : .partial }

    /// Whose storage is asked for, of contents that have some.
    public var kept: KeptStorage {
        switch self {
        case .range(let key): key.kept
        case .diffs(let key): key.kept
        case .sections(let key): key.kept
        case .blockDiffs(let key): key.kept
        case .codes, .blockDiff, .crown, .subtrees, .wideDirectory, .availability, .storageCrown: .all
        }
    }

    /// The same as if it were with all storage.
    var contentSelector: Selector {
        switch self {
        case .range: .range
        case .diffs: .diffs
        case .codes: .codes
        case .blockDiff: .blockDiff
        case .crown: .crown
        case .sections: .sections
        case .subtrees: .subtrees
        case .availability: .availability
        case .blockDiffs: .blockDiffs
        case .wideDirectory: .wideDirectory
        case .storageCrown: .storageCrown
        }
    }

    /// The trie named by the key; nil for codes, which belong to none, and for availability.
    public var trie: StateTrie? {
        switch self {
        case .range(let key): key.trie
        case .diffs(let key): key.trie
        case .blockDiff(let key): key.trie
        case .blockDiffs(let key): key.trie
        case .crown: .accounts
        case .sections(let key): key.trie
        case .subtrees(let key): key.trie
        case .storageCrown(let key): key.trie
        case .wideDirectory: .accounts
        case .codes, .availability: nil
        }
    }

    /// Content id, which is the position on the ring; nil where the content is within everybody's radius (crown,
    /// availability). `sectionDepth` is the network's d.
    public func position(sectionDepth: Int) -> Bytes32? {
        switch self {
        case .range(let key): key.trie.position(of: key.origin)
        case .diffs(let key): key.trie.position(ofSection: key.sections.first ?? 0, sectionDepth: sectionDepth)
        case .codes(let key): key.near
        case .sections(let key): key.trie.position(ofSection: key.sections.first ?? 0, sectionDepth: sectionDepth)
        case .blockDiff(let key): key.trie.position(ofSection: key.section, sectionDepth: sectionDepth)
        case .blockDiffs(let key): key.trie.position(ofSection: key.first, sectionDepth: sectionDepth)
        case .storageCrown(let key): key.trie.position(ofSection: key.first, sectionDepth: sectionDepth)
        case .wideDirectory(let key):
            StateTrie.accounts.position(ofSection: key.sections.first ?? 0, sectionDepth: sectionDepth)
        case .subtrees(let key):
            key.trie.position(
                of: Cursor(
                    account: key.trie.owner ?? key.places.first?.account.lowestKey ?? .zero,
                    slot: key.trie.owner.flatMap { _ in key.places.first?.storage?.lowestKey } ?? .zero))
        case .crown, .availability: nil
        }
    }

    /// The most bytes that an answer to this key may have.
    public func askedBytes(sectionDepth: Int) -> Int {
        let bytes =
            switch self {
            case .range(let key): Int(key.maxBytes)
            case .diffs(let key): Int(key.maxBytes)
            case .sections(let key): Int(key.maxBytes)
            case .codes(let key): 8 + key.hashes.count * (ChainLimits.codeBytes + 4)
            case .blockDiff, .blockDiffs: StateContentLimits.offeredDiffBytes
            case .crown: StateContentLimits.crownBytes(depth: sectionDepth)
            case .subtrees(let key): Int(key.maxBytes)
            case .availability: StateContentLimits.availabilityBytes
            case .storageCrown: 1 + StateContentLimits.storageCrownNodes * (StateContentLimits.nodeBytes + 4)
            case .wideDirectory: WideDirectoryValue.byteLimit
            }
        return min(bytes, StateContentLimits.answerBytes)
    }

    /// The most bytes that our own answer to it has.
    public func servedBytes(sectionDepth: Int) -> Int {
        let asked = askedBytes(sectionDepth: sectionDepth)
        return switch self {
        case .range, .sections: min(asked, StateContentLimits.servedRangeBytes)
        case .diffs: min(asked, StateContentLimits.servedDiffBytes)
        case .subtrees: min(asked, StateContentLimits.servedSubtreeBytes)
        default: asked
        }
    }
}
