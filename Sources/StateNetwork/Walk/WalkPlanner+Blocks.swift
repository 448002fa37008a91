import Chain
import Primitives
import StateContent
import StateStore

/// Block diffs that are asked for, by whoever is offered none: a node that keeps the storage of few accounts wants them
/// without the rest, and which those are nobody knows but itself.
///
/// Once a block is attested here its diffs are on their way from holder to holder. So they are asked for a moment
/// later, of those who announce the sections, by stretches; who does not have them yet says so and is asked again. What
/// is still missing after a while is caught up, as for everybody, by section diffs.
struct BlockPulls: Sendable {
    private struct Block {
        /// When it was first seen to be attested.
        let since: Instant
        /// Stretches of which the changes have come.
        var came: [ClosedRange<Int>] = []
    }

    private var blocks: [StatePoint: Block] = [:]

    /// Blocks up to the verified head are done with.
    mutating func keep(above number: UInt64) { blocks = blocks.filter { $0.key.number > number } }

    /// When a block may be asked for.
    mutating func due(_ point: StatePoint, at now: Instant) -> Instant {
        if blocks[point] == nil { blocks[point] = Block(since: now) }
        return (blocks[point]?.since ?? now) + WalkLimits.blockPatience
    }

    /// The stretches of a block that have come.
    func came(of point: StatePoint) -> [ClosedRange<Int>] { blocks[point]?.came ?? [] }

    /// What was asked for of a block has come.
    mutating func came(_ stretch: ClosedRange<Int>, of point: StatePoint) { blocks[point]?.came.append(stretch) }
}

extension WalkPlanner {
    /// Asks for the diffs of attested blocks above the verified head.
    mutating func planBlocks(
        _ holdings: Holdings, _ operations: OperationTable, _ chain: some AttestedHeaders, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        guard !configuration.kept.isAll, let verified = holdings.verifiedHead else { return }
        pulls.keep(above: verified.number)
        let head = chain.head.number
        guard verified.number < head else { return }
        var underWay: [StatePoint: [ClosedRange<Int>]] = [:]
        for case .blockDiffs(let point, let stretch)? in operations.asks.lazy.map(\.task) {
            underWay[point, default: []].append(stretch)
        }
        var root = chain.header(of: verified)?.stateRoot
        for number in (verified.number + 1)...min(head, verified.number + WalkLimits.blocksAsked) {
            guard let header = chain.header(at: number) else { return }
            defer { root = header.stateRoot }
            guard header.stateRoot != root else { continue }
            let due = pulls.due(header.point, at: draft.now)
            guard due <= draft.now else { return draft.lookAgain(at: due) }
            let covered = pulls.came(of: header.point) + (underWay[header.point] ?? [])
            ask(for: header.point, except: covered, holdings.book, &draft, by: &chooser)
        }
    }

    /// What misses blocks, by the block after which somebody has it: of its changes a diff waits. nil: none is known.
    func byGapEnd(_ gaps: [Int], _ book: SectionBook, _ chain: some AttestedHeaders) -> [StatePoint?: [Int]] {
        Dictionary(grouping: gaps) { id in
            guard let known = book.read(id, { $0.knownAt }) ?? nil, known.number > book.top(of: id),
                chain.isAttested(known)
            else { return nil }
            return known
        }
    }

    /// Asks for what is not covered of one block, each stretch of one who says that it has all of it.
    private func ask(
        for point: StatePoint, except covered: [ClosedRange<Int>], _ book: SectionBook, _ draft: inout WalkDraft,
        by chooser: inout some PeerChooser
    ) {
        var first = book.arc.lowerBound
        while first < book.arc.upperBound {
            if let stretch = covered.first(where: { $0.contains(first) }) {
                first = stretch.upperBound + 1
                continue
            }
            let start = first
            guard let id = draft.choose(by: &chooser, where: { $0.holds(start, atAny: { _ in true }) }),
                let peer = draft.candidate(id)
            else { return }
            let runs = peer.served.flatMap(\.runs).filter { $0.contains(start) }
            let next = covered.map(\.lowerBound).filter { $0 > start }.min() ?? book.arc.upperBound
            let end = min(runs.map(\.upperBound).max() ?? start + 1, next)
            let last = start + configuration.kept.nameable(Array(start..<end), depth: book.depth).count - 1
            draft.ask(.blockDiffs(point, start...max(last, start)), of: id)
            first = max(last, start) + 1
        }
    }
}

extension KeptStorage {
    /// Of these sections, which ascend, as many from the first on as one request can name the kept accounts of.
    func nameable(_ sections: [Int], depth: Int) -> ArraySlice<Int> {
        guard let accounts, accounts.count > StateContentLimits.keptStorages else { return sections[...] }
        var (next, named) = (0, 0)
        let end = sections.firstIndex { index in
            let section = Section(depth: depth, index: index)
            while next < accounts.count, accounts[next] <= section.lastKey {
                if accounts[next] >= section.firstKey { named += 1 }
                next += 1
            }
            return named > StateContentLimits.keptStorages
        }
        return sections[..<(end ?? sections.endIndex)]
    }
}
