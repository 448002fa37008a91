import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Records several sections at once: keys, what a server of a recorded state says, and every way to be refused.
struct SectionsRecorder {
    var recorder: StateRecorder

    private var anchor: Anchor { recorder.anchor }
    private var before: MemoryState { recorder.before }

    mutating func recordKeys() {
        func record(_ name: String, _ sections: [Int], trie: StateTrie = .accounts) {
            let key = SectionsKey(trie: trie, anchor: anchor, sections: sections, maxBytes: 1 << 20)
            if let key { recorder.add("sections-\(name)", .sections(key)) }
        }
        record("one", [5])
        record("eight", Array(8..<16))
        record("nine", Array(0..<9))
        record("sparse", [3, 9, 258])
        record("256", Array(512..<768))
        record("high-indices", [65_000, 65_255])
        record("of-a-storage-trie", [5], trie: .storage(account: .max, placement: 2))
        guard let good = SectionsKey(anchor: anchor, sections: [5, 7], maxBytes: 4_096) else { return }
        let key = StateContentKey.sections(good).encoded
        func refused(_ name: String, _ bytes: [UInt8]) {
            recorder.lists.add("keys", "sections-\(name)", bytes, valid: false)
        }
        func changed(_ place: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = key
            bytes[place] = byte
            return bytes
        }
        // Fields: 4, 40, 4, 4, 4; then trie (1 byte) and mask (1 byte).
        let mask = key.count - 1
        refused("mask-without-end", changed(mask, 0))
        refused("mask-empty", changed(mask, 0b1))
        refused("mask-first-bit-clear", changed(mask, 0b1110))
        refused("mask-last-bit-clear", changed(mask, 0b1001))
        refused("mask-257-bits", Array(key.dropLast()) + [1] + [UInt8](repeating: 0, count: 31) + [3])
        refused("cut", Array(key.dropLast()))
        refused("a-byte-more", key + [1])
        var high = key
        for place in 45..<49 { high[place] = 0xff }
        refused("index-over-32-bits", high)
    }

    /// A question of the state `before`.
    private struct Question {
        let key: SectionsKey
        let stateRoot: Bytes32

        var fields: [String: JSONValue] {
            [
                "key": WireFields.hex(StateContentKey.sections(key).encoded), "state": .string("before"),
                "depth": WireFields.integer(StateRecorder.depth), "stateRoot": WireFields.hash(stateRoot),
            ]
        }
    }

    private func ask(_ sections: [Int], maxBytes: UInt32 = 1 << 20) throws -> (Question, value: [UInt8]) {
        var view = before.view
        guard let key = SectionsKey(anchor: anchor, sections: sections, maxBytes: maxBytes),
            let value = try SectionsServer.serve(key, view: &view, crown: before.crown)
        else { throw VectorError.malformed("no sections") }
        return (Question(key: key, stateRoot: before.root), value)
    }

    mutating func record() throws {
        for (name, sections, maxBytes) in [
            ("whole-ring", Array(0..<16), 1 << 20), ("one", [5], 1 << 20), ("an-empty-one", [1], 1 << 20),
            ("every-second", [0, 2, 4, 6, 8], 1 << 20), ("as-many-as-fit", Array(0..<16), 3_000),
        ] as [(String, [Int], UInt32)] {
            let (question, value) = try ask(sections, maxBytes: maxBytes)
            let found = try SectionsCheck.verify(
                value, key: question.key, depth: StateRecorder.depth, stateRoot: before.root)
            let expected: [String: JSONValue] = [
                "given": .array(found.parts.map { WireFields.integer($0.section.index) }),
                "leafCount": WireFields.integer(found.accounts.count + found.slots.count),
                "flips": .array(
                    stride(from: 0, to: value.count, by: max(1, value.count / 64)).map { WireFields.integer($0) }),
            ]
            recorder.lists.add("sections", name, value, question.fields.merging(expected) { $1 })
        }
        try recordLies()
    }

