import Primitives

/// The lanes of the merry-go-round. The arc is cut into as many equal stretches as there are lanes; each lane walks its
/// own stretch upward, section by section. A lane whose stretch is done takes the next missing section of the stretch
/// that has most left, so that the walk ends everywhere at about the same time.
///
/// Walkers that start together must not all fetch the same. So a lane takes what fewest have, and goes on upward from
/// there; where the next one is not as rare any more, others having come there before, it goes to the longest run of
/// the rarest, and begins at a place of it (`turn`) that differs from node to node: going on behind those who came
/// before would be to ask for just what they are fetching now. Every second lane fetches what fellow walkers have, as
/// long as they have anything, so that this does not wait for the lines that are full.
struct Lanes: Sendable {
    /// What the sections are like when lanes are filled.
    struct Sections {
        let book: SectionBook
        /// How many have it.
        let providers: (Int) -> Int
        /// Those that other walkers have.
        let ofFellows: Set<Int>
        let isUnderWay: (Int) -> Bool

        fileprivate func isFree(_ section: Int) -> Bool {
            !book.isComplete(section) && !book.mixed.contains(section) && !isUnderWay(section)
        }

        /// Rising: what fewest have comes first, what nobody has last.
        fileprivate func rarity(_ section: Int) -> Int {
            let count = providers(section)
            return count == 0 ? .max : count
        }
    }

    /// Sections of each stretch not yet taken by a lane, in walking order, lowest last (taken from the end).
    private var stretches: [[Int]]
    /// The section each lane is on, and the one it was on last.
    private(set) var current: [Int?]
    private var last: [Int?]
    private let turn: Double
    /// Whether no section is left that no lane is on and nothing is under way for, and a lane has nothing to do.
    private(set) var isLastRound = false

    /// `turn`: where in a run of sections a lane begins, 0 (the first) up to 1.
    init(sections: [Int], count: Int, turn: Double = 0) {
        let lanes = max(1, min(count, max(sections.count, 1)))
        current = Array(repeating: nil, count: lanes)
        last = current
        self.turn = turn
        stretches = (0..<lanes).map { lane in
            let start = sections.count * lane / lanes
            let end = sections.count * (lane + 1) / lanes
            return sections[start..<end].reversed()
        }
    }

    /// Gives every free lane a section, those that are begun first: what was begun is finished before its anchor goes.
    /// Sections that came with others are complete before a lane is on them.
    mutating func fill(_ sections: Sections) {
        for stretch in stretches.indices {
            while let next = stretches[stretch].last, sections.book.isComplete(next) { stretches[stretch].removeLast() }
        }
        isLastRound = false
        for lane in current.indices where current[lane] == nil {
            current[lane] = take(for: lane, sections)
            guard current[lane] != nil else {
                isLastRound = true
                return
            }
        }
    }

    private mutating func take(for lane: Int, _ sections: Sections) -> Int? {
        if !sections.book.begun.isEmpty {
            for stretch in stretches.indices {
                let position = stretches[stretch].lastIndex { sections.book.begun.contains($0) && sections.isFree($0) }
                if let position { return stretches[stretch].remove(at: position) }
            }
        }
        let others = stretches.indices.filter { $0 != lane }.sorted { stretches[$0].count > stretches[$1].count }
        if lane % 2 == 1, !sections.ofFellows.isEmpty {
            for stretch in [lane] + others {
                let position = stretches[stretch].lastIndex { sections.ofFellows.contains($0) && sections.isFree($0) }
                if let position { return stretches[stretch].remove(at: position) }
            }
        }
        for stretch in [lane] + others {
            if let position = rarest(in: stretches[stretch], for: lane, sections) {
                return stretches[stretch].remove(at: position)
            }
        }
        return nil
    }

    /// Where in a stretch the section is that a lane takes: the next one, if none is rarer; else one in the longest run
    /// of the rarest. nil where all are taken.
    private func rarest(in stretch: [Int], for lane: Int, _ sections: Sections) -> Int? {
        let free = stretch.indices.reversed().filter { sections.isFree(stretch[$0]) }
        guard let least = free.map({ sections.rarity(stretch[$0]) }).min() else { return nil }
        if let before = last[lane], let next = free.first(where: { stretch[$0] > before }),
            sections.rarity(stretch[next]) == least
        {
            return next
        }
        var (longest, run): ([Int], [Int]) = ([], [])
        for position in free where sections.rarity(stretch[position]) == least {
            if let end = run.last, stretch[end] + 1 != stretch[position] { run = [] }
            run.append(position)
            if run.count > longest.count { longest = run }
        }
        return longest.isEmpty ? nil : longest[Int(Double(longest.count) * turn)]
    }

    /// The lane on `section` is free again.
    mutating func release(_ section: Int) {
        for lane in current.indices where current[lane] == section {
            current[lane] = nil
            last[lane] = section
        }
    }

    /// Lanes leave the sections that somebody has owed for as long as `patience`: those of others are not to wait for
    /// him, who may hold up a lane for half a minute. What is left is walked when nothing is under way for it; what is
    /// still owed at the end of the walk is asked of a second peer then. Gives when to look again.
    mutating func leaveWhatIsOwed(
        _ asks: some Sequence<Operation>, patience: Interval, at now: Instant
    ) -> Instant? {
        let active = active
        let owed = asks.compactMap { ask -> (section: Int, due: Instant)? in
            guard ask.stage.isAsked, let task = ask.task, task.doubled != nil, let section = task.subject,
                active.contains(section)
            else { return nil }
            return (section, ask.startedAt + patience)
        }
        for (section, due) in owed.sorted(by: { $0.section < $1.section }) where due <= now {
            release(section)
            giveBack(section)
        }
        return owed.map(\.due).filter { $0 > now }.min()
    }

    /// A section that was held and is held no more, or in part only, is walked again: at once where a lane is on it,
    /// since it is one that takes long, and otherwise as the next of a stretch.
    mutating func giveBack(_ section: Int) {
        guard !active.contains(section), !stretches.contains(where: { $0.contains(section) }) else { return }
        stretches[stretches.startIndex].append(section)
    }

    /// Up to `count` sections that each lane comes to after the one it is on, those that are next for some lane first.
    func ahead(_ count: Int) -> [Int] {
        let next = current.indices.map { lane in
            let stretch = stretches[lane]
            let here = current[lane] ?? last[lane] ?? -1
            let place = stretch.lastIndex { $0 > here } ?? stretch.count - 1
            return stretch.prefix(place + 1).suffix(count).reversed() as [Int]
        }
        return (0..<count).flatMap { step in next.compactMap { $0.count > step ? $0[step] : nil } }
    }

    /// Sections that lanes are on now.
    var active: [Int] { current.compactMap { $0 } }
}
