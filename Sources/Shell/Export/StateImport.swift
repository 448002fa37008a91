import Chain
import Foundation
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Makes a node's store out of an export. What the file says is believed as little as what a peer says: its block must
/// be one that the network's rule believes, and all of its leaves together must hash to that block's state root. Until
/// they have, what is written has no name that a node would find; a process that is killed leaves nothing but that.
public enum StateImport {
    /// Why nothing was imported.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// A state is here already.
        case holdsState(path: String)
        /// Large storage is spread in this network, and that is not made out of a file.
        case spreadsStorage
        /// The file is of another chain.
        case anotherChain(path: String)
        /// The block is no epoch's first.
        case notAnAnchor(path: String, block: UInt64)
        /// Nothing shows that the block is one of the network's.
        case unproven(path: String)
        /// It is not shown that the block is final.
        case notFinal(path: String, block: UInt64)
        /// The certificate is about another block.
        case anotherBlock(certificate: String, said: StatePoint, expected: StatePoint)

        public var description: String {
            switch self {
            case .holdsState(let path):
                return "\(path): holds a state already: give another directory with --data-dir"
            case .spreadsStorage:
                return "the network spreads large storage (wideDepth), which no import makes: use 'carousel sync'"
            case .anotherChain(let path):
                return "\(path): is the state of another chain: give the network's file that belongs to it"
            case .notAnAnchor(let path, let block):
                return "\(path): block \(block) is not the first of an epoch: 'carousel export --anchor' writes such"
            case .unproven(let path):
                return "\(path): nothing in it shows that its block is the network's: 'carousel export --format jsonl "
                    + "--anchor' writes what does, or give --certificate"
            case .notFinal(let path, let block):
                return "\(path): it is not shown that block \(block) is final: write it again later"
            case .anotherBlock(let certificate, let said, let expected):
                return "\(certificate): is about block \(said), and the file about block \(expected)"
            }
        }
    }

    /// What was imported.
    public struct Summary: Sendable {
        public let point: StatePoint
        public let root: Bytes32
        public let accounts, slots: UInt64
        /// Whether the headers from the checkpoint on came with it.
        public let hasHeaders: Bool

        /// Name and value, in a fixed order.
        public var figures: [(name: String, value: String)] {
            [
                ("block", "\(point.number)"), ("hash", "\(point.hash)"), ("root", "\(root)"),
                ("accounts", "\(accounts)"), ("slots", "\(slots)"), ("headers", hasHeaders ? "yes" : "no"),
            ]
        }
    }

    /// Fills a data directory that holds no state. `certificate`: a coverage certificate of the same block, where the
    /// file does not prove it itself. On an error nothing is kept.
    public static func run(
        _ path: String, certificate: String?, dataDirectory: DataDirectory, networkFile: String
    ) throws -> Summary {
        let network = try NetworkConfigurationFile.read(networkFile)
        guard network.placement == nil else { throw Failure.spreadsStorage }
        let proof = try certificate.map { try Certified($0, network) }
        let file: Data
        do { file = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) } catch {
            throw ShellError.file(
                path: path,
                reason: FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file")
        }
        let isNew = !FileManager.default.fileExists(atPath: dataDirectory.path)
        let lock = try dataDirectory.lock()
        defer { withExtendedLifetime(lock) {} }
        guard try FileManager.default.contentsOfDirectory(atPath: dataDirectory.storePath).isEmpty else {
            throw Failure.holdsState(path: dataDirectory.path)
        }
        let place = dataDirectory.storePath + ".new"
        do {
            // What an import left that was killed is begun again.
            try remove(place)
            let summary = try StoreAccess.telling(dataDirectory, networkFile) {
                try build(file, path, in: place, network, proof)
            }
            guard rename(place, dataDirectory.storePath) == 0 else {
                throw ShellError.file(path: dataDirectory.storePath, reason: String(cString: strerror(errno)))
            }
            try WholeFile.flush(folderOf: dataDirectory.storePath)
            return summary
        } catch {
            try remove(isNew ? dataDirectory.path : place)
            throw error
        }
    }

    private static func remove(_ path: String) throws(ShellError) {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do { try FileManager.default.removeItem(atPath: path) } catch {
            throw .file(path: path, reason: "cannot be removed: remove it by hand")
        }
    }

    /// A certificate that proves a block.
    private struct Certified {
        let path: String
        let standing: LineStanding

        init(_ path: String, _ network: NetworkConfiguration) throws {
            self.path = path
            let certificate = try CoverageReport.read(path)
            do throws(CoverageError) {
                standing = try certificate.verify(for: network)
            } catch {
                throw ShellError.badFile(path: path, reason: "\(error)")
            }
        }
    }

    /// Writes the store and closes it.
    private static func build(
        _ file: Data, _ path: String, in place: String, _ network: NetworkConfiguration, _ proof: Certified?
    ) throws -> Summary {
        let store = try LMDBStore(directory: place)
        let conveyor = Conveyor<WriteBatch>(ahead: 2, name: "import") { try store.commit($0) }
        var run = ImportRun(
            path: path, network: network, given: proof.map { (path: $0.path, standing: $0.standing) },
            open: { kept in
                try StoreMeta.open(store, for: network, keeping: kept)
            }, put: { try conveyor.put($0) })
        let summary: Summary
        do {
            summary = try file.withUnsafeBytes { bytes in
                var reader = ImportReader(bytes)
                let all = reader.count
                try reader.read { item, position in try run.take(item, position, of: all) }
                return try run.finish()
            }
        } catch {
            try conveyor.finish()
            switch error {
            case let error as ImportFileError: throw ShellError.badFile(path: path, reason: "\(error)")
            case let error as LoadError: throw ShellError.badFile(path: path, reason: "\(error)")
            case let error as LineError: throw ShellError.badFile(path: path, reason: "\(error)")
            default: throw error
            }
        }
        try conveyor.finish()
        return summary
    }
}

