import Chain
import MerklePatricia
import Primitives
import Shell
import StateStore

/// 2,000 random changes of a state in the store: new root, undo, branches, all durable when the run ends.
struct DurableUpdateWorkload: Workload {
    let name = "trie.update.2000.durable"
    let items = "updates"
    let scales = false
    let summary =
        "2,000 random changes of 1,000,000 accounts in the store: the new root; base, undo layer and history "
        + "written and durable"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 1, name: "changed", in: material)
        let rows = ChangedAccount.drawn(from: stored.count)
        return DurableUpdateTrial(stored: stored, changes: [rows.map(\.there), rows.map(\.back)])
    }
}

/// One of the accounts that an update changes, there and back.
struct ChangedAccount {
    let there: LeafChange
    let back: LeafChange

    /// `BenchLimits.updateLeaves` of `count` accounts, each with its nonce raised by one; in the order of their keys.
    static func drawn(from count: Int) -> [ChangedAccount] {
        var generator = SeededGenerator(seed: 2_000)
        var chosen: Set<UInt64> = []
        while chosen.count < BenchLimits.updateLeaves {
            chosen.insert(UInt64.random(in: 0..<UInt64(count), using: &generator))
        }
        return chosen.map { (key: FlatKey(account: BenchMaterial.key($0)), before: BenchMaterial.account($0)) }
            .sorted { $0.key < $1.key }.map { key, before in
                let after = StateAccount(nonce: before.nonce + 1, balance: before.balance)
                return ChangedAccount(
                    there: LeafChange(key: key, value: after.slim), back: LeafChange(key: key, value: before.slim))
            }
    }
}

/// 2,000 random changes of a state in the store: new root, undo and branches computed, nothing written.
struct UpdateWorkload: Workload {
    let name = "trie.update.2000"
    let items = "updates"
    let scales = false
    let summary = "2,000 random changes of 1,000,000 accounts in the store: the new root, changed branches and undo"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 1, name: "kept", in: material)
        return UpdateTrial(stored: stored, changes: ChangedAccount.drawn(from: stored.count).map(\.there))
    }
}

private struct UpdateTrial: Trial {
    let stored: StoredAccounts
    let changes: [LeafChange]
    private var root: Bytes32?

    init(stored: StoredAccounts, changes: [LeafChange]) {
        self.stored = stored
        self.changes = changes
    }

    mutating func run() throws -> Work {
        var view = StateView(try stored.store.snapshot(), depth: stored.depth)
        var subtrees: [Subtree] = []
        var (start, leaves, bytes) = (0, 0, 0)
        for section in Section.all(depth: stored.depth) {
            var end = start
            while end < changes.count, section.contains(changes[end].key.account) { end += 1 }
            let update = try SectionChange.apply(Array(changes[start..<end]), to: section, in: &view)
            subtrees.append(update.subtreeAfter)
            leaves += update.leaves.count
            bytes += update.accountBranches.reduce(0) { $0 + ($1.after?.count ?? 0) }
            start = end
        }
        let found = Crown(sections: subtrees, depth: stored.depth).root
        guard leaves == changes.count, try found == root ?? expected() else {
            throw BenchError.wrongResult(workload: "trie.update.2000", what: "the root is not that of the new leaves")
        }
        root = found
        return Work(items: 1, bytes: bytes)
    }

    /// The root of all leaves with the changes, built anew: of the first run, which is not counted.
    private func expected() throws -> Bytes32 {
        var columns = LeafColumns()
        var walk = try StateView(try stored.store.snapshot(), depth: stored.depth).walk(from: .first)
        var next = 0
        while let key = try walk.next() {
            var body = walk.value ?? []
            if next < changes.count, changes[next].key == key {
                body = changes[next].value ?? []
                next += 1
            }
            columns.append(key: key.account, value: try StateAccount(slim: body).rlp)
        }
        return TrieBuilder.root(of: columns)
    }
}

/// Every second run takes back what the one before has changed.
private struct DurableUpdateTrial: Trial {
    let stored: StoredAccounts
    let changes: [[LeafChange]]
    private var runs = 0
    private var number: UInt64

    init(stored: StoredAccounts, changes: [[LeafChange]]) {
        self.stored = stored
        self.changes = changes
        number = stored.point.number
    }

    mutating func run() throws -> Work {
        let list = changes[runs % 2]
        runs += 1
        number += StoredAccounts.epochLength
        let snapshot = try stored.store.snapshot()
        let target = StatePoint(number: number, hash: Bytes32(number, 0, 0, 1))
        var batch = WriteBatch()
        var subtrees: [Subtree] = []
        var start = 0
        var view = StateView(snapshot, depth: stored.depth)
        for record in try SectionRecord.all(in: snapshot) {
            var end = start
            while end < list.count, record.section.contains(list[end].key.account) { end += 1 }
            let update = try SectionChange.apply(Array(list[start..<end]), to: record.section, in: &view)
            let folded = StateWrites.fold(update, record: record, to: target)
            batch.append(folded.batch)
            batch.append(StateWrites.pruneHistory(folded.record, keepingFrom: record.working).batch)
            subtrees.append(update.subtreeAfter)
            start = end
        }
        let root = Crown(sections: subtrees, depth: stored.depth).root
        guard (root == stored.crown.root) == runs.isMultiple(of: 2) else {
            throw BenchError.wrongResult(workload: "trie.update.2000.durable", what: "the root is not the one before")
        }
        try stored.store.commit(batch)
        return Work(items: 1, bytes: batch.byteCount)
    }
}
