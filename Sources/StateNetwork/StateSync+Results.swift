import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

// What comes of jobs and transactions. A job's result becomes a transaction; memory follows once it is committed.
extension StateSync {
    /// A job came back.
    mutating func jobFinished(
        _ id: OperationID, _ result: StateJobResult, _ chain: some AttestedHeaders, at moment: Moment
    ) {
        guard let operation = operations[id] else { return }
        switch (operation.purpose, result) {
        case (.serve(let token), .served(let value)):
            outbox.append(.answer(token, .content(value)))
            end(id, .done(bytes: 0), at: moment.instant)
        case (.encode(let anchor), .encoded(.success(let found))):
            ahead.came(found, at: anchor)
            end(id, .done(bytes: 0), at: moment.instant)
            while let (anchor, job) = ahead.next(holdings) {
                run(.encodeSections(job), for: .encode(anchor), at: moment.instant)
            }
        case (.replay(let block), .genesis(.success(let taken))):
            commit(id, block, taken.batch, chain, at: moment) { .genesis(taken, $0) }
        case (.replay(let block), .replay(.success(let taken))):
            commit(id, block, taken.batch, chain, at: moment) { .block(taken, $0) }
        case (.ask(.range, _), .range(.success(let taken))): write(id, taken.batch, .range(taken))
        case (.ask(.sections, _), .sections(.success(let taken))): write(id, taken.batch, .sections(taken))
        case (.ask(.diffs, .diffs(let key)), .diffs(.success(let taken))):
            write(id, taken.batch, .diffs(taken, goal: key.to))
        case (.ask(.compare, _), .compared(.success(let compared))): write(id, compared.batch, .compared(compared))
        case (.ask(.crown(let anchor), _), .crown(.success(let crown))),
            (.crown(let anchor), .crown(.success(let crown))):
            write(id, StateWrites.crown(anchor, CrownValue.serve(crown)), .crown(anchor, crown))
        case (.ask(.storageCrown, _), .storageCrowns(.success(let crowns))),
            (.storageCrowns, .storageCrowns(.success(let crowns))):
            guard !crowns.isEmpty else { return end(id, .aborted, at: moment.instant) }
            write(
                id, crowns.reduce(into: WriteBatch()) { $0.append(StorageCrownRecords.writing($1.kept)) },
                .storageCrowns(crowns))
        case (.ask(.directory(_, let anchor), _), .directory(.success(let entries))):
            if let peer = operation.peer { planner.directory.came(entries, at: anchor, from: peer, holdings) }
            end(id, .done(bytes: operation.bytes), at: moment.instant)
        case (.ask(.codes, _), .codes(.success(let codes))):
            guard !codes.isEmpty else { return end(id, .refused, at: moment.instant) }
            write(id, StateWrites.codes(codes), .codes(codes.map(\.hash)))
        case (.blockDiffs(let diffs), .blockDiffs(.success(let checked))):
            if let sender = diffs.first?.sender, let lie = checked.lies.first {
                blame(sender, "sent a diff of block \(diffs[0].key.point) that does not hold: \(lie.what)")
            }
            // The others who had the true one were told that it was on its way.
            for diff in diffs where checked.lies.contains(where: { $0.key == diff.key }) {
                holdings.book.change(diff.section) { $0.needsCatchUp = true }
                gossip.expectedDiffs.failed(diff.key, from: diff.sender)
            }
            for diff in diffs where checked.replaced.contains(diff.key) {
                holdings.book.change(diff.section) { $0.needsCatchUp = true }
            }
            guard !checked.diffs.isEmpty else { return end(id, .aborted, at: moment.instant) }
            write(id, checked.batch, .layers(checked.diffs))
        case (.fold, .resplit(.success(let resplit))): write(id, resplit.batch, .resplit(resplit))
        case (.fold, .fold(.success(let folded))): write(id, folded.batch, .fold(folded))
        case (.upkeep, .upkeep(.success(let done))):
            if let batch = done.batch { return write(id, batch, .upkeep(done)) }
            UpkeepOutcome(done: done).apply(to: &self, id, at: moment.instant)
        default:
            guard let error = result.error else {
                // A world that answers a job with another job's result is broken; what the job held is given back.
                outbox.log(.error, "a job came back with a result of another kind")
                return end(id, .aborted, at: moment.instant)
            }
            failed(id, operation, error, at: moment.instant)
        }
    }