/// One import under way.
private struct ImportRun {
    private let path: String
    private let network: NetworkConfiguration
    /// What a certificate has shown, and its name.
    private let given: (path: String, standing: LineStanding)?
    private let open: (KeptStorage) throws -> Void
    private let put: (WriteBatch) throws -> Void
    private var head: ImportHead?
    private var check: LineCheck?
    private var waiting: [CertifiedHeader] = []
    private var headers = WriteBatch()
    private var standing: LineStanding?
    private var hasHeaders = false
    private var loader: StateLoader?
    private var progress = StepProgress()
    /// Headers checked at once.
    private static let run = 256

    init(
        path: String, network: NetworkConfiguration, given: (path: String, standing: LineStanding)?,
        open: @escaping (KeptStorage) throws -> Void, put: @escaping (WriteBatch) throws -> Void
    ) {
        self.path = path
        self.network = network
        self.given = given
        self.open = open
        self.put = put
    }

    /// Takes the next thing of the file.
    mutating func take(_ item: ImportItem, _ position: Int, of all: Int) throws {
        switch item {
        case .head(let head): try begin(head)
        case .header(let rlp, let certificate): try header(rlp, certificate)
        case .account(let key, let account, let code):
            if standing == nil { try prove() }
            try loader?.add(key, account, code: code)
            try passOn()
        case .slot(let key, let value):
            try loader?.add(slot: key, value)
            try passOn()
        case .end(let tally):
            guard tally.accounts == loader?.accounts, tally.slots == loader?.slots else { throw ImportFileError.cut }
        }
        let (accounts, slots) = (loader?.accounts ?? 0, loader?.slots ?? 0)
        progress.tell {
            "import  \(StepProgress.percent(position, of: all))  \(accounts) accounts  \(slots) slots"
        }
    }

    private mutating func begin(_ head: ImportHead) throws {
        if let named = head.network, named != ClaimContext(network) {
            throw StateImport.Failure.anotherChain(path: path)
        }
        guard network.epochs.isBoundary(head.point.number) else {
            throw StateImport.Failure.notAnAnchor(path: path, block: head.point.number)
        }
        let kept = head.storageOf.map { KeptStorage.only($0) } ?? .all
        self.head = head
        check = LineCheck(head.point, of: network)
        loader = StateLoader(depth: network.sectionDepth, at: head.point, keeping: kept)
        try open(kept)
    }

    private mutating func header(_ rlp: [UInt8], _ certificate: [UInt8]?) throws {
        guard standing == nil else { throw ImportFileError.field("header", position: 0) }
        let entry: CertifiedHeader
        do throws(ChainError) {
            entry = CertifiedHeader(
                header: try BlockHeader(rlp: rlp),
                certificate: try certificate.map { bytes throws(ChainError) in try Certificate(decoding: bytes) })
        } catch {
            throw LineError.chain(error)
        }
        waiting.append(entry)
        headers.append(HeaderRecords.writing(header: rlp, at: entry.point, certificate: certificate))
        if waiting.count == ImportRun.run { try checkHeaders() }
    }

    private mutating func checkHeaders() throws {
        try check?.take(waiting)
        waiting = []
        // Headers that do not lead up from the checkpoint prove the block, but no node would have them.
        if check?.isFromCheckpoint == true { try put(headers) }
        headers = WriteBatch()
    }

    /// The block must be believed before its first account is read.
    private mutating func prove() throws {
        guard let head else { return }
        try checkHeaders()
        if let given {
            guard given.standing.header.point == head.point else {
                throw StateImport.Failure.anotherBlock(
                    certificate: given.path, said: given.standing.header.point, expected: head.point)
            }
            standing = given.standing
        }
        if let check, check.isAttested || given == nil {
            standing = try finish(check)
            if let floor = check.storedFloor, check.isFromCheckpoint { try put(HeaderRecords.writing(floor: floor)) }
            hasHeaders = check.isFromCheckpoint
        }
        guard let standing, standing.isFinal else {
            throw StateImport.Failure.notFinal(path: path, block: head.point.number)
        }
        guard standing.header.stateRoot == head.root else {
            throw LoadError.stateRoot(expected: standing.header.stateRoot, found: head.root)
        }
    }

    private func finish(_ check: LineCheck) throws -> LineStanding {
        do throws(LineError) {
            return try check.finish()
        } catch {
            guard case .lacks = error else { throw error }
            throw StateImport.Failure.unproven(path: path)
        }
    }

    private mutating func passOn() throws {
        guard let count = loader?.byteCount, count >= ShellLimits.transactionBytes, let batch = loader?.takeBatch()
        else { return }
        try put(batch)
    }

    /// All was read: it must be the state.
    mutating func finish() throws -> StateImport.Summary {
        if standing == nil { try prove() }
        guard let head, let last = try loader?.finish(head.root) else { throw ImportFileError.cut }
        let anchor = network.epochs.anchor(at: head.point)
        try put(last.batch + StateWrites.crown(anchor, CrownValue.serve(last.crown)))
        return StateImport.Summary(
            point: head.point, root: head.root, accounts: loader?.accounts ?? 0, slots: loader?.slots ?? 0,
            hasHeaders: hasHeaders)
    }
}
