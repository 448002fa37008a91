import Chain
import Discovery
import MerklePatricia
import Primitives
import StateStore

// A coverage certificate: what a node says that it holds, in a form in which whoever reads it can tell apart
//
//   what is proven     the block is one that the network believes (headers with their certificates), and these section
//                      hashes are those of the state under its root (trie nodes from the root to the sections);
//   what is said       that the node had the sections whole, had read them back and hashed them, and when. It is signed
//                      with the node's key, so nobody else said it. Whoever doubts it asks the node for ranges.
//
// The signature covers everything before it, and everything is read strictly: no byte can be changed.

/// Why a coverage certificate is refused.
public enum CoverageError: Error, Equatable, Sendable {
    /// It does not begin as a certificate of this version does.
    case notACertificate
    case malformed(SSZError)
    /// A field whose value cannot be.
    case invalid(field: String)
    /// It is of another network: this field differs.
    case anotherNetwork(field: String)
    case signature
    /// Its headers do not show that the block is believed.
    case line(LineError)
    /// Its trie nodes do not lead from the state root to these sections.
    case proof(ProofError)
    /// A section that hashes to something else under the state root.
    case sectionHash(section: Int, expected: Bytes32, found: Bytes32)
}

extension CoverageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notACertificate: "is no coverage certificate of this version"
        case .malformed(let error): "the certificate does not decode: \(error)"
        case .invalid(let field): "the certificate's \(field) cannot be"
        case .anotherNetwork(let field): "the certificate is of another network: its \(field) differs"
        case .signature: "the certificate was changed, or is not signed by the key that it names"
        case .line(let error): "the certificate's block is not believed: \(error)"
        case .proof(let error): "the certificate's section hashes are not proven: \(error)"
        case .sectionHash(let section, let expected, let found):
            "section \(section) is said to hash to \(found), but is \(expected) under the state root"
        }
    }
}

/// What a node says that it holds, at one block.
public struct HeldCoverage: Hashable, Sendable {
    /// A section that is held whole.
    public struct Held: Hashable, Sendable {
        /// Its number.
        public let index: Int
        /// What it hashes to.
        public let hash: Bytes32

        public init(index: Int, hash: Bytes32) {
            self.index = index
            self.hash = hash
        }
    }

    /// Of which chain it is.
    public let context: ClaimContext
    public let epochLength: UInt64
    public let sectionDepth: Int
    /// The block at which the sections stand.
    public let point: StatePoint
    /// Headers that show that the network believes it.
    public let line: AttestedLine
    /// Of which accounts storage and code is held.
    public let kept: KeptStorage
    /// Ascending, at least one.
    public let sections: [Held]
    /// The trie nodes from the state root to exactly these sections, each once.
    public let proof: [[UInt8]]
    /// When it was said.
    public let unixSeconds: UInt64

    /// What is held of this network.
    public init(
        of network: NetworkConfiguration, at point: StatePoint, line: AttestedLine, keeping kept: KeptStorage,
        sections: [Held], proof: [[UInt8]], unixSeconds: UInt64
    ) {
        context = ClaimContext(network)
        epochLength = network.epochLength
        sectionDepth = network.sectionDepth
        self.point = point
        self.line = line
        self.kept = kept
        self.sections = sections
        self.proof = proof
        self.unixSeconds = unixSeconds
    }

    package static let schema = SSZType.container([
        ("chain_id", .uint64), ("genesis_hash", .bytes32), ("epoch_length", .uint64), ("section_depth", .uint8),
        ("number", .uint64), ("hash", .bytes32), ("headers", AttestedLine.schema),
        ("storage_of", .union([nil, .list(.bytes32, limit: StateStoreLimits.keptStorages)])),
        ("sections", .list(.uint32, limit: StateContentLimits.stretchSections)),
        ("section_hashes", .list(.bytes32, limit: StateContentLimits.stretchSections)),
        ("proof", .list(.byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.crownNodes)),
        ("time", .uint64), ("public_key", .byteVector(33)),
    ])

    /// The bytes of `schema`, with the key of who says it.
    func encoded(by key: PublicKey) throws(SSZError) -> [UInt8] {
        let storageOf = kept.accounts.map { SSZValue.elements($0.map { .bytes32($0) }) }
        return try SSZ.encode(
            .fields([
                .integer(context.chainID), .bytes32(context.genesisHash), .integer(epochLength),
                .integer(UInt64(sectionDepth)),
                .integer(point.number), .bytes32(point.hash), line.value,
                .union(selector: storageOf == nil ? 0 : 1, storageOf),
                .elements(sections.map { .integer(UInt64($0.index)) }),
                .elements(sections.map { .bytes32($0.hash) }), .elements(proof.map { .bytes($0) }),
                .integer(unixSeconds), .bytes(key.compressed),
            ]), as: HeldCoverage.schema)
    }

