import Primitives

/// The root of the trie that maps RLP(index) to item: a block's transactions root and withdrawals root.
///
/// The keys are one to a few bytes and none is the beginning of another (they are RLP items), so no branch has a value.
/// Built top down over the sorted keys; a block's few thousand items need nothing faster.
public enum IndexedRoot {
    /// The root over `items` at indices 0, 1, 2 …; the empty root for none.
    public static func root(of items: [[UInt8]]) -> Bytes32 {
        guard !items.isEmpty else { return StateAccount.emptyRoot }
        let entries = items.enumerated().map { index, value in
            var writer = RLPWriter()
            writer.append(UInt64(index))
            return Entry(path: writer.bytes.flatMap { [$0 >> 4, $0 & 15] }, value: value)
        }.sorted { $0.path.lexicographicallyPrecedes($1.path) }
        return Keccak.hash(node(entries[...], depth: 0))
    }

    private struct Entry {
        /// The key's nibbles.
        let path: [UInt8]
        let value: [UInt8]
    }

    /// RLP of the node over `entries`, which share their first `depth` nibbles.
    private static func node(_ entries: ArraySlice<Entry>, depth: Int) -> [UInt8] {
        guard let first = entries.first, let last = entries.last else { return [0x80] }
        if entries.count == 1 {
            return RLPWriter.list { writer in
                writer.append(compact(first.path[depth...], isLeaf: true))
                writer.append(first.value)
            }
        }
        // Sorted: what the first and the last share, all share.
        let shared = zip(first.path[depth...], last.path[depth...]).prefix { $0 == $1 }.count
        if shared > 0 {
            let below = node(entries, depth: depth + shared)
            return RLPWriter.list { writer in
                writer.append(compact(first.path[depth..<depth + shared], isLeaf: false))
                append(reference: below, to: &writer)
            }
        }
        return RLPWriter.list { writer in
            var rest = entries
            for nibble in UInt8(0)..<16 {
                let child = rest.prefix { $0.path[depth] == nibble }
                rest = rest.dropFirst(child.count)
                if child.isEmpty {
                    writer.append([])
                } else {
                    append(reference: node(child, depth: depth + 1), to: &writer)
                }
            }
            writer.append([])
        }
    }

    /// A node of less than 32 bytes stands in its parent itself, others by their hash.
    private static func append(reference node: [UInt8], to writer: inout RLPWriter) {
        if node.count < 32 { writer.append(raw: node) } else { writer.append(Keccak.hash(node)) }
    }

    /// Hex-prefix encoding of a path's piece. Source: yellow paper, app. C.
    private static func compact(_ nibbles: ArraySlice<UInt8>, isLeaf: Bool) -> [UInt8] {
        let flag: UInt8 = isLeaf ? 2 : 0
        let isOdd = !nibbles.count.isMultiple(of: 2)
        let padded = (isOdd ? [flag | 1] : [flag, 0]) + nibbles
        return stride(from: 0, to: padded.count, by: 2).map { padded[$0] << 4 | padded[$0 + 1] }
    }
}
