// Block diffs, in the plural: what one block changed in a stretch of the ring.
//
// A block diff of one section repeats the block's header, its certificate and the nodes above the section, which many
// sections share and which outweigh one or two changed leaves by ten. Here each of these stands once. Which sections
// are changed, and where one ends, is said by the account keys; so no list of sections can contradict them. Taken
// apart, it gives for every section what a block diff of that section says: after that there is one rule for both.

import Chain
import MerklePatricia
import Primitives
import StateStore

/// The content of block diffs: what one block changed in a stretch of the ring, with all that is needed to believe it.
public struct BlockDiffsValue: Hashable, Sendable {
    /// RLP of the block's header.
    public let header: [UInt8]
    /// The header's certificate as encoded; empty where it came without one.
    public let certificate: [UInt8]
    /// For each changed section, in order, the section hash of the state that its changes apply to.
    public let sectionHashesBefore: [Bytes32]
    /// Of all changed sections, in flat order.
    let columns: ChangeColumns
    /// Codes that changed accounts name and that were not there before, ascending by hash.
    public let codes: [[UInt8]]
    /// The nodes from the header's state root to the changed sections, each once.
    public let proof: [[UInt8]]

    /// The container after the status byte.
    package static let schema = SSZType.container([
        ("header", .byteList(ChainLimits.headerBytes)), ("certificate", .byteList(BlockDiffValue.certificateBytes)),
        ("section_hashes_before", .list(.bytes32, limit: StateContentLimits.stretchSections)),
        ("changes", ChangeColumns.schema),
        ("codes", .list(.byteList(ChainLimits.codeBytes), limit: StateContentLimits.blockCodes)),
        ("proof", .list(.byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.crownNodes)),
    ])

    init(
        header: [UInt8], certificate: [UInt8], sectionHashesBefore: [Bytes32], columns: ChangeColumns,
        codes: [[UInt8]], proof: [[UInt8]]
    ) {
        self.header = header
        self.certificate = certificate
        self.sectionHashesBefore = sectionHashesBefore
        self.columns = columns
        self.codes = codes
        self.proof = proof
    }

    /// The changes of all sections, in flat order.
    public var changes: [LeafChange] { columns.changes }

    /// The value, status byte included.
    public var encoded: [UInt8] {
        [0]
            + ColumnWriter.container([
                header, certificate, ColumnWriter.hashes(sectionHashesBefore), columns.encoded,
                ColumnWriter.items(codes), ColumnWriter.items(proof),
            ])
    }

    /// Reads a whole value. Layout, order and limits are checked, nothing is believed yet.
    public init(decoding value: [UInt8]) throws(DiffError) {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= StateContentLimits.offeredDiffBytes else { throw .overMaxBytes(value.count) }
        do throws(SSZError) {
            let reader = ColumnReader(bytes: value)
            let fields = try reader.container(1..<value.count, fixed: 0, count: 6)
            guard fields[0].count <= ChainLimits.headerBytes, fields[1].count <= BlockDiffValue.certificateBytes
            else { throw .overLimit }
            header = Array(value[fields[0]])
            certificate = Array(value[fields[1]])
            sectionHashesBefore = try reader.hashes(fields[2], limit: StateContentLimits.stretchSections)
            columns = try ChangeColumns(reader, fields[3])
            codes = try reader.byteLists(
                fields[4], limit: StateContentLimits.blockCodes, itemLimit: ChainLimits.codeBytes)
            proof = try reader.byteLists(
                fields[5], limit: StateContentLimits.crownNodes, itemLimit: StateContentLimits.nodeBytes)
        } catch {
            throw .malformed(error)
        }
    }
}

/// Makes block diffs out of those of single sections.
public enum BlockDiffsServer {
    /// The diffs of one block, in the order of their sections, joined: one stretch, or several where one would be more
    /// than an offer or a value may bring. A section whose diff alone is too much is left out, and a part whose diff
    /// has no slots. Each with its key, as it goes on the wire. Of the certificates, all of which hold, the one with
    /// most claims is taken.
    public static func join(
        _ diffs: [(section: Int, value: BlockDiffValue)], of trie: StateTrie = .accounts, at point: StatePoint,
        limit: Int = StateContentLimits.blockDiffsBytes
    ) -> [(key: BlockDiffsKey, value: [UInt8])] {
        let certificate = diffs.map(\.value.certificate).max { $0.count < $1.count } ?? []
        var stretches: [(key: BlockDiffsKey, value: [UInt8])] = []
        var stretch = Stretch(of: trie, certificate: certificate)
        for (section, diff) in diffs where holds(diff, of: trie) {
            guard let columns = ChangeColumns(diff.changes), columns.leafCount > 0 else { continue }
            if !stretch.add(diff, columns, of: section, limit: limit) {
                if let done = stretch.finished(at: point) { stretches.append(done) }
                stretch = Stretch(of: trie, certificate: certificate)
                _ = stretch.add(diff, columns, of: section, limit: limit)
            }
        }
        if let done = stretch.finished(at: point) { stretches.append(done) }
        return stretches
    }

