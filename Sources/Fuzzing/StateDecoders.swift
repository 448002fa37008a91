import Chain
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Decoders of the state network and of trie nodes.
enum StateDecoders {
    static func key(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let key = try? StateContentKey(decoding: bytes) else { return false }
        try require(key.encoded == bytes, .notCanonical("state key"))
        _ = key.position(sectionDepth: 2)
        return true
    }

    static func status(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let status = try? StateStatus(decoding: bytes) else { return false }
        let again = status.encoded
        // Data follows status 0; anchors are listed in order, and a long wait is shortened, whatever was sent.
        switch status {
        case .data: try require(bytes.first == again.first, .notCanonical("status"))
        case .notAtThisAnchor(let served):
            guard case .notAtThisAnchor(let found)? = try? StateStatus(decoding: again) else {
                throw .notRoundTrip("status")
            }
            try require(found == served.sorted(), .notRoundTrip("anchors of a status"))
        case .busy: try require((try? StateStatus(decoding: again)) == status, .notRoundTrip("status"))
        default: try require(again == bytes, .notCanonical("status"))
        }
        return true
    }

    /// What is served, in full and as the ping payload.
    static func availability(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var accepted = false
        if let value = try? AvailabilityValue(decoding: bytes) {
            accepted = true
            try require(value.encoded == bytes, .notCanonical("availability"))
        }
        if let payload = try? StatePingPayload(decoding: bytes) {
            accepted = true
            try require(payload.encoded == bytes, .notCanonical("state ping payload"))
        }
        return accepted
    }

    /// The columns, and the same bytes read by the schema.
    static func range(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.first == 0, let value = try? RangeValue(decoding: bytes) else { return false }
        try require(value.encoded == bytes, .notCanonical("range"))
        try sameBySchema(bytes, RangeValue.schema, "range")
        let key = RangeKey(anchor: Anchor(epoch: 1, hash: .zero), origin: .first, limit: .last, maxBytes: .max)
        guard let key else { throw .setup("a range key") }
        if (try? RangeCheck.verify(bytes, key: key, stateRoot: StateAccount.emptyRoot)) != nil {
            try require(value.leafCount == 0, .untruthAccepted("a range of an empty state"))
        }
        return true
    }

    static func sectionDiffs(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.first == 0, let value = try? SectionDiffsValue(decoding: bytes) else { return false }
        try require(value.encoded == bytes, .notCanonical("section diffs"))
        try sameBySchema(bytes, SectionDiffsValue.schema, "section diffs")
        return true
    }

    static func blockDiff(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let value = try? BlockDiffValue(decoding: bytes) else { return false }
        try sameBySchema(bytes, BlockDiffValue.schema, "block diff")
        guard
            let again = BlockDiffValue(
                header: value.header, certificate: value.certificate, sectionHashBefore: value.sectionHashBefore,
                changes: value.changes, codes: value.codes, pathProof: value.pathProof
            ).encoded
        else { throw .notRoundTrip("block diff without encoding") }
        // Codes are put in order when a value is made; a received one may have them otherwise, and is refused later.
        try require(again.count == bytes.count, .notRoundTrip("block diff"))
        try require(value.encoded == bytes, .notCanonical("block diff"))
        if let header = try? BlockHeader(rlp: value.header) {
            _ = try? BlockDiffCheck.verify(value, key: BlockDiffKey(point: header.point, section: 3), depth: 1)
        }
        return true
    }

    static func blockDiffs(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let value = try? BlockDiffsValue(decoding: bytes) else { return false }
        try sameBySchema(bytes, BlockDiffsValue.schema, "block diffs")
        try require(value.encoded == bytes, .notCanonical("block diffs"))
        let sections = value.changes.map { Section(of: $0.key.account, depth: 1).index }
        if let header = try? BlockHeader(rlp: value.header), let first = sections.first, let last = sections.last,
            let key = BlockDiffsKey(point: header.point, first: first, last: last),
            let claims = try? BlockDiffsCheck.verify(value, key: key, depth: 1)
        {
            // What can be taken apart is the same when it is joined again.
            let joined = BlockDiffsServer.join(claims.parts.map { ($0.section, $0.value) }, at: key.point)
            try require(joined.count == 1 && joined[0].key == key, .notRoundTrip("block diffs"))
        }
        return true
    }

