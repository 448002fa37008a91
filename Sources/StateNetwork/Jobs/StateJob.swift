import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Heavy work on the state, as data: what to do and on what. The world runs it on a snapshot of the store, on whatever
/// thread it likes; the result goes back to the node as an event. Nothing here is written: a job that changes the state
/// gives the batch that does.
public enum StateJob: Sendable {
    case serveRange(ServeRange)
    case serveDiffs(ServeDiffs)
    case serveCodes(ServeCodes)
    case serveSubtrees(ServeSubtrees)
    case serveSections(ServeSections)
    case serveStorageCrown(ServeStorageCrown)
    case encodeSections(EncodeSections)
    case takeRange(TakeRange)
    case takeSections(TakeSections)
    case takeDiffs(TakeDiffs)
    case compare(CompareSection)
    case checkBlockDiffs(CheckBlockDiffs)
    case checkCrown(CheckCrown)
    case checkCodes(CheckCodes)
    case checkStorageCrown(CheckStorageCrown)
    case checkDirectory(CheckDirectory)
    case makeStorageCrowns(MakeStorageCrowns)
    case resplit(ResplitParts)
    case fold(FoldSection)
    case genesis(BuildGenesis)
    case replay(ReplayBlock)
    /// A value that another network makes of what is stored.
    case read(any StoreReading)
    case pruneHeaders(PruneHeaders)
    /// Checks blocks that peers sent.
    case checkBlocks(BlockCheck)
    /// Reads which blocks stand at these heights of the final line.
    case readLine(ClosedRange<UInt64>)
    case upkeep(UpkeepJob)

    /// Does the work.
    public func run(on snapshot: some StoreSnapshot) -> StateJobResult {
        switch self {
        case .serveRange(let job): .served(job.run(on: snapshot))
        case .serveDiffs(let job): .served(job.run(on: snapshot))
        case .serveCodes(let job): .served(job.run(on: snapshot))
        case .serveSubtrees(let job): .served(job.run(on: snapshot))
        case .serveSections(let job): .served(job.run(on: snapshot))
        case .serveStorageCrown(let job): .served(job.run(on: snapshot))
        case .encodeSections(let job): .encoded(StateJobError.result { try job.run(on: snapshot) })
        case .takeSections(let job): .sections(StateJobError.result { try job.run(on: snapshot) })
        case .takeRange(let job): .range(StateJobError.result { try job.run(on: snapshot) })
        case .takeDiffs(let job): .diffs(StateJobError.result { try job.run(on: snapshot) })
        case .compare(let job): .compared(StateJobError.result { try job.run(on: snapshot) })
        case .checkBlockDiffs(let job): .blockDiffs(StateJobError.result { try job.run(on: snapshot) })
        case .checkCrown(let job): .crown(StateJobError.result { try job.run() })
        case .checkCodes(let job): .codes(StateJobError.result { try job.run() })
        case .checkStorageCrown(let job): .storageCrowns(StateJobError.result { try job.run() })
        case .checkDirectory(let job): .directory(StateJobError.result { try job.run() })
        case .resplit(let job): .resplit(StateJobError.result { try job.run(on: snapshot) })
        case .makeStorageCrowns(let job): .storageCrowns(StateJobError.result { try job.run(on: snapshot) })
        case .fold(let job): .fold(StateJobError.result { try job.run(on: snapshot) })
        case .genesis(let job): .genesis(StateJobError.result { try job.run(on: snapshot) })
        case .replay(let job): .replay(StateJobError.result { try job.run(on: snapshot) })
        case .read(let job): .served((try? job.value(from: snapshot)) ?? job.refusal)
        case .pruneHeaders(let job): .pruned(StateJobError.result { try job.run(on: snapshot) })
        case .checkBlocks(let job): .checkedBlocks(job.run())
        case .readLine(let heights): .line(StateJobError.result { try HeaderRecords.line(heights, in: snapshot) })
        case .upkeep(let job): .upkeep(StateJobError.result { try job.run(on: snapshot) })
        }
    }
}

extension StateJob {
    /// What comes of it where no snapshot of the store can be had.
    public func failed(_ error: StoreError) -> StateJobResult {
        switch self {
        case .serveRange, .serveDiffs, .serveCodes, .serveSubtrees, .serveSections, .serveStorageCrown:
            .served(StateStatus.busy(seconds: StateNetworkLimits.busyAnswerSeconds).encoded)
        case .encodeSections: .encoded(.failure(.store(error)))
        case .takeRange: .range(.failure(.store(error)))
        case .takeSections: .sections(.failure(.store(error)))
        case .takeDiffs: .diffs(.failure(.store(error)))
        case .compare: .compared(.failure(.store(error)))
        case .checkBlockDiffs: .blockDiffs(.failure(.store(error)))
        case .checkCrown: .crown(.failure(.store(error)))
        case .checkCodes: .codes(.failure(.store(error)))
        case .checkStorageCrown, .makeStorageCrowns: .storageCrowns(.failure(.store(error)))
        case .checkDirectory: .directory(.failure(.store(error)))
        case .resplit: .resplit(.failure(.store(error)))
        case .fold: .fold(.failure(.store(error)))
        case .genesis: .genesis(.failure(.store(error)))
        case .replay: .replay(.failure(.store(error)))
        case .read(let job): .served(job.refusal)
        case .pruneHeaders: .pruned(.failure(.store(error)))
        // No look at the store is needed for it.
        case .checkBlocks(let job): .checkedBlocks(job.run())
        case .readLine: .line(.failure(.store(error)))
        case .upkeep: .upkeep(.failure(.store(error)))
        }
    }
}

