import Primitives

/// Hands out random numbers from blocks of the entropy's stream, so that a packet costs no allocation for them. Keys
/// are drawn from the entropy itself.
struct RandomPool: Sendable {
    private static let blockSize = 1_024

    var entropy: Entropy
    private var block: [UInt8] = []
    private var position = RandomPool.blockSize

    init(_ entropy: Entropy) { self.entropy = entropy }

    mutating func next64() -> UInt64 {
        if position + 8 > block.count {
            block = entropy.bytes(RandomPool.blockSize)
            position = 0
        }
        defer { position += 8 }
        return block.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt64.self) }
    }

    mutating func next16() -> Random16 { Random16(high: next64(), low: next64()) }
}
