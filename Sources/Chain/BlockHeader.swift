import Primitives

/// A block's header: the fields of its fork, the exact bytes and their hash. Immutable.
///
/// Forks only ever append fields, several at a time, so the number of fields says which there are: 15 at first, 16 with
/// a base fee (London), 17 withdrawals (Shanghai), 20 blobs and the beacon root (Cancun), 21 requests (Prague), 23
/// block access list and slot (Amsterdam).
@dynamicMemberLookup
public struct BlockHeader: Sendable {
    /// The values of a header's fields.
    public struct Fields: Hashable, Sendable {
        public var parentHash: Bytes32
        public var unclesHash: Bytes32
        public var miner: Address
        public var stateRoot: Bytes32
        public var transactionsRoot: Bytes32
        public var receiptsRoot: Bytes32
        /// 256 bytes.
        public var logsBloom: [UInt8]
        public var difficulty: UInt256
        /// Height of the block; genesis is 0.
        public var number: UInt64
        public var gasLimit: UInt64
        public var gasUsed: UInt64
        /// Unix seconds.
        public var timestamp: UInt64
        public var extraData: [UInt8]
        /// prevRandao since the merge.
        public var mixHash: Bytes32
        /// 8 bytes, as a big-endian number.
        public var nonce: UInt64
        /// London.
        public var baseFeePerGas: UInt256?
        /// Shanghai.
        public var withdrawalsRoot: Bytes32?
        /// Cancun.
        public var blob: BlobFields?
        /// Prague.
        public var requestsHash: Bytes32?
        /// Amsterdam.
        public var accessList: AccessListFields?

        /// A header of 15 fields, all zero or empty but those given: for tools and simulated chains.
        public init(parentHash: Bytes32, stateRoot: Bytes32, number: UInt64, timestamp: UInt64, gasLimit: UInt64 = 0) {
            self.parentHash = parentHash
            unclesHash = Block.emptyUnclesHash
            miner = .zero
            self.stateRoot = stateRoot
            transactionsRoot = StateAccount.emptyRoot
            receiptsRoot = StateAccount.emptyRoot
            logsBloom = [UInt8](repeating: 0, count: Fields.bloomByteCount)
            difficulty = .zero
            self.number = number
            self.gasLimit = gasLimit
            gasUsed = 0
            self.timestamp = timestamp
            extraData = []
            mixHash = .zero
            nonce = 0
        }
    }

    /// What Cancun added, always together.
    public struct BlobFields: Hashable, Sendable {
        public var gasUsed: UInt64
        public var excessGas: UInt64
        public var parentBeaconBlockRoot: Bytes32

        public init(gasUsed: UInt64, excessGas: UInt64, parentBeaconBlockRoot: Bytes32) {
            self.gasUsed = gasUsed
            self.excessGas = excessGas
            self.parentBeaconBlockRoot = parentBeaconBlockRoot
        }
    }

    /// What Amsterdam added, always together.
    public struct AccessListFields: Hashable, Sendable {
        public var hash: Bytes32
        public var slotNumber: UInt64

        public init(hash: Bytes32, slotNumber: UInt64) {
            self.hash = hash
            self.slotNumber = slotNumber
        }
    }

    public let fields: Fields
    /// The header's encoding.
    public let rlp: [UInt8]
    /// keccak256 of `rlp`: the block's hash.
    public let hash: Bytes32

    /// Every field of `Fields` by its name.
    public subscript<Value>(dynamicMember path: KeyPath<Fields, Value>) -> Value { fields[keyPath: path] }

    /// Height of the block; genesis is 0.
    public var number: UInt64 { fields.number }
    /// Hash of the block before.
    public var parentHash: Bytes32 { fields.parentHash }
    /// Root of the account trie after the block.
    public var stateRoot: Bytes32 { fields.stateRoot }
    /// Block number and hash.
    public var point: StatePoint { StatePoint(number: fields.number, hash: hash) }
    /// EIP-7928's commitment; nil before Amsterdam.
    public var accessListHash: Bytes32? { fields.accessList?.hash }

    /// Reads one header; strict.
    public init(rlp: [UInt8]) throws(ChainError) {
        guard rlp.count <= ChainLimits.headerBytes else { throw .tooLarge(.header, bytes: rlp.count) }
        fields = try Fields(rlp: rlp)
        self.rlp = rlp
        hash = Keccak.hash(rlp)
    }

    /// A header made here. Throws where later forks' fields stand without the earlier ones'.
    public init(_ fields: Fields) throws(ChainError) {
        rlp = try fields.encoded()
        guard rlp.count <= ChainLimits.headerBytes else { throw .tooLarge(.header, bytes: rlp.count) }
        self.fields = fields
        hash = Keccak.hash(rlp)
    }
}

extension BlockHeader: Hashable {
    public static func == (a: BlockHeader, b: BlockHeader) -> Bool { a.hash == b.hash }
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
