import Primitives

/// One search for the nodes nearest to a target: the iterative lookup of Kademlia on disjoint paths.
///
/// The nodes to begin with are dealt to as many paths as requests may be under way. A path has one request under way at
/// a time and goes on from the answers to its own requests; a node belongs to the path that heard of it first and is
/// asked once. So a liar can lead astray the path it stands on, not the others. A path asks a node if it is among the
/// nearest of that path or among the k nearest of all, and the search ends when no path has such a node left.
struct NodeLookup: Sendable {
    enum State: Sendable {
        case waiting
        case asked
        case answered
        case failed
    }

    struct Candidate: Sendable {
        let record: NodeRecord
        let distance: Bytes32
        var state = State.waiting
    }

    struct Path: Sendable {
        /// Nearest first.
        var candidates: [Candidate] = []
        var isBusy = false
        /// Candidates that have not failed, nearest first, up to and including the first `width`.
        func reach(_ width: Int) -> Bytes32? {
            let live = candidates.lazy.filter { $0.state != .failed }
            return live.dropFirst(width - 1).first?.distance ?? live.reversed().first?.distance
        }
    }

    /// Candidates a path remembers; the farthest are forgotten.
    static let candidateLimit = 64
    /// Distances asked for in one FINDNODE.
    static let distancesPerRequest = 3

    let target: Bytes32
    /// Whether the lookup was asked for from outside.
    let isPublic: Bool
    private let localID: Bytes32
    private let resultSize: Int
    private let pathWidth: Int
    private(set) var paths: [Path]
    private var seen: Set<Bytes32> = []

    init(
        target: Bytes32, isPublic: Bool, localID: Bytes32, seeds: [NodeRecord], parallelism: Int, resultSize: Int
    ) {
        self.target = target
        self.isPublic = isPublic
        self.localID = localID
        self.resultSize = resultSize
        let count = max(1, parallelism)
        // All paths together reach k nodes even when no path helps another.
        pathWidth = resultSize / count + 1
        paths = [Path](repeating: Path(), count: count)
        for (index, record) in seeds.enumerated() { add(record, to: index % count) }
    }

    private mutating func add(_ record: NodeRecord, to path: Int) {
        guard record.id != localID, seen.insert(record.id).inserted else { return }
        let candidate = Candidate(record: record, distance: record.id ^ target)
        let place = paths[path].candidates.firstIndex { candidate.distance < $0.distance }
        paths[path].candidates.insert(candidate, at: place ?? paths[path].candidates.endIndex)
        guard paths[path].candidates.count > NodeLookup.candidateLimit else { return }
        if let last = paths[path].candidates.lastIndex(where: { $0.state == .waiting }) {
            paths[path].candidates.remove(at: last)
        }
    }

    /// The next node to ask, which then counts as asked; nil when every path is busy or at its end.
    mutating func next() -> NodeRecord? {
        let live = paths.flatMap { $0.candidates.filter { $0.state != .failed }.map(\.distance) }.sorted()
        let reachOfAll = live.isEmpty ? nil : live[min(resultSize, live.count) - 1]
        for path in paths.indices where !paths[path].isBusy {
            let reach = [paths[path].reach(pathWidth), reachOfAll].compactMap { $0 }.max()
            guard let reach,
                let place = paths[path].candidates.firstIndex(where: { $0.state == .waiting && $0.distance <= reach })
            else { continue }
            paths[path].candidates[place].state = .asked
            paths[path].isBusy = true
            return paths[path].candidates[place].record
        }
        return nil
    }

    private func place(of id: Bytes32) -> (path: Int, index: Int)? {
        for path in paths.indices {
            if let index = paths[path].candidates.firstIndex(where: { $0.record.id == id && $0.state == .asked }) {
                return (path, index)
            }
        }
        return nil
    }

    /// Takes the answer of a node that was asked.
    mutating func answered(_ id: Bytes32, with records: [NodeRecord]) {
        guard let place = place(of: id) else { return }
        paths[place.path].candidates[place.index].state = .answered
        paths[place.path].isBusy = false
        // Paths that have nothing to begin with (one boot node known) are given their share of the first answer.
        let targets = [place.path] + paths.indices.filter { paths[$0].candidates.isEmpty }
        for (index, record) in records.enumerated() { add(record, to: targets[index % targets.count]) }
    }

    /// Notes that a node that was asked did not answer.
    mutating func failed(_ id: Bytes32) {
        guard let place = place(of: id) else { return }
        paths[place.path].candidates[place.index].state = .failed
        paths[place.path].isBusy = false
    }

    var isBusy: Bool { paths.contains(where: \.isBusy) }

    /// The k nearest nodes that answered, nearest first.
    var result: [NodeRecord] {
        paths.flatMap { $0.candidates.filter { $0.state == .answered } }.sorted { $0.distance < $1.distance }
            .prefix(resultSize).map(\.record)
    }

    /// The distances to ask a node for: the target's from that node, and those beside it.
    static func distances(from id: Bytes32, to target: Bytes32) -> [Int] {
        let middle = RoutingTable.distance(id, target)
        var distances: [Int] = []
        var step = 0
        while distances.count < distancesPerRequest, step <= 256 {
            for distance in step == 0 ? [middle] : [middle + step, middle - step]
            where (1...256).contains(distance) && distances.count < distancesPerRequest {
                distances.append(distance)
            }
            step += 1
        }
        return distances
    }
}
