import Primitives

/// Changes to the nodes of a proof.
enum NodeMutation {
    /// Applies `kind`; false where there is nothing to change. `spare`: true nodes of the same trie or of another, that
    /// do not belong here.
    static func apply(
        _ kind: MutationKind, to nodes: inout [[UInt8]], spare: [[UInt8]], _ generator: inout some RandomNumberGenerator
    ) -> Bool {
        switch kind {
        case .nodeDropped:
            guard let place = generator.index(nodes.count) else { return false }
            nodes.remove(at: place)
        case .nodeAdded:
            let node =
                generator.oneIn(4)
                ? Array(generator.hash().bytes.prefix(generator.below(33)))
                : generator.pick(spare) ?? [0xc0]
            guard !nodes.contains(node) else { return false }
            nodes.insert(node, at: generator.below(nodes.count + 1))
        case .nodeRepeated:
            guard let node = generator.pick(nodes) else { return false }
            nodes.insert(node, at: generator.below(nodes.count + 1))
        case .nodeBitFlipped:
            guard let place = generator.index(nodes.count) else { return false }
            return generator.flipBit(of: &nodes[place])
        case .nodesSwapped: return swap(&nodes, spare, &generator)
        default: return false
        }
        return true
    }

    /// Two nodes change places, a node of elsewhere stands in for one, or two children of a branch are exchanged.
    private static func swap(
        _ nodes: inout [[UInt8]], _ spare: [[UInt8]], _ generator: inout some RandomNumberGenerator
    ) -> Bool {
        guard let place = generator.index(nodes.count) else { return false }
        switch generator.below(3) {
        case 0:
            let other = generator.below(nodes.count)
            guard nodes[other] != nodes[place] else { return false }
            nodes.swapAt(place, other)
            return true
        case 1:
            guard let node = generator.pick(spare), !nodes.contains(node) else { return false }
            nodes[place] = node
            return true
        default:
            guard case .list(var items)? = try? RLPValue(decoding: nodes[place]), items.count == 17 else {
                return false
            }
            let (one, other) = (generator.below(16), generator.below(16))
            guard items[one] != items[other] else { return false }
            items.swapAt(one, other)
            nodes[place] = RLPValue.list(items).encoded
            return true
        }
    }
}

/// A leaf of a trie, as it is mutated.
struct Row: Hashable, Sendable {
    var key: Bytes32
    var value: [UInt8]
}

/// Changes to a run of sorted leaves.
enum RowMutation {
    /// Applies `kind`; false where there is nothing to change. `value` draws one that a leaf may have.
    static func apply<Generator: RandomNumberGenerator>(
        _ kind: MutationKind, to rows: inout [Row], _ generator: inout Generator, value: (inout Generator) -> [UInt8]
    ) -> Bool {
        let before = rows
        if kind == .leafAdded {
            let near = generator.pick(rows).map { generator.neighbour(of: $0.key) }
            insert(Row(key: near ?? generator.hash(), value: value(&generator)), into: &rows)
            return rows != before
        }
        guard let place = generator.index(rows.count) else { return false }
        switch kind {
        case .leafDropped: rows.remove(at: place)
        case .leafChanged:
            switch generator.below(4) {
            case 0: rows[place].value = value(&generator)
            case 1: rows[place].value.append(generator.byte())
            case 2: rows[place].value.removeLast()
            default: _ = generator.flipBit(of: &rows[place].value)
            }
        case .leafMoved:
            var row = rows.remove(at: place)
            row.key = generator.oneIn(2) ? generator.neighbour(of: row.key) : generator.hash()
            insert(row, into: &rows)
        case .keyOffByOne:
            let key = rows[place].key
            rows[place].key = (generator.oneIn(2) ? key.successor : key.predecessor) ?? key
        case .leafDuplicated: rows.insert(rows[place], at: generator.oneIn(2) ? place : generator.below(rows.count + 1))
        case .leavesReordered:
            let other = generator.below(rows.count)
            if generator.oneIn(2) {
                rows.swapAt(place, other)
            } else {
                // The keys stay in order, the values change places.
                (rows[place].value, rows[other].value) = (rows[other].value, rows[place].value)
            }
        default: return false
        }
        return rows != before
    }

    private static func insert(_ row: Row, into rows: inout [Row]) {
        rows.insert(row, at: rows.firstIndex { $0.key > row.key } ?? rows.count)
    }
}
