import Chain
import Primitives

/// Who says of a section that he has it, and what that is worth: for the one who waits for it.
public struct SectionSupply: Sendable, Equatable {
    /// Peers that say they have it complete, at whatever anchor, whether they are believed or not.
    public var announcing = 0
    /// Of these, those that are worth asking.
    public var live = 0
    /// Nodes that said so, sent nothing of use, and are no peers any more: banned for what they sent, or gone.
    public var left = 0
    /// The epochs of the anchors at which it is said to be there, rising.
    public var epochs: [UInt64] = []

    /// Nothing is known.
    public init() {}

    /// What the directory knows of a section of the ring.
    public init(of section: Int, in directory: HolderDirectory) {
        var named: Set<UInt64> = []
        for peer in directory.peers.values where directory.role.takesState(from: peer.role) {
            let claims = peer.claims(of: section)
            guard !claims.isEmpty else { continue }
            announcing += 1
            if peer.isLiveProvider(of: section) { live += 1 }
            named.formUnion(claims.map(\.epoch))
        }
        for peer in directory.former.values where !peer.claims(of: section).isEmpty { left += 1 }
        epochs = named.sorted()
    }

    /// Whether somebody has it by his own word and nobody is worth asking.
    public var isWorthNothing: Bool { live == 0 && announcing + left > 0 }
}
