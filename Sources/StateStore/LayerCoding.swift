import Chain
import MerklePatricia
import Primitives

// How updates and layers are stored. Only what this node wrote is read, but a damaged disk must not trap: every count
// is checked against what is left.

extension BlockLayer {
    /// The layer as it is stored.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.append(point: point)
        writer.append(point: parent)
        writer.append(sectionHashBefore)
        writer.append(sectionHashAfter)
        update.append(to: &writer)
        writer.append(varint: UInt32(clamping: pathProof.count))
        for node in pathProof { writer.appendVarintPrefixed(node) }
        return writer.bytes
    }

    /// Reads what `encoded` gives.
    public init(decoding bytes: [UInt8]) throws(StoreError) {
        do {
            var reader = ByteReader(bytes)
            let point = try reader.point()
            let parent = try reader.point()
            let before = try reader.bytes32()
            let after = try reader.bytes32()
            let update = try SectionUpdate(reading: &reader)
            var proof: [[UInt8]] = []
            for _ in 0..<(try reader.count(itemsOf: 1)) {
                proof.append(try reader.varintPrefixed(limit: reader.remaining))
            }
            try reader.finish()
            self.init(
                section: update.section, point: point, parent: parent, sectionHashBefore: before,
                sectionHashAfter: after, update: update, pathProof: proof)
        } catch {
            throw .corrupt(table: .layers)
        }
    }
}

extension SectionUpdate {
    func append(to writer: inout ByteWriter) {
        writer.append(section: section)
        writer.appendVarintPrefixed(subtreeAfter.encoded)
        writer.append(changes: leaves) { writer, key in writer.append(flatKey: key) }
        writer.append(changes: accountBranches) { writer, path in writer.append(path: path) }
        writer.append(changes: storageBranches) { writer, key in
            writer.append(key.account)
            writer.append(path: key.path)
        }
        writer.append(varint: UInt32(clamping: newCodeHashes.count))
        for hash in newCodeHashes { writer.append(hash) }
    }

    init(reading reader: inout ByteReader) throws {
        let section = try reader.section()
        let subtree = try Subtree(decoding: try reader.varintPrefixed(limit: reader.remaining))
        guard section.mayHave(subtree) else { throw ByteError.notCanonical }
        let leaves = try reader.changes { (reader) throws(ByteError) in try reader.flatKey() }
        let accountBranches = try reader.changes { (reader) throws(ByteError) in try reader.path() }
        let storageBranches = try reader.changes { (reader) throws(ByteError) in
            StorageBranchKey(account: try reader.bytes32(), path: try reader.path())
        }
        var hashes: [Bytes32] = []
        for _ in 0..<(try reader.count(itemsOf: 32)) { hashes.append(try reader.bytes32()) }
        self.init(
            section: section, subtreeAfter: subtree, leaves: leaves,
            accountBranches: accountBranches, storageBranches: storageBranches, newCodeHashes: hashes)
    }
}

/// Set in the depth of a part, whose owner follows.
private let partFlag: UInt8 = 0x80

extension ByteWriter {
    mutating func append(section: Section) {
        append(uint8: UInt8(truncatingIfNeeded: section.depth) | (section.owner == nil ? 0 : partFlag))
        if let owner = section.owner { append(owner) }
        append(bigEndian: UInt32(truncatingIfNeeded: section.index))
    }

    mutating func append<Key>(changes: [EntryChange<Key>], _ appendKey: (inout ByteWriter, Key) -> Void) {
        append(varint: UInt32(clamping: changes.count))
        for change in changes {
            appendKey(&self, change.key)
            append(optionalValue: change.before)
            append(optionalValue: change.after)
        }
    }
}

extension ByteReader {
    mutating func section() throws(ByteError) -> Section {
        let first = try uint8()
        let owner = first & partFlag == 0 ? nil : try bytes32()
        let depth = Int(first & ~partFlag)
        let index = Int(try uint32BigEndian())
        guard depth <= 7, index < Section.count(depth: depth) else { throw .notCanonical }
        return Section(depth: depth, index: index, of: owner)
    }

    mutating func changes<Key>(
        _ readKey: (inout ByteReader) throws(ByteError) -> Key
    ) throws(ByteError) -> [EntryChange<Key>] {
        var changes: [EntryChange<Key>] = []
        for _ in 0..<(try count(itemsOf: 3)) {
            let key = try readKey(&self)
            changes.append(EntryChange(key: key, before: try optionalValue(), after: try optionalValue()))
        }
        return changes
    }
}
