/// The lanes of the merry-go-round. The arc is cut into as many equal stretches as there are lanes; each lane walks its
/// own stretch upward, section by section. A lane whose stretch is done takes the next missing section of the stretch
/// that has most left, so that the walk ends everywhere at about the same time.
struct Lanes: Sendable {
    /// Sections of each stretch not yet taken by a lane, in walking order, lowest last (taken from the end).
    private var stretches: [[Int]]
    /// The section each lane is on.
    private(set) var current: [Int?]

    init(sections: [Int], count: Int) {
        let lanes = max(1, min(count, max(sections.count, 1)))
        current = Array(repeating: nil, count: lanes)
        stretches = (0..<lanes).map { lane in
            let start = sections.count * lane / lanes
            let end = sections.count * (lane + 1) / lanes
            return sections[start..<end].reversed()
        }
    }

    /// Gives every free lane a section, those that `isPartial` first: what was begun is finished before its anchor
    /// goes.
    mutating func fill(isPartial: (Int) -> Bool) {
        guard stretches.contains(where: { !$0.isEmpty }) else { return }
        for lane in current.indices where current[lane] == nil { current[lane] = take(for: lane, isPartial: isPartial) }
    }

    private mutating func take(for lane: Int, isPartial: (Int) -> Bool) -> Int? {
        for stretch in stretches.indices {
            if let position = stretches[stretch].lastIndex(where: isPartial) {
                return stretches[stretch].remove(at: position)
            }
        }
        if let section = stretches[lane].popLast() { return section }
        guard let longest = stretches.indices.max(by: { stretches[$0].count < stretches[$1].count }) else { return nil }
        return stretches[longest].popLast()
    }

    /// Whether no section is left that no lane is on, and a lane has nothing to do.
    var isLastRound: Bool { stretches.allSatisfy(\.isEmpty) && current.contains(nil) }

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
