import Primitives

/// A transaction of any of the five kinds, its exact bytes and their hash. Immutable.
/// Sources: yellow paper and EIP-155 (legacy), EIP-2718 and 2930 (1), 1559 (2), 4844 (3), 7702 (4).
public struct Transaction: Sendable {
    /// The type byte of the envelope; legacy transactions have none.
    public enum Kind: UInt8, Sendable {
        case legacy = 0
        case accessList, dynamicFee, blob, setCode
    }

    /// What a transaction announces to touch.
    public struct AccessEntry: Hashable, Sendable {
        public let address: Address
        public let storageKeys: [Bytes32]

        public init(address: Address, storageKeys: [Bytes32]) {
            self.address = address
            self.storageKeys = storageKeys
        }
    }

    /// An account's permission to run code at `address` in its place. Source: EIP-7702.
    public struct Authorization: Hashable, Sendable {
        public let chainID: UInt256
        public let address: Address
        public let nonce: UInt64
        /// Any 8-bit number is well formed here: an authorization that does not recover is passed over, not refused.
        public let signature: Signature

        public init(chainID: UInt256, address: Address, nonce: UInt64, signature: Signature) {
            self.chainID = chainID
            self.address = address
            self.nonce = nonce
            self.signature = signature
        }
    }

    /// A recoverable signature; `parity` is that of the point's y.
    public struct Signature: Hashable, Sendable {
        public let parity: UInt8
        public let r, s: UInt256

        public init(parity: UInt8, r: UInt256, s: UInt256) {
            self.parity = parity
            self.r = r
            self.s = s
        }
    }

    /// What all kinds have. Amounts are in wei.
    public struct Fields: Hashable, Sendable {
        /// nil in a legacy transaction from before EIP-155, which is valid on every chain.
        public var chainID: UInt64?
        public var nonce: UInt64
        /// Legacy and access-list: the gas price. Others: the most paid a gas in all.
        public var maxFeePerGas: UInt256
        /// nil for legacy and access-list.
        public var maxPriorityFeePerGas: UInt256?
        public var gasLimit: UInt64
        /// nil creates a contract.
        public var to: Address?
        public var value: UInt256
        public var data: [UInt8]
        public var accessList: [AccessEntry]
        /// Blob only.
        public var maxFeePerBlobGas: UInt256?
        /// Blob only.
        public var blobHashes: [Bytes32]
        /// Set-code only.
        public var authorizations: [Authorization]

        /// A transfer without data; the rest is set by the caller.
        public init(
            chainID: UInt64?, nonce: UInt64, maxFeePerGas: UInt256, gasLimit: UInt64, to: Address?, value: UInt256
        ) {
            self.chainID = chainID
            self.nonce = nonce
            self.maxFeePerGas = maxFeePerGas
            self.gasLimit = gasLimit
            self.to = to
            self.value = value
            data = []
            accessList = []
            blobHashes = []
            authorizations = []
        }
    }

    public let kind: Kind
    public let fields: Fields
    public let signature: Signature
    /// The type byte and the payload; a legacy transaction's list alone.
    public let envelope: [UInt8]
    /// keccak256 of `envelope`.
    public let hash: Bytes32

    /// Reads one envelope, strictly.
    public init(envelope: [UInt8]) throws(ChainError) {
        guard envelope.count <= ChainLimits.blockBytes else { throw .tooLarge(.transaction, bytes: envelope.count) }
        guard let first = envelope.first else { throw .malformed(.transaction, .truncated) }
        let decoded: (fields: Fields, signature: Signature)
        if first >= 0xc0 {
            kind = .legacy
            decoded = try TransactionCodec.decode(.legacy, payload: envelope)
        } else {
            guard let typed = Kind(rawValue: first), typed != .legacy else { throw .unknownTransactionType(first) }
            kind = typed
            decoded = try TransactionCodec.decode(typed, payload: Array(envelope.dropFirst()))
        }
        (fields, signature) = decoded
        self.envelope = envelope
        hash = Keccak.hash(envelope)
    }

    /// A transaction made here.
    public init(_ kind: Kind, _ fields: Fields, signature: Signature) {
        self.kind = kind
        self.fields = fields
        self.signature = signature
        envelope = TransactionCodec.encode(kind, fields, signature: signature)
        hash = Keccak.hash(envelope)
    }

    /// What the sender signed: keccak256 of the envelope without the signature.
    public var signingHash: Bytes32 { Transaction.signingHash(kind, fields) }
}
