import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Two states, and what leads from one to the other.
struct TwoStates {
    let before: SampleState
    let after: SampleState
    let changes: [LeafChange]

    init(_ generator: inout SeededGenerator) throws(FuzzFailure) {
        before = try SampleState(&generator, upTo: 16)
        after = try before.changed(&generator)
        changes = before.changes(to: after)
    }

    var depth: Int { before.depth }

    func changes(in section: Section, keeping kept: KeptStorage = .all) -> [LeafChange] {
        changes.filter { section.contains($0.key.account) && ($0.key.slot == nil || kept.keeps($0.key.account)) }
    }

    /// Sections that changed, and one that did not where there is one; ascending.
    func sections(_ generator: inout SeededGenerator) -> [Int] {
        let changed = Set(changes.map { Section(of: $0.key.account, depth: depth).index })
        let sections = changed.union([generator.below(Section.count(depth: depth))]).sorted()
        return Array(sections.prefix(1 + generator.below(4)))
    }

    func proof(_ section: Int) throws(FuzzFailure) -> [[UInt8]] {
        do throws(ProofError) {
            return try after.crown.proofNodes(forSection: section)
        } catch {
            throw .setup("a path proof: \(error)")
        }
    }
}
