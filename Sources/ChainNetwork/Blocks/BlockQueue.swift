import Chain
import Primitives

/// The blocks above the last one applied, in runs that follow each other: which are wanted, asked for, being checked,
/// or ready to be applied; and the hash that each must have.
struct BlockQueue: Sendable {
    /// A block that was checked, and who sent it.
    struct Ready: Sendable {
        let block: CheckedBlock
        let sender: Bytes32
    }

    /// Blocks that one thing is done about.
    struct Run: Sendable {
        enum State: Sendable {
            case wanted
            /// Of one peer, or of two.
            case asked([BlockSync.RequestTag])
            case checking(BlockSync.CheckTag)
            case ready([Ready])
        }

        var first: UInt64
        var count: Int
        var state = State.wanted
        /// Requests for it that came to nothing.
        var attempts = 0

        /// Number after the last one.
        var end: UInt64 { first + UInt64(count) }
        var numbers: Range<UInt64> { first..<end }

        /// Whether it may be that its first block is a very large one.
        var isDifficult: Bool { attempts >= ChainNetworkLimits.difficultAfter }

        var isWanted: Bool { if case .wanted = state { true } else { false } }
    }

    /// Without gaps, from `next` on.
    private(set) var runs: [Run] = []
    /// Number of the next block to be applied that is not on its way into the store.
    private(set) var next: UInt64
    /// What the blocks from `next` on hash to, as far as that is known.
    private var hashes: [Bytes32] = []
    /// Bytes of the blocks that are ready.
    private(set) var readyBytes = 0

    init(next: UInt64) { self.next = next }

    /// Number after the last block that is queued.
    var end: UInt64 { runs.last?.end ?? next }
    /// Number after the last block whose hash is known.
    var hashesEnd: UInt64 { next + UInt64(hashes.count) }

    /// The hashes of blocks from one on; fewer where not all are known.
    func hashes(from first: UInt64, count: Int) -> [Bytes32] {
        guard first >= next, first < hashesEnd else { return [] }
        return Array(hashes[Int(first - next)...].prefix(count))
    }

    /// What follows the hashes that are known.
    mutating func append(hash: Bytes32) { hashes.append(hash) }

    /// More blocks are wanted.
    mutating func want(_ count: Int) { runs.append(Run(first: end, count: count)) }

    // MARK: One run

    mutating func set(_ state: Run.State, at index: Int) { runs[index].state = state }

    /// Cuts a run, so that it has `count` blocks; those after them are wanted.
    mutating func cut(_ index: Int, to count: Int) {
        let run = runs[index]
        guard count < run.count else { return }
        runs[index].count = count
        runs.insert(Run(first: run.first + UInt64(count), count: run.count - count), at: index + 1)
    }

    /// The run that a request was made for.
    func index(of tag: BlockSync.RequestTag) -> Int? {
        runs.firstIndex { if case .asked(let tags) = $0.state { tags.contains(tag) } else { false } }
    }

    /// The run that is being checked by this name.
    func index(of tag: BlockSync.CheckTag) -> Int? {
        runs.firstIndex { if case .checking(tag) = $0.state { true } else { false } }
    }

    /// A request came to its end: the run is wanted, unless it was asked of another peer too. `failed`: nothing came.
    mutating func release(_ tag: BlockSync.RequestTag, failed: Bool) {
        guard let index = index(of: tag), case .asked(let tags) = runs[index].state else { return }
        let others = tags.filter { $0 != tag }
        runs[index].state = others.isEmpty ? .wanted : .asked(others)
        if failed { runs[index].attempts += 1 }
    }

    /// The blocks of a check: those that hold are ready, the others are wanted.
    mutating func checked(_ index: Int, _ blocks: [CheckedBlock], from sender: Bytes32) {
        guard !blocks.isEmpty else { return runs[index].state = .wanted }
        cut(index, to: blocks.count)
        runs[index].state = .ready(blocks.map { Ready(block: $0, sender: sender) })
        readyBytes += blocks.reduce(0) { $0 + $1.bytes.count }
    }

    // MARK: The front

    /// Takes the blocks that are to be applied next: at most `most`, none after one for which `isLast` is true.
    mutating func take(most: Int, isLast: (UInt64) -> Bool) -> [Ready] {
        var taken: [Ready] = []
        while taken.count < most, let run = runs.first, case .ready(let blocks) = run.state {
            var part: [Ready] = []
            for block in blocks.prefix(most - taken.count) {
                part.append(block)
                if isLast(block.block.header.number) { break }
            }
            taken += part
            let rest = Array(blocks.dropFirst(part.count))
            runs.removeFirst()
            if !rest.isEmpty {
                runs.insert(
                    Run(first: run.first + UInt64(part.count), count: rest.count, state: .ready(rest)), at: 0)
                break
            }
            if let last = part.last, isLast(last.block.header.number) { break }
        }
        readyBytes -= taken.reduce(0) { $0 + $1.block.bytes.count }
        next += UInt64(taken.count)
        hashes.removeFirst(min(taken.count, hashes.count))
        return taken
    }

    /// Puts blocks that were taken back before the others.
    mutating func putBack(_ blocks: [Ready]) {
        guard let first = blocks.first?.block.header.number else { return }
        hashes.insert(contentsOf: blocks.map(\.block.header.hash), at: 0)
        next = first
        runs.insert(Run(first: first, count: blocks.count, state: .ready(blocks)), at: 0)
        readyBytes += blocks.reduce(0) { $0 + $1.block.bytes.count }
    }

    /// A block that was taken does not hold: it is wanted again, of somebody else.
    mutating func wantAgain(_ block: Ready) {
        let number = block.block.header.number
        hashes.insert(block.block.header.hash, at: 0)
        next = number
        runs.insert(Run(first: number, count: 1), at: 0)
    }
}
