import Chain
import Overlay
import Primitives
import StateContent
import StateStore

// The kinds of liars.
extension LiarKind {
    /// All of them, in a network of 16^`depth` sections: what is said of oneself, what is answered, what is offered,
    /// and how packets leave.
    public static func all(depth: Int) -> [LiarKind] {
        words(depth: depth) + spoilt + content + [anotherCrown(depth: depth)] + diffs + withholding
    }

    /// The kind of that name.
    public static func named(_ name: String, depth: Int) -> LiarKind? { all(depth: depth).first { $0.name == name } }

    // MARK: What it says of itself

    private static func words(depth: Int) -> [LiarKind] {
        var everything = LiarKind("announces what it lacks", .patience)
        everything.announces = { payload in
            StatePingPayload(
                role: payload.role, radius: .max, head: payload.head,
                served: payload.served.map {
                    AnchorSections(anchor: $0.anchor, runs: [0..<Section.count(depth: depth)])
                })
        }
        var height = LiarKind("announces a height that is not", .nothing)
        height.announces = { payload in
            let head = StatePoint(number: (payload.head?.number ?? 0) + 1_000_000, hash: Keccak.hash([1]))
            let anchor = Anchor(epoch: head.number / 8, hash: head.hash)
            return StatePingPayload(
                role: payload.role, radius: payload.radius, head: head,
                served: payload.served.suffix(1) + [
                    AnchorSections(anchor: anchor, runs: [0..<Section.count(depth: depth)])
                ])
        }
        return [everything, height]
    }

    // MARK: Whatever it is asked for

    /// Bytes that are spoilt in a way that does not depend on what they mean.
    private static let spoilt: [LiarKind] = [
        answering("flips a bit") { _, value in
            guard value.count > 8 else { return value }
            var value = value
            value[value.count / 2] ^= 0x10
            return value
        },
        answering("proves it wrongly") { key, value in
            switch key {
            // Their proof stands last.
            case .range, .sections, .diffs, .subtrees, .crown, .storageCrown:
                guard value.count > 8 else { return value }
                var value = value
                value[value.count - 3] ^= 1
                return value
            default: return value
            }
        },
        answering("truncates") { _, value in Array(value.prefix(max(1, value.count * 2 / 3))) },
        answering("answers with noise") { _, _ in [0] + [UInt8](repeating: 0xff, count: 300) },
        answering("answers with no byte") { _, _ in [] },
        answering("sends what is no RLP") { key, value in
            edited(value, at: key) { fields in
                guard case .range = key, case .bytes(let bodies) = fields[3] else { return false }
                // A list that says it is longer than all that follows.
                fields[3] = .bytes([0xf8, 0xff] + bodies.dropFirst(2))
                return bodies.count > 2
            } ?? value
        },
        answering("proves it at enormous length") { key, value in
            edited(value, at: key) { fields in
                guard let last = proofPlace(of: key), case .elements(let nodes) = fields[last] else { return false }
                let more = (0..<300).map { SSZValue.bytes([UInt8](repeating: UInt8($0 & 0xff), count: 530)) }
                fields[last] = .elements(nodes + more)
                return true
            } ?? value + [UInt8](repeating: 0, count: 3_000)
        },
        answering("claims an enormous length") { key, value in
            // The first offset of the container.
            let place = if case .range = key { 65 } else { 1 }
            guard value.count > place + 4 else { return value }
            return value[..<place] + [0xff, 0xff, 0xff, 0x7f] + value[(place + 4)...]
        },
    ]

    // MARK: One kind of content

    private static let content: [LiarKind] = [
        answering("says that it gives sections which it leaves out") { key, value in
            edited(value, at: key) { fields in
                guard case .sections = key, case .bits(var given) = fields[0] else { return false }
                // All of the leaves are still there: they are said to be those of the section after.
                guard let place = given.indices.dropLast().last(where: { given[$0] && !given[$0 + 1] }) else {
                    guard given.count > 1, let first = given.firstIndex(of: true) else { return false }
                    given[first] = false
                    fields[0] = .bits(given)
                    return true
                }
                given.swapAt(place, place + 1)
                fields[0] = .bits(given)
                return true
            } ?? value
        },
        answering("gives other subtree hashes") { key, value in
            edited(value, at: key) { nodes in
                guard case .subtrees = key, case .bytes(var node)? = nodes.last, let last = node.indices.last else {
                    return false
                }
                node[last] ^= 1
                nodes[nodes.count - 1] = .bytes(node)
                return true
            } ?? value
        },
        answering("gives other code") { key, value in
            edited(value, at: key) { codes in
                guard case .codes = key, case .bytes(let code)? = codes.first else { return false }
                codes[0] = .bytes(code + [0])
                return true
            } ?? value
        },
        answering("joins parts to another root") { key, value in
            edited(value, at: key) { nodes in
                guard case .storageCrown = key, case .bytes(var node)? = nodes.last, node.count > 4 else {
                    return false
                }
                node[node.count - 2] ^= 1
                nodes[nodes.count - 1] = .bytes(node)
                return true
            } ?? value
        },
        answering("says that storage is spread which is not") { key, _ in
            guard case .wideDirectory(let key) = key else { return nil }
            // One made-up account in each section that was asked about.
            let entries = key.sections.prefix(16).map { index in
                WideEntry(
                    account: Section(depth: 1, index: index & 15).firstKey, placement: 1, storageRoot: Keccak.hash([2]))
            }
            return WideDirectoryValue.serve(entries)
        },
    ]