    /// Whether a diff can be told in a stretch. Which part changes are of is said by their slots; where the account is
    /// gone, there are none.
    public static func holds(_ diff: BlockDiffValue, of trie: StateTrie) -> Bool {
        trie == .accounts || diff.changes.count > 1
    }

    /// One stretch while it grows.
    private struct Stretch {
        let trie: StateTrie
        let certificate: [UInt8]
        private var header: [UInt8] = []
        private var sections: [Int] = []
        private var hashes: [Bytes32] = []
        private var columns = ChangeColumns()
        private var codes: [Bytes32: [UInt8]] = [:]
        private var proof: [[UInt8]] = []
        private var lastPath: [[UInt8]] = []
        /// Status byte, offsets, and the offsets of the changes.
        private var byteCount = 1 + 4 * (6 + ChangeColumns.columnCount)

        init(of trie: StateTrie, certificate: [UInt8]) {
            self.trie = trie
            self.certificate = certificate
            byteCount += certificate.count
        }

        /// Adds a section's diff; false where it does not fit.
        mutating func add(
            _ diff: BlockDiffValue, _ more: ChangeColumns, of section: Int, limit: Int
        ) -> Bool {
            let nodes = diff.pathProof.nodes(notOn: lastPath)
            let new = diff.codes.map { (hash: Keccak.hash($0), code: $0) }.filter { codes[$0.hash] == nil }
            var growth = 32 + more.encodedCount - 4 * ChangeColumns.columnCount
            if columns.repeated(in: more) > 0 { growth -= 36 + more.bodies.range(at: 0).count }
            growth += nodes.reduce(0) { $0 + 4 + $1.count } + new.reduce(0) { $0 + 4 + $1.code.count }
            if sections.isEmpty { growth += diff.header.count }
            guard byteCount + growth <= limit, columns.leafCount + more.leafCount <= StateContentLimits.leaves,
                sections.count < StateContentLimits.stretchSections,
                codes.count + new.count <= StateContentLimits.blockCodes,
                proof.count + nodes.count <= StateContentLimits.crownNodes
            else { return false }
            if sections.isEmpty { header = diff.header }
            byteCount += growth
            sections.append(section)
            hashes.append(diff.sectionHashBefore)
            columns.append(more)
            for (hash, code) in new { codes[hash] = code }
            proof += nodes
            lastPath = diff.pathProof
            return true
        }

        /// The key and the value; nil where it has no section.
        func finished(at point: StatePoint) -> (key: BlockDiffsKey, value: [UInt8])? {
            guard let first = sections.first, let last = sections.last,
                let key = BlockDiffsKey(trie: trie, point: point, first: first, last: last)
            else { return nil }
            let value = BlockDiffsValue(
                header: header, certificate: certificate, sectionHashesBefore: hashes, columns: columns,
                codes: codes.sorted { $0.key < $1.key }.map(\.value), proof: proof)
            return (key, value.encoded)
        }
    }
}

extension [[UInt8]] {
    /// Of the nodes on the way to a section those that are not on the way to the one before: sections come in order, so
    /// a node that was there earlier is on the last one's way too.
    package func nodes(notOn last: [[UInt8]]) -> ArraySlice<[UInt8]> {
        self[zip(self, last).prefix { $0 == $1 }.count...]
    }
}

/// Takes block diffs apart and checks what they say by themselves.
public enum BlockDiffsCheck {
    /// What they say of one section.
    public struct Part: Sendable {
        public let section: Int
        /// As a block diff of this section alone would say it. Its codes are those that its accounts name: one that was
        /// there before may be among them.
        public let value: BlockDiffValue
        /// The section hash after the block, by the proof under the header's state root.
        public let sectionHashAfter: Bytes32
        /// Bytes that it adds to the value that it came in.
        public let byteCount: Int
    }

    /// What they say of their block, as far as they prove that by themselves.
    public struct Claims: Sendable {
        /// The header whose hash is in the key. Whether the chain's rule stands behind it is not judged here.
        public let header: CertifiedHeader
        /// One a section, in order.
        public let parts: [Part]
    }

