import Chain

/// The layers of one section as they are looked through: merged in runs of 1, 2, 4 … layers, the newest shortest, so
/// that a look passes log k runs for k layers, and a layer is copied log k times in its life.
public struct LayerIndex: Sendable {
    /// Consecutive layers as one.
    private struct Run: Sendable {
        let overlay: StateOverlay
        let layers: Int
    }

    /// Oldest first.
    private var runs: [Run] = []
    /// The point before the oldest layer, and that of the newest; nil without layers.
    private var ends: (first: StatePoint, last: StatePoint)?

    /// No layers.
    public init() {}

    /// These layers, each on top of the one before.
    public init(_ layers: [BlockLayer]) { for layer in layers { append(layer) } }

    /// Number of layers.
    public var count: Int { runs.reduce(0) { $0 + $1.layers } }

    /// Number of runs that a look passes.
    public var depth: Int { runs.count }

    /// Bytes of memory.
    public var byteCount: Int { runs.reduce(0) { $0 + $1.overlay.byteCount } }

    /// The block of the newest layer; nil without layers.
    public var top: StatePoint? { ends?.last }

    /// Puts a layer on top of the others.
    public mutating func append(_ layer: BlockLayer) {
        ends = (ends?.first ?? layer.parent, layer.point)
        runs.append(Run(overlay: StateOverlay(layer.update), layers: 1))
        while runs.count > 1, runs[runs.count - 2].layers <= runs[runs.count - 1].layers {
            let newer = runs.removeLast()
            let older = runs.removeLast()
            runs.append(
                Run(
                    overlay: StateOverlay(older: older.overlay, newer: newer.overlay),
                    layers: older.layers + newer.layers))
        }
    }

    /// Makes it the index of `layers`, at little cost where that is what it was and one more.
    public mutating func follow(_ layers: [BlockLayer]) {
        let known = count
        if layers.count == known, layers.last?.point == top { return }
        if layers.count == known + 1, let last = layers.last, known == 0 || layers[known - 1].point == top {
            append(last)
        } else {
            self = LayerIndex(layers)
        }
    }

    /// The way to read a complete section after the newest of the layers; nil where they do not go on from its working
    /// point, or are none.
    public func layering(over record: SectionRecord) -> SectionLayering? {
        // From a layer's parent up to its block the section did not change, so a working point between the two does.
        guard record.isComplete, let ends, ends.first.number <= record.working.number,
            ends.last.number > record.working.number,
            ends.first.number < record.working.number || ends.first == record.working
        else { return nil }
        return SectionLayering(overlays: runs.reversed().map(\.overlay))
    }
}
