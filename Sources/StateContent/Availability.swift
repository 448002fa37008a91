import Chain
import Primitives
import StateStore

/// The complete sections that a node has at one anchor.
public struct AnchorSections: Hashable, Sendable {
    public let anchor: Anchor
    /// Section indices: ascending, not empty, not touching each other, below 2^16.
    public let runs: [Range<Int>]

    /// Any runs in any order, empty and overlapping ones too; what lies outside 0 ..< 65,536 is cut off.
    public init(anchor: Anchor, runs: [Range<Int>]) {
        self.anchor = anchor
        var joined: [Range<Int>] = []
        let inside = runs.map { $0.clamped(to: 0..<Self.indexLimit) }.filter { !$0.isEmpty }
        for run in inside.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, run.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, run.upperBound)
            } else {
                joined.append(run)
            }
        }
        self.runs = joined
    }

    /// Sections have at most 4 nibbles.
    static let indexLimit = Section.count(depth: ChainLimits.sectionDepth)

    /// A run is written as its first and its last index.
    static func schema(runLimit: Int) -> SSZType {
        .container([
            ("anchor", StateContentKey.anchorSchema),
            ("runs", .list(.container([("first", .uint16), ("last", .uint16)]), limit: runLimit)),
        ])
    }

    var encoded: [UInt8] {
        let bounds = runs.flatMap { run in
            ColumnWriter.integer(UInt16(truncatingIfNeeded: run.lowerBound))
                + ColumnWriter.integer(UInt16(truncatingIfNeeded: run.upperBound - 1))
        }
        return ColumnWriter.container(fixed: StateContentKey.bytes(anchor), [bounds])
    }

    /// nil where the runs are not in their one form.
    init?(_ value: SSZValue) throws(SSZError) {
        let fields = try value.fields
        var runs: [Range<Int>] = []
        for element in try fields[1].elements {
            let bounds = try element.fields
            let first = Int(truncatingIfNeeded: try bounds[0].uint64)
            let last = Int(truncatingIfNeeded: try bounds[1].uint64)
            guard first <= last, runs.last.map({ $0.upperBound < first }) ?? true else { return nil }
            runs.append(first..<(last + 1))
        }
        anchor = try StateContentKey.anchor(fields[0])
        self.runs = runs
    }
}

/// The content of `0x48`: the complete sections at each served anchor, whole. Storage parts of placed tries would
/// follow here; no network of today has any.
public struct AvailabilityValue: Hashable, Sendable {
    /// At most `StateContentLimits.servedAnchors`.
    public let served: [AnchorSections]

    static let schema = SSZType.list(
        AnchorSections.schema(runLimit: StateContentLimits.availabilityRuns), limit: StateContentLimits.servedAnchors)

    /// The newest anchors, where there are more than may be listed; ascending.
    public init(served: [AnchorSections]) {
        self.served = served.sorted { $0.anchor < $1.anchor }.suffix(StateContentLimits.servedAnchors)
    }

    /// The value, status byte included.
    public var encoded: [UInt8] { [0] + ColumnWriter.items(served.map(\.encoded)) }

    /// Reads a whole value, its status byte included.
    public init(decoding value: [UInt8]) throws(StateContentError) {
        try StateStatus.requireData(value)
        do throws(SSZError) {
            var served: [AnchorSections] = []
            for element in try SSZ.decode(value.dropFirst(), as: Self.schema).elements {
                guard let sections = try AnchorSections(element) else { throw .wrongShape }
                served.append(sections)
            }
            self.served = served
        } catch {
            throw .malformed(error)
        }
        guard zip(served, served.dropFirst()).allSatisfy({ $0.anchor < $1.anchor }) else {
            throw .invalid("anchors out of order")
        }
    }
}

/// The ping payload of type 10,101: what a node is and what it serves, in short form. Announcing less than one has is
/// always allowed; `AvailabilityValue` gives the whole.
public struct StatePingPayload: Hashable, Sendable {
    /// The payload's type in PING and PONG.
    public static let type: UInt16 = 10_101

    public let role: Role
    /// 2^k − 1: the node keeps the aligned stretch of 2^k keys round its id.
    public let radius: UInt256
    /// Newest block that everything held is known up to; nil before there is one.
    public let head: StatePoint?
    /// At most two, ascending.
    public let served: [AnchorSections]

    static let schema = SSZType.container([
        ("role", .uint8), ("radius", .uint256), ("head", StateContentKey.pointSchema),
        (
            "served",
            .list(
                AnchorSections.schema(runLimit: StateContentLimits.pingRuns), limit: StateContentLimits.pingAnchors)
        ),
    ])

    /// The same without what is served.
    public var servingNothing: StatePingPayload {
        StatePingPayload(role: role, radius: radius, head: head, served: [])
    }

    /// role, radius, head, and the offset of the list.
    private static let fixedBytes = 1 + 32 + 40 + 4
    /// An anchor, its place in the list and the offset of its runs.
    private static let anchorBytes = 4 + 40 + 4
    private static let runBytes = 4

    /// The two newest anchors; of their runs the longest, as many as a payload of 700 bytes holds. Of equally long ones
    /// those of the newer anchor, and of those the first.
    public init(role: Role, radius: UInt256, head: StatePoint?, served: [AnchorSections]) {
        self.role = role
        self.radius = radius
        self.head = head
        let newest = Array(served.sorted { $0.anchor < $1.anchor }.suffix(StateContentLimits.pingAnchors))
        let room = StateContentLimits.pingPayloadBytes - Self.fixedBytes - Self.anchorBytes * newest.count
        let all = newest.indices.flatMap { place in newest[place].runs.map { (place: place, run: $0) } }
        guard all.count * Self.runBytes > room else {
            self.served = newest
            return
        }
        let longest = all.sorted {
            ($0.run.count, $0.place, $1.run.lowerBound) > ($1.run.count, $1.place, $0.run.lowerBound)
        }.prefix(room / Self.runBytes)
        self.served = newest.indices.map { place in
            AnchorSections(
                anchor: newest[place].anchor, runs: longest.filter { $0.place == place }.map { $0.run })
        }
    }

    /// The payload, at most 700 bytes.
    public var encoded: [UInt8] {
        let point = head ?? StatePoint(number: 0, hash: .zero)
        return ColumnWriter.container(
            fixed: [role.rawValue] + radius.littleEndianBytes + StateContentKey.bytes(point),
            [ColumnWriter.items(served.map(\.encoded))])
    }

    /// Reads exactly one payload.
    public init(decoding bytes: [UInt8]) throws(StateContentError) {
        guard bytes.count <= StateContentLimits.pingPayloadBytes else { throw .valueTooLong(bytes: bytes.count) }
        do throws(SSZError) {
            let fields = try SSZ.decode(bytes, as: Self.schema).fields
            let point = try StateContentKey.point(fields[2])
            var served: [AnchorSections] = []
            for element in try fields[3].elements {
                guard let sections = try AnchorSections(element) else { throw .wrongShape }
                served.append(sections)
            }
            role = Role(rawValue: UInt8(truncatingIfNeeded: try fields[0].uint64))
            radius = try fields[1].uint256
            // No block has the hash zero: it stands for none.
            head = point.hash == .zero ? nil : point
            self.served = served
            guard point.hash != .zero || point.number == 0 else { throw .wrongShape }
        } catch {
            throw .malformed(error)
        }
        guard zip(served, served.dropFirst()).allSatisfy({ $0.anchor < $1.anchor }) else {
            throw .invalid("anchors out of order")
        }
    }
}
