import Chain
import Primitives
import StateContent
import StateStore

/// How much is encoded ahead of requests for sections.
public struct ServeAhead: Sendable {
    /// Bytes of memory for it; 0: none.
    public var bytes: Int
    /// Jobs at once.
    public var jobs: Int

    public init(bytes: Int = 0, jobs: Int = 1) {
        self.bytes = bytes
        self.jobs = jobs
    }
}

/// Sections encoded ahead of requests for them (`--serve-ahead`): when a new anchor is served, jobs encode what is held
/// of it, and answers with several sections are joined from memory. What is kept has a bound in bytes; sections of an
/// anchor go with it, and before those of a newer one.
struct ReadySections: Sendable {
    /// What is ready at one anchor.
    private struct Shelf: Sendable {
        var sections: [Int: SectionColumns] = [:]
        /// Sections that were tried, ready or too large, or are being encoded.
        var tried: Set<Int> = []
        var bytes = 0
    }

    /// Bytes that all may have; 0: nothing is encoded ahead.
    private let limit: Int
    /// Jobs at once: others need workers too.
    private let jobs: Int
    private var shelves: [Anchor: Shelf] = [:]
    private var underWay = 0
    /// No more of the newest anchor fits.
    private var isFull = false

    init(limit: Int, jobs: Int) {
        self.limit = limit
        self.jobs = max(jobs, 1)
    }

    /// Sections that are ready, over all anchors, and their bytes.
    var count: Int { shelves.values.reduce(0) { $0 + $1.sections.count } }
    var byteCount: Int { shelves.values.reduce(0) { $0 + $1.bytes } }

    /// Those of these sections that are ready at an anchor.
    func ready(_ sections: [Int], at anchor: Anchor) -> [Int: SectionColumns] {
        guard let shelf = shelves[anchor], !shelf.sections.isEmpty else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: sections.compactMap { index in shelf.sections[index].map { (index, $0) } })
    }

    /// Only these anchors are served now, the newest first: what is ready at others goes.
    mutating func keep(_ served: [AnchorSections]) {
        guard limit > 0 else { return }
        let anchors = Set(served.map(\.anchor))
        if let newest = served.first?.anchor, shelves[newest] == nil {
            shelves[newest] = Shelf()
            isFull = false
        }
        for anchor in shelves.keys where !anchors.contains(anchor) { shelves[anchor] = nil }
    }

    /// The next sections to encode, and at which anchor: the newest one served; nil where there are none, or enough
    /// jobs.
    mutating func next(_ holdings: Holdings) -> (anchor: Anchor, job: EncodeSections)? {
        guard limit > 0, underWay < jobs, !isFull, let newest = shelves.keys.max(), let shelf = shelves[newest] else {
            return nil
        }
        let sections = holdings.book.served(at: newest).lazy.joined().filter { !shelf.tried.contains($0) }
            .prefix(StateNetworkLimits.encodedAtOnce)
        guard !sections.isEmpty else { return nil }
        underWay += 1
        shelves[newest]?.tried.formUnion(sections)
        let job = EncodeSections(
            sections: sections.map { holdings.book.section($0) }, depth: holdings.book.depth,
            point: holdings.book.point(of: newest))
        return (newest, job)
    }

    /// Sections were encoded. Where there is no room for them those of older anchors go first.
    mutating func came(_ found: [Int: SectionColumns], at anchor: Anchor) {
        for (index, columns) in found.sorted(by: { $0.key < $1.key }) {
            while byteCount + columns.byteCount > limit, let oldest = shelves.keys.min(), oldest < anchor {
                shelves[oldest] = nil
            }
            guard byteCount + columns.byteCount <= limit else {
                isFull = true
                return
            }
            shelves[anchor]?.sections[index] = columns
            shelves[anchor]?.bytes += columns.byteCount
        }
    }

    /// A job is over, whatever came of it.
    mutating func ended() { underWay -= 1 }
}