    /// Asked for a crown, and where one is offered: that of a state that never was, with all of its nodes.
    private static func anotherCrown(depth: Int) -> LiarKind {
        let leaves = (UInt64(0)..<16).map { nibble in
            MemoryState.Leaf(
                key: FlatKey(account: Bytes32(nibble << 60, 0, 0, 1)), value: StateAccount(nonce: nibble + 1).slim)
        }
        let crown = (try? MemoryState(leaves, depth: depth)).map { CrownValue.serve($0.crown) }
        var liar = answering("gives another crown") { key, value in
            if case .crown = key { crown ?? value } else { value }
        }
        liar.offers = { item in
            guard let crown, case .crown? = try? StateContentKey(decoding: item.key) else { return item }
            return ContentItem(key: item.key, value: crown)
        }
        return liar
    }

    // MARK: Diffs

    /// Each way to tell changes otherwise, in answers and in offers.
    private static let diffs: [LiarKind] = ChangedLeaves.lies.map { lie in
        var liar = LiarKind("of a diff " + lie.name)
        liar.answers = { key, value in LiarKind.told(lie.tell, key, value) ?? value }
        liar.offers = { item in
            guard let key = try? StateContentKey(decoding: item.key),
                let value = LiarKind.told(lie.tell, key, item.value)
            else { return item }
            return ContentItem(key: item.key, value: value)
        }
        return liar
    }

    private static func told(
        _ tell: (inout ChangedLeaves) -> Bool, _ key: StateContentKey, _ value: [UInt8]
    ) -> [UInt8]? {
        func changed(_ value: SSZValue) -> SSZValue? {
            guard var leaves = ChangedLeaves(value), tell(&leaves) else { return nil }
            return leaves.value
        }
        return edited(value, at: key) { fields in
            switch key {
            case .diffs:
                guard case .elements(var sections) = fields[1] else { return false }
                for place in sections.indices {
                    guard let lie = changed(sections[place]) else { continue }
                    sections[place] = lie
                    fields[1] = .elements(sections)
                    return true
                }
                return false
            case .blockDiff, .blockDiffs:
                guard let lie = changed(fields[3]) else { return false }
                fields[3] = lie
                return true
            default: return false
            }
        }
    }

    // MARK: What never comes

    private static let withholding: [LiarKind] = {
        var silent = LiarKind("never answers", .patience)
        silent.answers = { _, _ in nil }
        var empty = LiarKind("opens streams and sends nothing", .patience)
        empty.line = Line(losing: 114...1_280)
        var stalling = LiarKind("stands still before the end", .patience)
        // What a full packet does not hold: the last one.
        stalling.line = Line(losing: 130...1_100)
        var trickling = LiarKind("sends a packet a second", .patience)
        trickling.line = Line(trickling: 114...1_280)
        return [silent, empty, stalling, trickling]
    }()

    // MARK: Tools

    private static func answering(
        _ name: String, _ answers: @escaping @Sendable (StateContentKey, [UInt8]) -> [UInt8]?
    ) -> LiarKind {
        var liar = LiarKind(name)
        liar.answers = answers
        return liar
    }

    /// The field with the trie nodes that prove the accounts; nil where there is none.
    private static func proofPlace(of key: StateContentKey) -> Int? {
        switch key {
        case .range: 7
        case .sections: 6
        case .diffs: 2
        case .blockDiff, .blockDiffs: 5
        default: nil
        }
    }

    /// A value with its fields, or the items of its list, changed; nil where there is no occasion for it.
    private static func edited(
        _ value: [UInt8], at key: StateContentKey, _ edit: (inout [SSZValue]) -> Bool
    ) -> [UInt8]? {
        guard let schema = schema(of: key), let read = try? SSZ.decode(value.dropFirst(), as: schema) else {
            return nil
        }
        var changed: SSZValue
        switch read {
        case .fields(var fields):
            guard edit(&fields) else { return nil }
            changed = .fields(fields)
        case .elements(var items):
            guard edit(&items) else { return nil }
            changed = .elements(items)
        default: return nil
        }
        return (try? SSZ.encode(changed, as: schema)).map { [0] + $0 }
    }

    private static func schema(of key: StateContentKey) -> SSZType? {
        switch key {
        case .range: RangeValue.schema
        case .diffs: SectionDiffsValue.schema
        case .codes: CodesValue.schema
        case .blockDiff: BlockDiffValue.schema
        case .crown: CrownValue.schema
        case .sections: SectionsValue.schema
        case .subtrees: SubtreesValue.schema
        case .storageCrown: StorageCrown.schema
        case .blockDiffs: BlockDiffsValue.schema
        case .wideDirectory, .availability: nil
        }
    }
}
