import Primitives

/// The state after one block.
public struct StatePoint: Hashable, Comparable, Sendable {
    public let number: UInt64
    /// Hash of the block.
    public let hash: Bytes32

    public init(number: UInt64, hash: Bytes32) {
        self.number = number
        self.hash = hash
    }

    /// By number, then by hash: an order to sort by, not one of time.
    public static func < (a: StatePoint, b: StatePoint) -> Bool {
        (a.number, a.hash) < (b.number, b.hash)
    }
}

extension StatePoint: CustomStringConvertible {
    public var description: String { "\(number) (\(hash.short))" }
}

/// The state at an epoch's boundary block: epoch e's is block e × epoch length; epoch 0 is genesis.
public struct Anchor: Hashable, Comparable, Sendable {
    public let epoch: UInt64
    /// Hash of the boundary block.
    public let hash: Bytes32

    public init(epoch: UInt64, hash: Bytes32) {
        self.epoch = epoch
        self.hash = hash
    }

    /// By epoch, then by hash.
    public static func < (a: Anchor, b: Anchor) -> Bool { (a.epoch, a.hash) < (b.epoch, b.hash) }
}

extension Anchor: CustomStringConvertible {
    public var description: String { "epoch \(epoch) (\(hash.short))" }
}
