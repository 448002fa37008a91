import Chain
import Primitives
import StateContent
import StateNetwork
import StateStore

// Records block diffs of a stretch: all that a block changed, parts of it, and every way to be refused.
extension StateRecorder {
    private static let list = "stretches"

    /// `diffs`: of every section that the block changed.
    mutating func recordStretches(of diffs: [(section: Int, value: BlockDiffValue)], at point: StatePoint) throws {
        func some(_ sections: ClosedRange<Int>) -> [(section: Int, value: BlockDiffValue)] {
            diffs.filter { sections.contains($0.section) }
        }
        try add("whole-ring", diffs, point)
        try add("half-of-the-ring", some(8...15), point)
        try add("one-section", some(9...9), point)
        // Its sections are those that an earlier peer could give of a longer stretch.
        try add("every-second-section", diffs.enumerated().filter { $0.offset % 2 == 0 }.map(\.element), point)
        try add("without-a-certificate", some(2...5).map { ($0.section, $0.value.certified(by: [])) }, point)
        try recordStretchLies(some(2...9), point)
    }

    private mutating func add(
        _ name: String, _ diffs: [(section: Int, value: BlockDiffValue)], _ point: StatePoint
    ) throws {
        guard let (key, bytes) = BlockDiffsServer.join(diffs, at: point).first else {
            throw VectorError.malformed("no stretch \(name)")
        }
        let claims = try BlockDiffsCheck.verify(try BlockDiffsValue(decoding: bytes), key: key, depth: Self.depth)
        let codes = Set(claims.parts.flatMap(\.value.codes).map { Keccak.hash($0) }).sorted()
        let expected: [String: JSONValue] = [
            "sections": .array(claims.parts.map { WireFields.integer($0.section) }),
            "sectionHashesAfter": .array(claims.parts.map { WireFields.hash($0.sectionHashAfter) }),
            "codeHashes": .array(codes.map { WireFields.hash($0) }),
            "changes": WireFields.array(diffs.flatMap(\.value.changes)),
        ]
        lists.add(Self.list, name, bytes, key.request.merging(expected) { $1 })
    }

    private mutating func recordStretchLies(
        _ diffs: [(section: Int, value: BlockDiffValue)], _ point: StatePoint
    ) throws {
        guard let (key, bytes) = BlockDiffsServer.join(diffs, at: point).first else { return }
        let truth = key.request
        func refused(_ name: String, _ bytes: [UInt8], _ other: [String: JSONValue] = [:]) {
            lists.add(Self.list, "lie-\(name)", bytes, valid: false, truth.merging(other) { $1 })
        }
        /// Fields by their places: header, certificate, hashes before, changes, codes, proof.
        func changed(_ name: String, _ change: (inout [SSZValue]) throws -> Void) throws {
            refused(name, [0] + (try WireSchemas.changing(bytes.dropFirst(), WireSchemas.blockDiffs, change)))
        }
        func elements(_ value: SSZValue, _ change: (inout [SSZValue]) -> Void) throws -> SSZValue {
            var elements = try value.elements
            change(&elements)
            return .elements(elements)
        }
        refused("cut", Array(bytes.dropLast()))
        refused("a-byte-more", bytes + [0])
        refused("status-1", StateStatus.notAtThisAnchor(served: [anchor]).encoded)
        refused("onto-another-state", bytes, ["before": .string("after")])
        for (name, first, last) in [
            ("first-section-before-the-changes", key.first - 1, key.last),
            ("first-section-after", key.first + 1, key.last),
            ("last-section-before", key.first, key.last - 1),
            ("last-section-after-the-changes", key.first, key.last + 1),
            ("beyond-the-ring", key.first, 16),
        ] {
            guard let other = BlockDiffsKey(point: point, first: first, last: last) else { continue }
            refused(name, bytes, other.request)
        }
        if let other = BlockDiffsKey(
            point: StatePoint(number: point.number, hash: .max), first: key.first, last: key.last)
        {
            refused("of-another-block", bytes, other.request)
        }
        try changed("no-header") { $0[0] = .bytes([]) }
        try changed("certificate-cut") { $0[1] = .bytes(try $0[1].bytes.dropLast()) }
        try changed("hash-before-too-few") { $0[2] = try elements($0[2]) { $0.removeLast() } }
        try changed("hash-before-too-many") { $0[2] = try elements($0[2]) { $0.append($0[0]) } }
        try changed("hash-before-of-another-section") { $0[2] = try elements($0[2]) { $0.swapAt(0, 1) } }
        try changed("no-change") { fields in
            fields[3] = .fields([.elements([]), .bytes([]), .elements([]), .elements([]), .bytes([])])
        }
        try changed("accounts-out-of-order") { fields in
            var columns = try fields[3].fields
            columns[0] = try elements(columns[0]) { $0.swapAt(0, $0.count - 1) }
            fields[3] = .fields(columns)
        }
        try changed("code-nobody-names") { $0[4] = try elements($0[4]) { $0.append(.bytes([0xfd])) } }
        try changed("code-twice") { $0[4] = try elements($0[4]) { $0.append($0[$0.count - 1]) } }
        try changed("no-proof") { $0[5] = .elements([]) }
        try changed("proof-node-missing") { $0[5] = try elements($0[5]) { $0.removeLast() } }
        try changed("proof-node-left-over") { $0[5] = try elements($0[5]) { $0.append(.bytes([0xc0])) } }
        try changed("proof-node-twice") { $0[5] = try elements($0[5]) { $0.append($0[0]) } }
        // A section's changes with the next one's: of the last account only the body, which is true at neither.
        try changed("body-of-another-account") { fields in
            var columns = try fields[3].fields
            var keys = try columns[0].elements
            guard let last = keys.popLast(), let hash = Bytes32(try last.bytes) else { return }
            keys.append(.bytes((hash ^ Bytes32(0, 0, 0, 1)).bytes))
            columns[0] = .elements(keys)
            fields[3] = .fields(columns)
        }
    }
}

extension BlockDiffsKey {
    /// What a vector says of the question: the key, and the state that the asker holds.
    fileprivate var request: [String: JSONValue] {
        [
            "key": WireFields.hex(StateContentKey.blockDiffs(self).encoded),
            "depth": WireFields.integer(StateRecorder.depth), "before": .string("before"),
        ]
    }
}
