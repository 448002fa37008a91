import Primitives

/// Headers of proof of work that come twice, so that a long line without the work that is asked for costs no memory.
///
/// The first time all of the line is checked, its work is summed up, and two bits of each header are kept: of a hash
/// that a secret salt goes into. Where the work is not reached nothing else was ever kept. Where it is, the same
/// headers are asked for again, from the beginning; they must give the same bits, and end in the same block. Then they
/// are given out, each as soon as 64 headers above it have come: whoever shows another line the second time would have
/// to guess 128 bits of a salt that he never sees.
///
/// 1,000,000 headers take 250 KB. Bitcoin Core does the like before it stores headers (its version 24 and later).
public struct Presync: Sendable {
    /// What is to be done after a run.
    public enum Step: Hashable, Sendable {
        /// Ask on from this block.
        case goOn(from: UInt64)
        /// The work is there: ask for all of it again, from this block.
        case again(from: UInt64)
        /// The same block again: the line holds, and all of it was given out.
        case done
    }

    /// What bounds it: see `ChainLimits`.
    private static let bitsPerHeader = 2
    private static let headersPerWord = 64 / bitsPerHeader

    private let rule: ProofOfWork
    /// The block below the line, known and believed.
    public let start: StatePoint
    private let base: WorkStanding
    /// Work, counted from the checkpoint, that the line must have more of than this.
    private let threshold: UInt128
    private let salt: Bytes32
    private var bits: [UInt64] = []
    private var count = 0
    /// The last header of the first time; what lies below the line while that goes on.
    public private(set) var end: StatePoint
    private var isSecondTime = false
    /// Where the line is now.
    private var tip: StatePoint
    private var standing: WorkStanding
    /// Headers of the second time that are not given out yet.
    private var held: [BlockHeader] = []

    /// A line above `start` that must have more work than `threshold`, counted from the checkpoint.
    public init(
        _ rule: ProofOfWork, above start: StatePoint, _ base: WorkStanding, moreThan threshold: UInt128, salt: Bytes32
    ) {
        self.rule = rule
        self.start = start
        self.base = base
        self.threshold = threshold
        self.salt = salt
        (end, tip, standing) = (start, start, base)
    }

    /// The work up to the last header that came.
    public var work: UInt128 { standing.total }
    /// The last header that came.
    public var last: StatePoint { tip }
    /// Whether the headers come for the second time.
    public var isRepeating: Bool { isSecondTime }
    /// Bytes kept for headers that were seen.
    public var byteCount: Int { bits.capacity * 8 + held.reduce(0) { $0 + $1.rlp.count } }

    /// Takes the next run in, which must go on from `last`. `released`: headers to be taken into the chain now, in
    /// order. After an error nothing of this line is to be used further.
    public mutating func take(
        _ run: [BlockHeader], at unixSeconds: UInt64, released: inout [BlockHeader]
    ) throws(ChainError) -> Step {
        for header in run {
            guard header.parentHash == tip.hash else {
                // The second time the first header may differ already: then it is the line that has changed.
                guard !isSecondTime else { throw .work(.notAsBefore(number: header.number)) }
                throw .unknownParent(number: header.number, parentHash: header.parentHash)
            }
            guard header.number == tip.number + 1 else {
                throw .wrongNumber(expected: tip.number + 1, found: header.number)
            }
            standing = try rule.standing(of: header, on: standing, at: unixSeconds)
            tip = header.point
            if isSecondTime {
                try compare(header)
                if tip == end { return finish(&released) }
                if held.count > ChainLimits.presyncHeld { released.append(held.removeFirst()) }
            } else {
                try note(header)
                if standing.total > threshold { return beginAgain() }
            }
        }
        return .goOn(from: tip.number + 1)
    }

    private mutating func note(_ header: BlockHeader) throws(ChainError) {
        guard count < ChainLimits.presyncHeaders else { throw .work(.tooLong(limit: ChainLimits.presyncHeaders)) }
        if count.isMultiple(of: Presync.headersPerWord) { bits.append(0) }
        bits[bits.count - 1] |= mark(of: header) << UInt64(count % Presync.headersPerWord * Presync.bitsPerHeader)
        count += 1
    }

    private mutating func compare(_ header: BlockHeader) throws(ChainError) {
        let place = Int(header.number - start.number - 1)
        guard place < count else { throw .work(.notAsBefore(number: header.number)) }
        let word = bits[place / Presync.headersPerWord]
        let shift = UInt64(place % Presync.headersPerWord * Presync.bitsPerHeader)
        let isLast = place == count - 1
        guard word >> shift & 3 == mark(of: header), !isLast || header.point == end else {
            throw .work(.notAsBefore(number: header.number))
        }
        held.append(header)
    }

    /// Two bits that nobody can foretell who does not know the salt.
    private func mark(of header: BlockHeader) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            salt.store(to: base)
            header.hash.store(to: base + 32)
            return Keccak.hash(UnsafeRawBufferPointer(buffer)).word3 & 3
        }
    }

    private mutating func beginAgain() -> Step {
        isSecondTime = true
        (end, tip, standing) = (tip, start, base)
        return .again(from: start.number + 1)
    }

    private mutating func finish(_ released: inout [BlockHeader]) -> Step {
        released += held
        held = []
        return .done
    }
}
