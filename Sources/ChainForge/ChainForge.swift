// ChainForge: a chain of any size, made from a seed.
//
// For whoever wants the main job at a size that matters and has no recording of it: 200,000 accounts with their storage
// and code, and blocks that change a few hundred of them each. A seed and a shape mean one chain, to the last byte, on
// every machine.
//
// Picture.
//
//     seed, shape ──▶ GenesisPlan ──account n, storage n, code n──▶ MadeState ── root, accounts in order ──▶ genesis
//                                                                       ▲  │                                and head
//     seed, block ──▶ Draw ──▶ ChainForge+Block ── what it touched ──▶──┘  └── root ──▶ header
//                                   └──▶ AccessRecorder ── access list ── hash ──────────▶──┘
//
// What is true of such a chain. Everything that a node of this network checks, and more: parent hashes; the roots over
// transactions, receipts and withdrawals; transactions signed by keys whose accounts have the nonce and can pay; the
// base fee's course; the access list in the one right form, within what the gas limit pays for, its hash in the header
// (EIP-7928); and the state root after its last values. A plain transfer leaves exactly what a machine would leave:
// value moved, gas paid, base fee burnt, tip earned. So do withdrawals and the writes of the two system contracts.
//
// What is not. No code is run here, and codes are noise. What a call of a contract reads, writes and costs is drawn and
// then declared by the access list and by the receipt; an executing client would refuse these blocks at their first
// call. So a chain of this kind tests whatever follows a chain by its access lists, and nothing of execution. Nobody's
// deposits, consolidations or blobs are in it, and the contracts that collect such requests are left out.
//
// What of mainnet's shape is kept: the shares of contracts, slots and codes; the power laws of storage sizes and of how
// often a code is shared; sizes of codes; few senders and few contracts with most of the traffic. `ForgeLimits` has
// each figure with its source, or says that it is assumed.
//
// Deletion. Since EIP-6780 a contract lives on after SELFDESTRUCT unless it was created in the same transaction; and an
// account with nonce 0, balance 0 and no code is removed (EIP-161). So what is deleted here is what can be: an address
// that had been sent money is given a contract which, in the same transaction, sends the money on and destroys itself.
// Storage is never deleted with an account; contracts clear their slots, some of them all at once.
//
// Memory: the accounts' columns, the account trie, and the storage of those contracts that blocks touch. Everything
// else is derived from the seed again when it is written down.
//
// Why not the simulation's chain: that one is made to be nasty at the size of hundreds of accounts (storage that goes
// with its account, accounts that come and go), keeps all of it in plain form as an oracle, and builds every root from
// scratch.
import Chain
import Primitives

/// A block and its access list.
public struct MadeBlock: Sendable {
    public let block: Block
    public let accessList: BlockAccessList
    /// What a committee signed, where the chain has one.
    public let certificate: Certificate?
}

/// Makes a chain block by block. See the essay above.
public struct ChainForge: Sendable {
    public let shape: ForgeShape
    public let seed: UInt64
    /// The chain id in every transaction.
    public static let chainID: UInt64 = 7_929
    /// The header of genesis.
    public let genesis: BlockHeader
    /// The header of the newest block made.
    public internal(set) var head: BlockHeader

    var state: MadeState
    let keys: [TransactionKey]
    /// Accounts that blocks created: those without code, and contracts.
    var newPeople: [Int] = []
    var newContracts: [Int] = []
    /// Accounts that were deleted; some come to life again.
    var deleted: [Int] = []
    var nextWithdrawal: UInt64 = 0
    var sealer = HeaderSealer()

