import Chain
import ChainNetwork
import MerklePatricia
import Primitives
import StateNetwork
import StateStore
import Sync

extension Node {
    /// A job came back.
    mutating func resume(_ continuation: Continuation, with result: StateJobResult, at moment: Moment) {
        switch (continuation, result) {
        case (.answer(let token), .served(let value)):
            status.serving -= 1
            overlay.answer(token, .content(value), at: moment.instant)
        case (.range(let assignment, let section, let peer, let bytes), .range(let outcome)):
            switch outcome {
            case .success(let taken):
                commit(
                    taken.batch,
                    then: .rangeCommitted(
                        assignment: assignment, section: section, peer: peer, bytes: bytes, taken))
            case .failure(let error):
                failed(error, assignment: assignment, sections: [section], peer: peer, at: moment)
            }
        case (.diffs(let assignment, let sections, let peer, let bytes, let goal), .diffs(let outcome)):
            switch outcome {
            case .success(let taken):
                commit(
                    taken.batch,
                    then: .diffsCommitted(
                        assignment: assignment, sections: sections, peer: peer, bytes: bytes, goal: goal, taken))
            case .failure(let error):
                failed(error, assignment: assignment, sections: sections, peer: peer, at: moment)
            }
        case (.blockDiff(let diff), .blockDiff(let outcome)): checked(diff, outcome, at: moment)
        case (.fold(let section), .fold(let outcome)): folded(section, outcome, at: moment)
        case (.pruneHeaders, .pruned(let outcome)): headersPruned(outcome, at: moment)
        case (.genesis(let block), .genesis(let outcome)): genesisBuilt(block, outcome, at: moment)
        case (.replay(let block), .replay(let outcome)): replayed(block, outcome, at: moment)
        default:
            // A world that answers a job with another job's result is broken; what the job held is given back.
            log(.error, "a job came back with a result of another kind")
            commitFailed(continuation, .closed, at: moment)
        }
    }

    private mutating func failed(
        _ error: StateJobError, assignment: UInt64, sections: [Int], peer: Bytes32, at moment: Moment
    ) {
        switch error {
        case .lie(let what): lie(assignment, sections: sections, peer: peer, what, at: moment)
        case .falseDiff(let what):
            for index in sections {
                guard let sender = holdings.held(index)?.carrying?.sender else { continue }
                holdings.carry(nil, section: index)
                blame(sender, what, at: moment)
            }
            end(assignment, sections: sections, .aborted, at: moment)
        case .outdated:
            // Nothing is wrong with the answer: what it was asked for has changed meanwhile.
            end(assignment, sections: sections, .aborted, at: moment)
        case .store(let error):
            end(assignment, sections: sections, .aborted, at: moment)
            report(.storeFailed(error))
        }
    }

    /// A transaction was committed: memory follows.
    mutating func committed(_ continuation: Continuation, at moment: Moment) {
        let now = moment.instant
        switch continuation {
        case .rangeCommitted(let assignment, let section, let peer, let bytes, let taken):
            totals.ranges += 1
            if taken.isCarried, let diff = holdings.held(section)?.carrying {
                totals.carries += 1
                count(diff.byteCount, from: diff.sender, at: moment)
                overlay.judge(diff.sender, .useful, at: now)
            }
            count(bytes, from: peer, at: moment)
            overlay.judge(peer, .useful, at: now)
            forget(holdings.committed(taken.record, section: section))
            sync.want(codes: taken.wantedCodes)
            end(assignment, sections: [section], .done(bytes: bytes), at: moment)
            afterProgress(at: moment)
        case .diffsCommitted(let assignment, let sections, let peer, let bytes, let goal, let taken):
            count(bytes, from: peer, at: moment)
            overlay.judge(peer, .useful, at: now)
            holdings.note(taken.proof, at: goal.number)
            for outcome in taken.sections { sectionCrossed(outcome, goal: goal) }
            sync.want(codes: taken.wantedCodes)
            end(assignment, sections: sections, .done(bytes: bytes), at: moment)
            afterProgress(at: moment)
        case .layerCommitted(let diff, let layer, let codes, let wanted):
            layerStored(diff, layer, codes: codes, wanted: wanted, at: moment)
        case .foldCommitted(let section, let record, let wanted):
            totals.folds += 1
            forget(holdings.committed(record, section: section))
            holdings.unlock(section)
            sync.want(codes: wanted)
            tellSync(section, at: moment)
            afterProgress(at: moment)
        case .dropCommitted(let section):
            holdings.committed(nil, section: section)
            holdings.unlock(section)
            tellSync(section, at: moment)
        case .codesCommitted(let assignment, let peer, let hashes, let bytes):
            totals.codes += hashes.count
            count(bytes, from: peer, at: moment)
            sync.codesStored(hashes)
            end(assignment, sections: [], .done(bytes: bytes), at: moment)
            afterProgress(at: moment)
        case .crownCommitted(let anchor, let crown, let assignment):
            crownStored(anchor, crown, assignment: assignment, at: moment)
        case .genesisCommitted(let block, let taken, let word): genesisStored(block, taken, word, at: moment)
        case .replayCommitted(let block, let taken, let word): replayStored(block, taken, word, at: moment)
        case .headersPruned:
            status.isPruning = false
            pruneHeaders()
        case .written: break
        case .answer, .range, .diffs, .blockDiff, .fold, .genesis, .replay, .pruneHeaders: break
        }
    }

