import Chain
import MerklePatricia
import Primitives
import StateStore

/// A state that was fetched, as blocks can be applied to it: *fast sync*. Blocks below it are needed by nobody.
public enum FetchedState {
    /// What makes the state at the newest anchor at which all was complete the one that blocks go on from.
    public struct Start: Sendable {
        /// The anchor's block.
        public let point: StatePoint
        /// The mark of that block, in place of what later blocks have changed: those are applied again, whole.
        public let batch: WriteBatch
    }

    /// nil where the store has no whole state at an anchor that counts for good: sections are missing or stand at
    /// several anchors, code is missing, or what is held does not make up the root of the anchor's header.
    public static func start(depth: Int, in snapshot: some StoreSnapshot) throws(StoreError) -> Start? {
        guard let anchor = try CompleteMark.read(from: snapshot),
            let number = try HeaderRecords.number(of: anchor.hash, in: snapshot)
        else { return nil }
        let point = StatePoint(number: number, hash: anchor.hash)
        guard let bytes = try HeaderRecords.header(at: point, in: snapshot),
            case .success(let header) = Result(catching: { try BlockHeader(rlp: bytes) })
        else { return nil }
        let records = try SectionRecord.all(in: snapshot)
        // Whether all parts of spread storage are here the root does not say.
        guard records.allSatisfy({ $0.section.owner == nil }) else { return nil }
        let layers = try BlockLayer.all(in: snapshot)
        let bySection = Dictionary(grouping: layers.filter { $0.point.number <= number }, by: \.section)
        var subtrees: [Subtree] = []
        for record in records {
            guard try CodeRecords.wanted(by: record.section, in: snapshot).isEmpty,
                let subtree = subtree(of: record, bySection[record.section] ?? [], at: point)
            else { return nil }
            subtrees.append(subtree)
        }
        guard subtrees.count == Section.count(depth: depth),
            Crown(sections: subtrees, depth: depth).root == header.stateRoot
        else { return nil }
        var batch = StateWrites.dropLayers(layers.filter { $0.point.number > number })
        batch.append(ReplayMark.writing(point))
        return Start(point: point, batch: batch)
    }

    /// What a section hashes to at the block: the newest of its layers up to there, or its base.
    private static func subtree(of record: SectionRecord, _ layers: [BlockLayer], at point: StatePoint) -> Subtree? {
        guard record.isComplete, record.working.number <= point.number else { return nil }
        let newest = layers.filter { $0.point.number > record.working.number }
            .max { $0.point.number < $1.point.number }
        return newest?.update.subtreeAfter ?? record.subtree
    }
}
