import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Subtree hashes: keys, and what a server of a recorded state says.
extension StateRecorder {
    private func path(_ digits: String) -> Nibbles {
        Nibbles(storeKey: digits.compactMap { $0.hexDigitValue.map { UInt8($0) } }) ?? .root
    }

    /// An account of `before` with several slots, and the path of its leaf.
    private func richest() throws -> (place: StatePlace, body: StateAccount)? {
        let counts = Dictionary(grouping: before.leaves.filter { $0.key.slot != nil }, by: \.key.account)
        let richest = counts.max { ($0.value.count, $0.key) < ($1.value.count, $1.key) }
        guard let key = richest?.key,
            let leaf = before.leaves.first(where: { $0.key == FlatKey(account: key) })
        else { return nil }
        return (StatePlace(account: Nibbles(key), storage: .root), try StateAccount(slim: leaf.value))
    }

    mutating func recordSubtreeKeys() {
        func record(_ name: String, _ places: [StatePlace], levels: Int = 1, trie: StateTrie = .accounts) {
            let key = SubtreesKey(trie: trie, anchor: anchor, places: places, levels: levels, maxBytes: 1 << 18)
            guard let key = key.map({ StateContentKey.subtrees($0) }) else { return }
            add(name, key)
        }
        let five = StatePlace(account: path("5"))
        record("subtrees-a-section", [five], levels: 3)
        record("subtrees-odd-and-even", [StatePlace(account: path("51")), StatePlace(account: path("52a"))], levels: 2)
        record(
            "subtrees-of-storage",
            [
                StatePlace(account: path("51")), StatePlace(account: path("51"), storage: .root),
                StatePlace(account: path("51"), storage: path("0f3")),
                StatePlace(account: Nibbles(.max), storage: Nibbles(.max)),
            ])
        record(
            "subtrees-of-a-storage-trie",
            [StatePlace(account: .root, storage: path("50")), StatePlace(account: .root, storage: path("50f"))],
            trie: .storage(account: .max, placement: 2))
        record("subtrees-128", (0..<128).map { StatePlace(account: Nibbles(section: 0x500 + $0, depth: 3)) })
        guard let good = SubtreesKey(anchor: anchor, places: [five], levels: 1, maxBytes: 4_096) else { return }
        let key = StateContentKey.subtrees(good).encoded
        // Fields: 4, 40, 4, 1, 4; then trie (1 byte) and the list: an offset and the two bytes of the place.
        func refused(_ name: String, _ bytes: [UInt8]) { lists.add("keys", name, bytes, valid: false) }
        func changed(_ place: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = key
            bytes[place] = byte
            return bytes
        }
        refused("subtrees-levels-0", changed(49, 0))
        refused("subtrees-levels-4", changed(49, 4))
        refused("subtrees-no-place", Array(key.dropLast(6)))
        refused("subtrees-path-of-65", changed(key.count - 2, 65))
        refused("subtrees-path-too-short", changed(key.count - 2, 3))
        refused("subtrees-path-without-its-zero", changed(key.count - 1, 0x51))
        refused("subtrees-three-paths", key + [0, 0])
        refused("subtrees-cut", Array(key.dropLast()))
        let twice = SubtreesKey(
            anchor: anchor, places: [five, StatePlace(account: path("6"))], levels: 1, maxBytes: 4_096)
        if let twice { refused("subtrees-twice", StateContentKey.subtrees(twice).encoded.dropLast() + [0x50]) }
    }

    mutating func recordSubtrees() throws {
        func add(
            _ name: String, _ places: [StatePlace], _ hashes: [Bytes32], levels: Int, maxBytes: UInt32 = 1 << 18
        ) throws -> (value: [UInt8], fields: [String: JSONValue])? {
            var view = before.view
            guard
                let key = SubtreesKey(anchor: anchor, places: places, levels: levels, maxBytes: maxBytes),
                let value = try SubtreesValue.serve(key, view: &view)
            else { return nil }
            let found = try SubtreesValue.verify(value, key: key, hashes: hashes)
            let fields: [String: JSONValue] = [
                "key": WireFields.hex(StateContentKey.subtrees(key).encoded),
                "nodeHashes": .array(hashes.map { WireFields.hash($0) }),
                "placeCount": WireFields.integer(found.placeCount), "nodeCount": WireFields.integer(found.nodes.count),
            ]
            lists.add("subtrees", name, value, fields)
            return (value, fields)
        }
        let sections = [2, 5, 7].map { ($0, StatePlace(account: Section(depth: Self.depth, index: $0).path)) }
        for (index, place) in sections {
            for levels in 1...StateContentLimits.subtreeLevels {
                let hash = try before.crown.sectionHash(index)
                guard hash != Subtree.emptyRoot else { continue }
                _ = try add("section-\(index)-levels-\(levels)", [place], [hash], levels: levels)
            }
        }
        guard let (place, body) = try richest() else { return }
        _ = try add("storage", [place], [body.storageRoot], levels: 3)
        guard let (value, fields) = try add("storage-one-level", [place], [body.storageRoot], levels: 1) else { return }
        func refused(_ name: String, _ bytes: [UInt8], _ changes: [String: JSONValue] = [:]) {
            lists.add("subtrees", name, bytes, valid: false, fields.merging(changes) { $1 })
        }
        refused("bad-byte", value.dropLast() + [value[value.count - 1] ^ 1])
        refused("bad-cut", Array(value.dropLast()))
        refused("bad-without-nodes", [0])
        refused("bad-status", [1])
        refused("bad-of-another-hash", value, ["nodeHashes": .array([WireFields.hash(body.codeHash)])])
        let nodes = try SSZ.decode(value.dropFirst(), as: SubtreesValue.schema).elements
        refused("bad-node-twice", [0] + (try SSZ.encode(.elements(nodes + nodes), as: SubtreesValue.schema)))
        refused("bad-node-empty", [0] + (try SSZ.encode(.elements([.bytes([])]), as: SubtreesValue.schema)))
    }
}
