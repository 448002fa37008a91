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
        try StoreAccess.withSnapshot(of: dataDirectory, networkFile: networkFile) { snapshot, network in
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
    }

    /// Writes the state that a snapshot holds, and hashes what it writes: throws a `StateFault` where that is not the
    /// state under the block's root.
    static func write(
        _ snapshot: some StoreSnapshot, depth: Int, to sink: @escaping (Data) throws -> Void
    ) throws {
        let newest = try newestBlock(snapshot, depth: depth)
        let kept = try StoreMeta.read(from: snapshot)?.kept ?? .all
        var writer = ExportWriter(sink: sink)
        try writer.begin(at: newest.header.point, root: newest.header.stateRoot, storages: kept.accounts)
        for part in newest.sections {
            let found = try write(
                part.section, through: part.layering, of: snapshot, spread: newest.spread, keeping: kept, to: &writer)
            guard found == part.subtree else {
                throw StateFault.sectionHash(
                    section: part.section.index, block: newest.header.number,
                    expected: part.subtree.hash(at: depth), found: found.hash(at: depth))
            }
        }
        try writer.end()
    }

    /// Writes one section; what its leaves hash to.
    private static func write(
        _ section: Section, through layering: SectionLayering, of snapshot: some StoreSnapshot,
        spread: [Bytes32: [Part]], keeping kept: KeptStorage, to writer: inout ExportWriter
    ) throws -> Subtree {
        let view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: layering)])
        var hasher = LeafHasher(of: section) { spread[$0] != nil || !kept.keeps($0) }
        var walk = try view.walk(from: Cursor(account: section.firstKey))
        while let key = try walk.next() {
            let value = walk.value ?? []
            try key.bytes.withUnsafeBytes { key in
                try value.withUnsafeBytes { value in try hasher.add(key, value) }
            }
            if let slot = key.slot {
                try writer.slot(slot, value)
                continue
            }
            let account = try StateAccount(slim: value)
            var code: [UInt8]?
            if account.codeHash != StateAccount.emptyCodeHash, kept.keeps(key.account) {
                guard let found = try CodeRecords.code(account.codeHash, in: snapshot) else {
                    guard try CodeRecords.wanted(in: snapshot).contains(account.codeHash) else {
                        throw StateFault.missingCode(account: key.account, hash: account.codeHash)
                    }
                    throw Failure.missingCode(account: key.account, hash: account.codeHash)
                }
                let hash = Keccak.hash(found)
                guard hash == account.codeHash else { throw StateFault.code(hash: account.codeHash, found: hash) }
                code = found
            }
            try writer.account(key.account, account, code: code)
            if let parts = spread[key.account] {
                try write(parts, of: key.account, account.storageRoot, from: snapshot, to: &writer)
            }
        }
        return try hasher.finish()
    }

    /// Writes the slots of an account whose storage is spread: they must make up its storage root.
    private static func write(
        _ parts: [Part], of account: Bytes32, _ root: Bytes32, from snapshot: some StoreSnapshot,
        to writer: inout ExportWriter
    ) throws {
        for part in parts {
            let view = StateView(snapshot, part.section, layering: part.layering)
            var hasher = LeafHasher(of: part.section)
            var walk = try view.walk(from: part.section.firstCursor)
            while let key = try walk.next(), let slot = key.slot, part.section.contains(slot) {
                let value = walk.value ?? []
                try key.bytes.withUnsafeBytes { key in
                    try value.withUnsafeBytes { value in try hasher.add(key, value) }
                }
                try writer.slot(slot, value)
            }
            let found = try hasher.finish()
            guard found == part.subtree else {
                throw StateFault.storageRoot(
                    account: account, expected: root, found: found.hash(at: part.section.depth))
            }
        }
        let found = Crown(sections: parts.map(\.subtree), depth: parts.first?.section.depth ?? 1).root
        guard found == root else { throw StateFault.storageRoot(account: account, expected: root, found: found) }
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
    static func newestBlock(_ snapshot: some StoreSnapshot, depth: Int) throws -> Newest {
        let all = try SectionRecord.all(in: snapshot).filter(\.isComplete)
        let records = all.filter { $0.section.owner == nil && $0.section.depth == depth }
        let count = Section.count(depth: depth)
        guard records.count == count else { throw Failure.incomplete(held: records.count, of: count) }
        let layers = Dictionary(grouping: try BlockLayer.all(in: snapshot), by: \.section)
        guard let highest = try HeaderRecords.highest(in: snapshot) else { throw Failure.noBlock }
        let oldest = records.map(\.working.number).max() ?? 0
        let headers = try HeaderRecords.headers(from: oldest, through: highest.number, limit: .max, in: snapshot)
        for (point, bytes) in headers.reversed() {
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
