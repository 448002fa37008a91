import Chain
import Foundation
import MerklePatricia
import Node
import Primitives
import StateStore

/// The state that a data directory holds, as JSON. Reads one snapshot, so the directory may be a running process's.
public enum StateExport {
    /// Why there is nothing to export.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// Sections that are not complete, of how many.
        case incomplete(held: Int, of: Int)
        /// The held sections stand at no block whose header is here.
        case noBlock
        /// An account's code is not here.
        case missingCode(account: Bytes32, hash: Bytes32)

        public var description: String {
            switch self {
            case .incomplete(let held, let all):
                return "\(held) of \(all) sections are held whole: let 'carousel sync' run on until all are"
            case .noBlock: return "the held sections do not meet at one block: let 'carousel sync' run on"
            case .missingCode(let account, let hash):
                return "account \(account) wants code \(hash), which is not here: let 'carousel sync' run on"
            }
        }
    }

    /// Writes the whole state at the newest verified block to `output`, or to standard output.
    public static func run(dataDirectory: DataDirectory, networkFile: String, output: String?) throws {
        let network = try NetworkConfigurationFile.read(networkFile)
        try dataDirectory.requireStore()
        let snapshot: LMDBSnapshot
        do throws(StoreError) {
            var options = LMDBStore.Options()
            options.isReadOnly = true
            snapshot = try LMDBStore(directory: dataDirectory.storePath, options: options).snapshot()
            guard try StoreMeta.check(snapshot, for: network) else { throw StoreError.missing }
        } catch {
            throw ShellError(error, dataDirectory: dataDirectory, networkFile: networkFile)
        }
        guard let output else {
            return try write(snapshot, depth: network.sectionDepth) {
                try FileHandle.standardOutput.write(contentsOf: $0)
            }
        }
        // A reader never finds half an export, nor does anybody find his own file gone for one that failed.
        let file = try WholeFile(output, .replaced)
        try write(snapshot, depth: network.sectionDepth) { try file.write($0) }
        try file.finish()
    }

    /// Writes the state that a snapshot holds.
    static func write(
        _ snapshot: some StoreSnapshot, depth: Int, to sink: @escaping (Data) throws -> Void
    ) throws {
        let newest = try newestBlock(snapshot, depth: depth)
        let view = StateView(snapshot, depth: depth, sections: newest.sections)
        var writer = ExportWriter(sink: sink)
        try writer.begin(at: newest.header.point, root: newest.header.stateRoot)
        var walk = try view.walk(from: Cursor(account: .zero, slot: .zero))
        while let key = try walk.next() {
            let value = walk.value ?? []
            if let slot = key.slot {
                try writer.slot(slot, value)
                continue
            }
            let account = try StateAccount(slim: value)
            var code: [UInt8]?
            if account.codeHash != StateAccount.emptyCodeHash {
                code = try CodeRecords.code(account.codeHash, in: snapshot)
                guard code != nil else {
                    throw Failure.missingCode(account: key.account, hash: account.codeHash)
                }
            }
            try writer.account(key.account, account, code: code)
        }
        try writer.end()
    }

    /// How each section is read at one block, and the block's header.
    struct Newest {
        var header: BlockHeader
        var sections: [(section: Section, layering: SectionLayering)]
    }

    /// The newest block at which the whole state is here: the root made of the section hashes is its header's.
    static func newestBlock(_ snapshot: some StoreSnapshot, depth: Int) throws -> Newest {
        let records = try SectionRecord.all(in: snapshot).filter { $0.section.depth == depth && $0.isComplete }
        let count = Section.count(depth: depth)
        guard records.count == count else { throw Failure.incomplete(held: records.count, of: count) }
        let layers = Dictionary(grouping: try BlockLayer.all(in: snapshot), by: \.section)
        guard let highest = try HeaderRecords.highest(in: snapshot) else { throw Failure.noBlock }
        let oldest = records.map(\.working.number).max() ?? 0
        let headers = try HeaderRecords.headers(from: oldest, through: highest.number, limit: .max, in: snapshot)
        for (_, bytes) in headers.reversed() {
            let header = try BlockHeader(rlp: bytes)
            if let sections = sections(of: records, layers: layers, at: header) {
                return Newest(header: header, sections: sections)
            }
        }
        throw Failure.noBlock
    }

    /// The layerings at a block; nil where the sections do not make up its state root.
    private static func sections(
        of records: [SectionRecord], layers: [Section: [BlockLayer]], at header: BlockHeader
    ) -> [(section: Section, layering: SectionLayering)]? {
        var subtrees: [Subtree] = []
        var sections: [(section: Section, layering: SectionLayering)] = []
        for record in records {
            let own = layers[record.section] ?? []
            let top = own.filter { $0.point.number <= header.number && $0.point.number > record.working.number }
                .max { $0.point.number < $1.point.number }
            guard let subtree = top?.update.subtreeAfter ?? record.subtree,
                let layering = SectionLayering(of: record, at: top?.point ?? record.working, layers: own)
            else { return nil }
            subtrees.append(subtree)
            sections.append((record.section, layering))
        }
        let depth = records.first?.section.depth ?? 0
        guard Crown(sections: subtrees, depth: depth).root == header.stateRoot else { return nil }
        return sections
    }
}
