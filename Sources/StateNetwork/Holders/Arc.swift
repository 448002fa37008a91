import Chain
import Primitives
import StateStore

/// The aligned stretch of the ring that a node keeps: the 2^k keys round its id that share its leading bits, in whole
/// sections. What is smaller than a section counts as one, since a section is the unit of responsibility.
public struct Arc: Hashable, Sendable {
    // Small numbers in few bytes: a directory has thousands of arcs.
    private let nibbles, leadingBits: UInt8
    private let number: UInt32

    /// Leading nibbles of a section's path in this network.
    public var depth: Int { Int(nibbles) }
    /// Leading bits that all its keys share, 0 (the whole ring) … 4 · depth (one section).
    public var bits: Int { Int(leadingBits) }
    /// Those bits as a number.
    public var prefix: Int { Int(number) }

    /// The arc of `bits` leading bits that a section lies in.
    public init(around section: Int, bits: Int, depth: Int) {
        let kept = min(max(bits, 0), 4 * depth)
        nibbles = UInt8(truncatingIfNeeded: depth)
        leadingBits = UInt8(truncatingIfNeeded: kept)
        number = UInt32(truncatingIfNeeded: section >> (4 * depth - kept))
    }

    /// The arc of a node that keeps 2^`radiusExponent` keys round its id.
    public init(of id: Bytes32, radiusExponent: Int, depth: Int) {
        self.init(
            around: Section(of: id, depth: depth).index, bits: 256 - min(max(radiusExponent, 0), 256), depth: depth)
    }

    /// The arc of a node by the radius it tells. Radii are 2^k − 1; of another one the part that is such counts.
    public init(of id: Bytes32, radius: UInt256, depth: Int) {
        let width = 256 - radius.big.leadingZeroBitCount
        let exponent = radius == UInt256.mask(bits: width) ? width : width - 1
        self.init(of: id, radiusExponent: exponent, depth: depth)
    }

    /// The whole ring of a network.
    public static func whole(_ network: NetworkConfiguration) -> Arc {
        Arc(around: 0, bits: 0, depth: network.sectionDepth)
    }

    /// Its sections' indices.
    public var sections: Range<Int> {
        let width = 1 << (4 * depth - bits)
        return prefix * width..<(prefix + 1) * width
    }

    /// Whether it is the whole ring.
    public var isWhole: Bool { bits == 0 }

    /// The arc twice its size that it is half of; itself for the whole ring.
    public var parent: Arc { Arc(around: sections.lowerBound, bits: bits - 1, depth: depth) }

    /// Every arc that a section lies in, from the whole ring down to the section itself.
    static func all(around section: Int, depth: Int) -> [Arc] {
        (0...4 * depth).map { Arc(around: section, bits: $0, depth: depth) }
    }
}