/// Forgets old headers, some at a time.
public struct PruneHeaders: Sendable {
    let first, end, epochLength: UInt64

    /// Those from block `first` up to `end`, which is left out, but for the boundaries of epochs.
    public init(from first: UInt64, upTo end: UInt64, epochLength: UInt64) {
        self.first = first
        self.end = end
        self.epochLength = epochLength
    }

    func run(on snapshot: some StoreSnapshot) throws(StoreError) -> HeaderRecords.Pruning {
        try HeaderRecords.pruning(
            from: first, upTo: end, epochLength: epochLength, limit: StateNetworkLimits.prunedHeaders, in: snapshot)
    }
}

/// What came of a job, by its kind.
public enum StateJobResult: Sendable {
    /// A value for a peer, status byte included.
    case served([UInt8])
    /// Sections encoded ahead, by index.
    case encoded(Result<[Int: SectionColumns], StateJobError>)
    case range(Result<RangeTaken, StateJobError>)
    case sections(Result<SectionsTaken, StateJobError>)
    case diffs(Result<DiffsTaken, StateJobError>)
    case compared(Result<SectionCompared, StateJobError>)
    case blockDiffs(Result<CheckedDiffs, StateJobError>)
    case crown(Result<Crown, StateJobError>)
    case codes(Result<[(hash: Bytes32, code: [UInt8])], StateJobError>)
    case storageCrowns(Result<[StorageCrown], StateJobError>)
    case directory(Result<[WideEntry], StateJobError>)
    case resplit(Result<PartsResplit, StateJobError>)
    case fold(Result<SectionFolded, StateJobError>)
    case genesis(Result<GenesisTaken, StateJobError>)
    case replay(Result<ReplayTaken, StateJobError>)
    case pruned(Result<HeaderRecords.Pruning, StateJobError>)
    case checkedBlocks(BlockCheck.Outcome)
    case line(Result<[StatePoint], StateJobError>)
    case upkeep(Result<UpkeepDone, StateJobError>)

    /// Why it gave nothing; nil where it gave something.
    var error: StateJobError? {
        switch self {
        case .served, .checkedBlocks: nil
        case .encoded(let result): result.error
        case .range(let result): result.error
        case .sections(let result): result.error
        case .diffs(let result): result.error
        case .compared(let result): result.error
        case .blockDiffs(let result): result.error
        case .crown(let result): result.error
        case .codes(let result): result.error
        case .storageCrowns(let result): result.error
        case .directory(let result): result.error
        case .resplit(let result): result.error
        case .fold(let result): result.error
        case .genesis(let result): result.error
        case .replay(let result): result.error
        case .pruned(let result): result.error
        case .line(let result): result.error
        case .upkeep(let result): result.error
        }
    }
}

extension Result {
    fileprivate var error: Failure? { if case .failure(let error) = self { error } else { nil } }
}

/// Checks the crown in an answer against the state root of its anchor's header.
public struct CheckCrown: Sendable {
    let value: [UInt8]
    let stateRoot: Bytes32
    let depth: Int

    func run() throws(ContentError) -> Crown {
        try CrownValue.verify(value, stateRoot: stateRoot, depth: depth)
    }
}

/// Checks the codes in an answer against the hashes that were asked for.
public struct CheckCodes: Sendable {
    let value: [UInt8]
    let key: CodesKey

    func run() throws(ContentError) -> [(hash: Bytes32, code: [UInt8])] { try CodesValue.verify(value, key: key) }
}

/// Why a job gave nothing to write.
public enum StateJobError: Error, Sendable {
    /// What a peer sent does not hold; the text says what of it.
    case lie(String)
    /// The range holds, but not what its section was to be led to the range's anchor by, which somebody else sent.
    case falseDiff(String)
    /// A diff goes beyond an anchor from which on the storage of an account may have another place: nobody is to blame.
    case replaced
    /// The store is at another point than the job was made for: nobody is to blame.
    case outdated
    case store(StoreError)

    /// Runs `body` and sorts what it throws: the store's errors are ours, everything else is the sender's.
    static func result<Value>(_ body: () throws -> Value) -> Result<Value, StateJobError> {
        do {
            return .success(try body())
        } catch let error as StateJobError {
            return .failure(error)
        } catch let error as StoreError {
            return .failure(.store(error))
        } catch is StoragePlacing.Failure {
            return .failure(.outdated)
        } catch let error as StateChangeError {
            switch error {
            case .store(let error): return .failure(.store(error))
            case .sectionNotHeld: return .failure(.outdated)
            case .trie: return .failure(.store(.corrupt(table: .accountBranches)))
            default: return .failure(.lie("\(error)"))
            }
        } catch {
            return .failure(.lie("\(error)"))
        }
    }
}
