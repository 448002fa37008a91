import Primitives
import StateStore

/// Numbers for parts of storage tries, so that whatever goes by a section's index goes by a part's as well. Those of a
/// trie are consecutive and lie above all indices of the account trie's sections. They are this node's own, begin anew
/// with every start, and say nothing to others.
struct PartIDs: Sendable {
    /// A storage trie at a placement.
    struct Trie: Hashable, Sendable {
        let account: Bytes32
        /// 1…d.
        let depth: Int
    }

    private let sectionDepth: Int
    /// Rising by the first number.
    private var tries: [(first: Int, trie: Trie)] = []
    private var firsts: [Trie: Int] = [:]

    init(sectionDepth: Int) { self.sectionDepth = sectionDepth }

    /// The first number that is none of a section of the account trie.
    private var start: Int { Section.count(depth: sectionDepth) }

    /// The number of a part; nil of a trie that has none yet.
    func id(of part: Section) -> Int? {
        guard let owner = part.owner else { return part.index }
        return firsts[Trie(account: owner, depth: part.depth)].map { $0 + part.index }
    }

    /// The numbers of all parts of a trie, which it has from now on.
    mutating func ids(of trie: Trie) -> Range<Int> {
        let count = Section.count(depth: trie.depth)
        if let first = firsts[trie] { return first..<(first + count) }
        let first = tries.last.map { $0.first + Section.count(depth: $0.trie.depth) } ?? start
        tries.append((first, trie))
        firsts[trie] = first
        return first..<(first + count)
    }

    /// The section or part of a number.
    func section(_ id: Int) -> Section {
        guard id >= start else { return Section(depth: sectionDepth, index: id) }
        let (first, trie) = tries[tries.partitionPoint { $0.first <= id } - 1]
        return Section(depth: trie.depth, index: id - first, of: trie.account)
    }

    /// The trie that a part is of; nil for a section.
    func trie(of id: Int) -> Trie? {
        let part = section(id)
        return part.owner.map { Trie(account: $0, depth: part.depth) }
    }

    /// In which section of the ring it lies.
    func place(of id: Int) -> Int {
        id < start ? id : section(id).place(sectionDepth: sectionDepth)
    }

    /// Where on the ring a part may be: the section that it lies in, and its account's.
    func homes(of id: Int) -> [Int] {
        let part = section(id)
        guard let owner = part.owner else { return [id] }
        return [place(of: id), Section(of: owner, depth: sectionDepth).index]
    }

    /// Whether two are of one trie.
    func areOfOneTrie(_ a: Int, _ b: Int) -> Bool {
        let (one, other) = (section(a), section(b))
        return one.owner == other.owner && one.depth == other.depth
    }

    /// Whether it is a part's.
    func isPart(_ id: Int) -> Bool { id >= start }
}
