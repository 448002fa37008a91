import Chain
import Primitives
import StateStore

/// A block of an execution chain as it is applied, or several that follow one another and are applied at once: the
/// header of the last, and what their access lists change. For genesis the changes are the whole allocation.
public struct ReplayedBlock: Sendable {
    /// The header of the last block: its state root is what the changes must lead to.
    public let header: BlockHeader
    /// Number of the first block.
    public let first: UInt64
    /// By account key, what the code of an account must hash to after the block, where that is said without the code.
    public let codeHashes: [Bytes32: Bytes32]
    /// The blocks as they travel, rising; none where they are not known, or not to be kept.
    let bytes: [(point: StatePoint, block: BlockBytes)]
    /// What came with the header of a bridge's block, where its rule asks for that: a committee's signatures.
    let certificate: Certificate?
    /// The changes of each block, in order.
    private let parts: [[AccountChange]]

    public init(
        header: BlockHeader, changes: [AccountChange], codeHashes: [Bytes32: Bytes32] = [:], bytes: BlockBytes? = nil,
        certificate: Certificate? = nil
    ) {
        self.header = header
        self.certificate = certificate
        first = header.number
        self.codeHashes = codeHashes
        self.bytes = bytes.map { [(header.point, $0)] } ?? []
        parts = [changes.sorted { $0.key < $1.key }]
    }

    /// Blocks that follow one another, each checked by itself; nil for none.
    public init?(_ blocks: [CheckedBlock]) {
        guard let first = blocks.first, let last = blocks.last else { return nil }
        header = last.header
        self.first = first.header.number
        codeHashes = [:]
        certificate = nil
        bytes = blocks.map { ($0.header.point, $0.bytes) }
        parts = blocks.map(\.changes)
    }

    private init(_ block: ReplayedBlock, changes: [AccountChange]) {
        header = block.header
        first = block.first
        codeHashes = block.codeHashes
        bytes = block.bytes
        certificate = block.certificate
        parts = [changes]
    }

    /// What is changed in all, by account key, rising. Of several blocks it is put together anew with every call.
    public var changes: [AccountChange] { AccountChange.merged(parts) }

    /// The same with its changes put together.
    var flattened: ReplayedBlock { parts.count > 1 ? ReplayedBlock(self, changes: changes) : self }
}
