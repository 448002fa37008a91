/// What bounds the chain floor. Sizes are in bytes unless the name says otherwise.
public enum ChainLimits {
    /// One header, RLP. Mainnet's have about 700; the rest is room for long `extraData` of other networks.
    public static let headerBytes = 4_096
    /// One block without its access list, RLP. Mainnet's cap is 10 MiB (EIP-7934), with room above it.
    public static let blockBytes = 16 * 1_024 * 1_024
    /// One block access list, RLP: at the smallest cost of 2,000 gas an item, 100 M gas give about 10 MB.
    public static let accessListBytes = 32 * 1_024 * 1_024
    /// One contract's code: twice the largest limit a fork has set or proposed so far.
    public static let codeBytes = 65_536
    /// Gas a listed address or slot stands for: a list has at most gas limit / 2,000 of them. Source: EIP-7928.
    static let accessListItemGas: UInt64 = 2_000
    /// Keys a network's rule may name: a set of voters is one 64-bit word.
    public static let voters = 64
    /// Claims in one certificate: a head and a final one of each voter.
    public static let certificateClaims = 2 * voters
    /// Bytes of a certificate's encoding, at most: 145 for each claim.
    public static let certificateBytes = certificateClaims * SignedClaim.byteCount
    /// Headers of one line above the final one; at 12 s a block this is 27 hours. Bridges make no more, until a later
    /// block is final.
    public static let unfinalHeaders = 8_192
    /// Headers held above the final one, attested or not, of all branches. Those beyond what bridges make are room for
    /// the blocks that bring the word of a later final block to who has not heard of it yet.
    public static let heldHeaders = unfinalHeaders + 1_024
    /// Headers of epoch boundaries kept after pruning: 145 days of mainnet at 256 blocks an epoch.
    public static let anchorHeaders = 4_096
    /// Headers that may come with a statement about a block, to show that it is believed: where votes decide some
    /// hundred suffice, else they reach down to the checkpoint. At 700 bytes each these are 45 MB.
    static let lineHeaders = 65_536
    /// Longest name of a network, characters.
    static let networkNameLength = 64
    /// Longest epoch, blocks: 9 days at 12 s a block. What a node keeps is counted in epochs: a longer one is a slip.
    public static let epochLength: UInt64 = 65_536
    /// Highest block number: no chain reaches it, and all arithmetic on numbers has room above it.
    public static let blockNumber = UInt64(Int64.max)
    /// Longest time after which an attested head may count as stale, seconds: 136 years.
    public static let maxAgeSeconds = UInt64(UInt32.max)
    /// Blocks that may be between a bridge's head and what it calls final: fewer than bridges make before a later one
    /// is final, or none ever would be.
    public static let finalityDepth = UInt64(unfinalHeaders) - 1
    /// Blocks above a block of proof of work that make it final: the custom of such chains, an hour of Bitcoin's.
    public static let workFinalityDepth: UInt64 = 6
    /// Most blocks below the head that a heavier line may be allowed to replace: half of what is held of all branches
    /// above the floor, so that a rival line of the same length has room beside the one that is followed.
    public static let undoDepth = UInt64(heldHeaders) / 2 - 512
    /// Largest difficulty, hashes tried for a block on average: 2^96. Bitcoin's is below 2^80. 2^32 such blocks have a
    /// sum of work that fits 128 bits.
    public static let difficulty = UInt128(1) << 96
    /// Largest value of the difficulty below which none may be: 2^53, what every reader of JSON takes for a whole
    /// number.
    public static let minimumDifficulty: UInt64 = 1 << 53
    /// Longest interval between blocks that a difficulty aims at, and furthest that a block's time may be ahead of the
    /// clock, seconds: a day.
    public static let blockSeconds: UInt64 = 86_400
    /// Headers looked through for the work that is asked for, before a line is given up: 4 MiB of marks.
    public static let presyncHeaders = 1 << 24
    /// Headers of a line's second coming that wait for those above them: with two bits each, 2^128 to one against
    /// another line.
    static let presyncHeld = 64
    /// All stakes of a committee together: three times that is counted in 128 bits, and JSON's readers take half of it.
    public static let stake: UInt64 = 1 << 62
    /// Bridges that a network's configuration may name: as many as there may be attesting keys.
    public static let bridges = 64
    /// Deepest sections: 16^4 of them.
    public static let sectionDepth = 4
}
