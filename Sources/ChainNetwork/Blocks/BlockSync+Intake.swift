import Chain
import Primitives

// What comes of requests, of checks and of blocks that are applied.
extension BlockSync {
    /// Ends a request; its run, if nobody else was asked for it, is wanted again. `failed`: nothing came.
    mutating func release(_ tag: RequestTag, failed: Bool) -> Request? {
        guard let request = requests.removeValue(forKey: tag) else { return nil }
        queue?.release(tag, failed: failed)
        peers.ended(request.peer)
        return request
    }

    /// What a request gave: the content, or nil where none came.
    mutating func answered(_ tag: RequestTag, _ content: [UInt8]?, at now: Instant) {
        let index = queue?.index(of: tag)
        guard let request = release(tag, failed: content == nil) else { return }
        guard let content else { return peers.failed(request.peer, at: now) }
        do throws(ChainNetworkError) {
            switch try BlocksValue(decoding: content) {
            case .busy(let seconds):
                peers.pause(
                    request.peer, for: min(.seconds(Int(seconds)), ChainNetworkLimits.longestPause), at: now)
            case .notServed(let lowest, let highest):
                peers.lacks(request.first, lowest <= highest ? lowest...highest : nil, request.peer, at: now)
            case .blocks(let blocks):
                guard blocks.count <= request.count else { throw .notWhatWasAsked }
                came(blocks, of: request, at: index, now)
            }
        } catch .unknownStatus(_?) {
            // A status of a later version says that there are no blocks here, and no more.
            peers.failed(request.peer, at: now)
        } catch {
            penalise(request.peer, error, at: now)
        }
    }

    /// Blocks came. They are checked, unless another peer was quicker.
    private mutating func came(_ blocks: [BlockBytes], of request: Request, at index: Int?, _ now: Instant) {
        peers.answered(request.peer, after: now - request.sentAt, at: now)
        sizes.note(blocks)
        guard let index, let run = queue?.runs[index], run.first == request.first else { return }
        let tag = CheckTag(value: newName())
        queue?.cut(index, to: blocks.count)
        queue?.set(.checking(tag), at: index)
        checks[tag] = request.peer
        let hashes = queue?.hashes(from: run.first, count: blocks.count) ?? []
        directives.append(.check(tag, BlockCheck(blocks, expecting: hashes)))
    }

    /// A job has checked blocks.
    mutating func checked(_ tag: CheckTag, _ outcome: BlockCheck.Outcome, at now: Instant) {
        guard let peer = checks.removeValue(forKey: tag), let index = queue?.index(of: tag),
            let first = queue?.runs[index].first
        else { return }
        queue?.checked(index, outcome.blocks, from: peer)
        guard let fault = outcome.fault else { return }
        note(wrong: first + UInt64(outcome.blocks.count), from: peer, "\(fault)")
        penalise(peer, .invalid(fault), at: now)
    }

    /// The state stands at this block.
    mutating func applied(_ point: StatePoint, at now: Instant) {
        movedAt = now
        guard queue != nil else { return queue = BlockQueue(next: point.number + 1) }
        guard applying.last?.block.header.point == point else { return }
        applying = []
        for (number, found) in wrong.sorted(by: { $0.key < $1.key }) where number <= point.number {
            wrong[number] = nil
            if found.isTold { directives.append(.cameAfterAll(block: number)) }
        }
    }

    /// The blocks that were being applied do not lead to the state root of the last: they are applied one by one, and
    /// one that alone does not hold is asked of somebody else.
    mutating func refused(_ why: String, at now: Instant) {
        guard let last = applying.last else { return }
        defer { applying = [] }
        guard applying.count == 1 else {
            singlesUpTo = last.block.header.number
            queue?.putBack(applying)
            return
        }
        let number = last.block.header.number
        note(wrong: number, from: last.sender, why)
        queue?.wantAgain(last)
        // Where the header commits to the list it is the right one, whoever sent it.
        if !last.block.commitsToList { penalise(last.sender, .wrongState(block: number), at: now) }
    }

    private mutating func note(wrong number: UInt64, from peer: Bytes32, _ why: String) {
        wrong[number, default: Wrong()].senders.insert(peer)
        wrong[number]?.reason = why
    }

    private mutating func penalise(_ peer: Bytes32, _ reason: ChainNetworkError, at now: Instant) {
        directives.append(.penalise(peer: peer, reason: reason))
        peers.pause(peer, for: ChainNetworkLimits.liarPause, at: now)
    }
}
