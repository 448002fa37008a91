import Chain
import Primitives
import StateStore

/// Answers a request for blocks (content 0x51) from the store. A block goes out if it is under the network's rule:
/// because it is one of those named when the request came, or because it stands at or below the block up to which
/// every stored header is one of the attested line.
public struct ServeBlocks: StoreReading {
    let key: BlocksKey
    /// Attested blocks in memory that the key means, in its order: of a run the first of them, without a gap.
    let known: [StatePoint]
    /// The block below which nothing changes any more.
    let settled: UInt64

    /// What answers for a key, given the chain as it is now.
    init(_ key: BlocksKey, _ chain: AttestedChain) {
        self.key = key
        settled = chain.floor.number
        switch key {
        case .hashes(let hashes): known = hashes.compactMap { chain.header(hash: $0)?.point }
        case .run(let run):
            var (points, next) = ([StatePoint](), chain.header(hash: run.start)?.number)
            while let number = next, points.count < run.count, let entry = chain.certifiedHeader(at: number) {
                points.append(entry.point)
                next = run.number(after: number)
            }
            known = points
        }
    }

    /// The blocks wanted, as long as they are kept and fit: the asker goes on from there.
    public func value(from snapshot: some StoreSnapshot) throws(StoreError) -> [UInt8] {
        var answer = Answer()
        switch key {
        case .run(let run): try take(run, to: &answer, from: snapshot)
        case .hashes(let hashes):
            for hash in hashes {
                guard let point = try point(of: hash, in: snapshot) else { continue }
                guard try answer.add(point, from: snapshot) != .full else { break }
            }
        }
        guard answer.blocks.isEmpty else { return BlocksValue.blocks(answer.blocks).encoded }
        // None where nothing is kept.
        let kept = try BlockRecords.heights(in: snapshot)
        return BlocksValue.notServed(lowest: kept?.lowerBound ?? 1, highest: kept?.upperBound ?? 0).encoded
    }

    /// Busy: come back in a second.
    public var refusal: [UInt8] { BlocksValue.busy(seconds: 1).encoded }

    private func take(
        _ run: BlockRun, to answer: inout Answer, from snapshot: some StoreSnapshot
    ) throws(StoreError) {
        guard var point = try point(of: run.start, in: snapshot) else { return }
        for index in 0..<Int(run.count) {
            guard try answer.add(point, from: snapshot) == .taken, let number = run.number(after: point.number) else {
                return
            }
            if known.indices.contains(index + 1) {
                point = known[index + 1]
            } else {
                guard number <= settled,
                    let next = try HeaderRecords.headers(from: number, through: number, limit: 1, in: snapshot).first
                else { return }
                point = next.point
            }
        }
    }

    /// The block of a hash; nil where it is not known here as one of the attested line.
    private func point(of hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> StatePoint? {
        if let point = known.first(where: { $0.hash == hash }) { return point }
        guard let number = try HeaderRecords.number(of: hash, in: snapshot), number <= settled else { return nil }
        return StatePoint(number: number, hash: hash)
    }

    /// The blocks of an answer as they come together.
    private struct Answer {
        enum Step {
            case taken
            /// It is not kept here.
            case missing
            /// It does not fit any more.
            case full
        }

        private(set) var blocks: [BlockBytes] = []
        private var bytes = 1

        /// Takes one block more, where it is kept and fits. The first one fits whatever its size is, as long as a peer
        /// could take it.
        mutating func add(_ point: StatePoint, from snapshot: some StoreSnapshot) throws(StoreError) -> Step {
            guard let header = try HeaderRecords.header(at: point, in: snapshot),
                let (body, list) = try BlockRecords.block(at: point, in: snapshot)
            else { return .missing }
            let block = BlockBytes(header: header, body: body, accessList: list)
            bytes += BlocksValue.byteCount(of: block)
            guard
                bytes <= (blocks.isEmpty ? ChainNetworkLimits.largestAnswerBytes : ChainNetworkLimits.blockAnswerBytes)
            else { return .full }
            blocks.append(block)
            return .taken
        }
    }
}
