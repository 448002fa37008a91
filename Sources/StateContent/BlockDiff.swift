import Chain
import MerklePatricia
import Primitives
import StateStore

/// The content of a block diff: what one block changed in one section, with all that is needed to believe it.
public struct BlockDiffValue: Hashable, Sendable {
    /// RLP of the block's header.
    public let header: [UInt8]
    /// The header's certificate as encoded; empty where it came without one.
    public private(set) var certificate: [UInt8]
    /// The section hash of the state the changes apply to: the one after the parent block.
    public let sectionHashBefore: Bytes32
    /// In flat order.
    public let changes: [LeafChange]
    /// Codes that changed accounts name and that were not there before, ascending by hash.
    public let codes: [[UInt8]]
    /// Nodes from the header's state root to the section.
    public let pathProof: [[UInt8]]

    public init(
        header: [UInt8], certificate: [UInt8], sectionHashBefore: Bytes32, changes: [LeafChange], codes: [[UInt8]],
        pathProof: [[UInt8]]
    ) {
        self.header = header
        self.certificate = certificate
        self.sectionHashBefore = sectionHashBefore
        self.changes = changes
        self.codes = codes.map { (Keccak.hash($0), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
        self.pathProof = pathProof
    }

    /// The same with those of its codes that `isKept` says yes to, by their hashes.
    public func keepingCodes(where isKept: (Bytes32) -> Bool) -> BlockDiffValue {
        codes.isEmpty
            ? self
            : BlockDiffValue(
                header: header, certificate: certificate, sectionHashBefore: sectionHashBefore, changes: changes,
                codes: codes.filter { isKept(Keccak.hash($0)) }, pathProof: pathProof)
    }

    /// The same with the storage and the code of these accounts alone. It is true of whoever keeps no more.
    public func keeping(_ kept: KeptStorage) -> BlockDiffValue {
        guard !kept.isAll else { return self }
        let own = changes.lazy.filter { $0.key.slot == nil && kept.keeps($0.key.account) }
        let named = Set(
            codes.isEmpty
                ? []
                : own.compactMap { change in
                    change.value.flatMap { $0.withUnsafeBytes { SlimBody($0)?.codeHash } }
                })
        return BlockDiffValue(
            header: header, certificate: certificate, sectionHashBefore: sectionHashBefore,
            changes: changes.filter { $0.key.slot == nil || kept.keeps($0.key.account) },
            codes: codes.filter { named.contains(Keccak.hash($0)) }, pathProof: pathProof)
    }

    /// The same with another certificate.
    public func certified(by certificate: [UInt8]) -> BlockDiffValue {
        var other = self
        other.certificate = certificate
        return other
    }

    static let certificateBytes = ChainLimits.certificateClaims * SignedClaim.byteCount

    /// The container after the status byte.
    package static let schema = SSZType.container([
        ("section_hash_before", .bytes32), ("header", .byteList(ChainLimits.headerBytes)),
        ("certificate", .byteList(certificateBytes)), ("changes", ChangeColumns.schema),
        ("codes", .list(.byteList(ChainLimits.codeBytes), limit: StateContentLimits.blockCodes)),
        ("path_proof", .list(.byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.pathProofNodes)),
    ])

    /// Bytes of `encoded`; nil where that is nil.
    public var encodedCount: Int? {
        guard isWithinLimits, let columns = ChangeColumns(changes) else { return nil }
        let count =
            1 + 32 + 5 * 4 + header.count + certificate.count + columns.encodedCount
            + (codes + pathProof).reduce(0) { $0 + 4 + $1.count }
        return count <= StateContentLimits.answerBytes ? count : nil
    }

    private var isWithinLimits: Bool {
        header.count <= ChainLimits.headerBytes && certificate.count <= Self.certificateBytes
            && codes.count <= StateContentLimits.blockCodes
            && codes.allSatisfy { $0.count <= ChainLimits.codeBytes }
            && pathProof.count <= StateContentLimits.pathProofNodes
            && pathProof.allSatisfy { $0.count <= StateContentLimits.nodeBytes }
    }

    /// The value, status byte included; nil where it would break a limit or the changes are not in their wire form.
    public var encoded: [UInt8]? {
        guard isWithinLimits, let columns = ChangeColumns(changes) else { return nil }
        let bytes =
            [0]
            + ColumnWriter.container(
                fixed: sectionHashBefore.bytes,
                [header, certificate, columns.encoded, ColumnWriter.items(codes), ColumnWriter.items(pathProof)])
        return bytes.count <= StateContentLimits.answerBytes ? bytes : nil
    }

    /// Reads a whole value. Layout, order and limits are checked, nothing is believed yet.
    public init(decoding value: [UInt8]) throws(DiffError) {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        do throws(SSZError) {
            let reader = ColumnReader(bytes: value)
            let fields = try reader.container(1..<value.count, fixed: 32, count: 5)
            guard fields[0].count <= ChainLimits.headerBytes, fields[1].count <= Self.certificateBytes else {
                throw .overLimit
            }
            sectionHashBefore = reader.bytes32(at: 1)
            header = Array(value[fields[0]])
            certificate = Array(value[fields[1]])
            changes = try ChangeColumns(reader, fields[2]).changes
            codes = try reader.byteLists(
                fields[3], limit: StateContentLimits.blockCodes, itemLimit: ChainLimits.codeBytes)
            pathProof = try reader.byteLists(
                fields[4], limit: StateContentLimits.pathProofNodes, itemLimit: StateContentLimits.nodeBytes)
        } catch {
            throw .malformed(error)
        }
    }
}

/// Checks block diffs.
public enum BlockDiffCheck {
    /// What a diff says of its block, as far as it proves that by itself.
    public struct Claims: Sendable {
        /// The header whose hash is in the key. Whether the chain's rule stands behind it is not judged here.
        public let header: CertifiedHeader
        /// The section hash after the block, by the path proof under the header's state root.
        public let sectionHashAfter: Bytes32
        /// Of a part: its account after the block, in slim form; empty where it is gone.
        public let owner: [UInt8]?

        init(header: CertifiedHeader, sectionHashAfter: Bytes32, owner: [UInt8]? = nil) {
            self.header = header
            self.sectionHashAfter = sectionHashAfter
            self.owner = owner
        }
    }

    /// The header that a diff comes with, where it is the key's and its certificate can be read. It costs no more than
    /// to read the header; the rest is for `verify`.
    public static func header(
        of value: BlockDiffValue, key: BlockDiffKey, depth: Int
    ) throws(DiffError) -> CertifiedHeader {
        guard (0..<Section.count(depth: key.trie.depth(depth))).contains(key.section) else { throw .wrongSections }
        return try header(value.header, certificate: value.certificate, of: key.point)
    }

    /// The header of the block named in a key, with the certificate that came beside it, if any.
    static func header(
        _ rlp: [UInt8], certificate: [UInt8], of point: StatePoint
    ) throws(DiffError) -> CertifiedHeader {
        guard case .success(let header) = Result(catching: { try BlockHeader(rlp: rlp) }), header.point == point
        else { throw .wrongHeader }
        guard !certificate.isEmpty else { return CertifiedHeader(header: header) }
        do throws(ChainError) {
            return CertifiedHeader(header: header, certificate: try Certificate(decoding: certificate))
        } catch {
            throw .malformedCertificate(error)
        }
    }

    /// Checks header, certificate encoding and path proof against the key.
    public static func verify(
        _ value: BlockDiffValue, key: BlockDiffKey, depth: Int
    ) throws(DiffError) -> Claims {
        let header = try header(of: value, key: key, depth: depth)
        if case .storage(let account, let placement) = key.trie {
            let proof = try parts(
                [key.section], of: account, Int(placement), changes: value.changes, codes: value.codes,
                proof: value.pathProof, under: header)
            return Claims(
                header: header, sectionHashAfter: proof.hashes[0], owner: value.changes.first?.value ?? [])
        }
        do throws(ProofError) {
            let hash = try SectionProof.sectionHash(
                root: header.header.stateRoot, proof: value.pathProof,
                section: Section(depth: depth, index: key.section).path)
            return Claims(header: header, sectionHashAfter: hash)
        } catch {
            throw .proof(error)
        }
    }

    /// The same of parts of a storage trie: the way leads through their account, and the changes begin with that.
    static func parts(
        _ parts: [Int], of account: Bytes32, _ placement: Int, changes: [LeafChange], codes: [[UInt8]],
        proof nodes: [[UInt8]], under header: CertifiedHeader
    ) throws(DiffError) -> PartsProof {
        let proof: PartsProof
        do throws(ProofError) {
            proof = try PartsProof(
                nodes,
                for: PartsProof.Question(
                    root: header.header.stateRoot, account: account, depth: placement, parts: parts, placement: nil)
            ) { try? StateAccount(rlp: $0).storageRoot }
        } catch {
            throw .proof(error)
        }
        let owner = proof.account.flatMap { try? StateAccount(rlp: $0).slim }
        guard let first = changes.first, first.key == FlatKey(account: account), first.value == owner,
            changes.dropFirst().allSatisfy({ $0.key.slot != nil }), codes.isEmpty
        else { throw .wrongOwner(account: account) }
        return proof
    }

    /// Applies the changes to the view, which holds the section at `sectionHashBefore`, compares the outcome with the
    /// proven hash, and pairs the codes with their hashes. Codes that are missing are for the caller to ask for.
    /// `from`: see `DiffsCheck.apply`. A code that is not new to the section is an error, unless `leavingKnownCodes`:
    /// those that came for several sections may be new to another. `kept`: whose storage the view has.
    public static func apply<Snapshot: StoreSnapshot>(
        _ value: BlockDiffValue, to section: Section, expecting hash: Bytes32, from before: Bytes32? = nil,
        leavingKnownCodes: Bool = false, keeping kept: KeptStorage = .all, in view: inout StateView<Snapshot>
    ) throws -> (update: SectionUpdate, codes: [(hash: Bytes32, code: [UInt8])]) {
        let changes = try DiffsCheck.changes(value.changes, of: section, in: view)
        let update = try DiffsCheck.apply(
            changes, to: section, expecting: hash, from: before, keeping: kept, in: &view)
        let named = Set(update.newCodeHashes)
        var codes: [(hash: Bytes32, code: [UInt8])] = []
        for code in value.codes {
            let hash = Keccak.hash(code)
            if leavingKnownCodes, !named.contains(hash) { continue }
            guard named.contains(hash), codes.last.map({ $0.hash < hash }) ?? true else {
                throw DiffError.unexpectedCode(hash)
            }
            codes.append((hash, code))
        }
        return (update, codes)
    }
}