    /// Layers that memory dropped go from the store too.
    private mutating func forget(_ layers: [BlockLayer]) {
        if !layers.isEmpty { commit(StateWrites.dropLayers(layers), then: .written) }
    }

    private mutating func sectionCrossed(_ outcome: DiffsTaken.Section, goal: StatePoint) {
        totals.sectionDiffs += 1
        switch outcome {
        // The same transaction dropped the layers that do not fit.
        case .folded(let record): holdings.committed(record, section: record.section.index)
        case .layered(let layer):
            // Else the chain's head changed while the layer was written: it was right, of a block that lost.
            guard isCanonical(goal) == false || !holdings.committed(layer, replacing: true) else { return }
            forget([layer])
            forget(holdings.layersLost(layer.section.index))
        case .unchanged(let section, let layersStand): holdings.caughtUp(section.index, layersStand: layersStand)
        }
    }

    /// The store refused a transaction, or a job could not be run: everything it held is given back.
    mutating func commitFailed(_ continuation: Continuation, _ error: StoreError, at moment: Moment) {
        switch continuation {
        case .rangeCommitted(let assignment, let section, _, _, _), .range(let assignment, let section, _, _):
            end(assignment, sections: [section], .aborted, at: moment)
        case .diffsCommitted(let assignment, let sections, _, _, _, _), .diffs(let assignment, let sections, _, _, _):
            end(assignment, sections: sections, .aborted, at: moment)
        case .codesCommitted(let assignment, _, _, _): end(assignment, sections: [], .aborted, at: moment)
        case .layerCommitted(let diff, _, _, _), .blockDiff(let diff):
            holdings.unlock(diff.key.section)
            tellSync(diff.key.section, at: moment)
        case .foldCommitted(let section, _, _), .fold(let section), .dropCommitted(let section):
            holdings.unlock(section)
            tellSync(section, at: moment)
        case .answer: status.serving -= 1
        case .genesis(let block), .genesisCommitted(let block, _, _), .replay(let block),
            .replayCommitted(let block, _, _):
            replayRefused(block, at: moment)
        case .crownCommitted(_, _, let assignment):
            if let assignment { end(assignment, sections: [], .aborted, at: moment) }
        case .pruneHeaders, .headersPruned: status.isPruning = false
        case .written: break
        }
        switch error {
        case .full: report(.failed("the store is full: raise --storage-capacity; nothing was lost"))
        case .diskFull: report(.failed("the disk, or a limit on files, is full: make room; nothing was lost"))
        default: report(.storeFailed(error))
        }
    }

    private mutating func count(_ bytes: Int, from peer: Bytes32, at moment: Moment) {
        totals.stateBytesByPeer[peer, default: 0] += UInt64(bytes)
        status.verified(bytes: bytes, at: moment.instant)
    }
}
