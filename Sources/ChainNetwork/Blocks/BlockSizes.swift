import Chain

/// How large the blocks are that came lately.
struct BlockSizes: Sendable {
    /// Bytes of a block with its access list, and of the list, on average; nil before the first.
    private(set) var block: Int?
    private(set) var list: Int?

    mutating func note(_ blocks: [BlockBytes]) {
        guard !blocks.isEmpty else { return }
        func mean(_ before: Int?, _ size: (BlockBytes) -> Int) -> Int {
            let now = blocks.reduce(0) { $0 + size($1) } / blocks.count
            return before.map { ($0 * 3 + now) / 4 } ?? now
        }
        block = mean(block) { $0.count }
        list = mean(list) { $0.accessList.count }
    }
}
