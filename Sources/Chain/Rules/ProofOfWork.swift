import Primitives

/// What a network of proof of work agrees on. See `Specs/network-configuration.md`.
public struct WorkTerms: Hashable, Sendable {
    /// No block is easier than this. Hashes that are tried for one on average.
    public let minimumDifficulty: UInt64
    /// A block that comes sooner after its parent raises the difficulty; one that comes after twice the time, or later,
    /// lowers it. Seconds.
    public let blockSeconds: UInt64
    /// How far a block's time may be ahead of the clock of who takes it. Seconds.
    public let aheadSeconds: UInt64
    /// How many blocks below the head a heavier line may replace.
    public let undoDepth: UInt64
    /// Work above the checkpoint that a line must have before any of its headers is kept.
    public let minimumWork: UInt128

    /// Throws `invalidConfiguration` naming the value that cannot be.
    public init(
        minimumDifficulty: UInt64, blockSeconds: UInt64, aheadSeconds: UInt64, undoDepth: UInt64, minimumWork: UInt128
    ) throws(ChainError) {
        let checks: [(name: String, value: UInt64, allowed: ClosedRange<UInt64>)] = [
            ("minimumDifficulty", minimumDifficulty, 1...ChainLimits.minimumDifficulty),
            ("blockSeconds", blockSeconds, 1...ChainLimits.blockSeconds),
            ("aheadSeconds", aheadSeconds, 0...ChainLimits.blockSeconds),
            ("undoDepth", undoDepth, ChainLimits.workFinalityDepth...ChainLimits.undoDepth),
        ]
        for (name, value, allowed) in checks where !allowed.contains(value) {
            throw .invalidConfiguration(
                "rule.\(name) is \(value); it must be \(allowed.lowerBound) to \(allowed.upperBound)")
        }
        self.minimumDifficulty = minimumDifficulty
        self.blockSeconds = blockSeconds
        self.aheadSeconds = aheadSeconds
        self.undoDepth = undoDepth
        self.minimumWork = minimumWork
    }
}

/// What a header of proof of work hands on to its children.
public struct WorkStanding: Hashable, Sendable {
    /// The difficulties of all blocks above the checkpoint up to this one.
    public let total: UInt128
    /// The header's own.
    public let difficulty: UInt128
    /// The header's time, Unix seconds.
    public let timestamp: UInt64

    init(total: UInt128, difficulty: UInt128, timestamp: UInt64) {
        self.total = total
        self.difficulty = difficulty
        self.timestamp = timestamp
    }

    /// The checkpoint's: it is trusted as it stands, and every line goes through it, so its own work counts for
    /// nothing. A difficulty beyond all bounds is cut to the bound; no child could match it.
    public init(checkpoint header: BlockHeader) {
        let difficulty = header.difficulty.low128 ?? ChainLimits.difficulty
        self.init(total: 0, difficulty: min(difficulty, ChainLimits.difficulty), timestamp: header.fields.timestamp)
    }

    /// total 16 ‖ difficulty 16 ‖ timestamp 8.
    var encoded: [UInt8] { total.bigEndianBytes + difficulty.bigEndianBytes + timestamp.bigEndianBytes }

    init?(decoding bytes: [UInt8]) {
        guard bytes.count == 40 else { return nil }
        total = UInt128(bigEndian: bytes[..<16])
        difficulty = UInt128(bigEndian: bytes[16..<32])
        timestamp = UInt64(truncatingIfNeeded: UInt128(bigEndian: bytes[32...]))
    }
}

/// *Proof of work*: each header is judged by itself and its parent, and total work decides between lines.
public struct ProofOfWork: Hashable, Sendable {
    public let terms: WorkTerms
    public let maxAgeSeconds: UInt64

    public init(_ terms: WorkTerms, maxAgeSeconds: UInt64) {
        self.terms = terms
        self.maxAgeSeconds = maxAgeSeconds
    }

    /// The difficulty of a block of this time on that parent: up by 1/2048 of the parent's where it comes within
    /// `blockSeconds`, as it was within twice that, down by 1/2048 for each further `blockSeconds`, at most 99 times.
    /// One step is at least 1. The shape is EIP-2's, with the interval in the configuration and without the part that
    /// grows with the block number.
    public func difficulty(on parent: WorkStanding, at timestamp: UInt64) -> UInt128 {
        let step = max(parent.difficulty / 2_048, 1)
        let late = timestamp > parent.timestamp ? (timestamp - parent.timestamp) / terms.blockSeconds : 0
        guard late > 0 else { return min(parent.difficulty + step, ChainLimits.difficulty) }
        let fall = step * UInt128(min(late - 1, 99))
        let least = UInt128(terms.minimumDifficulty)
        return parent.difficulty > fall ? max(parent.difficulty - fall, least) : least
    }

