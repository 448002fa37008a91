import Chain
import Primitives
import StateStore

/// What a node does with whole blocks.
public struct BlockPlan: Sendable {
    /// The newest blocks that are kept with their access lists, for those who go block by block. Whoever applies no
    /// blocks has none to keep.
    public var kept: UInt64
    /// Whether the state is brought forward by blocks that peers have kept, in place of ranges and diffs: `carousel
    /// sync --block-by-block`.
    public var applies: Bool
    /// How one that applies blocks comes to the head when it is behind.
    public var catchUp = CatchUp.blocks

    /// All blocks are kept, unless a number is given.
    public init(kept: UInt64 = .max, applies: Bool = false) {
        self.kept = kept
        self.applies = applies
    }

    /// Keeps those of the blocks that are above the checkpoint, and forgets as many old ones: for the transaction in
    /// which they are applied.
    func writing(
        _ blocks: [(point: StatePoint, block: BlockBytes)], above checkpoint: UInt64, in snapshot: some StoreSnapshot
    ) throws(StoreError) -> WriteBatch {
        var batch = WriteBatch()
        guard let newest = blocks.last?.point.number, newest > checkpoint else { return batch }
        for (point, block) in blocks where point.number > checkpoint && newest - point.number < kept {
            batch.append(BlockRecords.writing(body: block.body, accessList: block.accessList, at: point))
        }
        batch.append(try BlockRecords.pruning(keeping: kept, newest: newest, in: snapshot))
        return batch
    }
}
