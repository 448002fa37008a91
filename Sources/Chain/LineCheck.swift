import Primitives

/// Why headers do not show that the network believes a block.
public enum LineError: Error, Equatable, Sendable {
    /// The encoding is not what it must be.
    case malformed(SSZError)
    /// A header or a certificate does not decode, the headers do not join, or a signature does not fit.
    case chain(ChainError)
    /// The headers begin neither at the checkpoint nor, where votes decide, at the block itself.
    case beginsElsewhere(StatePoint)
    /// The block is not among the headers.
    case lacks(StatePoint)
    /// What came with the headers does not make the rule believe the block.
    case notAttested(StatePoint)
}

extension LineError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let error): "the headers do not decode: \(error)"
        case .chain(let error): "\(error)"
        case .beginsElsewhere(let point): "the headers begin at block \(point), which the network does not start from"
        case .lacks(let point): "block \(point) is not among the headers"
        case .notAttested(let point): "the headers do not show that the network's rule believes block \(point)"
        }
    }
}

/// What headers have shown of a block.
public struct LineStanding: Hashable, Sendable {
    /// The block's header.
    public let header: BlockHeader
    /// Whether it will never be replaced.
    public let isFinal: Bool
    /// Whether the headers lead to it from the network's checkpoint. Otherwise it is under enough keys, and that it
    /// descends from the checkpoint is what these keys say.
    public let isFromCheckpoint: Bool
    /// When enough keys had last attested the last header, Unix seconds; under rules without such words its own time.
    public let attestedAt: UInt64?
}

/// Holds a line of headers against the rule of a network, for somebody who has the network's configuration and nothing
/// else: does it believe this block? The headers come in runs; memory does not grow with their number.
///
/// A line begins at the checkpoint, or right above it. Where votes decide it may begin at the block itself: signatures
/// of enough keys on it, or above it, make it believed wherever it stands.
public struct LineCheck: Sendable {
    private let point: StatePoint
    private let network: NetworkConfiguration
    private var chain: AttestedChain?
    private var header: BlockHeader?
    /// Whether the headers lead up from the network's checkpoint.
    public private(set) var isFromCheckpoint = false
    /// Whether enough attest it; whether for good. Noted as soon as it is so: the chain may let the header go.
    public private(set) var isAttested = false
    public private(set) var isFinal = false

    /// Is this block of the network believed?
    public init(_ point: StatePoint, of network: NetworkConfiguration) {
        self.point = point
        self.network = network
    }

    /// Takes the next headers, each the parent of the next.
    public mutating func take(_ run: [CertifiedHeader]) throws(LineError) {
        guard let first = run.first else { return }
        var chain: AttestedChain
        if let begun = self.chain { chain = begun } else { chain = try begin(with: first.header) }
        do throws(ChainError) {
            _ = try chain.accept(run)
        } catch {
            throw .chain(error)
        }
        for entry in run where entry.point == point { header = entry.header }
        if header != nil, hasEnoughWork(chain) {
            isAttested = isAttested || chain.isAttested(point)
            isFinal = isFinal || chain.isFinal(point)
        }
        chain.prune(below: isFinal ? chain.final.number : min(point.number, chain.final.number))
        self.chain = chain
    }

    /// What a store keeps beside these headers, where the rule has something to hand on.
    public var storedFloor: StoredFloor? { chain?.storedFloor }

    /// What the headers have shown; throws where they do not show that the block is believed.
    public func finish() throws(LineError) -> LineStanding {
        guard let header, let chain else { throw .lacks(point) }
        guard isAttested else { throw .notAttested(point) }
        return LineStanding(
            header: header, isFinal: isFinal, isFromCheckpoint: isFromCheckpoint, attestedAt: chain.attestedAt)
    }

