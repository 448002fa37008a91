import MerklePatricia
import Primitives

/// `trie.json`: roots after inserts and deletions, neighbours of a key, hex-prefix paths.
///
/// Every case goes through the reference trie, which takes keys of any length. Where all paths have 32 bytes, as in the
/// state, the real builder and the change of a stored trie, one operation after the other, must give the same.
enum TrieVectors: VectorSuite {
    static let fileName = "trie.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for vector in try file["cases"].array {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try roots(vector) })
        }
        for vector in try file["nextPrevious"].array { outcomes += try neighbours(vector) }
        for vector in try file["hexPrefix"].array {
            outcomes.append(CaseOutcome.judge(try vector["name"].string, vector) { try hexPrefix(vector) })
        }
        return outcomes
    }

    // MARK: Roots

    /// One entry set, or deleted where the value is nil.
    private typealias Operation = (path: [UInt8], value: [UInt8]?)

    /// How many seeded orders a case is run in whose order does not matter.
    private static let seededOrders: UInt64 = 10

    private static func roots(_ vector: JSONValue) throws -> String? {
        let secure = try vector["secure"].bool
        let operations: [Operation] = try vector["operations"].array.map { row in
            let pair = try row.array
            guard pair.count == 2 else { throw VectorError.malformed("an operation is a key and a value") }
            let key = try pair[0].hex
            return (secure ? Keccak.hash(key).bytes : key, try pair[1].ifPresent?.hex)
        }
        var orders = [operations]
        if try vector["anyOrder"].bool {
            orders.append(operations.reversed())
            for seed in 1...seededOrders {
                var generator = SeededGenerator(seed: seed)
                orders.append(operations.shuffled(using: &generator))
            }
        }
        let root = try vector["root"].bytes32
        let entries = try vector["finalEntries"].ifPresent?.int
        for (index, order) in orders.enumerated() {
            guard let difference = try apply(order, root: root, entries: entries) else { continue }
            return "order \(index): \(difference)"
        }
        return nil
    }

    private static func apply(_ operations: [Operation], root: Bytes32, entries: Int?) throws -> String? {
        var reference = ReferenceTrie()
        for operation in operations { reference[operation.path] = operation.value }
        if let entries,
            let difference = CaseOutcome.difference("number of entries", reference.entries.count, entries)
        {
            return difference
        }
        if let difference = CaseOutcome.difference("root", reference.root, root) { return difference }
        guard operations.allSatisfy({ $0.path.count == 32 }) else { return nil }

        var columns = LeafColumns()
        for entry in reference.entries { columns.append(key: try key(entry.key), value: entry.value) }
        let built = MemoryTrie(columns, twigLeaves: 0)
        if let difference = CaseOutcome.difference("root built at once", built.root, root) { return difference }
        // Without twigs, so that each of the few branches has a record; and as the store keeps it.
        var changed = MemoryTrie(LeafColumns(), twigLeaves: 0)
        var stored = MemoryTrie()
        for operation in operations {
            // An empty value deletes, as a missing one does.
            let value = operation.value.flatMap { $0.isEmpty ? nil : $0 }
            try changed.apply([(key: try key(operation.path), value: value)])
            try stored.apply([(key: try key(operation.path), value: value)])
        }
        if let difference = CaseOutcome.difference("root after changes", changed.root, root) { return difference }
        if let difference = CaseOutcome.difference("root with twigs", stored.root, root) { return difference }
        guard changed.branches.elementsEqual(built.branches, by: { $0.path == $1.path && $0.node == $1.node }) else {
            return "the branch records after changes differ from those built at once"
        }
        return nil
    }

    private static func key(_ bytes: [UInt8]) throws(VectorError) -> Bytes32 {
        guard let key = Bytes32(bytes) else { throw .expected("32 bytes", found: "\(bytes.count)") }
        return key
    }

    // MARK: Neighbours, paths

    private static func neighbours(_ vector: JSONValue) throws -> [CaseOutcome] {
        var trie = ReferenceTrie()
        for key in try vector["keys"].array { trie[try key.hex] = [1] }
        let name = try vector["name"].string
        return try vector["tests"].array.enumerated().map { index, test in
            CaseOutcome.judge("nextPrevious-\(name)-\(index)", test) {
                let query = try test["query"].hex
                return try CaseOutcome.difference(
                    "previous", bytes: trie.key(before: query) ?? [], test["previous"].hex)
                    ?? CaseOutcome.difference("next", bytes: trie.key(after: query) ?? [], test["next"].hex)
            }
        }
    }

    private static func hexPrefix(_ vector: JSONValue) throws -> String? {
        let nibbles = try vector["nibbles"].array.map { UInt8(truncatingIfNeeded: try $0.int) }
        guard let path = Nibbles(storeKey: nibbles) else { throw VectorError.malformed("nibbles") }
        let isLeaf = try vector["terminator"].bool
        let encoded = try vector["encoded"].hex
        guard let decoded = Nibbles.decodingCompact(encoded) else { return "the encoding is refused" }
        return CaseOutcome.difference("encoded", bytes: path.compact(isLeaf: isLeaf), encoded)
            ?? CaseOutcome.difference("path", decoded.path, path)
            ?? CaseOutcome.difference("terminator", decoded.isLeaf, isLeaf)
    }
}
