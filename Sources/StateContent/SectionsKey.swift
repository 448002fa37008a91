import Chain
import Primitives
import StateStore

/// Whole sections of the state at an anchor, several at once.
public struct SectionsKey: Hashable, Sendable {
    /// The account trie, with all storage beside its accounts.
    public let trie: StateTrie
    public let anchor: Anchor
    /// Indices of the sections asked for: ascending, at least one, the last less than 256 above the first.
    public let sections: [Int]
    /// Largest value the asker takes, status byte included.
    public let maxBytes: UInt32
    /// Whose storage is asked for with the accounts.
    public let kept: KeptStorage

    /// nil where the sections are not as they must be.
    public init?(
        trie: StateTrie = .accounts, anchor: Anchor, sections: [Int], maxBytes: UInt32,
        keeping kept: KeptStorage = .all
    ) {
        guard SectionMask.holds(sections), PartialForm.mayName(kept, of: trie) else { return nil }
        self.kept = kept
        self.trie = trie
        self.anchor = anchor
        self.sections = sections
        self.maxBytes = maxBytes
    }
}

// The form on the wire.
extension SectionsKey {
    static let schema = SSZType.container([
        ("trie", StateTrie.schema), ("anchor", StateContentKey.anchorSchema), ("first_section", .uint32),
        ("sections", .bitlist(StateContentLimits.maskBits)), ("max_bytes", .uint32),
    ])

    /// nil where the mask does not begin and end with a section.
    init?(_ fields: [SSZValue], keeping kept: KeptStorage) throws(SSZError) {
        let first = Int(truncatingIfNeeded: try fields[2].uint64)
        guard let sections = SectionMask.sections(try fields[3].bits, from: first) else { return nil }
        self.init(
            trie: try StateTrie(fields[0]), anchor: try StateContentKey.anchor(fields[1]), sections: sections,
            maxBytes: UInt32(truncatingIfNeeded: try fields[4].uint64), keeping: kept)
    }

    var fields: [ColumnWriter.Field] {
        let first = sections.first ?? 0
        return [
            .variable(trie.encoded), .inPlace(StateContentKey.bytes(anchor)),
            .inPlace(ColumnWriter.integer(UInt32(truncatingIfNeeded: first))),
            .variable(SectionMask.bytes(sections, from: first)), .inPlace(ColumnWriter.integer(maxBytes)),
        ]
    }
}

/// Sections named by a number and the bits from there on.
enum SectionMask {
    /// Whether a key may name these.
    static func holds(_ sections: [Int]) -> Bool {
        guard let first = sections.first, let last = sections.last, first >= 0, UInt32(exactly: last) != nil else {
            return false
        }
        return last - first < StateContentLimits.maskBits
            && zip(sections, sections.dropFirst()).allSatisfy { $0 < $1 }
    }

    /// The bits of a Bitlist; the last is that of the last section.
    static func bytes(_ sections: [Int], from first: Int) -> [UInt8] {
        let end = (sections.last ?? first - 1) - first + 1
        // One bit more than there are sections in the mask ends the list.
        var mask = [UInt8](repeating: 0, count: end / 8 + 1)
        for bit in sections.map({ $0 - first }) + [end] { mask[bit / 8] |= 1 << UInt8(bit % 8) }
        return mask
    }

    /// nil unless the first and the last bit are set: one set of sections has one mask.
    static func sections(_ bits: [Bool], from first: Int) -> [Int]? {
        bits.first == true ? sections(given: bits, from: first) : nil
    }

    /// The same of a part of what was asked for, which need not begin with the first.
    static func sections(given bits: [Bool], from first: Int) -> [Int]? {
        bits.last == true ? bits.indices.filter { bits[$0] }.map { first + $0 } : nil
    }
}