    /// Checks header, certificate encoding, stretch, codes and proof against the key, the cheap things first.
    public static func verify(
        _ value: BlockDiffsValue, key: BlockDiffsKey, depth: Int
    ) throws(DiffError) -> Claims {
        let sectionDepth = key.trie.depth(depth)
        guard key.last < Section.count(depth: sectionDepth) else { throw .wrongSections }
        let header = try BlockDiffCheck.header(value.header, certificate: value.certificate, of: key.point)
        let changes = value.changes
        let runs = runs(of: changes, in: key.trie, depth: sectionDepth)
        guard let first = runs.first?.section, let last = runs.last?.section, key.stretch.contains(first),
            key.stretch.contains(last), !key.kept.isAll || first == key.first && last == key.last
        else { throw .wrongSections }
        try DiffError.requireAsked(changes, of: key.kept)
        guard runs.count == value.sectionHashesBefore.count else {
            throw .wrongHashCount(sections: runs.count, hashes: value.sectionHashesBefore.count)
        }
        let codes = try Codes(value, changes, keeping: key.kept)
        let sections = runs.map(\.section)
        let proven: [(hash: Bytes32, path: [[UInt8]])]
        // What every part of a storage trie says first.
        var owner: [LeafChange] = []
        if let account = key.trie.owner {
            let proof = try BlockDiffCheck.parts(
                sections, of: account, sectionDepth, changes: changes, codes: value.codes, proof: value.proof,
                under: header)
            proven = zip(proof.hashes, proof.ways).map { ($0, proof.accountNodes + $1) }
            owner = Array(changes.prefix(1))
        } else {
            do throws(ProofError) {
                proven = try SectionProof.sectionHashes(
                    root: header.header.stateRoot, proof: value.proof, sections: sections, depth: depth)
            } catch {
                throw .proof(error)
            }
        }
        var parts: [Part] = []
        parts.reserveCapacity(runs.count)
        var lastPath: [[UInt8]] = []
        for (place, run) in runs.enumerated() {
            let (hash, path) = proven[place]
            let diff = BlockDiffValue(
                header: value.header, certificate: value.certificate,
                sectionHashBefore: value.sectionHashesBefore[place], changes: owner + changes[run.changes],
                codes: codes.named(by: changes[run.changes]), pathProof: path)
            var bytes =
                path.nodes(notOn: lastPath).reduce(32) { $0 + $1.count } + diff.codes.reduce(0) { $0 + $1.count }
            bytes += diff.changes.reduce(0) { $0 + 36 + ($1.value?.count ?? 1) }
            if place == 0 { bytes += value.header.count + value.certificate.count }
            parts.append(Part(section: run.section, value: diff, sectionHashAfter: hash, byteCount: bytes))
            lastPath = path
        }
        return Claims(header: header, parts: parts)
    }

    /// Where the changes of each section stand. Those of parts are slots; the account before them is of none.
    private static func runs(
        of changes: [LeafChange], in trie: StateTrie, depth: Int
    ) -> [(section: Int, changes: Range<Int>)] {
        var runs: [(section: Int, changes: Range<Int>)] = []
        for (place, change) in changes.enumerated() {
            let position = trie == .accounts ? change.key.account : change.key.slot
            guard let section = position.map({ Section(of: $0, depth: depth).index }) else { continue }
            if runs.last?.section == section {
                runs[runs.count - 1].changes = runs[runs.count - 1].changes.lowerBound..<(place + 1)
            } else {
                runs.append((section, place..<(place + 1)))
            }
        }
        return runs
    }

    /// The codes that came, by hash.
    private struct Codes {
        private var byHash: [Bytes32: [UInt8]] = [:]

        /// Throws where one stands twice, out of order, or is named by no changed account whose code was asked for.
        init(_ value: BlockDiffsValue, _ changes: [LeafChange], keeping kept: KeptStorage) throws(DiffError) {
            guard !value.codes.isEmpty else { return }
            let named = Set(changes.filter { kept.keeps($0.key.account) }.compactMap(Codes.hash))
            var last: Bytes32?
            for code in value.codes {
                let hash = Keccak.hash(code)
                guard named.contains(hash), last.map({ $0 < hash }) ?? true else { throw .unexpectedCode(hash) }
                byHash[hash] = code
                last = hash
            }
        }

        /// Those that these accounts name.
        func named(by changes: ArraySlice<LeafChange>) -> [[UInt8]] {
            byHash.isEmpty ? [] : Set(changes.compactMap(Codes.hash)).compactMap { byHash[$0] }
        }

        /// The code hash of a changed account. A body that cannot be read names none: applied, it costs the sender.
        private static func hash(_ change: LeafChange) -> Bytes32? {
            guard change.key.slot == nil, let body = change.value else { return nil }
            return (try? StateAccount(slim: body))?.codeHash
        }
    }
}