    private mutating func begin(with first: BlockHeader) throws(LineError) -> AttestedChain {
        let checkpoint = network.checkpoint
        let isAbove = first.number == checkpoint.number + 1 && first.parentHash == checkpoint.hash
        if first.point == checkpoint || isAbove {
            isFromCheckpoint = true
            return AttestedChain(configuration: network)
        }
        guard ChainRule(network).finality == .byVotes, first.point == point, first.number > checkpoint.number + 1 else {
            throw .beginsElsewhere(first.point)
        }
        // The same network, taken up at the block's parent.
        do throws(ChainError) {
            return AttestedChain(
                configuration: try NetworkConfiguration(
                    name: network.name, chainID: network.chainID, genesisHash: network.genesisHash,
                    checkpoint: StatePoint(number: first.number - 1, hash: first.parentHash),
                    epochLength: network.epochLength, sectionDepth: network.sectionDepth, wideDepth: network.wideDepth,
                    rule: network.rule))
        } catch {
            throw .chain(error)
        }
    }

    private func hasEnoughWork(_ chain: AttestedChain) -> Bool {
        guard case .proofOfWork(let terms) = network.rule.terms else { return true }
        return chain.work >= terms.minimumWork
    }
}

/// Headers, each the parent of the next, that show by themselves that a network believes a block.
public struct AttestedLine: Hashable, Sendable {
    /// The headers with what came with them, rising.
    public let entries: [CertifiedHeader]

    /// These headers.
    public init(_ entries: [CertifiedHeader]) { self.entries = entries }

    /// The type of the encoding; no bytes stand for no certificate.
    package static let schema = SSZType.list(
        .container([
            ("header", .byteList(ChainLimits.headerBytes)),
            ("certificate", .byteList(ChainLimits.certificateClaims * SignedClaim.byteCount)),
        ]), limit: ChainLimits.lineHeaders)

    /// Reads a value of `schema`; signatures are not checked.
    package init(_ value: SSZValue) throws(LineError) {
        var entries: [CertifiedHeader] = []
        do {
            for element in try value.elements {
                let fields = try element.fields
                let (header, certificate) = (try fields[0].bytes, try fields[1].bytes)
                entries.append(
                    try CertifiedHeader(
                        header: BlockHeader(rlp: header),
                        certificate: certificate.isEmpty ? nil : Certificate(decoding: certificate)))
            }
        } catch let error as SSZError {
            throw .malformed(error)
        } catch let error as ChainError {
            throw .chain(error)
        } catch {
            throw .malformed(.wrongShape)
        }
        self.entries = entries
    }

    /// The value of `schema` that `init` reads.
    package var value: SSZValue {
        .elements(
            entries.map { entry in
                .fields([.bytes(entry.header.rlp), .bytes(entry.certificate?.encoded ?? [])])
            })
    }

    /// What these headers show of a block.
    public func verify(_ point: StatePoint, of network: NetworkConfiguration) throws(LineError) -> LineStanding {
        var check = LineCheck(point, of: network)
        try check.take(entries)
        return try check.finish()
    }

    /// The shortest line that shows that a block is final, or, where what is held does not show that, that it is
    /// attested; nil where it shows neither.
    public static func shortest(to point: StatePoint, in chain: AttestedChain) -> AttestedLine? {
        let network = chain.configuration
        var number = network.checkpoint.number
        if chain.rule.finality == .byVotes, point.number > number + 1 { number = point.number }
        if chain.certifiedHeader(at: number) == nil, number == network.checkpoint.number { number += 1 }
        var check = LineCheck(point, of: network)
        var entries: [CertifiedHeader] = []
        var attested: Int?
        while entries.count < ChainLimits.lineHeaders, let entry = chain.certifiedHeader(at: number) {
            entries.append(entry)
            guard case .success = Result(catching: { try check.take([entry]) }) else { return nil }
            if check.isFinal { return AttestedLine(entries) }
            if check.isAttested, attested == nil { attested = entries.count }
            number += 1
        }
        return attested.map { AttestedLine(Array(entries.prefix($0))) }
    }
}
