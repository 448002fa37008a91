/// How a node that applies blocks comes to the head when it is behind.
public enum CatchUp: String, Sendable, CaseIterable {
    /// By blocks, however many they are.
    case blocks
    /// By the state of the newest anchor, where there is a later one than it has, and by blocks from there on.
    case state
    /// By whichever the choice says.
    case auto
}

/// The choice between blocks and state, with what each is taken to cost: made in one place, at the start and as long as
/// a node is behind.
///
///     blocks   blocks behind × bytes of a block
///     state    sections × bytes of a section's diff, of which each has `sectionBytes` beside its share of the changes:
///              sections × sectionBytes + blocks behind × bytes of an access list
///
/// More than two epochs behind it is the state whatever the costs: blocks would take hours, and a diff over many epochs
/// has each value once. Where no anchor is later than what is held there is nothing that could be fetched.
public struct CatchUpChoice: Sendable, Equatable {
    /// One of the two.
    public enum Way: String, Sendable {
        case blocks, state
    }

    public let way: Way
    /// Bytes.
    public let blocksCost, stateCost: UInt64
    /// Whether the way was given and not chosen.
    public let isForced: Bool

    /// What a section's diff has whatever has changed: its key, the path of proof down to it, header and certificate.
    static let sectionBytes: UInt64 = 1_024
    /// Epochs beyond which blocks are given up. Source: NEAR, state sync.
    static let epochsByBlocks: UInt64 = 2

    /// - Parameters:
    ///   - behind: blocks that are wanted and not here.
    ///   - epochLength: in blocks.
    ///   - blockBytes: bytes of a block with its access list, on average; `listBytes`: of the list alone.
    ///   - sections: of the ring.
    ///   - hasLaterAnchor: whether the newest final anchor is later than the state that is held.
    public init(
        _ plan: CatchUp, behind: UInt64, epochLength: UInt64, blockBytes: UInt64, listBytes: UInt64, sections: UInt64,
        hasLaterAnchor: Bool
    ) {
        func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let (value, overflow) = a.multipliedReportingOverflow(by: b)
            return overflow ? .max : value
        }
        blocksCost = product(behind, blockBytes)
        let (sum, overflow) = product(sections, CatchUpChoice.sectionBytes)
            .addingReportingOverflow(product(behind, listBytes))
        stateCost = overflow ? .max : sum
        isForced = plan != .auto
        let isFar = behind > product(CatchUpChoice.epochsByBlocks, epochLength)
        way =
            switch plan {
            case .blocks: .blocks
            case .state: hasLaterAnchor ? .state : .blocks
            case .auto: hasLaterAnchor && (isFar || stateCost < blocksCost) ? .state : .blocks
            }
    }
}
