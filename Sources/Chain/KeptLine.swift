import Primitives

/// The headers that nothing replaces any more, as far as they are in memory: a line without gaps that ends in the
/// chain's floor. And the headers of boundary blocks that are anchors: those outlive the line's lower end.
struct KeptLine: Sendable {
    private let epochs: Epochs
    /// Empty until the checkpoint's header, or one above it that stays, is known.
    private(set) var entries: [CertifiedHeader] = []
    /// Headers of final boundary blocks by epoch. Under proof of work some of them may lie above the line.
    private var boundaries: [UInt64: BlockHeader] = [:]

    init(_ epochs: Epochs) { self.epochs = epochs }

    var isEmpty: Bool { entries.isEmpty }
    var first: CertifiedHeader? { entries.first }
    var last: CertifiedHeader? { entries.last }

    func entry(at number: UInt64) -> CertifiedHeader? {
        guard let first = entries.first?.header.number, number >= first, number - first < UInt64(entries.count) else {
            return nil
        }
        return entries[Int(number - first)]
    }

    func entry(hash: Bytes32) -> CertifiedHeader? { entries.last { $0.header.hash == hash } }

    /// Its lowest header is this one now; gives the anchor that it is, if it is one.
    mutating func begin(with entry: CertifiedHeader) -> [Anchor] {
        entries.insert(entry, at: 0)
        return record([entry])
    }

    mutating func append(contentsOf passed: [CertifiedHeader]) { entries.append(contentsOf: passed) }

    mutating func replaceLast(with entry: CertifiedHeader) { entries[entries.count - 1] = entry }

    /// Forgets what lies below a block, but never the last one.
    mutating func prune(below number: UInt64) {
        guard let lowest = entries.first?.header.number, number > lowest else { return }
        entries.removeFirst(Int(min(number - lowest, UInt64(entries.count - 1))))
    }

    // MARK: Anchors

    /// The boundary blocks among final ones are anchors now; gives those.
    mutating func record(_ final: [CertifiedHeader]) -> [Anchor] {
        var added: [Anchor] = []
        for entry in final where epochs.isBoundary(entry.header.number) {
            let anchor = epochs.anchor(at: entry.point)
            boundaries[anchor.epoch] = entry.header
            added.append(anchor)
        }
        while boundaries.count > ChainLimits.anchorHeaders, let oldest = boundaries.keys.min() {
            boundaries[oldest] = nil
        }
        return added
    }

    /// Blocks above this one are final no longer; gives the anchors among them, rising.
    mutating func forget(above number: UInt64) -> [Anchor] {
        let lost = boundaries.filter { $0.value.number > number }.map { Anchor(epoch: $0.key, hash: $0.value.hash) }
        for anchor in lost { boundaries[anchor.epoch] = nil }
        return lost.sorted()
    }

    func boundary(of epoch: UInt64) -> BlockHeader? { boundaries[epoch] }

    func anchor(epoch: UInt64) -> Anchor? { boundaries[epoch].map { Anchor(epoch: epoch, hash: $0.hash) } }

    /// All anchors, rising.
    var anchors: [Anchor] { boundaries.keys.sorted().compactMap { anchor(epoch: $0) } }

    var newestAnchor: Anchor? { boundaries.keys.max().flatMap { anchor(epoch: $0) } }
}
