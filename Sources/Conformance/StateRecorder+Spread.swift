import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Records storage that is spread round the ring: keys, directories, storage crowns, and what is none of these.
struct SpreadRecorder {
    var recorder: StateRecorder

    private static let rule = Placement(sectionDepth: StateRecorder.depth, wideDepth: 1)
    private static let owner = Bytes32(0x5a << 56, 1, 2, 3)
    private var anchor: Anchor { recorder.anchor }

    mutating func recordKeys() {
        for (name, sections) in [("one", [7]), ("sparse", [0, 3, 255]), ("high", [4_000, 4_095])] {
            if let key = WideDirectoryKey(anchor: anchor, sections: sections) {
                recorder.add("wide-directory-\(name)", .wideDirectory(key))
            }
        }
        for (name, placement, first, last) in [("one-part", 1, 3, 3), ("all", 1, 0, 15), ("256-parts", 3, 256, 511)] {
            let key = StorageCrownKey(
                anchor: anchor, account: Self.owner, placement: placement, first: first, last: last)
            if let key { recorder.add("storage-crown-\(name)", .storageCrown(key)) }
        }
        func refused(_ name: String, _ bytes: [UInt8]) { recorder.lists.add("keys", name, bytes, valid: false) }
        if let key = WideDirectoryKey(anchor: anchor, sections: [3, 5]) {
            // Fields: 40, 4, 4; then the mask, whose last bit ends it.
            let bytes = StateContentKey.wideDirectory(key).encoded
            refused("wide-directory-empty-mask", bytes.dropLast() + [1])
            refused("wide-directory-first-bit-missing", bytes.dropLast() + [0b1100])
            refused("wide-directory-last-bit-missing", bytes.dropLast() + [0b1001])
            refused("wide-directory-mask-without-end", bytes.dropLast() + [0])
            refused("wide-directory-cut", Array(bytes.dropLast()))
        }
        let crown = StorageCrownKey(anchor: anchor, account: Self.owner, placement: 1, first: 3, last: 4)
        guard let crown else { return }
        // Fields: 4, 40, 4, 4; then the trie: selector, account, placement.
        let bytes = StateContentKey.storageCrown(crown).encoded
        func changed(_ place: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = bytes
            bytes[place] = byte
            return bytes
        }
        refused("storage-crown-of-the-accounts", bytes[..<53] + [0])
        refused("storage-crown-placement-0", changed(bytes.count - 1, 0))
        refused("storage-crown-placement-5", changed(bytes.count - 1, 5))
        refused("storage-crown-part-16-of-16", changed(49, 16))
        refused("storage-crown-last-before-first", changed(49, 2))
        let wide = StorageCrownKey(anchor: anchor, account: Self.owner, placement: 3, first: 0, last: 255)
        if let wide {
            var bytes = StateContentKey.storageCrown(wide).encoded
            bytes[50] = 1
            refused("storage-crown-512-parts", bytes)
        }
        refused("storage-crown-cut", Array(bytes.dropLast()))
    }

    mutating func recordDirectories() {
        guard let key = WideDirectoryKey(anchor: anchor, sections: Array(0..<16)) else { return }
        let entries = [2, 1, 1].enumerated().map { index, placement in
            WideEntry(
                account: Bytes32(UInt64(index + 1) << 60, 0, 0, 1), placement: placement,
                storageRoot: recorder.generator.hash())
        }
        func fields(_ entries: [WideEntry], depth: Int = 1) -> [String: JSONValue] {
            [
                "key": WireFields.hex(StateContentKey.wideDirectory(key).encoded), "depth": WireFields.integer(depth),
                "accounts": .array(entries.map { WireFields.hash($0.account) }),
            ]
        }
        let narrow = Array(entries.dropFirst())
        recorder.lists.add("wideDirectories", "none", [0], fields([]))
        recorder.lists.add("wideDirectories", "two", WideDirectoryValue.serve(narrow), fields(narrow))
        let value = WideDirectoryValue.serve(narrow)
        func refused(_ name: String, _ bytes: [UInt8], depth: Int = 1) {
            recorder.lists.add("wideDirectories", name, bytes, valid: false, fields(narrow, depth: depth))
        }
        let (first, second) = (Array(value[1..<66]), Array(value[66...]))
        refused("bad-order", [0] + second + first)
        refused("bad-twice", [0] + first + first)
        refused("bad-cut", Array(value.dropLast()))
        refused("bad-placement-0", [0] + first[..<32] + [0] + first[33...])
        refused("bad-placement-beyond-the-depth", WideDirectoryValue.serve(entries))
        refused("bad-section-not-asked-for", value, depth: 2)
        refused("bad-status", [1])
    }

