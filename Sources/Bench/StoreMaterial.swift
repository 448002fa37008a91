import Chain
import Foundation
import MerklePatricia
import Primitives
import Shell
import StateContent
import StateNetwork
import StateStore

/// The accounts of the workload in a store on disk: leaves, branches and records of complete sections.
final class StoredAccounts: Sendable {
    let store: LMDBStore
    let count: Int
    let depth: Int
    let crown: Crown
    /// Where all sections stand.
    let point: StatePoint

    /// The anchor that all ranges are asked for at.
    static let anchor = Anchor(epoch: 1, hash: Bytes32(1, 2, 3, 4))
    /// Blocks of an epoch.
    static let epochLength: UInt64 = 32

    /// Made when first asked for. `name` tells stores apart that are changed by those who use them.
    static func shared(_ count: Int, depth: Int, name: String, in material: BenchMaterial) throws -> StoredAccounts {
        let name = "stored-\(name)-\(count)-\(depth)"
        return try material.shared(name) {
            try StoredAccounts(count, depth: depth, directory: material.directory + "/" + name)
        }
    }

    /// Writes `count` accounts section by section, in the order of their keys.
    init(_ count: Int, depth: Int, directory: String) throws {
        store = try LMDBStore(directory: directory)
        point = StoredAccounts.point
        crown = try StoredAccounts.fill(store, count, depth: depth)
        self.count = count
        self.depth = depth
    }

    /// Where all sections stand.
    static let point = StatePoint(number: epochLength, hash: anchor.hash)

    /// Writes those sections of the state of `count` accounts that the store does not have, each in one transaction and
    /// in the order of their keys, and says of each when it is durable. What they then hash to.
    @discardableResult
    static func fill(
        _ store: LMDBStore, _ count: Int, depth: Int, committed: (Section) -> Void = { _ in }
    ) throws -> Crown {
        let rows = (0..<UInt64(count)).map { (key: BenchMaterial.key($0), index: $0) }.sorted { $0.key < $1.key }
        var subtrees: [Subtree] = []
        var start = 0
        for section in Section.all(depth: depth) {
            var end = start
            while end < rows.count, section.contains(rows[end].key) { end += 1 }
            defer { start = end }
            if let subtree = try SectionRecord.read(section, in: try store.snapshot())?.subtree {
                subtrees.append(subtree)
                continue
            }
            var (full, slim) = (LeafColumns(), LeafColumns())
            for row in rows[start..<end] {
                let account = BenchMaterial.account(row.index)
                full.append(key: row.key, value: account.rlp)
                slim.append(key: row.key, value: account.slim)
            }
            var branches = BranchColumns()
            let subtree = TrieBuilder.build(full, in: 0..<full.count, under: section.path, emitting: &branches)
            var writer = RangeWriter(depth: depth)
            writer.leaves(
                accounts: slim, slotCounts: [Int](repeating: 0, count: slim.count), slots: LeafColumns())
            writer.accountBranches(branches)
            writer.section(SectionRecord(section: section, working: point, coverage: .complete(subtree)))
            try store.commit(writer.finished)
            committed(section)
            subtrees.append(subtree)
        }
        return Crown(sections: subtrees, depth: depth)
    }

    /// A request for [origin, limit].
    static func key(_ origin: Cursor, _ limit: Cursor, maxBytes: Int) throws -> RangeKey {
        guard
            let key = RangeKey(
                anchor: anchor, origin: origin, limit: limit, maxBytes: UInt32(truncatingIfNeeded: maxBytes))
        else { throw BenchError.wrongResult(workload: "store", what: "a range without an origin") }
        return key
    }

    /// The key and the value of a section's whole range.
    func range(of section: Section) throws -> (key: RangeKey, value: [UInt8]) {
        let key = try StoredAccounts.key(
            Cursor(account: section.firstKey), Cursor.end(of: section.lastKey),
            maxBytes: StateContentLimits.answerBytes)
        var view = StateView(try store.snapshot(), depth: depth)
        guard let value = try RangeServer.serve(key, view: &view, crown: crown) else {
            throw BenchError.wrongResult(workload: "store", what: "a section that is held is not served")
        }
        return (key, value)
    }
}

/// What the process has of memory.
enum ProcessMemory {
    /// Bytes that are no file's, in memory now. 0 where the system does not say.
    static var anonymousBytes: Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        for line in text.split(separator: "\n") where line.hasPrefix("RssAnon:") {
            let number = line.drop { !$0.isNumber }.prefix { $0.isNumber }
            return (Int(number) ?? 0) * 1_024
        }
        return 0
    }
}

/// `carousel developer fill-store`: a store that is written until it has all, or until somebody kills the process.
public enum StoreFilling {
    /// Writes what is missing of the state of `count` accounts in sections of `depth` nibbles. `committed` is called
    /// with each section's name once it is durable. The state's root in hex.
    public static func run(
        directory: String, count: Int, depth: Int, committed: (String) -> Void
    ) throws -> String {
        let store = try LMDBStore(directory: directory)
        return try StoredAccounts.fill(store, count, depth: depth) { committed($0.description) }.root.description
    }
}
