import Primitives

/// What is wrong with a header of proof of work.
public enum WorkError: Error, Equatable, Sendable {
    /// Not later than its parent. Unix seconds.
    case timestamp(number: UInt64, parent: UInt64, found: UInt64)
    /// Another difficulty than its parent and its time give.
    case difficulty(number: UInt64, expected: UInt128, found: UInt256)
    /// The hash is not under the target.
    case aboveTarget(number: UInt64, hash: Bytes32)
    /// All work together does not fit 128 bits.
    case tooMuchWork(number: UInt64)
    /// A certificate came with it, which proves nothing here.
    case certificate(number: UInt64)
    /// The second time the line came it was another one than the first time.
    case notAsBefore(number: UInt64)
    /// A line longer than is looked through at once, without the work that is asked for.
    case tooLong(limit: Int)
    /// The whole line of a peer has less work than the network asks for at least.
    case tooLittleWork(UInt128, minimum: UInt128)
}

extension WorkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .timestamp(let number, let parent, let found):
            "block \(number) is dated \(found), not after its parent, \(parent)"
        case .difficulty(let number, let expected, let found):
            "block \(number) states the difficulty \(found), and \(expected) follows from its parent"
        case .aboveTarget(let number, let hash): "the hash \(hash) of block \(number) is not under its target"
        case .tooMuchWork(let number): "the work up to block \(number) is more than any chain has"
        case .certificate(let number): "a certificate came with block \(number), where work alone counts"
        case .notAsBefore(let number): "block \(number) came twice and was not the same"
        case .tooLong(let limit): "\(limit) headers, and still less work than the network asks for"
        case .tooLittleWork(let work, let minimum):
            "the line has the work \(work), and \(minimum) is asked for at least"
        }
    }
}

/// What is wrong with a committee's header, or with a committee.
public enum CommitteeError: Error, Equatable, Sendable {
    /// The header came without a certificate.
    case noCertificate(number: UInt64)
    /// Not more than two thirds of the stake have signed.
    case tooLittleStake(number: UInt64, part: UInt64, of: UInt64)
    /// None, or more than 64 members.
    case memberCount(Int)
    /// Members out of order, or one twice.
    case memberOrder(Bytes32)
    case noStake(Bytes32)
    /// The stakes together are above the bound.
    case tooMuchStake
    /// `extraData` of a term's last block is not as long as its number of members says.
    case handOverSize(bytes: Int)
    case handOverVersion(UInt8)
}

extension CommitteeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noCertificate(let number): "block \(number) came without its certificate"
        case .tooLittleStake(let number, let part, let all):
            "block \(number) is signed by \(part) of \(all) stake; more than two thirds are asked for"
        case .memberCount(let count): "a committee of \(count) members; 1 to \(ChainLimits.voters) are allowed"
        case .memberOrder(let key): "the member \(key) is out of order, or stands twice"
        case .noStake(let key): "the member \(key) has no stake"
        case .tooMuchStake: "all stakes together are more than \(ChainLimits.stake)"
        case .handOverSize(let bytes): "a hand-over of \(bytes) bytes, which is no whole committee"
        case .handOverVersion(let version): "a hand-over of the unknown version \(version)"
        }
    }
}