    fileprivate init(_ fields: [SSZValue]) throws {
        context = ClaimContext(chainID: try fields[0].uint64, genesisHash: try fields[1].bytes32)
        epochLength = try fields[2].uint64
        sectionDepth = Int(try fields[3].uint64)
        guard (1...ChainLimits.sectionDepth).contains(sectionDepth) else {
            throw CoverageError.invalid(field: "section_depth")
        }
        point = StatePoint(number: try fields[4].uint64, hash: try fields[5].bytes32)
        do throws(LineError) { line = try AttestedLine(fields[6]) } catch { throw CoverageError.line(error) }
        let accounts = try fields[7].union.value.map { try $0.elements.map { try $0.bytes32 } }
        kept = accounts.map { KeptStorage.only($0) } ?? .all
        guard kept.accounts == accounts else { throw CoverageError.invalid(field: "storage_of") }
        let (indices, hashes) = (try fields[8].elements, try fields[9].elements)
        guard indices.count == hashes.count else { throw CoverageError.invalid(field: "section_hashes") }
        sections = try zip(indices, hashes).map { Held(index: Int(try $0.uint64), hash: try $1.bytes32) }
        let isOrdered = zip(sections, sections.dropFirst()).allSatisfy { $0.index < $1.index }
        guard let last = sections.last, isOrdered, last.index < Section.count(depth: sectionDepth) else {
            throw CoverageError.invalid(field: "sections")
        }
        proof = try fields[10].elements.map { try $0.bytes }
        unixSeconds = try fields[11].uint64
    }
}

/// HeldCoverage, and whose word it is.
public struct CoverageCertificate: Hashable, Sendable {
    public let coverage: HeldCoverage
    /// The node's key.
    public let key: PublicKey
    /// 64 bytes, over all that stands before it.
    public let signature: [UInt8]
    private let body: [UInt8]

    /// What the file begins with.
    static let magic = Array("carousel coverage 1\n".utf8)
    /// What is signed begins with this, so that the signature means nothing anywhere else.
    private static let domain = Array("carousel coverage certificate v1".utf8)
    private static let signatureBytes = 64

    /// Signs with the node's key. Throws where there is more of something than a certificate may have.
    public init(_ coverage: HeldCoverage, by key: IdentityKey) throws(CoverageError) {
        do throws(SSZError) {
            body = try coverage.encoded(by: key.publicKey)
        } catch {
            throw .malformed(error)
        }
        self.coverage = coverage
        self.key = key.publicKey
        signature = key.sign(CoverageCertificate.digest(body))
    }

    private static func digest(_ body: [UInt8]) -> Bytes32 { Keccak.hash(domain + body) }

    /// The file: how it begins, the container, the signature.
    public var encoded: [UInt8] { CoverageCertificate.magic + body + signature }

    /// Reads a file, strictly, and checks the signature. What is proven is checked by `verify`.
    public init(decoding bytes: [UInt8]) throws(CoverageError) {
        let (magic, end) = (CoverageCertificate.magic, bytes.count - CoverageCertificate.signatureBytes)
        guard bytes.starts(with: magic), end > magic.count else { throw .notACertificate }
        guard bytes.count <= StateContentLimits.coverageBytes else { throw .malformed(.overLimit) }
        body = Array(bytes[magic.count..<end])
        signature = Array(bytes[end...])
        do {
            let fields = try SSZ.decode(body, as: HeldCoverage.schema).fields
            guard let key = PublicKey(compressed: try fields[12].bytes) else {
                throw CoverageError.invalid(field: "public_key")
            }
            self.key = key
            coverage = try HeldCoverage(fields)
        } catch let error as CoverageError {
            throw error
        } catch {
            throw .malformed(error as? SSZError ?? .wrongShape)
        }
        guard key.verifies(signature, digest: CoverageCertificate.digest(body)) else { throw .signature }
    }

    /// Checks what is proven, for a node of this network: block, root and section hashes. What is left is the node's
    /// word.
    public func verify(for network: NetworkConfiguration) throws(CoverageError) -> LineStanding {
        guard coverage.context.chainID == network.chainID else { throw .anotherNetwork(field: "chain id") }
        guard coverage.context.genesisHash == network.genesisHash else { throw .anotherNetwork(field: "genesis hash") }
        guard coverage.sectionDepth == network.sectionDepth else { throw .anotherNetwork(field: "section depth") }
        guard coverage.epochLength == network.epochLength else { throw .anotherNetwork(field: "epoch length") }
        let standing: LineStanding
        do throws(LineError) {
            standing = try coverage.line.verify(coverage.point, of: network)
        } catch {
            throw .line(error)
        }
        var hashes: [Bytes32] = []
        do throws(ProofError) {
            let crown = try Crown(
                pathProof: coverage.proof, root: standing.header.stateRoot, depth: coverage.sectionDepth,
                sections: coverage.sections.map(\.index))
            for held in coverage.sections { hashes.append(try crown.sectionHash(held.index)) }
        } catch {
            throw .proof(error)
        }
        for (held, expected) in zip(coverage.sections, hashes) where held.hash != expected {
            throw .sectionHash(section: held.index, expected: expected, found: held.hash)
        }
        return standing
    }
}
