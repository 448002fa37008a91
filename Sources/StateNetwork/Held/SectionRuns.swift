import Primitives

/// A set of section indices, kept as the runs that peers are told: one more or one less costs by the number of runs.
struct SectionRuns: Hashable, Sendable {
    /// Ascending, not empty, not touching each other.
    private(set) var runs: [Range<Int>] = []
    private(set) var count = 0

    var isEmpty: Bool { runs.isEmpty }

    func contains(_ index: Int) -> Bool {
        let place = place(of: index)
        return place < runs.count && runs[place].contains(index)
    }

    /// How many of them lie in a stretch.
    func count(in stretch: Range<Int>) -> Int { runs.reduce(0) { $0 + $1.clamped(to: stretch).count } }

    /// The sections, ascending.
    var indices: some Sequence<Int> { runs.lazy.joined() }

    mutating func insert(_ index: Int) {
        let place = place(of: index)
        guard place == runs.count || !runs[place].contains(index) else { return }
        count += 1
        let joinsBefore = place > 0 && runs[place - 1].upperBound == index
        let joinsAfter = place < runs.count && runs[place].lowerBound == index + 1
        switch (joinsBefore, joinsAfter) {
        case (true, true):
            runs[place - 1] = runs[place - 1].lowerBound..<runs[place].upperBound
            runs.remove(at: place)
        case (true, false): runs[place - 1] = runs[place - 1].lowerBound..<(index + 1)
        case (false, true): runs[place] = index..<runs[place].upperBound
        case (false, false): runs.insert(index..<(index + 1), at: place)
        }
    }

    mutating func remove(_ index: Int) {
        let place = place(of: index)
        guard place < runs.count, runs[place].contains(index) else { return }
        count -= 1
        let run = runs[place]
        let rest = [run.lowerBound..<index, (index + 1)..<run.upperBound].filter { !$0.isEmpty }
        runs.replaceSubrange(place...place, with: rest)
    }

    /// The first run that ends beyond `index`.
    private func place(of index: Int) -> Int {
        runs.partitionPoint { $0.upperBound <= index }
    }
}
