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
        case .range(_, let anchor, let origin, let limit, let maxBytes):
            return RangeKey(anchor: anchor, origin: origin, limit: limit, maxBytes: maxBytes).map { .range($0) }
        case .sections(let sections, let anchor, let maxBytes):
            return SectionsKey(anchor: anchor, sections: sections, maxBytes: maxBytes).map { .sections($0) }
        case .diffs(let sections, let from, let target): return diffsKey(sections, from: from, to: target)
        case .carry(let section, let from, let anchor): return diffsKey([section], from: from, to: .anchor(anchor))
        case .compare(let index, _, let anchor, let places):
            return SubtreesKey(
                anchor: anchor, places: places, levels: levels(at: places, ofSection: index, with: anchor),
                maxBytes: WalkLimits.comparedBytes
            ).map { .subtrees($0) }
        case .codes(let hashes, let section):
            return CodesKey(near: book.section(section).firstKey, hashes: hashes).map { .codes($0) }
        }
    }

    private func diffsKey(_ sections: [Int], from anchor: Anchor, to target: WalkTask.DiffTarget) -> StateContentKey? {
        // An anchor's crown is held before its diffs are asked for; a block's proof comes with the diffs.
        let withProof = if case .anchor(let goal) = target { !crowns.contains(goal) } else { true }
        return DiffsKey(
            from: book.point(of: anchor), to: point(of: target), sections: sections,
            maxBytes: StateNetworkLimits.diffBytes, withProof: withProof
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
                        stateRoot: header.stateRoot, carrying: carrying?.anchor == anchor ? carrying : nil))
            }
        case (.sections(_, let anchor, _), .sections(let key)):
            return chain.header(of: anchor).map { header in
                .takeSections(
                    TakeSections(
                        value: value, key: key, sections: sections, depth: book.depth, point: book.point(of: anchor),
                        stateRoot: header.stateRoot))
            }
        case (.diffs(_, _, let target), .diffs(let key)):
            let (crown, isAnchor) =
                if case .anchor(let anchor) = target { (crowns.crown(at: anchor), true) } else { (nil, false) }
            let goal = point(of: target)
            guard let header = chain.header(of: goal), key.withProof || crown != nil else { return nil }
            return .takeDiffs(
                TakeDiffs(
                    value: value, key: key, sections: sections, depth: book.depth, stateRoot: header.stateRoot,
                    crown: crown, folds: isAnchor, keepHistoryFrom: historyStart(at: goal)))
        case (.compare(let index, _, let anchor, _), .subtrees(let key)):
            return comparing(value, index, with: anchor, key)
        default: return nil
        }
    }

    /// History older than this block is dropped when a section is folded.
    func historyStart(at point: StatePoint) -> UInt64 {
        guard let span = book.epochs.boundary(of: UInt64(StateNetworkLimits.historyFolds)) else { return 0 }
        return point.number > span ? point.number - span : 0
    }
}
