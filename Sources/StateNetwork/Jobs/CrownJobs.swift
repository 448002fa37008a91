import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Makes the storage crowns of one spread trie at an anchor, out of its account's section and all its parts.
public struct MakeStorageCrowns: Sendable {
    let anchor: Anchor
    /// The block at the anchor's boundary.
    let point: StatePoint
    /// The section that the account lies in.
    let section: SectionEntry
    let trie: SpreadParts
    let crown: Crown
    let rule: Placement

    /// None where what is held does not lead to the anchor any more.
    func run(on snapshot: some StoreSnapshot) throws -> [StorageCrown] {
        guard let record = section.record, let layering = section.layering(at: point.number),
            let subtrees = trie.subtrees(at: point.number), let parts = trie.view(at: point.number, in: snapshot)
        else { return [] }
        var view = StateView(snapshot, record.section, layering: layering)
        guard let account = try view.account(trie.account) else { return try make(subtrees, [], &view) }
        let upper = Crown(sections: subtrees, depth: trie.depth)
        // Where the parts are not what the account names, one of them is behind: a later look finds them together.
        guard upper.root == account.storageRoot else { return [] }
        guard upper.root != Subtree.emptyRoot else { return try make(subtrees, [], &view) }
        var way = ProofNodes()
        var prover = TrieProver()
        var slots = parts.storageTrie(of: trie.account)
        try prover.prove(.zero, upper: upper, source: &slots, into: &way)
        return try make(subtrees, try rule.show(root: upper.root, in: way.nodes).nodes, &view)
    }

    private func make(
        _ subtrees: [Subtree], _ placementNodes: [[UInt8]], _ view: inout StateView<some StoreSnapshot>
    ) throws -> [StorageCrown] {
        var crowns: [StorageCrown] = []
        for stretch in SpreadTries.stretches(depth: trie.depth) {
            guard let key = SpreadTries.key(trie.account, depth: trie.depth, stretch: stretch, at: anchor),
                let made = try StorageCrownServer.make(
                    key, view: &view, crown: crown, parts: subtrees, rule: rule, placementNodes: placementNodes)
            else { continue }
            crowns.append(made)
        }
        return crowns
    }
}

/// Shows of an account in a section at a served anchor that its storage is not spread.
public struct ServeStorageCrown: Sendable {
    let key: StorageCrownKey
    let section: Section
    /// The block at the anchor's boundary.
    let point: StatePoint
    let crown: Crown
    let rule: Placement
    /// The answer where the storage is spread, or the store has moved on to other anchors meanwhile.
    let otherwise: StateStatus

    func run(on snapshot: some StoreSnapshot) -> [UInt8] {
        ServedSection(section: section, point: point, otherwise: otherwise).answer(on: snapshot) { view in
            try StorageCrownServer.showNarrow(key, view: &view, crown: crown, rule: rule)?.encoded
        }
    }
}

/// Checks an answer with a storage crown.
public struct CheckStorageCrown: Sendable {
    let value: [UInt8]
    let key: StorageCrownKey
    let stateRoot: Bytes32
    let rule: Placement

    func run() throws(ContentError) -> [StorageCrown] {
        [try StorageCrown.verify(value, key: key, stateRoot: stateRoot, rule: rule)]
    }
}

/// Reads an answer that says which storage is spread.
public struct CheckDirectory: Sendable {
    let value: [UInt8]
    let key: WideDirectoryKey
    let depth: Int

    func run() throws(WideDirectoryError) -> [WideEntry] {
        try WideDirectoryValue.verify(value, key: key, depth: depth)
    }
}

extension StorageCrown {
    /// The crown as it is kept.
    var kept: StorageCrownRecords.Kept {
        StorageCrownRecords.Kept(
            anchor: key.anchor, account: key.account, depth: key.placement, first: key.first, value: encoded)
    }
}