    /// The recorded state with one account more, whose storage is spread; and that storage.
    private mutating func spreadState() throws -> (state: MemoryState, slots: LeafColumns) {
        // Half of the slots near the way that decides the placement, so that few slots are enough.
        var slots = LeafColumns()
        let keys = (0..<240).map { index in
            let shift = UInt64(4 * (index % 3))
            return Bytes32(
                recorder.generator.next() >> shift, recorder.generator.next(), recorder.generator.next(),
                recorder.generator.next())
        }
        for key in keys.sorted() {
            slots.append(key: key, value: SlotValue.rlp([UInt8(truncatingIfNeeded: key.word3) | 1]))
        }
        let leaves =
            recorder.before.leaves.filter { $0.key.account != Self.owner }
            + [
                MemoryState.Leaf(
                    key: FlatKey(account: Self.owner),
                    value: StateAccount(
                        nonce: 1, storageRoot: TrieBuilder.root(of: slots)
                    ).slim)
            ]
            + (0..<slots.count).map { index in
                MemoryState.Leaf(
                    key: FlatKey(account: Self.owner, slot: slots.keys[index]),
                    value: [UInt8(truncatingIfNeeded: slots.keys[index].word3) | 1])
            }
        let state = try MemoryState(leaves.sorted { $0.key < $1.key }, depth: StateRecorder.depth)
        return (state, slots)
    }

    mutating func recordStorageCrowns() throws {
        let (state, slots) = try spreadState()
        func crown(_ first: Int, _ last: Int) throws -> StorageCrown? {
            let key = StorageCrownKey(anchor: anchor, account: Self.owner, placement: 1, first: first, last: last)
            guard let key else { return nil }
            var (nodes, storage) = (ProofNodes(), ProofNodes())
            var (accounts, trie) = (state.view.accountTrie, state.view.storageTrie(of: Self.owner))
            var prover = TrieProver()
            try prover.prove(Self.owner, upper: state.crown, source: &accounts, into: &nodes)
            try prover.prove(.zero, upper: nil, source: &trie, into: &storage)
            for node in try Self.rule.show(root: TrieBuilder.root(of: slots), in: storage.nodes).nodes {
                nodes.insert(node)
            }
            return try StorageCrown(nodes.nodes, key: key, stateRoot: state.root, rule: Self.rule)
        }
        func fields(_ crown: StorageCrown) -> [String: JSONValue] {
            [
                "key": WireFields.hex(StateContentKey.storageCrown(crown.key).encoded),
                "depth": WireFields.integer(StateRecorder.depth), "wideDepth": .integer(1),
                "stateRoot": WireFields.hash(state.root), "placement": WireFields.integer(crown.placement),
                "partHashes": .array(
                    (crown.key.first...crown.key.last).map { WireFields.hash(crown.hash(ofPart: $0) ?? .zero) }),
            ]
        }
        for (first, last) in [(0, 15), (7, 7)] {
            guard let crown = try crown(first, last) else { continue }
            recorder.lists.add("storageCrowns", "parts-\(first)-\(last)", crown.encoded, fields(crown))
        }
        if let whole = try crown(0, 15) { try recordPartStretches(of: whole, in: state) }
        guard let good = try crown(2, 4) else { return }
        let value = good.encoded
        var flipped = fields(good)
        flipped["flips"] = .array(stride(from: 0, to: value.count, by: 7).map { WireFields.integer($0) })
        recorder.lists.add("storageCrowns", "parts-2-4", value, flipped)
        func refused(_ name: String, _ nodes: [[UInt8]], _ changes: [String: JSONValue] = [:]) throws {
            let bytes = try SSZ.encode(.elements(nodes.map { .bytes($0) }), as: StorageCrown.schema)
            recorder.lists.add("storageCrowns", name, [0] + bytes, valid: false, fields(good).merging(changes) { $1 })
        }
        for index in good.nodes.indices {
            var fewer = good.nodes
            fewer.remove(at: index)
            try refused("bad-without-node-\(index)", fewer)
        }
        try refused("bad-node-twice", good.nodes + [good.nodes[0]])
        try refused(
            "bad-node-of-no-way",
            good.nodes + [TrieNode.leaf(suffix: Nibbles(.max), value: value).encoded.prefix(200).map { $0 }])
        try refused("bad-root", good.nodes, ["stateRoot": WireFields.hash(recorder.before.root)])
        // Placed by a rule that asks for more, the storage is with its account.
        try refused("bad-placement-that-the-nodes-deny", good.nodes, ["wideDepth": .integer(3)])
    }
}
