import Primitives
import StateStore

/// Code that accounts of held sections name and the store lacks. None is left out, or the arc would count as complete
/// without it.
struct WantedCodes: Sendable {
    /// By the section of the first account that named it, in the order it became known.
    private var bySection: [Int: [Bytes32]] = [:]
    private var sections: [Bytes32: Int] = [:]

    init(_ codes: [WantedCode] = []) { want(codes) }

    var count: Int { sections.count }
    var isEmpty: Bool { sections.isEmpty }

    /// Whether no section of this stretch lacks any.
    func areHeld(in sections: Range<Int>) -> Bool { !bySection.keys.contains { sections.contains($0) } }

    /// What sections outside the arc lack is wanted no more.
    mutating func keep(in arc: Range<Int>) {
        for (section, hashes) in bySection where !arc.contains(section) {
            bySection[section] = nil
            for hash in hashes { sections[hash] = nil }
        }
    }

    /// Sections that lack some, in order.
    var lacking: [Int] { bySection.keys.sorted() }

    /// What a section lacks.
    func of(_ section: Int) -> [Bytes32] { bySection[section] ?? [] }

    /// These are wanted too.
    mutating func want(_ codes: [WantedCode]) {
        for code in codes where sections[code.hash] == nil {
            sections[code.hash] = code.section
            bySection[code.section, default: []].append(code.hash)
        }
    }

    /// These are in the store now, whoever sent them.
    mutating func stored(_ hashes: [Bytes32]) {
        var touched: [Int: Set<Bytes32>] = [:]
        for hash in hashes {
            if let section = sections.removeValue(forKey: hash) { touched[section, default: []].insert(hash) }
        }
        for (section, stored) in touched {
            let rest = of(section).filter { !stored.contains($0) }
            bySection[section] = rest.isEmpty ? nil : rest
        }
    }
}
