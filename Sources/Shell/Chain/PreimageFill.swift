import Chain
import StateStore

/// Brings in the addresses and slots of blocks that a bridge applied before it was told to keep them.
enum PreimageFill {
    /// Bytes written at once.
    private static let batchBytes = ShellLimits.transactionBytes

    /// Reads the recorded chain from the block after the last one whose preimages are here, up to the newest one that
    /// was applied. Nothing happens where they are all here.
    static func run(_ store: LMDBStore, _ chain: ChainDirectory, upTo head: StatePoint?) throws {
        guard let head else { return }
        let filled = try PreimageRecords.filled(in: try store.snapshot())
        guard filled ?? 0 < head.number || filled == nil else { return }
        let source = ReplaySource(directory: chain, from: filled.map { $0 + 1 } ?? 0, after: head)
        var batch = WriteBatch()
        while let block = try source.next(), block.header.number <= head.number {
            batch.append(PreimageRecords.writing(block.changes))
            batch.append(PreimageRecords.writing(filledUpTo: block.header.number))
            guard batch.byteCount > batchBytes else { continue }
            try store.commit(batch)
            batch = WriteBatch()
        }
        try store.commit(batch)
    }
}