    /// The standing of a header, all of it checked: its time, its difficulty, and that its hash is under the target.
    public func standing(
        of header: BlockHeader, on parent: WorkStanding, at unixSeconds: UInt64
    ) throws(ChainError) -> WorkStanding {
        let (number, timestamp) = (header.fields.number, header.fields.timestamp)
        guard timestamp > parent.timestamp else {
            throw .work(.timestamp(number: number, parent: parent.timestamp, found: timestamp))
        }
        let difficulty = difficulty(on: parent, at: timestamp)
        guard header.fields.difficulty.low128 == difficulty else {
            throw .work(.difficulty(number: number, expected: difficulty, found: header.fields.difficulty))
        }
        guard ProofOfWork.isUnderTarget(header.hash, difficulty: difficulty) else {
            throw .work(.aboveTarget(number: number, hash: header.hash))
        }
        let (total, isTooMuch) = parent.total.addingReportingOverflow(difficulty)
        guard !isTooMuch else { throw .work(.tooMuchWork(number: number)) }
        let limit = unixSeconds.addingReportingOverflow(terms.aheadSeconds)
        guard limit.overflow || timestamp <= limit.partialValue else {
            throw .ahead(number: number, timestamp: timestamp, now: unixSeconds)
        }
        return WorkStanding(total: total, difficulty: difficulty, timestamp: timestamp)
    }

    /// Whether a hash, read as a big-endian number, is below ⌊2^256 ÷ difficulty⌋; never for difficulty 0. A hash that
    /// equals the target is not.
    public static func isUnderTarget(_ hash: Bytes32, difficulty: UInt128) -> Bool {
        // h < ⌊2^256/d⌋ says the same as (h + 1)·d ≤ 2^256, which needs no division.
        guard difficulty > 1, hash != .max else { return difficulty == 1 }
        let word0 = hash.word3 &+ 1
        let word1 = hash.word2 &+ (word0 == 0 ? 1 : 0)
        let word2 = hash.word1 &+ (word0 | word1 == 0 ? 1 : 0)
        let word3 = hash.word0 &+ (word0 | word1 | word2 == 0 ? 1 : 0)
        let low = UInt64(truncatingIfNeeded: difficulty)
        let high = UInt64(truncatingIfNeeded: difficulty >> 64)
        var carry: UInt64 = 0
        func step(_ word: UInt64, _ factor: UInt64, _ added: UInt64 = 0) -> UInt64 {
            let full = UInt128(word) * UInt128(factor) + UInt128(added) + UInt128(carry)
            carry = UInt64(truncatingIfNeeded: full >> 64)
            return UInt64(truncatingIfNeeded: full)
        }
        let (a0, a1, a2, a3) = (step(word0, low), step(word1, low), step(word2, low), step(word3, low))
        // What stands at 2^256 and above must be nothing; or 1, and nothing below it.
        let a4 = carry
        guard high > 0 else { return a4 == 0 || (a4 == 1 && a0 | a1 | a2 | a3 == 0) }
        carry = 0
        let (b1, b2, b3) = (step(word0, high, a1), step(word1, high, a2), step(word2, high, a3))
        let b4 = step(word3, high, a4)
        return carry == 0 && (b4 == 0 || (b4 == 1 && a0 | b1 | b2 | b3 == 0))
    }

    /// Whether a header has cost work, as far as can be said without its parent: its hash is under the target of its
    /// own difficulty, and that is not less than the least there is.
    func hasOwnWork(_ header: BlockHeader) -> Bool {
        guard let difficulty = header.difficulty.low128, difficulty >= UInt128(terms.minimumDifficulty) else {
            return false
        }
        return ProofOfWork.isUnderTarget(header.hash, difficulty: difficulty)
    }
}

extension UInt256 {
    /// The number itself; nil where it has more than 128 bits.
    public var low128: UInt128? {
        big.word0 == 0 && big.word1 == 0 ? UInt128(big.word2) << 64 | UInt128(big.word3) : nil
    }

    /// A number of 128 bits.
    public init(low128 value: UInt128) {
        self.init(big: Bytes32(0, 0, UInt64(truncatingIfNeeded: value >> 64), UInt64(truncatingIfNeeded: value)))
    }
}

extension UInt128 {
    /// 16 bytes, the most significant first.
    var bigEndianBytes: [UInt8] {
        UInt64(truncatingIfNeeded: self >> 64).bigEndianBytes + UInt64(truncatingIfNeeded: self).bigEndianBytes
    }

    /// At most 16 bytes, the most significant first.
    init(bigEndian bytes: some Collection<UInt8>) { self = bytes.reduce(0) { $0 << 8 | UInt128($1) } }
}

extension UInt64 {
    /// 8 bytes, the most significant first.
    var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