    /// Diffs of either kind with the storage of some accounts alone: of every second account with slots, and of all.
    static func partialDiffs(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        if let value = try? BlockDiffsValue(decoding: bytes), let header = try? BlockHeader(rlp: value.header) {
            let (some, all) = keptStorages(value.changes)
            for kept in [some, all] {
                guard let key = BlockDiffsKey(point: header.point, first: 0, last: 15, keeping: kept),
                    let claims = try? BlockDiffsCheck.verify(value, key: key, depth: 1)
                else { continue }
                try requireAsked(claims.parts.flatMap(\.value.changes), of: kept, "block diffs")
            }
            return true
        }
        guard bytes.first == 0, let value = try? SectionDiffsValue(decoding: bytes) else { return false }
        let root = value.proof.first.map { Keccak.hash($0) } ?? StateAccount.emptyRoot
        let (from, to) = (StatePoint(number: 1, hash: .zero), StatePoint(number: 2, hash: .max))
        for kept in [KeptStorage.only([]), .only([.max])] {
            let key = DiffsKey(
                from: from, to: to, sections: Array(0..<16), maxBytes: .max, withProof: true, keeping: kept)
            guard let key else { throw .setup("a diffs key") }
            guard let diffs = try? DiffsCheck.verify(bytes, key: key, depth: 1, stateRoot: root) else { continue }
            try requireAsked(diffs.flatMap(\.changes), of: kept, "section diffs")
        }
        return true
    }

