import ChainLab

extension MadeChain {
    /// A network of some voters, all of whose claims are made at second 100, and with short epochs.
    static func voted(
        by count: Int = 3, threshold: Int = 2, epochLength: UInt64 = 8, maxAgeSeconds: UInt64 = 60
    ) throws -> MadeChain {
        try MadeChain(
            keys: count, threshold: threshold, epochLength: epochLength, maxAgeSeconds: maxAgeSeconds, claimTime: 100)
    }
}
