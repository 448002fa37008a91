import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// `state-wire.json`: the state network's own wire (`Specs/wire.md`). Small values are decoded, compared and encoded
/// again; ranges, diffs, crowns and codes are verified against the root or hashes that the case gives.
enum StateWireVectors: VectorSuite {
    static let fileName = "state-wire.json"

    /// What a case is checked with: the case, and the bytes it is about (given, or with one bit changed).
    private typealias Check = (_ vector: JSONValue, _ bytes: [UInt8]) throws -> String?

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var states: [String: [MemoryState.Leaf]] = [:]
        for state in try file["states"].ifPresent?.array ?? [] {
            states[try state["name"].string] = try leaves(state["leaves"])
        }
        let book = StateBook(states: states)
        let lists: [(String, Check)] = [
            ("keys", key), ("statuses", status), ("pings", ping), ("availability", availability),
            ("sectionHashes", { try sectionHash($0, $1) }), ("codes", codes), ("crowns", { try crown($0, $1, book) }),
            ("ranges", { try range($0, $1, book) }), ("diffs", { try diffs($0, $1, book) }),
            ("blockDiffs", { try blockDiff($0, $1, book) }), ("stretches", { try stretch($0, $1, book) }),
            ("subtrees", subtrees), ("sections", { try sections($0, $1, book) }),
            ("wideDirectories", wideDirectory), ("storageCrowns", storageCrown),
            ("partStretches", partStretch),
        ]
        var outcomes: [CaseOutcome] = []
        for (list, check) in lists {
            for (index, vector) in try (file[list].ifPresent?.array ?? []).enumerated() {
                let name = "\(list) \(name(of: vector, list, index))"
                outcomes.append(CaseOutcome.judge(name, vector) { try check(vector, try vector["encoded"].hex) })
                guard vector.has("flips") else { continue }
                outcomes.append(flips(name, vector, check))
            }
        }
        guard !outcomes.isEmpty else { throw VectorError.expected("lists of cases", found: "none of them") }
        return outcomes
    }

    /// The lowest bit of each named byte, changed alone, makes the value one that must be refused.
    private static func flips(_ name: String, _ vector: JSONValue, _ check: Check) -> CaseOutcome {
        CaseOutcome.judge("\(name) flips", valid: true) {
            let bytes = try vector["encoded"].hex
            for position in try vector["flips"].array.map({ try $0.int }) {
                guard bytes.indices.contains(position) else { throw VectorError.malformed("flip \(position)") }
                var flipped = bytes
                flipped[position] ^= 1
                do {
                    _ = try check(vector, flipped)
                } catch let error as VectorError {
                    throw error
                } catch {
                    continue
                }
                return "accepted with byte \(position) changed"
            }
            return nil
        }
    }

    static func leaves(_ value: JSONValue) throws -> [MemoryState.Leaf] {
        try value.array.map { pair in
            let parts = try pair.array
            guard parts.count == 2, let key = FlatKey(try parts[0].hex) else { throw VectorError.malformed("a leaf") }
            return MemoryState.Leaf(key: key, value: try parts[1].hex)
        }
    }

    // MARK: Small things

    private static func key(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        let key = try StateContentKey(decoding: bytes)
        if let schema = WireSchemas.key(bytes[0]),
            let difference = try WireSchemas.difference(bytes.dropFirst(), schema)
        {
            return difference
        }
        if let position = vector["position"].ifPresent {
            let depth = try vector["sectionDepth"].int
            guard (1...ChainLimits.sectionDepth).contains(depth) else { throw VectorError.malformed("sectionDepth") }
            let found = key.position(sectionDepth: depth)
            if found != (try position.bytes32) { return "position is \(found.map { "\($0)" } ?? "none")" }
        }
        return WireFields.difference(WireFields.object(key), vector)
            ?? CaseOutcome.difference("re-encoding", bytes: key.encoded, bytes)
    }

    private static func status(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        let status = try StateStatus(decoding: bytes)
        if let difference = WireFields.difference(WireFields.object(status), vector) { return difference }
        // Seconds over the limit are read as the limit, and data has more after it.
        if case .data = status { return nil }
        if vector["reencodes"] == .bool(false) { return nil }
        return CaseOutcome.difference("re-encoding", bytes: status.encoded, bytes)
    }

    private static func ping(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        let payload = try StatePingPayload(decoding: bytes)
        return try WireFields.difference(WireFields.object(payload), vector)
            ?? WireSchemas.difference(bytes, WireSchemas.statePing)
            ?? CaseOutcome.difference("re-encoding", bytes: payload.encoded, bytes)
    }

    private static func availability(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        let value = try AvailabilityValue(decoding: bytes)
        return try WireFields.difference(.object(["served": WireFields.array(value.served)]), vector)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.availability)
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded, bytes)
    }

    /// Here `encoded` is the list of proof nodes.
    private static func sectionHash(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        let type = try SSZSchemaParser.parse(WireSchemas.crown)
        let proof = try SSZ.decode(bytes[...], as: type).elements.map { try $0.bytes }
        let (depth, index) = (try vector["depth"].int, try vector["section"].int)
        guard (1...4).contains(depth), (0..<Section.count(depth: depth)).contains(index) else {
            throw VectorError.malformed("depth or section")
        }
        let section = Section(depth: depth, index: index)
        let hash = try SectionProof.sectionHash(
            root: try vector["stateRoot"].bytes32, proof: proof, section: section.path)
        return CaseOutcome.difference("section hash", hash, try vector["sectionHash"].bytes32)
    }

    // MARK: Verified content

    private static func codes(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        guard case .codes(let key) = try requestKey(vector) else { throw VectorError.malformed("not a codes key") }
        let found = try CodesValue.verify(bytes, key: key)
        return try CaseOutcome.difference(
            "hashes", found.map(\.hash), vector["codeHashes"].array.map { try $0.bytes32 })
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.codes)
    }

    private static func subtrees(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        guard case .subtrees(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a subtrees key")
        }
        let hashes = try vector["nodeHashes"].array.map { try $0.bytes32 }
        let found = try SubtreesValue.verify(bytes, key: key, hashes: hashes)
        return try CaseOutcome.difference("places", found.placeCount, vector["placeCount"].int)
            ?? CaseOutcome.difference("nodes", found.nodes.count, vector["nodeCount"].int)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.subtrees)
    }

    private static func wideDirectory(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        guard case .wideDirectory(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a wide directory key")
        }
        let found = try WideDirectoryValue.verify(bytes, key: key, depth: try vector["depth"].int)
        return try CaseOutcome.difference(
            "accounts", found.map(\.account), vector["accounts"].array.map { try $0.bytes32 })
            ?? CaseOutcome.difference("re-encoding", bytes: WideDirectoryValue.serve(found), bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.wideDirectory)
    }

    private static func storageCrown(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        guard case .storageCrown(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a storage crown key")
        }
        let rule = Placement(sectionDepth: try vector["depth"].int, wideDepth: try vector["wideDepth"].int)
        let crown = try StorageCrown.verify(
            bytes, key: key, stateRoot: try vector["stateRoot"].bytes32, rule: rule)
        let hashes = (key.first...key.last).map { crown.hash(ofPart: $0) ?? .zero }
        return try CaseOutcome.difference("placement", crown.placement, vector["placement"].int)
            ?? CaseOutcome.difference("part hashes", hashes, vector["partHashes"].array.map { try $0.bytes32 })
            ?? CaseOutcome.difference("re-encoding", bytes: crown.encoded, bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.storageCrown)
    }

    private static func sections(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        guard case .sections(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a sections key")
        }
        let depth = try vector["depth"].int
        let found = try SectionsCheck.verify(
            bytes, key: key, depth: depth, stateRoot: try vector["stateRoot"].bytes32)
        if let state = try book.state(vector["state"], depth: depth) {
            for part in found.parts {
                let held = state.leaves.filter {
                    part.section.contains($0.key.account) && ($0.key.slot == nil || key.kept.keeps($0.key.account))
                }
                guard held.count == part.accounts.count + part.slots.count,
                    held.filter({ $0.key.slot == nil }).map(\.key.account) == Array(found.accounts.keys[part.accounts])
                else { return "the leaves of section \(part.section) are not the state's" }
            }
        }
        return try CaseOutcome.difference(
            "given", found.parts.map(\.section.index), vector["given"].array.map { try $0.int })
            ?? CaseOutcome.difference("leaves", found.accounts.count + found.slots.count, vector["leafCount"].int)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.sections)
    }

    private static func crown(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        let depth = try vector["depth"].int
        let crown = try CrownValue.verify(bytes, stateRoot: try vector["stateRoot"].bytes32, depth: depth)
        if let state = try book.state(vector["state"], depth: depth) {
            for index in 0..<Section.count(depth: depth) {
                guard try crown.sectionHash(index) == state.crown.sectionHash(index) else {
                    return "the hash of section \(index) differs from the state's"
                }
            }
        }
        return try CaseOutcome.difference("re-encoding", bytes: CrownValue.serve(crown), bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.crown)
    }

    private static func range(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        guard case .range(let key) = try requestKey(vector) else { throw VectorError.malformed("not a range key") }
        let range = try RangeCheck.verify(bytes, key: key, stateRoot: try vector["stateRoot"].bytes32)
        if let end = vector["end"].ifPresent, WireFields.object(range.end) != end { return "end is \(range.end)" }
        if let count = vector["leafCount"].ifPresent, range.leafCount != (try count.int) {
            return "\(range.leafCount) leaves"
        }
        if let state = try book.state(vector["state"], depth: 1) {
            let found = range.leaves.map { MemoryState.Leaf(key: $0.key, value: $0.value) }
            let held = state.leaves(from: key.origin, through: range.end)
            guard found == held.filter({ $0.key.slot == nil || key.kept.keeps($0.key.account) }) else {
                return "the leaves are not the state's"
            }
        }
        return try WireSchemas.difference(bytes.dropFirst(), WireSchemas.range)
    }

    private static func diffs(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        guard case .diffs(let key) = try requestKey(vector) else { throw VectorError.malformed("not a diffs key") }
        let depth = try vector["depth"].int
        let root = try vector["stateRoot"].bytes32
        guard let before = try book.state(vector["before"], depth: depth) else {
            throw VectorError.malformed("no state before")
        }
        let crown = try vector["crown"].ifPresent.map {
            try CrownValue.verify(try $0.hex, stateRoot: root, depth: depth)
        }
        let found = try DiffsCheck.verify(bytes, key: key, depth: depth, stateRoot: root)
        for diff in found {
            guard let hash = try diff.hashAfter ?? crown?.sectionHash(diff.section.index) else {
                throw VectorError.malformed("neither proof nor crown")
            }
            var view = before.view
            _ = try DiffsCheck.apply(
                diff.changes, to: diff.section, expecting: hash, keeping: key.kept, in: &view)
        }
        return try CaseOutcome.difference(
            "sections", found.map(\.section.index), vector["sections"].array.map { try $0.int })
            ?? CaseOutcome.difference(
                "changes", WireFields.array(found.flatMap(\.changes)), vector["changes"])
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.diffs)
    }

    private static func blockDiff(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        guard case .blockDiff(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a block diff key")
        }
        let depth = try vector["depth"].int
        guard let before = try book.state(vector["before"], depth: depth) else {
            throw VectorError.malformed("no state before")
        }
        let value = try BlockDiffValue(decoding: bytes)
        let claims = try BlockDiffCheck.verify(value, key: key, depth: depth)
        guard value.sectionHashBefore == (try before.crown.sectionHash(key.section)) else { throw WireRefusal.gap }
        var view = before.view
        let (_, codes) = try BlockDiffCheck.apply(
            value, to: Section(depth: depth, index: key.section), expecting: claims.sectionHashAfter, in: &view)
        return try CaseOutcome.difference(
            "section hash after", claims.sectionHashAfter, vector["sectionHashAfter"].bytes32)
            ?? CaseOutcome.difference("codes", codes.map(\.hash), vector["codeHashes"].array.map { try $0.bytes32 })
            ?? CaseOutcome.difference("changes", WireFields.array(value.changes), vector["changes"])
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded ?? [], bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.blockDiff)
    }

    private static func stretch(_ vector: JSONValue, _ bytes: [UInt8], _ book: StateBook) throws -> String? {
        guard case .blockDiffs(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a key of block diffs")
        }
        let depth = try vector["depth"].int
        guard let before = try book.state(vector["before"], depth: depth) else {
            throw VectorError.malformed("no state before")
        }
        let value = try BlockDiffsValue(decoding: bytes)
        let parts = try BlockDiffsCheck.verify(value, key: key, depth: depth).parts
        var codes: Set<Bytes32> = []
        for part in parts {
            guard part.value.sectionHashBefore == (try before.crown.sectionHash(part.section)) else {
                throw WireRefusal.gap
            }
            var view = before.view
            let applied = try BlockDiffCheck.apply(
                part.value, to: Section(depth: depth, index: part.section), expecting: part.sectionHashAfter,
                leavingKnownCodes: true, keeping: key.kept, in: &view)
            codes.formUnion(applied.codes.map(\.hash))
        }
        return try CaseOutcome.difference(
            "sections", parts.map(\.section), vector["sections"].array.map { try $0.int })
            ?? CaseOutcome.difference(
                "section hashes after", parts.map(\.sectionHashAfter),
                vector["sectionHashesAfter"].array.map { try $0.bytes32 })
            ?? CaseOutcome.difference("codes", codes.sorted(), vector["codeHashes"].array.map { try $0.bytes32 })
            ?? CaseOutcome.difference(
                "changes", WireFields.array(parts.flatMap(\.value.changes)), vector["changes"])
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded, bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.blockDiffs)
    }

    private static func partStretch(_ vector: JSONValue, _ bytes: [UInt8]) throws -> String? {
        guard case .blockDiffs(let key) = try requestKey(vector) else {
            throw VectorError.malformed("not a key of block diffs")
        }
        let value = try BlockDiffsValue(decoding: bytes)
        let parts = try BlockDiffsCheck.verify(value, key: key, depth: try vector["depth"].int).parts
        func hashes(_ name: String) throws -> [Bytes32] { try vector[name].array.map { try $0.bytes32 } }
        return try CaseOutcome.difference("parts", parts.map(\.section), vector["parts"].array.map { try $0.int })
            ?? CaseOutcome.difference(
                "hashes before", parts.map(\.value.sectionHashBefore), hashes("hashesBefore"))
            ?? CaseOutcome.difference("hashes after", parts.map(\.sectionHashAfter), hashes("hashesAfter"))
            ?? CaseOutcome.difference(
                "changes", WireFields.array(parts.flatMap(\.value.changes)), vector["changes"])
            ?? CaseOutcome.difference("re-encoding", bytes: value.encoded, bytes)
            ?? WireSchemas.difference(bytes.dropFirst(), WireSchemas.blockDiffs)
    }

    private static func requestKey(_ vector: JSONValue) throws -> StateContentKey {
        do {
            return try StateContentKey(decoding: try vector["key"].hex)
        } catch let error as StateContentError {
            throw VectorError.malformed("the case's key: \(error)")
        }
    }
}

