import Chain
import Primitives
import StateStore

/// The newest anchor at which everything of the arc was complete, kept in the store: after a start sections may stand
/// at different anchors, on their way to a newer one, and none of them tells that all were verified at this one.
enum CompleteMark {
    private static let name = "complete-anchor"

    /// In place of what was stored before.
    static func writing(_ anchor: Anchor) -> WriteBatch {
        var writer = ByteWriter()
        writer.append(bigEndian: anchor.epoch)
        writer.append(anchor.hash)
        return StateWrites.local(name, writer.bytes)
    }

    /// nil where nothing was complete yet.
    static func read(from snapshot: some StoreSnapshot) throws(StoreError) -> Anchor? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            let anchor = Anchor(epoch: try reader.uint64BigEndian(), hash: try reader.bytes32())
            try reader.finish()
            return anchor
        } catch {
            throw .corrupt(table: .local)
        }
    }
}
