import MerklePatricia
import Primitives

/// What all nodes of a network must agree on. Read from JSON by the shell; see `Specs/`.
public struct NetworkConfiguration: Hashable, Sendable {
    /// What the chain's rule asks of a header before anything under it is believed.
    public struct Rule: Hashable, Sendable {
        /// The rules there are, by the names that the network's file gives them.
        public enum Kind: String, Sendable, CaseIterable {
            /// An Ethereum chain from a checkpoint on, attested by t of n Ed25519 keys.
            case attested
            /// A chain whose headers prove work, and whose heaviest line is the chain.
            case proofOfWork
            /// A chain whose headers are signed by a committee that changes from term to term.
            case committee
        }

        /// What each of them needs to know.
        public enum Terms: Hashable, Sendable {
            /// Ed25519 public keys, in the configuration's order, and how many of them make a block attested.
            case attested(keys: [Bytes32], threshold: Int)
            case proofOfWork(WorkTerms)
            case committee(CommitteeTerms)
        }

        public let terms: Terms
        /// A head whose attestation, or whose own time, is older than this is shown as stale. Seconds.
        public let maxAgeSeconds: UInt64

        /// Attested head. Throws unless there are 1…64 different keys and 1 ≤ threshold ≤ their number.
        public init(keys: [Bytes32], threshold: Int, maxAgeSeconds: UInt64) throws(ChainError) {
            guard (1...ChainLimits.voters).contains(keys.count) else {
                throw .invalidConfiguration("rule.keys has \(keys.count) keys; 1 to \(ChainLimits.voters) are allowed")
            }
            guard Set(keys).count == keys.count else { throw .invalidConfiguration("rule.keys names a key twice") }
            guard (1...keys.count).contains(threshold) else {
                throw .invalidConfiguration("rule.threshold is \(threshold); it must be 1 to \(keys.count)")
            }
            try self.init(.attested(keys: keys, threshold: threshold), maxAgeSeconds: maxAgeSeconds)
        }

        /// Proof of work.
        public init(work terms: WorkTerms, maxAgeSeconds: UInt64) throws(ChainError) {
            try self.init(.proofOfWork(terms), maxAgeSeconds: maxAgeSeconds)
        }

        /// Committee.
        public init(committee terms: CommitteeTerms, maxAgeSeconds: UInt64) throws(ChainError) {
            try self.init(.committee(terms), maxAgeSeconds: maxAgeSeconds)
        }

        private init(_ terms: Terms, maxAgeSeconds: UInt64) throws(ChainError) {
            guard (1...ChainLimits.maxAgeSeconds).contains(maxAgeSeconds) else {
                throw .invalidConfiguration(
                    "rule.maxAgeSeconds is \(maxAgeSeconds); it must be 1 to \(ChainLimits.maxAgeSeconds)")
            }
            self.terms = terms
            self.maxAgeSeconds = maxAgeSeconds
        }

        /// Which of the rules it is.
        public var kind: Kind {
            switch terms {
            case .attested: .attested
            case .proofOfWork: .proofOfWork
            case .committee: .committee
            }
        }

        /// The keys whose claims attest a head; none under other rules.
        public var keys: [Bytes32] { if case .attested(let keys, _) = terms { keys } else { [] } }

        /// How many peers may bring something new of one block: as many keys as attest it, or one.
        public var threshold: Int { if case .attested(_, let threshold) = terms { threshold } else { 1 } }
    }

    public let name: String
    public let chainID: UInt64
    public let genesisHash: Bytes32
    /// The block trusted by configuration; everything believed descends from it.
    public let checkpoint: StatePoint
    /// How its blocks fall into epochs.
    public let epochs: Epochs
    /// Blocks from one anchor to the next.
    public var epochLength: UInt64 { epochs.length }
    /// d: there are 16^d sections.
    public let sectionDepth: Int
    /// w of storage placement; nil where large storage is not spread.
    public let wideDepth: Int?
    /// How storage is placed on the ring; nil where all of it is with its account.
    public var placement: Placement? {
        wideDepth.map { Placement(sectionDepth: sectionDepth, wideDepth: $0) }
    }
    public let rule: Rule
    /// Records of bridges, as text: where a holder goes that nobody else can fill. They are no part of what makes a
    /// network the same network.
    public let bridges: [String]

    /// Throws `invalidConfiguration` naming the value that cannot be.
    public init(
        name: String, chainID: UInt64, genesisHash: Bytes32, checkpoint: StatePoint, epochLength: UInt64,
        sectionDepth: Int, wideDepth: Int? = nil, rule: Rule, bridges: [String] = []
    ) throws(ChainError) {
        guard !name.isEmpty, name.utf8.count <= ChainLimits.networkNameLength,
            name.utf8.allSatisfy({ (0x20...0x7e).contains($0) })
        else {
            throw .invalidConfiguration(
                "name must have 1 to \(ChainLimits.networkNameLength) characters, printable ASCII")
        }
        guard chainID > 0 else { throw .invalidConfiguration("chainId is 0") }
        guard (1...ChainLimits.epochLength).contains(epochLength) else {
            throw .invalidConfiguration("epochLength is \(epochLength); it must be 1 to \(ChainLimits.epochLength)")
        }
        guard (1...ChainLimits.sectionDepth).contains(sectionDepth) else {
            throw .invalidConfiguration("sectionDepth is \(sectionDepth); it must be 1 to \(ChainLimits.sectionDepth)")
        }
        if let wideDepth, !(1...64).contains(wideDepth) {
            throw .invalidConfiguration("wideDepth is \(wideDepth); it must be 1 to 64, or null")
        }
        guard checkpoint.number > 0 || checkpoint.hash == genesisHash else {
            throw .invalidConfiguration("checkpoint is block 0 but its hash is not genesisHash")
        }
        guard checkpoint.number <= ChainLimits.blockNumber else {
            throw .invalidConfiguration("checkpoint.number is \(checkpoint.number), which no block will ever have")
        }
        self.name = name
        self.chainID = chainID
        self.genesisHash = genesisHash
        self.checkpoint = checkpoint
        epochs = Epochs(length: epochLength)
        self.sectionDepth = sectionDepth
        self.wideDepth = wideDepth
        guard bridges.count <= ChainLimits.bridges else {
            throw .invalidConfiguration("bridges has \(bridges.count) records; it may have \(ChainLimits.bridges)")
        }
        self.rule = rule
        self.bridges = bridges
    }
}
