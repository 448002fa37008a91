/// How big and how busy a made chain is.
public struct ForgeShape: Hashable, Sendable {
    /// Accounts of genesis.
    public var accounts: Int
    /// Blocks above genesis.
    public var blocks: Int
    /// Transactions a block, but for the empty ones. 120 change some 250 accounts and 250 slots: a few hundred each.
    public var transactions: Int
    /// Whether genesis is as good as accounts alone: one slot in all, and four codes.
    public var isPlain: Bool
    /// Slots of one contract that every block writes to; 0: the widest is as wide as the law of sizes makes it.
    public var wideSlots: Int

    public init(
        accounts: Int, blocks: Int = 256, transactions: Int = 120, isPlain: Bool = false, wideSlots: Int = 0
    ) {
        self.wideSlots = wideSlots
        self.accounts = accounts
        self.blocks = blocks
        self.transactions = transactions
        self.isPlain = isPlain
    }
}

/// Why no chain can be made.
public enum ForgeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A number of the shape is out of its range.
    case shape(String, Int, allowed: ClosedRange<Int>)
    /// The curve library refused a key made from the seed.
    case noKey(account: Int)
    /// Something that the maker itself put together does not hold; a fault of the program.
    case inconsistent(String)

    public var description: String {
        switch self {
        case .shape(let name, let value, let allowed):
            return "\(name) is \(value); it must be \(allowed.lowerBound) to \(allowed.upperBound)"
        case .noKey(let account): return "no key can be made for account \(account): choose another seed"
        case .inconsistent(let what): return "the chain made does not hold: \(what)"
        }
    }
}

/// What bounds a made chain, and the proportions of its state. Those marked (measured) are mainnet's, from logs of its
/// clients at the end of 2022 and of 2023; those marked (assumed) are choices that give the same order of size.
public enum ForgeLimits {
    /// Fewer accounts leave no room for contracts, senders and receivers apart.
    public static let accounts = 64...20_000_000
    /// Blocks above genesis.
    public static let blocks = 1...1_000_000
    /// Transactions a block: their access lists stay below what a block's gas limit pays for.
    public static let transactions = 1...5_000

    /// Slots of one contract: it is made in memory.
    public static let wideSlots = 0...20_000_000
    /// Slots of the widest contract that a block writes to beside its transactions, where it was asked for.
    static let wideWrites = 8

    /// One account in five is a contract (assumed).
    static let accountsPerContract = 5
    /// Slots an account: 1.14 G slots, 286.6 M accounts (measured, 2023-12).
    static let slotsPerAccount = 4
    /// Contracts in a hundred that have storage: the median contract has none (measured).
    static let percentWithStorage = 45
    /// The widest contract has a twentieth of all slots: 68.8 M of about 1.4 G (measured).
    static let widestShare = 20
    /// Accounts a distinct code: 690 k codes, 190.8 M accounts (measured, 2022-10).
    static let accountsPerCode = 276
    /// One distinct code in 25 is a small one that most contracts share: proxies, wallets, token children (assumed).
    static let codesPerClone = 25
    /// Bytes of a small shared code (assumed; the most frequent is a minimal proxy of 45, EIP-1167).
    static let cloneBytes = 22...500
    /// Bytes of other codes: with the cube of an even draw over this, the mean is 6.3 kB; 4.2 GiB in 690 k codes are
    /// 6.5 kB (measured), the upper end is EIP-170's.
    static let codeBytes = 200...24_576
    /// Accounts whose keys the maker has, at most: these send. Activity is that uneven on mainnet too (assumed).
    static let senders = 8_192
    /// Withdrawals of a block (EIP-4895's MAX_WITHDRAWALS_PER_PAYLOAD).
    static let withdrawals = 16
    /// Gas a block has room for, for each transaction: twice what they use on average, so that the base fee stays.
    static let gasPerTransaction: UInt64 = 150_000
    /// Gas limit at least: one large contract creation.
    static let leastGasLimit: UInt64 = 6_000_000
    /// Most gas one transaction may ask for. Source: EIP-7825.
    static let transactionGas: UInt64 = 1 << 24
    /// Slots of the ring buffers of the system contracts. Sources: EIP-2935, EIP-4788.
    static let ringSlots: UInt64 = 8_191
}
