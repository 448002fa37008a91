import Chain
import Primitives
import StateContent
import StateStore

// What is asked of peers as it goes on the wire, and the job that checks what comes back.
extension Holdings {
    /// What a peer is asked for; nil where the key's bounds do not hold it.
    func contentKey(of task: WalkTask) -> StateContentKey? {
        switch task {
        case .crown(let anchor): return .crown(anchor)
        case .range(let id, let anchor, let origin, let limit, let maxBytes):
            return RangeKey(
                trie: StateTrie(of: book.section(id)), anchor: anchor, origin: origin, limit: limit,
                maxBytes: maxBytes, keeping: kept.asked(of: [id], book)
            ).map { .range($0) }
        case .sections(let sections, let anchor, let maxBytes):
            return SectionsKey(
                anchor: anchor, sections: sections, maxBytes: maxBytes, keeping: kept.asked(of: sections, book)
            ).map { .sections($0) }
        case .diffs(let sections, let from, let target): return diffsKey(sections, from: from, to: target)
        case .carry(let section, let from, let anchor): return diffsKey([section], from: from, to: .anchor(anchor))
        case .compare(let index, _, let anchor, .stretch(let first, let last, let maxBytes)):
            return contentKey(
                of: .range(section: index, anchor: anchor, origin: first, limit: last, maxBytes: maxBytes))
        case .compare(let index, _, let anchor, .places(let places)):
            return SubtreesKey(
                trie: StateTrie(of: book.section(index)), anchor: anchor, places: places,
                levels: levels(at: places, ofSection: index, with: anchor),
                maxBytes: WalkLimits.comparedBytes
            ).map { .subtrees($0) }
        case .codes(let hashes, let section):
            return CodesKey(near: book.section(section).firstKey, hashes: hashes).map { .codes($0) }
        case .storageCrown(let key, _): return .storageCrown(key)
        case .directory(let sections, let anchor):
            return WideDirectoryKey(anchor: anchor, sections: sections).map { .wideDirectory($0) }
        case .blockDiffs(let point, let stretch):
            return BlockDiffsKey(
                point: point, first: stretch.lowerBound, last: stretch.upperBound,
                keeping: kept.within(
                    book.section(stretch.lowerBound).firstKey...book.section(stretch.upperBound).lastKey)
            ).map { .blockDiffs($0) }
        }
    }

    private func diffsKey(_ sections: [Int], from anchor: Anchor, to target: WalkTask.DiffTarget) -> StateContentKey? {
        // An anchor's crown is held before its diffs are asked for; a block's proof comes with the diffs.
        let withProof =
            if case .anchor(let goal) = target {
                !sections.allSatisfy { provenHash(of: $0, at: goal) != nil }
            } else { true }
        guard let first = sections.first.map({ book.section($0) }) else { return nil }
        return DiffsKey(
            trie: StateTrie(of: first), from: book.point(of: anchor), to: point(of: target),
            sections: sections.map { book.section($0).index }, maxBytes: StateNetworkLimits.diffBytes,
            withProof: withProof, keeping: kept.asked(of: sections, book)
        ).map { .diffs($0) }
    }

    private func point(of target: WalkTask.DiffTarget) -> StatePoint {
        switch target {
        case .anchor(let anchor): book.point(of: anchor)
        case .block(let point): point
        }
    }

    /// The sections of a catch-up that its answer still leads on: those that block diffs brought there meanwhile, that
    /// were folded to another anchor, or that another operation has, are left as they are.
    func takeable(_ indices: [Int], from anchor: Anchor, to goal: StatePoint) -> [Int] {
        indices.filter { index in
            !book.isLocked(index) && book.anchor(ofSection: index) == anchor && book.top(of: index) < goal.number
        }
    }

    /// The sections of an answer with several that are still missing: those that another operation has, or of which
    /// something came meanwhile, are left as they are.
    func missing(_ indices: [Int]) -> [Int] {
        indices.filter { index in !book.isLocked(index) && book.held(index)?.record == nil }
    }

    /// The job that checks an answer with data, and takes these sections of it; nil where there is nothing to check it
    /// by.
    func job(
        checking value: [UInt8], for task: WalkTask, _ key: StateContentKey, taking sections: [Int],
        _ chain: some AttestedHeaders
    ) -> StateJob? {
        switch (task, key) {
        case (.crown(let anchor), _):
            return chain.header(of: anchor).map { header in
                .checkCrown(CheckCrown(value: value, stateRoot: header.stateRoot, depth: book.depth))
            }
        case (.codes, .codes(let key)): return .checkCodes(CheckCodes(value: value, key: key))
        case (.range(let index, let anchor, _, _, _), .range(let key)):
            let carrying = held(index)?.carrying
            return chain.header(of: anchor).map { header in
                .takeRange(
                    TakeRange(
                        value: value, key: key, section: book.section(index), point: book.point(of: anchor),
                        stateRoot: header.stateRoot, carrying: carrying?.anchor == anchor ? carrying : nil,
                        rule: spread.rule))
            }
        case (.sections(_, let anchor, _), .sections(let key)):
            return chain.header(of: anchor).map { header in
                .takeSections(
                    TakeSections(
                        value: value, key: key, sections: sections, depth: book.depth, point: book.point(of: anchor),
                        stateRoot: header.stateRoot, rule: spread.rule))
            }
        case (.diffs(let asked, _, let target), .diffs(let key)):
            var hashes: [Int: Bytes32] = [:]
            var isAnchor = false
            if case .anchor(let anchor) = target {
                isAnchor = true
                for id in asked { hashes[book.section(id).index] = provenHash(of: id, at: anchor) }
            }
            let goal = point(of: target)
            guard let header = chain.header(of: goal), key.withProof || hashes.count == asked.count else { return nil }
            return .takeDiffs(
                TakeDiffs(
                    value: value, key: key, sections: sections.map { book.section($0).index }, depth: book.depth,
                    stateRoot: header.stateRoot, hashes: hashes, rule: spread.rule, folds: isAnchor,
                    keepHistoryFrom: historyStart(at: goal)))
        case (.compare(let index, _, let anchor, _), .subtrees(let key)):
            return comparing(value, index, with: anchor, .subtrees(key))
        case (.compare(let index, _, let anchor, _), .range(let key)):
            return chain.header(of: anchor).flatMap { header in
                comparing(value, index, with: anchor, .range(key, stateRoot: header.stateRoot))
            }
        case (.storageCrown, .storageCrown(let key)):
            guard let rule = spread.rule else { return nil }
            return chain.header(of: key.anchor).map { header in
                .checkStorageCrown(
                    CheckStorageCrown(value: value, key: key, stateRoot: header.stateRoot, rule: rule))
            }
        case (.directory, .wideDirectory(let key)):
            return .checkDirectory(CheckDirectory(value: value, key: key, depth: book.depth))
        default: return nil
        }
    }

    /// History older than this block is dropped when a section is folded.
    func historyStart(at point: StatePoint) -> UInt64 {
        guard let span = book.epochs.boundary(of: UInt64(StateNetworkLimits.historyFolds)) else { return 0 }
        return point.number > span ? point.number - span : 0
    }
}

extension StateTrie {
    /// The trie that a section or part is of.
    init(of section: Section) {
        self =
            section.owner.map { .storage(account: $0, placement: UInt8(truncatingIfNeeded: section.depth)) }
            ?? .accounts
    }
}
