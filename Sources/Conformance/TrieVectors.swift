import MerklePatricia
import Primitives

/// `trie.json`: `cases` (operations and the root after them), `nextPrevious` (neighbours of a key) and `hexPrefix`.
enum TrieVectors: VectorSuite {
    static let fileName = "trie.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for (index, vector) in try file["cases"].array.enumerated() {
            outcomes.append(CaseOutcome.judge(name(of: vector, "cases", index), vector) { try operations(vector) })
        }
        for (index, vector) in try file["nextPrevious"].ifPresent?.array.enumerated() ?? [].enumerated() {
            let name = "nextPrevious " + name(of: vector, "nextPrevious", index)
            outcomes.append(CaseOutcome.judge(name, vector) { try neighbours(vector) })
        }
        for (index, vector) in try file["hexPrefix"].ifPresent?.array.enumerated() ?? [].enumerated() {
            let name = "hexPrefix " + name(of: vector, "hexPrefix", index)
            outcomes.append(CaseOutcome.judge(name, vector) { try hexPrefix(vector) })
        }
        return outcomes
    }

    private typealias Operation = (path: [UInt8], value: [UInt8]?)

    private static func operations(_ vector: JSONValue) throws -> String? {
        let secure = try vector["secure"].bool
        let operations = try vector["operations"].array.map { row throws -> Operation in
            let row = try row.array
            guard row.count == 2 else { throw VectorError.malformed("an operation is a key and a value") }
            let key = try row[0].hex
            let value = try row[1].ifPresent?.hex
            return (secure ? Keccak.hash(key).bytes : key, value?.isEmpty == true ? nil : value)
        }
        let root = try vector["root"].bytes32
        let entries = try vector["finalEntries"].ifPresent?.int
        for order in orders(operations, any: try vector["anyOrder"].bool) {
            if let difference = try difference(order, root: root, entries: entries) { return difference }
        }
        return nil
    }

    /// As given; where the order is free also reversed, and shuffled by ten seeds.
    private static func orders(_ operations: [Operation], any: Bool) -> [[Operation]] {
        guard any else { return [operations] }
        return [operations, operations.reversed()]
            + (UInt64(0)..<10).map { seed in
                var generator = SeededGenerator(seed: seed)
                return operations.shuffled(using: &generator)
            }
    }

    /// Every case goes through the reference trie; one whose paths all have 32 bytes also through the real builder, and
    /// through changes of a stored trie, one by one and in one batch.
    private static func difference(_ operations: [Operation], root: Bytes32, entries: Int?) throws -> String? {
        var reference = ReferenceTrie()
        for operation in operations { reference[operation.path] = operation.value }
        var differences = [CaseOutcome.difference("root of the reference trie", reference.root, root)]
        if let entries {
            differences.append(CaseOutcome.difference("number of entries", reference.entries.count, entries))
        }
        if operations.allSatisfy({ $0.path.count == 32 }) {
            var leaves = LeafColumns()
            for entry in reference.entries { leaves.append(key: Bytes32(entry.key) ?? .zero, value: entry.value) }
            differences.append(CaseOutcome.difference("root by the builder", TrieBuilder.root(of: leaves), root))
            var changed = MemoryTrie()
            var last: [Bytes32: [UInt8]?] = [:]
            for operation in operations {
                let key = Bytes32(operation.path) ?? .zero
                try changed.apply([(key, operation.value)])
                last[key] = .some(operation.value)
            }
            differences.append(CaseOutcome.difference("root by single changes", changed.root, root))
            var batch = MemoryTrie()
            try batch.apply(last.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 })
            differences.append(CaseOutcome.difference("root by one change", batch.root, root))
        }
        return differences.compactMap { $0 }.first
    }

    private static func neighbours(_ vector: JSONValue) throws -> String? {
        var trie = ReferenceTrie()
        for key in try vector["keys"].array { trie[try key.hex] = [1] }
        for test in try vector["tests"].array {
            let query = try test["query"].hex
            let label = " of " + Hex.prefixed(query)
            let (previous, next) = (try test["previous"].hex, try test["next"].hex)
            if let difference = CaseOutcome.difference(
                "previous" + label, bytes: trie.key(before: query) ?? [], previous)
                ?? CaseOutcome.difference("next" + label, bytes: trie.key(after: query) ?? [], next)
            {
                return difference
            }
        }
        return nil
    }

    private static func hexPrefix(_ vector: JSONValue) throws -> String? {
        let nibbles = try vector["nibbles"].array.map { nibble throws in UInt8(truncatingIfNeeded: try nibble.int) }
        let isLeaf = try vector["terminator"].bool
        let encoded = try vector["encoded"].hex
        guard let path = Nibbles(storeKey: nibbles) else { throw VectorError.malformed("no path of nibbles") }
        if let difference = CaseOutcome.difference("encoded", bytes: path.compact(isLeaf: isLeaf), encoded) {
            return difference
        }
        guard let decoded = Nibbles.decodingCompact(encoded) else { return "the encoding is not read" }
        return CaseOutcome.difference("nibbles", decoded.path, path)
            ?? CaseOutcome.difference("terminator", decoded.isLeaf, isLeaf)
    }

    static func name(of vector: JSONValue, _ list: String, _ index: Int) -> String {
        guard case .string(let name) = vector["name"] else { return "\(list)[\(index)]" }
        return name
    }
}
