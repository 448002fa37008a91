import Chain
import Foundation
import MerklePatricia
import Primitives
import StateStore

/// One export under way: reads the sections of a snapshot at one block, hashes what it reads, and hands the text on.
/// Memory does not grow with the state.
struct ExportRun<Snapshot: StoreSnapshot, Form: ExportForm> {
    private let snapshot: Snapshot
    private let newest: StateExport.Newest
    /// Whose storage and code is written; of nobody but those whose storage is here.
    private let kept: KeptStorage
    private(set) var form: Form
    private var text = ExportText()
    private let sink: ExportSink
    private(set) var tally = ExportTally()
    private var progress = StepProgress()
    /// Codes that were hashed already: many accounts have the same.
    private var hashed: Set<Bytes32> = []

    init(
        _ snapshot: Snapshot, _ newest: StateExport.Newest, keeping kept: KeptStorage, as form: Form,
        to sink: ExportSink
    ) {
        self.snapshot = snapshot
        self.newest = newest
        self.kept = kept
        self.form = form
        self.sink = sink
    }

    /// Writes everything. `headers` hands out those that prove the block, where they are to be written.
    mutating func run(
        of network: ClaimContext, headers: ((StoredHeader) throws -> Void) throws -> Void
    ) throws {
        form.begin(ExportHead(network: network, header: newest.header, storageOf: kept.accounts), &text)
        try headers { entry in
            form.header(entry, &text)
            try passOn()
        }
        for (place, part) in newest.sections.enumerated() {
            let found = try write(part)
            guard found == part.subtree else {
                throw StateFault.sectionHash(
                    section: part.section.index, block: newest.header.number,
                    expected: part.subtree.hash(at: part.section.depth), found: found.hash(at: part.section.depth))
            }
            tell(sections: place + 1)
        }
        form.end(tally, &text)
        try sink.put(text.take())
    }

    private mutating func tell(sections: Int) {
        let (tally, all) = (self.tally, newest.sections.count)
        progress.tell {
            "export  \(StepProgress.percent(sections, of: all))  \(sections)/\(all) sections  "
                + "\(tally.accounts) accounts  \(tally.slots) slots"
        }
    }

    private mutating func passOn() throws {
        if text.bytes.count >= ExportSink.pieceBytes { try sink.put(text.take()) }
    }

    /// Writes one section; what its leaves hash to.
    private mutating func write(_ part: StateExport.Part) throws -> Subtree {
        let section = part.section
        let view = StateView(snapshot, depth: section.depth, sections: [(section: section, layering: part.layering)])
        let (spread, kept) = (newest.spread, self.kept)
        var hasher = LeafHasher(of: section) { spread[$0] != nil || !kept.keeps($0) }
        var walk = try view.walk(from: Cursor(account: section.firstKey))
        while let run = try walk.nextRun() {
            for leaf in run {
                guard let key = FlatKey(loading: leaf.key) else { throw StateFault.notALeaf(section: section.index) }
                guard let slot = key.slot else {
                    try hasher.add(leaf.key, leaf.value)
                    try write(key.account, leaf.value)
                    continue
                }
                // Slots may be here, and be left out: then the account stands for itself, under the section's hash.
                guard kept.keeps(key.account) else { continue }
                try hasher.add(leaf.key, leaf.value)
                try write(slot: slot, leaf.value)
            }
        }
        return try hasher.finish()
    }

    private mutating func write(_ key: Bytes32, _ body: UnsafeRawBufferPointer) throws {
        let account = try StateAccount(slim: Array(body))
        let keeps = kept.keeps(key)
        var code: [UInt8]?
        if account.codeHash != StateAccount.emptyCodeHash, keeps { code = try self.code(account.codeHash, of: key) }
        try form.account(key, account, code: code, &text)
        tally.accounts += 1
        if code != nil { tally.codes += 1 }
        try passOn()
        if keeps, let parts = newest.spread[key] { try write(parts, of: key, account.storageRoot) }
    }

    private mutating func write(slot: Bytes32, _ value: UnsafeRawBufferPointer) throws {
        try form.slot(slot, value, &text)
        tally.slots += 1
        try passOn()
    }

    private mutating func code(_ hash: Bytes32, of account: Bytes32) throws -> [UInt8] {
        guard let code = try CodeRecords.code(hash, in: snapshot) else {
            guard try CodeRecords.wanted(in: snapshot).contains(hash) else {
                throw StateFault.missingCode(account: account, hash: hash)
            }
            throw StateExport.Failure.missingCode(account: account, hash: hash)
        }
        guard !hashed.contains(hash) else { return code }
        let found = Keccak.hash(code)
        guard found == hash else { throw StateFault.code(hash: hash, found: found) }
        if hashed.count < ShellLimits.knownCodes { hashed.insert(hash) }
        return code
    }

    /// Writes the slots of an account whose storage is spread: they must make up its storage root.
    private mutating func write(_ parts: [StateExport.Part], of account: Bytes32, _ root: Bytes32) throws {
        for part in parts {
            let view = StateView(snapshot, part.section, layering: part.layering)
            var hasher = LeafHasher(of: part.section)
            var walk = try view.walk(from: part.section.firstCursor)
            while let run = try walk.nextRun() {
                for leaf in run {
                    guard let slot = FlatKey(loading: leaf.key)?.slot else {
                        throw StateFault.notALeaf(section: part.section.index)
                    }
                    try hasher.add(leaf.key, leaf.value)
                    try write(slot: slot, leaf.value)
                }
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
}
