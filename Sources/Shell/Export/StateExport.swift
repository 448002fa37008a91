import Chain
import Foundation
import MerklePatricia
import Node
import Primitives
import StateStore

/// The state that a data directory holds, as a file. Reads one snapshot, so the directory may be a running process's.
public enum StateExport {
    /// Why there is nothing to export.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// Sections that are not complete, of how many.
        case incomplete(held: Int, of: Int)
        /// The held sections stand at no block whose header is here.
        case noBlock
        /// An account's code is not here.
        case missingCode(account: Bytes32, hash: Bytes32)
        /// The headers that are stored do not show that the anchor's block is final.
        case notFinal(block: UInt64)
        /// Addresses of so many accounts and so many slots are not here by themselves.
        case missingPreimages(addresses: UInt64, slots: UInt64)
        /// A genesis has all of a state, and storage of some accounts alone is here.
        case partial

        public var description: String {
            switch self {
            case .notFinal(let block):
                return "the headers here do not show that block \(block) is final: let the node run on; where it was "
                    + "started with --prune-headers, give a larger number"
            case .missingPreimages(let addresses, let slots):
                return
                    "the addresses of \(addresses) accounts and \(slots) slots are not known here, only their hashes: "
                    + "a bridge that was started with --preimages has them"
            case .partial:
                return "the storage of some accounts alone is here, and a genesis has all: export json or jsonl"
            case .incomplete(let held, let all):
                return "\(held) of \(all) sections are held whole: let 'carousel sync' run on until all are"
            case .noBlock: return "the held sections do not meet at one block: let 'carousel sync' run on"
            case .missingCode(let account, let hash):
                return "account \(account) wants code \(hash), which is not here: let 'carousel sync' run on"
            }
        }
    }

    /// How the state is written.
    public enum Format: String, CaseIterable, Sendable {
        /// One document.
        case json
        /// A line an object.
        case jsonl
        /// A genesis file with the state as its allocation: needs the preimages of all keys.
        case genesis
    }

    /// What is written of it, and at which block.
    public struct Form: Sendable {
        public var format: Format
        /// Leaves all storage and code out.
        public var accountsOnly: Bool
        /// At the newest final anchor, with the headers that prove it where the format has room for them; else at the
        /// newest verified block.
        public var atAnchor: Bool

        /// This form; a document of everything at the newest block.
        public init(_ format: Format = .json, accountsOnly: Bool = false, atAnchor: Bool = false) {
            self.format = format
            self.accountsOnly = accountsOnly
            self.atAnchor = atAnchor
        }
    }

    /// What was written.
    public struct Summary: Sendable {
        public let point: StatePoint
        public let accounts, slots: UInt64
        public let bytes: UInt64
        /// SHA-256 of the bytes.
        public let digest: Bytes32

        /// One line for people.
        public var line: String {
            "export  block \(point)  \(accounts) accounts  \(slots) slots  \(ByteCount(bytes: bytes))  sha256 "
                + Hex.encode(digest.bytes)
        }
    }

    /// Writes the state to `output`, or to standard output.
    @discardableResult
    public static func run(
        dataDirectory: DataDirectory, networkFile: String, output: String?, form: Form = Form()
    ) throws -> Summary {
        try StoreAccess.withSnapshot(of: dataDirectory, networkFile: networkFile) { snapshot, network in
            guard let output else {
                return try write(snapshot, of: network, form) { try FileHandle.standardOutput.write(contentsOf: $0) }
            }
            // A reader never finds half an export, nor does anybody find his own file gone for one that failed.
            let file = try WholeFile(output, .replaced)
            let summary = try write(snapshot, of: network, form) { try file.write($0) }
            try file.finish()
            return summary
        }
    }

    /// Writes the state that a snapshot holds, and hashes what it writes: throws a `StateFault` where that is not the
    /// state under the block's root. `write` takes the text piece by piece, on another thread.
    static func write(
        _ snapshot: some StoreSnapshot, of network: NetworkConfiguration, _ form: Form,
        to write: @escaping (Data) throws -> Void
    ) throws -> Summary {
        let newest = try newestBlock(
            snapshot, depth: network.sectionDepth, anchors: form.atAnchor ? network.epochs : nil)
        let proof = form.atAnchor ? try ExportedHeaders(proving: newest.header.point, in: snapshot, network) : nil
        let sink = ExportSink(write)
        let tally: ExportTally
        do {
            tally =
                switch form.format {
                case .json: try run(JSONForm(), form, snapshot, newest, network, nil, to: sink)
                case .jsonl: try run(JSONLinesForm(), form, snapshot, newest, network, proof, to: sink)
                case .genesis: try writeGenesis(snapshot, newest, network, form, to: sink)
                }
        } catch {
            // What failed is told, unless the reason was that nothing more could be written.
            _ = try sink.finish()
            throw error
        }
        let written = try sink.finish()
        return Summary(
            point: newest.header.point, accounts: tally.accounts, slots: tally.slots, bytes: written.bytes,
            digest: written.digest)
    }

    private static func writeGenesis(
        _ snapshot: some StoreSnapshot, _ newest: Newest, _ network: NetworkConfiguration, _ form: Form,
        to sink: ExportSink
    ) throws -> ExportTally {
        guard !form.accountsOnly, try StoreMeta.read(from: snapshot)?.kept.isAll ?? true else { throw Failure.partial }
        var run = ExportRun(
            snapshot, newest, keeping: .all,
            as: GenesisForm(
                address: { try PreimageRecords.address($0, in: snapshot) },
                slot: { try PreimageRecords.slot($0, in: snapshot) }), to: sink)
        try run.run(of: ClaimContext(network)) { _ in }
        let (addresses, slots) = (run.form.missingAddresses, run.form.missingSlots)
        guard addresses == 0, slots == 0 else { throw Failure.missingPreimages(addresses: addresses, slots: slots) }
        return run.tally
    }

    private static func run(
        _ text: some ExportForm, _ form: Form, _ snapshot: some StoreSnapshot, _ newest: Newest,
        _ network: NetworkConfiguration, _ proof: ExportedHeaders?, to sink: ExportSink
    ) throws -> ExportTally {
        let held = try StoreMeta.read(from: snapshot)?.kept ?? .all
        let none: [Bytes32] = []
        var run = ExportRun(
            snapshot, newest, keeping: form.accountsOnly ? .only(none) : held, as: text, to: sink)
        try run.run(of: ClaimContext(network)) { body in try proof?.forEach(in: snapshot, body) }
        return run.tally
    }

    /// A section at one block: how it is read, and what its record says that it hashes to.
    struct Part {
        let section: Section
        let layering: SectionLayering
        let subtree: Subtree
    }

    /// The block's header, and all sections at it, in order.
    struct Newest {
        let header: BlockHeader
        let sections: [Part]
        /// By account, the parts of storage that is spread, in order.
        let spread: [Bytes32: [Part]]
    }

    /// The newest block at which the whole state is here: the root made of the section hashes is its header's.
    /// `anchors`: the newest such anchor of these epochs at which all sections stand, without their layers.
    static func newestBlock(
        _ snapshot: some StoreSnapshot, depth: Int, anchors epochs: Epochs? = nil
    ) throws -> Newest {
        let all = try SectionRecord.all(in: snapshot).filter(\.isComplete)
        let records = all.filter { $0.section.owner == nil && $0.section.depth == depth }
        let count = Section.count(depth: depth)
        guard records.count == count else { throw Failure.incomplete(held: records.count, of: count) }
        let layers =
            epochs == nil ? Dictionary(grouping: try BlockLayer.all(in: snapshot), by: \.section) : [:]
        guard let highest = try HeaderRecords.highest(in: snapshot) else { throw Failure.noBlock }
        let oldest = records.map(\.working.number).max() ?? 0
        let headers = try HeaderRecords.headers(from: oldest, through: highest.number, limit: .max, in: snapshot)
        for (point, bytes) in headers.reversed() where epochs?.isBoundary(point.number) ?? true {
            if epochs != nil, !records.allSatisfy({ $0.working == point }) { continue }
            guard let header = try? BlockHeader(rlp: bytes) else { throw StateFault.header(block: point.number) }
            if let sections = sections(of: records, layers: layers, at: header),
                let spread = try spread(in: all, layers: layers, at: header, snapshot)
            {
                return Newest(header: header, sections: sections, spread: spread)
            }
            // Where all stand at this block, their records must make up its root.
            let found = Crown(sections: records.map { $0.subtree ?? .empty }, depth: depth).root
            if records.allSatisfy({ $0.working == point }), found != header.stateRoot {
                throw StateFault.stateRoot(block: point.number, expected: header.stateRoot, found: found)
            }
        }
        throw Failure.noBlock
    }

    /// The parts of all storage that is spread, at a block; nil where one is not here.
    private static func spread(
        in records: [SectionRecord], layers: [Section: [BlockLayer]], at header: BlockHeader,
        _ snapshot: some StoreSnapshot
    ) throws -> [Bytes32: [Part]]? {
        var spread: [Bytes32: [Part]] = [:]
        for (account, depth) in try SpreadRecords.all(in: snapshot) {
            let own = records.filter { $0.section.owner == account && $0.section.depth == depth }
            guard own.count == Section.count(depth: depth), let parts = parts(of: own, layers: layers, at: header)
            else { return nil }
            spread[account] = parts
        }
        return spread
    }

    /// Sections at a block; nil where one does not lead there.
    private static func parts(
        of records: [SectionRecord], layers: [Section: [BlockLayer]], at header: BlockHeader
    ) -> [Part]? {
        var parts: [Part] = []
        for record in records {
            let own = layers[record.section] ?? []
            let top = own.filter { $0.point.number <= header.number && $0.point.number > record.working.number }
                .max { $0.point.number < $1.point.number }
            guard record.working.number <= header.number, let subtree = top?.update.subtreeAfter ?? record.subtree,
                let layering = SectionLayering(of: record, at: top?.point ?? record.working, layers: own)
            else { return nil }
            parts.append(Part(section: record.section, layering: layering, subtree: subtree))
        }
        return parts
    }

    /// The sections at a block; nil where they do not make up its state root.
    private static func sections(
        of records: [SectionRecord], layers: [Section: [BlockLayer]], at header: BlockHeader
    ) -> [Part]? {
        guard let parts = parts(of: records, layers: layers, at: header) else { return nil }
        let depth = records.first?.section.depth ?? 0
        guard Crown(sections: parts.map(\.subtree), depth: depth).root == header.stateRoot else { return nil }
        return parts
    }
}