    /// Makes genesis. Errors: `ForgeError.shape`, `.noKey`, or a `ChainError` where a header cannot be.
    ///
    /// `seal`: what makes the blocks above it those of its chain, given genesis; nothing, if left out. `difficulty`:
    /// genesis's own, where blocks are mined.
    public init(
        shape: ForgeShape, seed: UInt64, difficulty: UInt64 = 0, seal: (BlockHeader) -> HeaderSealer = { _ in .init() }
    ) throws {
        let ranges = [
            ("accounts", shape.accounts, ForgeLimits.accounts), ("blocks", shape.blocks, ForgeLimits.blocks),
            ("transactions", shape.transactions, ForgeLimits.transactions),
            ("wide slots", shape.wideSlots, ForgeLimits.wideSlots),
        ]
        for (name, value, allowed) in ranges where !allowed.contains(value) {
            throw ForgeError.shape(name, value, allowed: allowed)
        }
        self.shape = shape
        self.seed = seed
        let plan = GenesisPlan(seed: seed, accounts: shape.accounts, isPlain: shape.isPlain, wideSlots: shape.wideSlots)
        keys = try plan.senders.map { index in
            var draw = Draw(seed: seed, .key, index)
            guard let key = TransactionKey(secret: draw.bytes32()) else { throw ForgeError.noKey(account: index) }
            return key
        }
        state = MadeState(plan: plan, keys: keys)
        var fields = try ChainForge.genesisFields(root: state.root, shape: shape)
        fields.difficulty = UInt256(difficulty)
        genesis = try BlockHeader(fields)
        head = genesis
        sealer = seal(genesis)
    }

    /// Makes the next block; nil after the last. `seconds`: its time, Unix seconds, at least one after its parent's;
    /// where it is left out, twelve after that. `salt`: another one makes another block.
    public mutating func next(at seconds: UInt64? = nil, salt: UInt64 = 0) throws -> MadeBlock? {
        guard head.number < UInt64(shape.blocks) else { return nil }
        let made = try makeBlock(at: seconds, salt: salt)
        head = made.block.header
        return made
    }

    /// Every account of the state after the newest block made, by key, rising.
    public func forEachAccount(_ body: (MadeAccount) throws -> Void) rethrows { try state.forEachAccount(body) }

    // MARK: Headers

    /// Unix seconds of genesis: long past, so that no header is from the future.
    private static let genesisTime: UInt64 = 1_700_000_000
    private static let slotSeconds: UInt64 = 12
    /// One gwei: mainnet's at London's first block.
    private static let firstBaseFee: UInt64 = 1_000_000_000

    private static func genesisFields(root: Bytes32, shape: ForgeShape) throws -> BlockHeader.Fields {
        let gas = UInt64(shape.transactions) * ForgeLimits.gasPerTransaction
        var fields = BlockHeader.Fields(
            parentHash: .zero, stateRoot: root, number: 0, timestamp: genesisTime,
            gasLimit: max(gas, ForgeLimits.leastGasLimit))
        fields.baseFeePerGas = UInt256(firstBaseFee)
        fields.withdrawalsRoot = IndexedRoot.root(of: [])
        fields.blob = BlockHeader.BlobFields(gasUsed: 0, excessGas: 0, parentBeaconBlockRoot: .zero)
        // No requests: the hash of no bytes. Source: EIP-7685.
        fields.requestsHash = SHA256.hash([])
        fields.accessList = BlockHeader.AccessListFields(hash: try BlockAccessList([]).hash, slotNumber: 0)
        return fields
    }

    /// The fields of a child of `head` that do not depend on what the block does.
    func childFields(at seconds: UInt64?) -> BlockHeader.Fields {
        var fields = head.fields
        fields.parentHash = head.hash
        fields.extraData = []
        fields.number += 1
        fields.timestamp = seconds.map { max($0, head.timestamp + 1) } ?? head.timestamp + ChainForge.slotSeconds
        fields.baseFeePerGas = UInt256(ChainForge.baseFee(after: head))
        fields.gasUsed = 0
        return fields
    }

    /// What gas costs at least in the block after `parent`. Source: EIP-1559.
    static func baseFee(after parent: BlockHeader) -> UInt64 {
        let fee = parent.baseFeePerGas?.big.word3 ?? firstBaseFee
        let target = parent.gasLimit / 2
        guard parent.gasUsed != target, target > 0 else { return fee }
        let distance = parent.gasUsed > target ? parent.gasUsed - target : target - parent.gasUsed
        let change = UInt64(truncatingIfNeeded: UInt128(fee) * UInt128(distance) / UInt128(target) / 8)
        return parent.gasUsed > target ? fee + max(change, 1) : fee - change
    }
}
