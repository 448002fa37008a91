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
    let summary = "2,000 random changes of 1,000,000 accounts in the store: the new root; base, undo layer and history "
        + "written and durable"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 1, name: "changed", in: material)
        var generator = SeededGenerator(seed: 2_000)
        var chosen: Set<UInt64> = []
        while chosen.count < BenchLimits.updateLeaves {
            chosen.insert(UInt64.random(in: 0..<UInt64(stored.count), using: &generator))
        }
        let rows = chosen.map { (key: FlatKey(account: BenchMaterial.key($0)), before: BenchMaterial.account($0)) }
            .sorted { $0.key < $1.key }
        let there = rows.map { row in
            let after = StateAccount(nonce: row.before.nonce + 1, balance: row.before.balance)
            return LeafChange(key: row.key, value: after.slim)
        }
        let back = rows.map { LeafChange(key: $0.key, value: $0.before.slim) }
        return DurableUpdateTrial(stored: stored, changes: [there, back])
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
