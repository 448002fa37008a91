import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// Records what a block changed in parts of one storage trie, told in a stretch, and what is no such stretch.
extension SpreadRecorder {
    /// `state` has the account, whose parts the crown leads to.
    mutating func recordPartStretches(of crown: StorageCrown, in state: MemoryState) throws {
        let owner = crown.key.account
        let trie = StateTrie.storage(account: owner, placement: UInt8(crown.placement))
        let header = try BlockHeader(
            BlockHeader.Fields(
                parentHash: recorder.from.hash, stateRoot: state.root, number: 514, timestamp: 1_700_000_024))
        let leaves = state.leaves.filter { $0.key.account == owner }
        guard let account = leaves.first else { throw VectorError.malformed("no account") }
        // Two slots of three parts, with parts before and behind them.
        let diffs = (1...14).compactMap { index -> (section: Int, value: BlockDiffValue)? in
            let part = Section(depth: crown.placement, index: index, of: owner)
            let slots = leaves.filter { $0.key.slot.map { part.contains($0) } ?? false }
            guard slots.count > 2 else { return nil }
            let changes = ([account] + slots.prefix(2)).map { LeafChange(key: $0.key, value: $0.value) }
            return (
                index,
                BlockDiffValue(
                    header: header.rlp, certificate: [], sectionHashBefore: recorder.generator.hash(),
                    changes: changes, codes: [], pathProof: crown.way(toPart: index))
            )
        }.prefix(3)
        guard let (key, bytes) = BlockDiffsServer.join(Array(diffs), of: trie, at: header.point).first else {
            throw VectorError.malformed("no stretch of parts")
        }
        let fields: [String: JSONValue] = [
            "key": WireFields.hex(StateContentKey.blockDiffs(key).encoded),
            "depth": WireFields.integer(StateRecorder.depth),
            "parts": .array(diffs.map { WireFields.integer($0.section) }),
            "hashesBefore": .array(diffs.map { WireFields.hash($0.value.sectionHashBefore) }),
            "hashesAfter": .array(diffs.map { WireFields.hash(crown.hash(ofPart: $0.section) ?? .zero) }),
            "changes": WireFields.array(diffs.flatMap(\.value.changes)),
        ]
        recorder.lists.add(Self.partStretches, "three-parts", bytes, fields)
        try recordPartStretchLies(key, bytes, fields)
    }

    private static let partStretches = "partStretches"

    private mutating func recordPartStretchLies(
        _ key: BlockDiffsKey, _ bytes: [UInt8], _ truth: [String: JSONValue]
    ) throws {
        func refused(_ name: String, _ bytes: [UInt8], _ key: BlockDiffsKey? = nil) {
            var fields = truth
            if let key { fields["key"] = WireFields.hex(StateContentKey.blockDiffs(key).encoded) }
            recorder.lists.add(Self.partStretches, name, bytes, valid: false, fields)
        }
        /// Fields by their places: header, certificate, hashes before, changes, codes, proof.
        func changed(_ name: String, _ change: (inout [SSZValue]) throws -> Void) throws {
            refused(name, [0] + (try WireSchemas.changing(bytes.dropFirst(), WireSchemas.blockDiffs, change)))
        }
        func columns(_ fields: inout [SSZValue], _ change: (inout [SSZValue]) throws -> Void) throws {
            var columns = try fields[3].fields
            try change(&columns)
            fields[3] = .fields(columns)
        }
        refused("cut", Array(bytes.dropLast()))
        refused("a-byte-more", bytes + [0])
        try changed("no-proof") { $0[5] = .elements([]) }
        try changed("proof-without-its-last-node") { $0[5] = .elements(try $0[5].elements.dropLast()) }
        try changed("proof-node-twice") { $0[5] = .elements(try $0[5].elements + [$0[5].elements[0]]) }
        try changed("a-code") { $0[4] = .elements([.bytes([0x60])]) }
        try changed("hash-before-too-few") { $0[2] = .elements(try $0[2].elements.dropLast()) }
        try changed("account-otherwise") { fields in
            try columns(&fields) { $0[1] = .bytes(StateAccount(nonce: 7).slim) }
        }
        try changed("another-account") { fields in
            try columns(&fields) { $0[0] = .elements([.bytes(Bytes32.max.bytes)]) }
        }
        try changed("no-slots") { fields in
            try columns(&fields) {
                $0[2] = .elements([.uint(.zero)])
                $0[3] = .elements([])
                $0[4] = .bytes([])
            }
        }
        let owner = key.trie.owner ?? .zero
        for (name, trie, first, last) in [
            ("first-part-before", key.trie, key.first - 1, key.last),
            ("last-part-after", key.trie, key.first, key.last + 1), ("beyond-the-parts", key.trie, key.first, 16),
            ("of-the-accounts", .accounts, key.first, key.last),
            ("placement-2", .storage(account: owner, placement: 2), key.first, key.last),
            ("of-another-account", .storage(account: .max, placement: 1), key.first, key.last),
        ] {
            refused(name, bytes, BlockDiffsKey(trie: trie, point: key.point, first: first, last: last))
        }
    }
}
