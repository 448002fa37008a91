import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// What a store holds of the state when a node is started: all that memory needs to go on.
public struct HeldState: Sendable {
    public var records: [SectionRecord] = []
    public var layers: [BlockLayer] = []
    public var crowns: [(anchor: Anchor, crown: Crown)] = []
    public var wantedCodes: [WantedCode] = []
    /// Accounts whose storage is spread round the ring, and how far.
    public var tries: [(account: Bytes32, depth: Int)] = []
    /// Storage crowns of served anchors.
    public var storageCrowns: [StorageCrown] = []
    /// The newest block a bridge has applied.
    public var replayedHead: StatePoint?
    /// The newest anchor at which everything of the arc was complete.
    public var completeAnchor: Anchor?
    /// What proved the held sections at the newest block that was verified.
    public var headProof: HeadProof?
    /// The arcs that a holder kept and announced, and the plan under which.
    var arc: (mark: ArcMark, plan: ArcPlan)?
    /// Holders that the directory kept.
    public var holders: [StoredHolder] = []

    /// Nothing.
    public init() {}

    /// Reads it all from one snapshot. Everything read was verified before it was written; it is decoded strictly
    /// again. `stateRoots`: those of the stored headers, by the block's hash; a crown without one is left out.
    public init(
        from snapshot: some StoreSnapshot, depth: Int, stateRoots: [Bytes32: Bytes32], placedBy rule: Placement? = nil
    ) throws(StoreError) {
        records = try SectionRecord.all(in: snapshot)
        layers = try BlockLayer.all(in: snapshot)
        replayedHead = try ReplayMark.read(from: snapshot)
        headProof = try HeadProof.read(from: snapshot)
        completeAnchor = try CompleteMark.read(from: snapshot)
        arc = try ArcMark.read(from: snapshot)
        holders = try StoredHolder.load(from: snapshot, depth: depth)
        for record in records where record.section.owner == nil {
            let wanted = try CodeRecords.wanted(by: record.section, in: snapshot)
            wantedCodes += wanted.map { WantedCode(hash: $0, section: record.section.index) }
        }
        if let rule {
            tries = try SpreadRecords.all(in: snapshot)
            storageCrowns = try HeldState.storageCrowns(in: snapshot, stateRoots, rule)
        }
        for anchor in try CrownRecords.anchors(in: snapshot) {
            guard let bytes = try CrownRecords.crown(anchor, in: snapshot), let root = stateRoots[anchor.hash] else {
                continue
            }
            do throws(ContentError) {
                crowns.append((anchor, try CrownValue.verify(bytes, stateRoot: root, depth: depth)))
            } catch {
                throw .corrupt(table: .crowns)
            }
        }
    }

    private static func storageCrowns(
        in snapshot: some StoreSnapshot, _ stateRoots: [Bytes32: Bytes32], _ rule: Placement
    ) throws(StoreError) -> [StorageCrown] {
        var crowns: [StorageCrown] = []
        for kept in try StorageCrownRecords.all(in: snapshot) {
            guard let root = stateRoots[kept.anchor.hash] else { continue }
            guard let key = SpreadTries.key(kept.account, depth: kept.depth, stretch: kept.first, at: kept.anchor)
            else { throw .corrupt(table: .storageCrowns) }
            do throws(ContentError) {
                crowns.append(try StorageCrown.verify(kept.value, key: key, stateRoot: root, rule: rule))
            } catch {
                throw .corrupt(table: .storageCrowns)
            }
        }
        return crowns
    }
}
