/// The lanes of the merry-go-round. The arc is cut into as many equal stretches as there are lanes; each lane walks its
/// own stretch upward, section by section, from a place on that differs from node to node: so walkers that start
/// together do not all fetch the same first, and have something to give each other. A lane whose stretch is done takes
/// the next missing section of the stretch that has most left, so that the walk ends everywhere at about the same time.
struct Lanes: Sendable {
    /// Sections of each stretch not yet taken by a lane, in walking order, lowest last (taken from the end).
    private var stretches: [[Int]]
    /// The section each lane is on.
    private(set) var current: [Int?]

    /// `turn`: where in its stretch each lane begins, 0 (its first section) up to 1.
    init(sections: [Int], count: Int, turn: Double = 0) {
        let lanes = max(1, min(count, max(sections.count, 1)))
        current = Array(repeating: nil, count: lanes)
        stretches = (0..<lanes).map { lane in
            let start = sections.count * lane / lanes
            let end = sections.count * (lane + 1) / lanes
            let stretch = sections[start..<end]
            let first = Int(Double(stretch.count) * turn)
            return (stretch.dropFirst(first) + stretch.prefix(first)).reversed()
        }
    }

    /// Gives every free lane a section, those that are begun first: what was begun is finished before its anchor goes.
    /// Of the others it is the one that fewest have (`providers`), since what many have can be had later as well; but
    /// one that nobody has comes last. Sections that came with others are complete before a lane is on them.
    mutating func fill(_ book: SectionBook, providers: (Int) -> Int, isUnderWay: (Int) -> Bool) {
        for stretch in stretches.indices {
            while let next = stretches[stretch].last, book.isComplete(next) { stretches[stretch].removeLast() }
        }
        isLastRound = false
        for lane in current.indices where current[lane] == nil {
            current[lane] = take(for: lane, book, providers: providers, isUnderWay: isUnderWay)
            if current[lane] == nil {
                isLastRound = true
                return
            }
        }
    }

    private mutating func take(
        for lane: Int, _ book: SectionBook, providers: (Int) -> Int, isUnderWay: (Int) -> Bool
    ) -> Int? {
        func isFree(_ section: Int) -> Bool { !book.isComplete(section) && !isUnderWay(section) }
        if !book.begun.isEmpty {
            for stretch in stretches.indices {
                if let position = stretches[stretch].lastIndex(where: { book.begun.contains($0) }) {
                    return stretches[stretch].remove(at: position)
                }
            }
        }
        let others = stretches.indices.filter { $0 != lane }.sorted { stretches[$0].count > stretches[$1].count }
        for stretch in [lane] + others {
            var rarest: (position: Int, providers: Int)?
            for (position, section) in stretches[stretch].enumerated().reversed() where isFree(section) {
                let known = providers(section)
                let count = known == 0 ? Int.max : known
                if rarest.map({ count < $0.providers }) ?? true { rarest = (position, count) }
            }
            if let rarest { return stretches[stretch].remove(at: rarest.position) }
        }
        return nil
    }

    /// Whether no section is left that no lane is on and nothing is under way for, and a lane has nothing to do.
    private(set) var isLastRound = false

    /// The lane on `section` is free again.
    mutating func release(_ section: Int) {
        for lane in current.indices where current[lane] == section { current[lane] = nil }
    }

    /// A section that was held and is held no more is walked again: at once where a lane is on it, since it is one that
    /// takes long, and otherwise as the next of a stretch.
    mutating func giveBack(_ section: Int) {
        guard !active.contains(section), !stretches.contains(where: { $0.contains(section) }) else { return }
        stretches[stretches.startIndex].append(section)
    }

    /// Up to `count` sections that each lane comes to after the one it is on, those that are next for some lane first.
    func ahead(_ count: Int) -> [Int] {
        (0..<count).flatMap { step in
            stretches.compactMap { $0.count > step ? $0[$0.count - 1 - step] : nil }
        }
    }

    /// Sections that lanes are on now.
    var active: [Int] { current.compactMap { $0 } }
}
