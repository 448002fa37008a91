/// How blocks fall into epochs: equal runs of them, the first of which begins with genesis. An epoch's first block is
/// its *boundary*; the state after it is the epoch's anchor.
public struct Epochs: Hashable, Sendable {
    /// Blocks of an epoch, 1 or more.
    public let length: UInt64

    public init(length: UInt64) {
        precondition(length > 0, "an epoch has blocks")
        self.length = length
    }

    /// The epoch that block `number` lies in.
    public func epoch(of number: UInt64) -> UInt64 { number / length }

    /// Whether the block begins an epoch.
    public func isBoundary(_ number: UInt64) -> Bool { number.isMultiple(of: length) }

    /// The boundary block of an epoch; nil where it has no 64-bit number.
    public func boundary(of epoch: UInt64) -> UInt64? {
        let (number, overflow) = epoch.multipliedReportingOverflow(by: length)
        return overflow ? nil : number
    }

    /// The last boundary block below block `number`; nil for genesis.
    public func boundary(before number: UInt64) -> UInt64? {
        number == 0 ? nil : number - 1 - (number - 1) % length
    }

    /// The first boundary block above block `number`; nil where it has no 64-bit number.
    public func boundary(after number: UInt64) -> UInt64? {
        let (epoch, overflow) = epoch(of: number).addingReportingOverflow(1)
        return overflow ? nil : boundary(of: epoch)
    }

    /// The anchor that a boundary block makes.
    public func anchor(at point: StatePoint) -> Anchor { Anchor(epoch: epoch(of: point.number), hash: point.hash) }

    /// The boundary block of an anchor; nil where it has no 64-bit number.
    public func point(of anchor: Anchor) -> StatePoint? {
        boundary(of: anchor.epoch).map { StatePoint(number: $0, hash: anchor.hash) }
    }
}