    /// Of accounts with slots every second one, and all, as far as one key can name them.
    private static func keptStorages(_ changes: [LeafChange]) -> (some: KeptStorage, all: KeptStorage) {
        let accounts = changes.filter { $0.key.slot != nil }.map(\.key.account)
        let named = Set(accounts).sorted().prefix(StateStoreLimits.keptStoragesPerSection)
        return (.only(named.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)), .only(named))
    }

    private static func requireAsked(
        _ changes: [LeafChange], of kept: KeptStorage, _ what: String
    ) throws(FuzzFailure) {
        let isAsked = changes.allSatisfy { $0.key.slot == nil || kept.keeps($0.key.account) }
        try require(isAsked, .untruthAccepted("\(what) with storage that was not asked for"))
    }

    /// Nodes are trusted by the hash of the first, so that the walk goes on where a random root would end it.
    static func crown(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let depth = bytes.first.map({ Int($0) % 5 }) else { return false }
        let body = Array(bytes.dropFirst())
        guard let elements = try? SSZ.decode(body, as: CrownValue.schema).elements,
            let root = try? elements.first.map({ node throws(SSZError) in Keccak.hash(try node.bytes) })
        else { return (try? CrownValue.verify([0] + body, stateRoot: .zero, depth: depth)) != nil }
        guard let crown = try? CrownValue.verify([0] + body, stateRoot: root, depth: depth) else { return false }
        let again = CrownValue.serve(crown)
        try require(again.count == body.count + 1, .notRoundTrip("crown"))
        let found = try? CrownValue.verify(again, stateRoot: root, depth: depth)
        try require(found?.nodes == crown.nodes, .notRoundTrip("crown"))
        for section in 0..<min(16, crown.sectionCount) {
            guard let hash = try? crown.sectionHash(section), let proof = try? crown.proofNodes(forSection: section)
            else { throw .readersDiffer("a section of a crown") }
            let path = Nibbles(section: section, depth: depth)
            try require(
                (try? SectionProof.sectionHash(root: root, proof: proof, section: path)) == hash,
                .readersDiffer("a section of a crown"))
        }
        return true
    }

    static func codes(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.first == 0, let list = try? SSZ.decode(bytes.dropFirst(), as: CodesValue.schema).elements else {
            guard let key = CodesKey(near: .zero, hashes: [.zero]) else { throw .setup("a codes key") }
            // Not a list by the schema: not one for the check either.
            let found = try? CodesValue.verify(bytes, key: key)
            try require(found == nil, .readersDiffer("codes"))
            return false
        }
        var codes: [[UInt8]] = []
        for element in list {
            guard let code = try? element.bytes else { throw .setup("a list of byte lists") }
            codes.append(code)
        }
        let hashes = codes.map { Keccak.hash($0) }
        guard let key = CodesKey(near: .zero, hashes: hashes.isEmpty ? [.zero] : hashes) else { return false }
        guard let found = try? CodesValue.verify(bytes, key: key) else { throw .truthRefused("codes") }
        try require(found.map(\.code) == codes, .readersDiffer("codes"))
        return true
    }

    /// Several sections: the columns, the same bytes read by the schema, and that nothing is believed of a state that
    /// has no leaves.
    static func sections(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.first == 0, let value = try? SectionsValue(decoding: bytes, from: 0) else { return false }
        try require(value.encoded(from: 0) == bytes, .notCanonical("sections"))
        try sameBySchema(bytes, SectionsValue.schema, "sections")
        let anchor = Anchor(epoch: 1, hash: .zero)
        guard let key = SectionsKey(anchor: anchor, sections: Array(0..<256), maxBytes: .max) else {
            throw .setup("a sections key")
        }
        if (try? SectionsCheck.verify(bytes, key: key, depth: 2, stateRoot: StateAccount.emptyRoot)) != nil {
            try require(value.leafCount == 0, .untruthAccepted("sections of an empty state"))
        }
        return true
    }

    /// The nodes of one place: believed where each is named by one above it, and then no other list is.
    static func subtrees(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        let place = StatePlace(account: Nibbles(section: 1, depth: 1))
        let anchor = Anchor(epoch: 1, hash: .zero)
        guard let key = SubtreesKey(anchor: anchor, places: [place], levels: 2, maxBytes: .max) else {
            throw .setup("a subtrees key")
        }
        let nodes = (try? SSZ.decode(bytes.dropFirst(), as: SubtreesValue.schema).elements)?.compactMap {
            try? $0.bytes
        }
        let hash = nodes?.first.map { Keccak.hash($0) } ?? .zero
        guard let found = try? SubtreesValue.verify(bytes, key: key, hashes: [hash]) else { return false }
        guard bytes.first == 0, let nodes else { throw .readersDiffer("subtree hashes") }
        try require(found.placeCount == 1 && found.nodes.count <= nodes.count, .readersDiffer("subtree hashes"))
        for node in nodes {
            try require(found.nodes[Keccak.hash(node)]?.encoded == node, .untruthAccepted("a node nobody named"))
        }
        return true
    }

    /// Entries in their one order, no account twice.
    static func wideDirectory(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let key = WideDirectoryKey(anchor: Anchor(epoch: 1, hash: .zero), sections: Array(0..<256)) else {
            throw .setup("a wide directory key")
        }
        guard let found = try? WideDirectoryValue.verify(bytes, key: key, depth: 2) else { return false }
        try require(WideDirectoryValue.serve(found) == bytes, .notCanonical("wide directory"))
        try require(Set(found.map(\.account)).count == found.count, .untruthAccepted("an account twice"))
        return true
    }

    /// Nodes under the root that the first of them gives: believed where each is named by one above it, and then no
    /// other list is.
    static func storageCrown(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        let anchor = Anchor(epoch: 1, hash: .zero)
        guard let key = StorageCrownKey(anchor: anchor, account: .zero, placement: 1, first: 0, last: 15) else {
            throw .setup("a storage crown key")
        }
        let nodes = (try? SSZ.decode(bytes.dropFirst(), as: StorageCrown.schema).elements)?.compactMap {
            try? $0.bytes
        }
        let root = nodes?.first.map { Keccak.hash($0) } ?? .zero
        let rule = Placement(sectionDepth: 1, wideDepth: 1)
        guard let crown = try? StorageCrown.verify(bytes, key: key, stateRoot: root, rule: rule) else { return false }
        guard bytes.first == 0, let nodes else { throw .readersDiffer("storage crown") }
        try require(Set(crown.nodes) == Set(nodes), .readersDiffer("storage crown"))
        return true
    }

    /// A node; a path in hex-prefix form; a subtree as the store writes it.
    static func trieNode(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        var accepted = false
        if let node = try? TrieNode(decoding: bytes) {
            accepted = true
            try require(node.encoded == bytes, .notCanonical("trie node"))
        }
        if let (path, isLeaf) = Nibbles.decodingCompact(bytes) {
            accepted = true
            try require(path.compact(isLeaf: isLeaf) == bytes, .notCanonical("hex prefix"))
        }
        if let subtree = try? Subtree(decoding: bytes) {
            accepted = true
            try require(subtree.encoded == bytes, .notCanonical("subtree"))
        }
        return accepted
    }

    private static func sameBySchema(_ bytes: [UInt8], _ schema: SSZType, _ what: String) throws(FuzzFailure) {
        guard let value = try? SSZ.decode(bytes.dropFirst(), as: schema) else { throw .readersDiffer(what) }
        let again = try? SSZ.encode(value, as: schema)
        try require(again.map { $0[...] } == bytes.dropFirst(), .readersDiffer(what))
    }
}
