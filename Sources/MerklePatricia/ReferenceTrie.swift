import Primitives

/// The trie as the yellow paper (app. D) writes it down, computed anew from all its entries each time: slow and plain.
/// Keys of any length, so a branch may have a value. It is what the real builder is held against in tests and
/// conformance; no node runs it.
public struct ReferenceTrie: Sendable {
    /// Ascending by key, as bytes compare.
    public private(set) var entries: [(key: [UInt8], value: [UInt8])] = []

    /// A trie without entries.
    public init() {}

    /// The value of a key; setting nil or an empty value deletes it.
    public subscript(key: [UInt8]) -> [UInt8]? {
        get { entries.first { $0.key == key }?.value }
        set {
            let index = entries.firstIndex { !$0.key.lexicographicallyPrecedes(key) } ?? entries.count
            let exists = index < entries.count && entries[index].key == key
            let row = newValue.flatMap { $0.isEmpty ? nil : [(key: key, value: $0)] } ?? []
            entries.replaceSubrange(index..<(exists ? index + 1 : index), with: row)
        }
    }

    /// The greatest key below `key`; nil where there is none.
    public func key(before key: [UInt8]) -> [UInt8]? {
        entries.last { $0.key.lexicographicallyPrecedes(key) }?.key
    }

    /// The smallest key above `key`; nil where there is none.
    public func key(after key: [UInt8]) -> [UInt8]? {
        entries.first { key.lexicographicallyPrecedes($0.key) }?.key
    }

    /// keccak256 of the root's node; of the RLP of an empty string where there is no entry.
    public var root: Bytes32 {
        var none: [[UInt8]] = []
        return Keccak.hash(node(rows, 0, path: nil, visited: &none)?.encoded ?? [0x80])
    }

    /// The nodes on the path to `key`, the root's first, without those that are embedded in their parents.
    public func proof(for key: [UInt8]) -> [[UInt8]] {
        var visited: [[UInt8]] = []
        _ = node(rows, 0, path: ReferenceTrie.nibbles(key), visited: &visited)
        return visited.reversed().enumerated().filter { $0.offset == 0 || $0.element.count >= 32 }.map { $0.element }
    }

    private typealias Row = (nibbles: [UInt8], value: [UInt8])

    private var rows: [Row] { entries.map { (ReferenceTrie.nibbles($0.key), $0.value) } }

    private static func nibbles(_ key: [UInt8]) -> [UInt8] { key.flatMap { [$0 >> 4, $0 & 15] } }

    /// The node of these rows, whose first `depth` nibbles are consumed. `path` is what the proof is for, nil off its
    /// way; nodes on it are added to `visited`, children first.
    private func node(
        _ rows: [Row], _ depth: Int, path: [UInt8]?, visited: inout [[UInt8]]
    ) -> RLPValue? {
        guard let first = rows.first else { return nil }
        let result: RLPValue
        if rows.count == 1 {
            result = .list([.string(compact(first.nibbles[depth...], isLeaf: true)), .string(first.value)])
        } else {
            var shared = depth
            while rows.allSatisfy({ $0.nibbles.count > shared && $0.nibbles[shared] == first.nibbles[shared] }) {
                shared += 1
            }
            if shared > depth {
                let steps = first.nibbles[depth..<shared]
                let on = path.flatMap { $0.count >= shared && $0[depth..<shared] == steps ? $0 : nil }
                let child = node(rows, shared, path: on, visited: &visited)
                result = .list([.string(compact(steps, isLeaf: false)), reference(child)])
            } else {
                result = branch(rows, depth, path: path, visited: &visited)
            }
        }
        if path != nil { visited.append(result.encoded) }
        return result
    }

    private func branch(_ rows: [Row], _ depth: Int, path: [UInt8]?, visited: inout [[UInt8]]) -> RLPValue {
        var items: [RLPValue] = []
        for nibble in UInt8(0)..<16 {
            let below = rows.filter { $0.nibbles.count > depth && $0.nibbles[depth] == nibble }
            let on = path.flatMap { $0.count > depth && $0[depth] == nibble ? $0 : nil }
            items.append(reference(node(below, depth + 1, path: on, visited: &visited)))
        }
        items.append(.string(rows.first { $0.nibbles.count == depth }?.value ?? []))
        return .list(items)
    }

    private func reference(_ node: RLPValue?) -> RLPValue {
        guard let node else { return .string([]) }
        let encoded = node.encoded
        return encoded.count < 32 ? node : .string(Keccak.hash(encoded).bytes)
    }

    /// Hex-prefix, written apart from `Nibbles` on purpose.
    private func compact(_ nibbles: ArraySlice<UInt8>, isLeaf: Bool) -> [UInt8] {
        let flag: UInt8 = isLeaf ? 2 : 0
        let padded = nibbles.count.isMultiple(of: 2) ? [flag, 0] + nibbles : [flag + 1] + nibbles
        return stride(from: 0, to: padded.count, by: 2).map { padded[$0] << 4 | padded[$0 + 1] }
    }
}