    private mutating func recordLies() throws {
        let (question, value) = try ask([0, 2, 4, 5, 9, 11])
        func refused(_ name: String, _ bytes: [UInt8], _ other: [String: JSONValue] = [:]) {
            recorder.lists.add("sections", "lie-\(name)", bytes, valid: false, question.fields.merging(other) { $1 })
        }
        /// Fields by their places: given, account keys, bodies, slot counts, slot keys, slot values, proof.
        func changed(_ name: String, _ change: (inout [SSZValue]) throws -> Void) throws {
            refused(name, [0] + (try WireSchemas.changing(value.dropFirst(), WireSchemas.sections, change)))
        }
        func elements(_ value: SSZValue, _ change: (inout [SSZValue]) -> Void) throws -> SSZValue {
            var elements = try value.elements
            change(&elements)
            return .elements(elements)
        }
        refused("cut", Array(value.dropLast()))
        refused("a-byte-more", value + [0])
        refused("status-1", StateStatus.notAtThisAnchor(served: [anchor]).encoded)
        refused("status-4", StateStatus.itemTooLarge.encoded)
        refused("of-another-root", value, ["stateRoot": WireFields.hash(recorder.after.root)])
        for (name, sections, maxBytes) in [
            ("longer-than-asked", question.key.sections, value.count - 1), ("not-asked", [0, 2, 5, 9, 11], 1 << 20),
            ("of-other-sections", [1, 3, 5, 6, 10, 12], 1 << 20),
        ] {
            let other = SectionsKey(anchor: anchor, sections: sections, maxBytes: UInt32(maxBytes))
            guard let other else { continue }
            refused(name, value, ["key": WireFields.hex(StateContentKey.sections(other).encoded)])
        }
        try changed("none-given") { $0[0] = .bits([]) }
        try changed("given-last-bit-clear") { $0[0] = .bits(try $0[0].bits + [false]) }
        // One more is said to be given than there is, one less, and one for another.
        try changed("given-and-not-there") { fields in
            var bits = try fields[0].bits
            bits[1] = true
            fields[0] = .bits(bits)
        }
        try changed("left-out-of-the-mask") { fields in
            var bits = try fields[0].bits
            bits[4] = false
            fields[0] = .bits(bits)
        }
        try changed("mask-one-on") { $0[0] = .bits([false] + (try $0[0].bits)) }
        try changed("account-missing") { $0[1] = try elements($0[1]) { $0.removeLast() } }
        try changed("accounts-out-of-order") { $0[1] = try elements($0[1]) { $0.swapAt(0, $0.count - 1) } }
        try changed("account-twice") { $0[1] = try elements($0[1]) { $0[1] = $0[0] } }
        try changed("slot-count-missing") { $0[3] = try elements($0[3]) { $0.removeLast() } }
        try changed("slot-counts-swapped") { $0[3] = try elements($0[3]) { $0.swapAt(0, $0.count - 1) } }
        try changed("slots-out-of-order") { $0[4] = try elements($0[4]) { $0.swapAt($0.count - 2, $0.count - 1) } }
        try changed("no-proof") { $0[6] = .elements([]) }
        try changed("proof-node-left-over") { $0[6] = try elements($0[6]) { $0.append(.bytes([0xc0])) } }
        try changed("proof-node-twice") { $0[6] = try elements($0[6]) { $0.append($0[0]) } }
        // An account gone with its body.
        try changed("an-account-less") { fields in
            let (keys, bodies) = (try fields[1].elements, try fields[2].bytes)
            let end = bodies.withUnsafeBytes { (try? RLPItem(in: $0, at: 0, limit: $0.count))?.end ?? 0 }
            fields[1] = .elements(Array(keys.dropFirst()))
            fields[2] = .bytes(Array(bodies.dropFirst(end)))
        }
    }
}
