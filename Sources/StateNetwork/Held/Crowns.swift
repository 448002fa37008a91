import Chain
import MerklePatricia
import Primitives
import StateStore

/// What proves section hashes: the crowns of served anchors and the newest ones, and the node pool, which has every
/// node above the sections that was seen in crowns and path proofs.
public struct Crowns: Sendable {
    private let depth: Int
    private let epochs: Epochs
    /// Rising by epoch.
    private(set) var list: [(anchor: Anchor, crown: Crown)] = []
    private var pool = NodePool()

    init(depth: Int, epochLength: UInt64) {
        self.depth = depth
        epochs = Epochs(length: epochLength)
    }

    /// How many crowns are held.
    public var count: Int { list.count }

    /// The newest crown's anchor, final or not.
    var newest: Anchor? { list.last?.anchor }
    /// The oldest crown's anchor.
    var oldest: Anchor? { list.first?.anchor }

    /// The crown of that anchor, where it is held.
    public func crown(at anchor: Anchor) -> Crown? { list.first { $0.anchor == anchor }?.crown }

    /// Whether the crown of that anchor is held.
    func contains(_ anchor: Anchor) -> Bool { list.contains { $0.anchor == anchor } }

    /// Keeps a verified crown. `head`: see `note`.
    mutating func store(_ crown: Crown, at anchor: Anchor, beside head: VerifiedHead?) {
        list.removeAll { $0.anchor == anchor }
        list.append((anchor, crown))
        list.sort { $0.anchor.epoch < $1.anchor.epoch }
        note(crown.nodes, at: epochs.boundary(of: anchor.epoch) ?? 0, beside: head)
    }

    /// Forgets the crowns of these anchors; gives those that were held.
    mutating func drop(_ lost: [Anchor]) -> [Anchor] {
        let held = lost.filter { contains($0) }
        list.removeAll { held.contains($0.anchor) }
        return held
    }

    /// Adds nodes of the state after a block to what can be proven. Where that is too much, what proves neither an
    /// anchor nor the verified head nor a block after it goes, and then the oldest: a section whose hash cannot be
    /// proven any more is caught up, and the answer brings the proof.
    mutating func note(_ nodes: [[UInt8]], at number: UInt64, beside head: VerifiedHead?) {
        pool.add(nodes, at: number)
        guard pool.byteCount > StateNetworkLimits.poolBytes else { return }
        let roots = list.map(\.crown.root) + (head.map { [$0.root] } ?? [])
        pool.shrink(to: StateNetworkLimits.poolBytes, keeping: roots, after: head?.point.number ?? 0)
    }

    /// Drops crowns of boundary blocks that are not `needed`, but for `newestFinal`'s and the newest of all: what is
    /// held goes on to the newest final anchor, however far the head is ahead of it. A crown that is not final yet can
    /// be made of what is held. With the crowns go nodes that were last part of a state before the oldest one left.
    /// Gives the anchors dropped.
    mutating func prune(needed: Set<StatePoint>, newestFinal: Anchor?) -> [Anchor] {
        let kept = [newestFinal, newest].compactMap { $0 }
        let dropped = list.map(\.anchor).filter { anchor in
            !kept.contains(anchor) && epochs.point(of: anchor).map { !needed.contains($0) } ?? true
        }
        list.removeAll { dropped.contains($0.anchor) }
        if let oldest, let number = epochs.boundary(of: oldest.epoch) { pool.prune(before: number) }
        return dropped
    }

    // MARK: Proving

    /// The hash that a state root proves for a section, from the nodes seen so far.
    public func provenHash(of index: Int, root: Bytes32) -> Bytes32? {
        let path = Section(depth: depth, index: index).path
        return try? SectionProof.sectionHash(root: root, proof: pool.path(to: path, root: root), section: path)
    }

    /// Nodes that prove a section's hash at a state root.
    func proofNodes(of index: Int, root: Bytes32) -> [[UInt8]] {
        pool.path(to: Section(depth: depth, index: index).path, root: root)
    }

    /// All nodes seen above the sections of the state with this root.
    func nodes(root: Bytes32) -> [[UInt8]] { pool.crown(root: root, depth: depth) }

    /// The sections that may differ between two states, and those of which it cannot be said, for want of nodes.
    func difference(from old: Bytes32, to new: Bytes32) -> TrieDifference {
        pool.difference(from: old, to: new, depth: depth)
    }
}
