/// One way to make something true untrue.
public enum MutationKind: String, CaseIterable, Sendable {
    case leafDropped = "leaf dropped"
    case leafAdded = "leaf added"
    case leafChanged = "leaf changed"
    case leafMoved = "leaf moved"
    case leavesReordered = "leaves reordered"
    case leafDuplicated = "leaf duplicated"
    case keyOffByOne = "key off by one"
    case nodeDropped = "node dropped"
    case nodeAdded = "node added"
    case nodeRepeated = "node repeated"
    case nodeBitFlipped = "node bit-flipped"
    case nodesSwapped = "nodes swapped"
    case wrongRoot = "wrong root"
    case edgeCut = "edge cut"
    case columnShifted = "column shifted"
    case countOff = "count off"
    case storageGivenAway = "storage given away"
    case kindChanged = "kind changed"
    case putTurned = "put or delete turned"
    case otherQuestion = "other question"
    case bytesChanged = "bytes changed"

    /// The kinds that change nodes of a proof.
    static let nodeKinds: [MutationKind] = [.nodeDropped, .nodeAdded, .nodeRepeated, .nodeBitFlipped, .nodesSwapped]
}

/// What became of a mutant.
public enum Verdict: Int, CaseIterable, Sendable {
    /// A typed error.
    case refused
    /// Accepted, and what it says is so.
    case stillTrue
}

/// How many mutants of each kind had which verdict.
public struct Tally: Equatable, Sendable {
    private var counts = [Int](repeating: 0, count: MutationKind.allCases.count * Verdict.allCases.count)

    /// No mutant is counted yet.
    public init() {}

    /// Mutants of a kind with a verdict.
    public subscript(_ kind: MutationKind, _ verdict: Verdict) -> Int {
        get { counts[Tally.place(kind, verdict)] }
        set { counts[Tally.place(kind, verdict)] = newValue }
    }

    private static func place(_ kind: MutationKind, _ verdict: Verdict) -> Int {
        let row = MutationKind.allCases.firstIndex(of: kind) ?? 0
        return row * Verdict.allCases.count + verdict.rawValue
    }

    /// All mutants.
    public var total: Int { counts.reduce(0, +) }

    /// Kinds that occurred.
    public var kinds: [MutationKind] { MutationKind.allCases.filter { self[$0, .refused] + self[$0, .stillTrue] > 0 } }

    /// Adds another tally.
    public static func += (a: inout Tally, b: Tally) {
        for index in a.counts.indices { a.counts[index] += b.counts[index] }
    }
}