/// `state-ranges.json`: the ranges of the state network, in a file of their own because of their size. Any list of
/// `state-wire.json` may stand here too.
enum StateRangeVectors: VectorSuite {
    static let fileName = "state-ranges.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] { try StateWireVectors.run(file) }
}

/// Why a value is refused although it is well-formed.
enum WireRefusal: Error, Equatable, CustomStringConvertible {
    /// A block diff that applies to another state than the one held.
    case gap
    /// A signed claim whose signature is not the signer's.
    case signature
    /// A hash that is not under the target.
    case target

    var description: String {
        switch self {
        case .gap: "the diff goes on from another state"
        case .signature: "the signature is not the signer's"
        case .target: "the hash is not under the target"
        }
    }
}

/// The states that a file names. Built when a case asks for one, at the depth it asks for.
private struct StateBook {
    let states: [String: [MemoryState.Leaf]]

    /// nil for null.
    func state(_ name: JSONValue, depth: Int) throws -> MemoryState? {
        guard let name = try name.ifPresent?.string else { return nil }
        guard let leaves = states[name] else { throw VectorError.malformed("no state is called \(name)") }
        guard (1...4).contains(depth) else { throw VectorError.malformed("depth \(depth)") }
        do {
            return try MemoryState(leaves, depth: depth)
        } catch {
            throw VectorError.malformed("the state \(name): \(error)")
        }
    }
}
