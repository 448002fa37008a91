import Chain
import Primitives
import StateStore

/// The arc that a holder keeps and the one that it announces, by the exponents of their radii; written down, so that a
/// start goes on in the middle of a step.
public struct ArcMark: Hashable, Sendable {
    private static let name = "arc"

    /// 2^`kept` keys round the id are held, or are being filled.
    public let kept: Int
    /// 2^`announced` keys are said to be; `kept`, or one less.
    public let announced: Int

    /// Exponents from 0 to 256.
    public init(kept: Int, announced: Int) {
        self.kept = kept
        self.announced = announced
    }

    /// Whether a step up is under way.
    public var isWidening: Bool { announced < kept }

    /// In place of what was stored before. `plan`: under which it came about.
    public func writing(under plan: ArcPlan) -> WriteBatch {
        var writer = ByteWriter()
        for exponent in [kept, announced, plan.first, plan.largest] {
            writer.append(bigEndian: UInt32(truncatingIfNeeded: exponent))
        }
        return StateWrites.local(ArcMark.name, writer.bytes)
    }

    /// What was written down last, and under which plan; nil where nothing was.
    static func read(from snapshot: some StoreSnapshot) throws(StoreError) -> (mark: ArcMark, plan: ArcPlan)? {
        guard let bytes = try LocalValues.value(name, in: snapshot) else { return nil }
        do throws(ByteError) {
            var reader = ByteReader(bytes)
            var exponents: [Int] = []
            for _ in 0..<4 { exponents.append(Int(try reader.uint32BigEndian())) }
            try reader.finish()
            let mark = ArcMark(kept: exponents[0], announced: exponents[1])
            guard exponents.allSatisfy({ $0 <= 256 }), mark.announced == mark.kept || mark.announced + 1 == mark.kept
            else { throw ByteError.notCanonical }
            return (mark, ArcPlan(first: exponents[2], largest: exponents[3]))
        } catch {
            throw .corrupt(table: .local)
        }
    }

    /// Where a holder begins. Under a plan that leaves the size to itself, or that it had before: at what was written
    /// down. Else at the first arc of the plan, or at a larger one that the store has whole already.
    ///
    /// - Parameter complete: the sections of which every leaf is held.
    static func start(
        stored: (mark: ArcMark, plan: ArcPlan)?, plan: ArcPlan, id: Bytes32, depth: Int, complete: Set<Int>
    ) -> ArcMark {
        let (floor, ceiling) = (plan.floor(depth: depth), plan.ceiling(depth: depth))
        if let (mark, before) = stored, plan.isOpen || before == plan {
            let kept = min(max(mark.kept, floor), ceiling)
            return ArcMark(kept: kept, announced: min(max(mark.announced, floor), kept))
        }
        let first = min(max(plan.first, floor), ceiling)
        let whole = (first...ceiling).last { exponent in
            Arc(of: id, radiusExponent: exponent, depth: depth).sections.allSatisfy { complete.contains($0) }
        }
        return ArcMark(kept: whole ?? first, announced: whole ?? first)
    }
}

/// How much of the ring a node is told to keep, by exponents of radii.
public struct ArcPlan: Hashable, Sendable {
    /// Of a node that has nothing yet.
    public var first: Int
    /// The largest.
    public var largest: Int

    /// Both from 0 to 256.
    public init(first: Int, largest: Int) {
        self.first = first
        self.largest = largest
    }

    /// One section at first, and as much as there is room for.
    public static let automatic = ArcPlan(first: 0, largest: 256)

    /// As many keys from the start, and never more.
    public static func fixed(_ exponent: Int) -> ArcPlan { ArcPlan(first: exponent, largest: exponent) }

    /// Whether it leaves the size to the node.
    public var isOpen: Bool { first < largest }

    /// The exponent of one section.
    func floor(depth: Int) -> Int { 256 - 4 * depth }

    /// The largest exponent, which is that of one section at least.
    func ceiling(depth: Int) -> Int { min(256, max(largest, floor(depth: depth))) }
}
