import Chain
import MerklePatricia
import Primitives
import StateStore

// A range as the nodes of the state that it shows: what a comparison goes down by (`SectionComparison`). Where nearly
// every leaf is another one, leaves with the proof of their ends are fewer bytes than all the nodes above them.
extension VerifiedStateRange {
    /// Every node that the range shows, by its hash: the leaves' own, the branches and extensions over them, also where
    /// those lie across its ends, what a section hash is made of, and what shows that a storage is elsewhere.
    /// `section`: what is compared, a section or a part.
    ///
    /// Throws `ChainError` or `TrieNodeError` where a body or a node cannot be read, which `RangeCheck` lets through
    /// none of.
    public func nodes(of section: Section) throws -> [Bytes32: TrieNode] {
        var shown = ShownNodes()
        shown.reserve(leafCount * 3 / 2)
        var bodies = LeafColumns()
        bodies.reserveCapacity(accounts.count, valueBytes: accounts.count * SlimBody.fullBytes)
        for (index, key) in accounts.keys.enumerated() {
            bodies.append(key: key, value: try StateAccount(slim: accounts.value(at: index)).rlp)
        }
        let isPart = section.owner != nil
        try shown.add(accountBranches, bodies, at: 0..<bodies.count, sectionDepth: isPart ? 0 : section.depth)
        let branches = Dictionary(storageBranches.map { ($0.account, $0.branches) }) { first, _ in first }
        var first = 0
        for (index, account) in accounts.keys.enumerated() {
            let places = first..<(first + slotCounts[index])
            first = places.upperBound
            try shown.add(
                branches[account] ?? BranchColumns(), slots, at: places, sectionDepth: isPart ? section.depth : 0)
        }
        for proof in [accountProof] + storageProofs {
            for node in proof { shown.add(try TrieNode(decoding: node), encoded: node) }
        }
        return shown.nodes
    }
}
