import Chain

/// Through which layers one section is read: the base alone is its working point.
public struct SectionLayering: Sendable {
    /// Look through the undo layer first: the point before the working one.
    public let readsUndo: Bool
    /// Looked through before that, the newest first: block layers since.
    public let overlays: [StateOverlay]

    /// The base with these layers over it.
    public init(readsUndo: Bool = false, overlays: [StateOverlay] = []) {
        self.readsUndo = readsUndo
        self.overlays = overlays
    }

    /// The base as it is.
    public static let base = SectionLayering()
    /// The point before the working one.
    public static let previous = SectionLayering(readsUndo: true)

    /// The way to read a complete section at `point`: from its working point or the one before, and through `layers`
    /// (this section's, in any order) where they lead on to `point` without a gap. `point` is one of the section's own:
    /// a served anchor, or the last block up to the wanted one, on its line, that has a layer. nil where it is not held
    /// at that point.
    public init?(of record: SectionRecord, at point: StatePoint, layers: [BlockLayer] = []) {
        guard record.isComplete else { return nil }
        if record.working == point {
            self = .base
        } else if record.previous == point {
            self = .previous
        } else {
            guard let (start, chain) = BlockLayer.chain(to: point, in: layers, of: record),
                let update = SectionUpdate.merged(chain.map(\.update))
            else { return nil }
            self.init(readsUndo: start != record.working, overlays: [StateOverlay(update)])
        }
    }
}
