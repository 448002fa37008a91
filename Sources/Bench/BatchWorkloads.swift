import Chain
import MerklePatricia
import Primitives
import Shell
import StateStore

extension Workloads {
    /// The state after many blocks, as who goes block by block computes it.
    static let batches: [any Workload] = [
        BatchWorkload(name: "chain.state.256", isTogether: true),
        BatchWorkload(name: "chain.state.256.single", isTogether: false),
    ]
}

/// 256 blocks of 200 changed accounts each, of a million: the state root after the last. Together, the last word on
/// each account is put together first and each node hashed once; one by one, there is a root and a layer for each
/// block.
struct BatchWorkload: Workload {
    let name: String
    let isTogether: Bool
    let items = "blocks"
    let scales = false

    var summary: String {
        "\(BenchLimits.batchBlocks) blocks of \(BenchLimits.batchChanges) changes each, of 1,000,000 accounts: "
            + (isTogether
                ? "the root after the last of them" : "the root after each of them, on top of the layers before")
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        let stored = try StoredAccounts.shared(BenchLimits.stateLeaves, depth: 1, name: "kept", in: material)
        let blocks = material.shared("batch") { BatchWorkload.blocks(of: stored.count) }
        return try BatchTrial(name: name, isTogether: isTogether, stored: stored, blocks: blocks)
    }

    /// What each block changes: the nonces of accounts drawn from all, in the order of their keys.
    private static func blocks(of count: Int) -> [[LeafChange]] {
        var generator = SeededGenerator(seed: 256)
        return (0..<BenchLimits.batchBlocks).map { block in
            var chosen: Set<UInt64> = []
            while chosen.count < BenchLimits.batchChanges {
                chosen.insert(UInt64.random(in: 0..<UInt64(count), using: &generator))
            }
            return chosen.map { index in
                let before = BenchMaterial.account(index)
                let after = StateAccount(nonce: before.nonce + UInt64(block) + 1, balance: before.balance)
                return LeafChange(key: FlatKey(account: BenchMaterial.key(index)), value: after.slim)
            }.sorted { $0.key < $1.key }
        }
    }
}

private struct BatchTrial: Trial {
    let name: String
    let isTogether: Bool
    let stored: StoredAccounts
    let blocks: [[LeafChange]]
    private(set) var remark: String?
    private let sections: [Section]
    private let records: [SectionRecord]
    /// What all changes lead to, applied together.
    private var expected = Bytes32.zero

    init(name: String, isTogether: Bool, stored: StoredAccounts, blocks: [[LeafChange]]) throws {
        self.name = name
        self.isTogether = isTogether
        self.stored = stored
        self.blocks = blocks
        sections = Section.all(depth: stored.depth)
        records = try SectionRecord.all(in: try stored.store.snapshot())
        expected = try together().root
    }

    mutating func run() throws -> Work {
        let (root, leaves) = try isTogether ? together() : oneByOne()
        guard root == expected else { throw BenchError.wrongResult(workload: name, what: "the root is another") }
        remark = "\(leaves) leaves set"
        return Work(items: blocks.count, bytes: 0)
    }

    /// The changes of a section among those of a block, which are in order.
    private func part(_ changes: [LeafChange], from start: inout Int, in section: Section) -> [LeafChange] {
        let first = start
        while start < changes.count, section.contains(changes[start].key.account) { start += 1 }
        return Array(changes[first..<start])
    }

    private func together() throws -> (root: Bytes32, leaves: Int) {
        var last: [FlatKey: LeafChange] = [:]
        for block in blocks { for change in block { last[change.key] = change } }
        let changes = last.values.sorted { $0.key < $1.key }
        var view = StateView(try stored.store.snapshot(), depth: stored.depth)
        var start = 0
        let subtrees = try sections.map { section in
            try SectionChange.apply(part(changes, from: &start, in: section), to: section, in: &view).subtreeAfter
        }
        return (Crown(sections: subtrees, depth: stored.depth).root, changes.count)
    }

    private func oneByOne() throws -> (root: Bytes32, leaves: Int) {
        let snapshot = try stored.store.snapshot()
        var layers = [LayerIndex](repeating: LayerIndex(), count: sections.count)
        var subtrees = records.map { $0.subtree ?? .empty }
        var (root, leaves) = (Bytes32.zero, 0)
        for (number, changes) in blocks.enumerated() {
            let point = StatePoint(number: stored.point.number + UInt64(number) + 1, hash: Bytes32(1, 0, 0, 1))
            let layerings = sections.indices.map { index in
                (section: sections[index], layering: layers[index].layering(over: records[index]) ?? .base)
            }
            var view = StateView(snapshot, depth: stored.depth, sections: layerings)
            var start = 0
            for index in sections.indices {
                let part = part(changes, from: &start, in: sections[index])
                guard !part.isEmpty else { continue }
                let before = subtrees[index].hash(at: stored.depth)
                let update = try SectionChange.apply(part, to: sections[index], in: &view)
                subtrees[index] = update.subtreeAfter
                layers[index].append(
                    BlockLayer(
                        section: sections[index], point: point, parent: layers[index].top ?? records[index].working,
                        sectionHashBefore: before, sectionHashAfter: update.subtreeAfter.hash(at: stored.depth),
                        update: update, pathProof: []))
            }
            root = Crown(sections: subtrees, depth: stored.depth).root
            leaves += changes.count
        }
        return (root, leaves)
    }
}