    private mutating func failed(_ id: OperationID, _ operation: Operation, _ error: StateJobError, at now: Instant) {
        switch (operation.purpose, error) {
        case (.replay(let block), .lie(let what)), (.replay(let block), .falseDiff(let what)):
            outbox.report(.blockRefused(block.header.point, what))
            return end(id, .invalid, at: now)
        case (.replay(let block), .outdated):
            outbox.report(.failed("block \(block.header.point) cannot be applied: \(error): start the bridge again"))
            return end(id, .invalid, at: now)
        case (.replay, .store(let error)):
            outbox.report(.storeFailed(error))
            return end(id, .invalid, at: now)
        case (.fold, .lie), (.fold, .falseDiff), (.fold, .outdated):
            let section = operation.sections.first.map { "\(holdings.book.section($0))" } ?? ""
            if DamageFound(sections: operation.sections, what: "\(error)").isRepaired(by: &self) { break }
            outbox.report(
                .failed(
                    "section \(section) could not be folded: \(error): 'carousel verify' tells whether the store is "
                        + "damaged"))
        case (_, .lie(let what)): return lied(id, what, at: now)
        case (_, .falseDiff(let what)):
            for index in operation.sections {
                guard let diff = holdings.held(index)?.carrying else { continue }
                holdings.book.change(index) { $0.carrying = nil }
                blame(diff.sender, "sent an answer that does not hold: \(what)")
            }
        // Nothing is wrong with the answer: what it was asked for has changed meanwhile.
        case (_, .outdated), (_, .replaced): break
        case (_, .store(let error)):
            // What one record says is damage of its section; what the store's file says is not.
            if case .corrupt = error,
                DamageFound(sections: operation.sections, what: error.description).isRepaired(by: &self)
            {
                break
            }
            outbox.report(.storeFailed(error))
        }
        end(id, .aborted, at: now)
    }

    /// A transaction was committed: memory follows.
    mutating func committed(_ id: OperationID, _ chain: some AttestedHeaders, at moment: Moment) {
        guard let operation = operations[id], case .writing(let change) = operation.stage else { return }
        let (now, peer, bytes) = (moment.instant, operation.peer, operation.bytes)
        switch change {
        case .range, .sections, .diffs, .compared, .fold, .resplit, .drop, .codes, .storageCrowns:
            StateTaken(operation: operation, change: change).apply(to: &self, chain, at: now)
        case .layers(let checked):
            if case .blockDiffs(let diffs) = operation.purpose { layersStored(diffs, checked, id, chain, at: now) }
            return completion.somethingCameAbout(at: now)
        case .upkeep(let done): return UpkeepOutcome(done: done).apply(to: &self, id, at: now)
        case .crown(let anchor, let crown):
            crownStored(anchor, crown, chain, at: now)
            end(id, .done(bytes: 0), at: now)
            // What is held may be served from now on, and nothing else may come about that would have it told.
            return completion.somethingCameAbout(at: now)
        case .genesis(let taken, let word):
            for record in taken.records {
                _ = holdings.committed(record, section: record.section.index)
                holdings.caughtUp(record.section.index)
            }
            holdings.store(taken.crown, at: Anchor(epoch: 0, hash: word.certified.point.hash))
            holdings.took(taken.replaced)
            for part in holdings.book.parts.wanted { holdings.caughtUp(part) }
            return applied(id, word, [], chain, at: moment)
        case .block(let taken, let word):
            // The crown has all their nodes.
            for change in taken.changes { _ = holdings.committed(change.layer, replacing: false, noting: false) }
            holdings.noteCrown(taken.crown, at: word.certified.point)
            return applied(id, word, taken.changes, chain, at: moment)
        case .wentBack(let fork):
            Returning.committed(fork, &self, at: now)
            return end(id, .done(bytes: 0), at: now)
        case .nothing: return end(id, .done(bytes: 0), at: now)
        }
        if let peer { helped(peer, bytes, at: now) }
        end(id, .done(bytes: bytes), at: now)
        completion.somethingCameAbout(at: now)
    }

    /// A peer sent state that held.
    mutating func helped(_ peer: Bytes32, _ bytes: Int, at now: Instant) {
        totals.stateBytesByPeer[peer, default: 0] += UInt64(bytes)
        verifiedBytes.add(bytes, at: now)
        outbox.append(.judge(peer, .useful))
    }

    /// Layers that memory dropped go from the store too.
    mutating func forget(_ layers: [BlockLayer], at now: Instant) {
        if !layers.isEmpty { note(StateWrites.dropLayers(layers), at: now) }
    }
}
