import Chain
import Primitives

/// A chain that is made as time passes, by one maker or several of one plan. A block follows from its parent, from its
/// time and from which maker it is of; so whoever has a header can make its block again, and makers need nothing of one
/// another but headers. The same plan and the same times give the same blocks.
///
/// Now and then the first maker leaves its own line: it goes some blocks back and on along another one, which outweighs
/// what it left with the first block more.
public struct LiveChain: Sendable {
    /// What is made.
    public struct Plan: Sendable {
        public var network: MadeNetwork
        public var shape: ForgeShape
        /// Decides about genesis and about what every block does.
        public var seed: UInt64
        /// Seconds from a block to the next, at least.
        public var blockSeconds: UInt64
        /// After every how many blocks it leaves its line; nil: never. Only where blocks count by their work: a
        /// committee that signed two lines would stop every node.
        public var forkEvery: UInt64?
        /// Which of the makers this is, from 0, and how many there are. Where committees sign there is one.
        public var maker = 0, makers = 1

        public init(
            _ network: MadeNetwork, shape: ForgeShape, seed: UInt64, blockSeconds: UInt64 = 2, forkEvery: UInt64? = nil
        ) {
            self.network = network
            self.shape = shape
            self.seed = seed
            self.blockSeconds = blockSeconds
            self.forkEvery = network.kind == .proofOfWork ? forkEvery : nil
        }
    }

    /// Blocks that are left at a fork, at most: one less than what makes a block final, so that none which was final is
    /// undone.
    public static let deepestFork = Int(ChainLimits.workFinalityDepth) - 1
    /// Blocks from a fork to the next, at least: twice what a fork takes to outweigh what it left.
    public static let leastBetweenForks = UInt64(2 * (deepestFork + 1))
    /// Blocks that are remembered, so that another line can be followed from below them.
    private static let remembered = 16

    public let plan: Plan
    private var forge: ChainForge
    /// The maker as it was before each of the newest blocks, the oldest first.
    private var earlier: [ChainForge] = []
    /// How often it left its line, which makes the blocks from there on others.
    public private(set) var forks: UInt64 = 0
    /// The highest block at which it left its line, and the blocks that it left there.
    private var leftAt: UInt64 = 0
    private var left: Set<Bytes32> = []

    /// Makes genesis. Errors as `ChainForge.init`.
    public init(_ plan: Plan) throws {
        self.plan = plan
        forge = try plan.network.forge(plan.shape, seed: plan.seed)
    }

    /// The header of genesis, and that of the newest block made.
    public var genesis: BlockHeader { forge.genesis }
    public var head: BlockHeader { forge.head }

    /// Whether there are as many blocks as the shape has.
    public var isFinished: Bool { head.number >= UInt64(plan.shape.blocks) }

    /// Every account of the state after the newest block made, by key, rising.
    public func forEachAccount(_ body: (MadeAccount) throws -> Void) rethrows { try forge.forEachAccount(body) }

    // MARK: Blocks of its own

    /// When the next block of its own is due, Unix seconds. Where there are several makers chance decides which of them
    /// is the first.
    public var nextTime: UInt64 {
        var draw = Draw(seed: plan.seed ^ UInt64(plan.maker) << 32, .fork, Int(head.number))
        let chance = plan.makers > 1 ? draw.below(Int(plan.blockSeconds) + 1) : 0
        // Genesis is dated long ago.
        return head.timestamp + plan.blockSeconds + UInt64(chance)
    }

    /// Makes the next block, at this time (Unix seconds): a child of the last one made or, at a fork, of an earlier
    /// one. nil once there are as many as the shape has. Errors as `HeaderSealer.seal`.
    public mutating func next(at unixSeconds: UInt64) throws -> MadeBlock? {
        if let every = plan.forkEvery, plan.maker == 0, head.number > leftAt, head.number.isMultiple(of: every) {
            leave()
        }
        return try make(at: unixSeconds, salt: forks << 8 | UInt64(plan.maker))
    }

    private mutating func make(at unixSeconds: UInt64, salt: UInt64) throws -> MadeBlock? {
        let before = forge
        guard let made = try forge.next(at: unixSeconds, salt: salt) else { return nil }
        earlier.append(before)
        if earlier.count > LiveChain.remembered { earlier.removeFirst() }
        return made
    }

    /// Goes back to where it was some blocks ago: how many, the seed says.
    private mutating func leave() {
        guard !earlier.isEmpty else { return }
        leftAt = head.number
        forks += 1
        var draw = Draw(seed: plan.seed, .fork, Int(forks) << 32)
        let depth = draw.within(1...min(earlier.count, LiveChain.deepestFork))
        left = Set(earlier.suffix(depth - 1).map(\.head.hash) + [head.hash])
        forge = earlier[earlier.count - depth]
        earlier.removeLast(depth)
    }

    // MARK: Blocks of others

    /// What is to be done about a line that is believed.
    public enum Following: Equatable, Sendable {
        /// Its last block is one of these, or one that was left: this maker may make the next.
        case caughtUp
        /// This block of it is to be made again, before any of its own.
        case follow(BlockHeader)
        /// Its headers do not reach down to any of these.
        case outOfSight
    }

    /// What is to be done about the newest headers that are believed, rising. A maker that is behind makes nothing of
    /// its own, however little it lacks.
    public func following(_ line: [BlockHeader]) -> Following {
        let own = earlier.map(\.head) + [head]
        guard let tip = line.last, tip.number >= own[0].number, !left.contains(tip.hash), !own.contains(tip) else {
            return .caughtUp
        }
        let next = line.last { header in own.contains { $0.hash == header.parentHash } }
        return next.map { .follow($0) } ?? .outOfSight
    }

    /// Makes a block again that another maker has made, or this one in an earlier life. Throws
    /// `ForgeError.inconsistent` where it is none of this plan's, or parts from what was made below all that is
    /// remembered.
    public mutating func follow(_ header: BlockHeader) throws -> MadeBlock {
        if header.parentHash != head.hash {
            guard let place = earlier.lastIndex(where: { $0.head.hash == header.parentHash }) else {
                throw ForgeError.inconsistent("block \(header.point) parts from it too far down")
            }
            forge = earlier[place]
            earlier.removeLast(earlier.count - place)
        }
        let salt = header.extraData.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let isSigned = plan.network.kind == .committee
        guard let made = try make(at: header.timestamp, salt: isSigned ? 0 : salt), made.block.header == header else {
            throw ForgeError.inconsistent("block \(header.point) is not one of this plan's")
        }
        return made
    }
}
