import Chain
import MerklePatricia
import Primitives
import StateStore

/// Why an answer with several sections is not what was asked for. Everything but `status` is the sender's fault.
public enum SectionsError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    /// The columns do not split as they must.
    case malformed(SSZError)
    /// Longer than was asked for.
    case overMaxBytes(Int)
    /// Sections that were not asked for, that the network does not have, or none at all.
    case wrongSections
    /// The nodes do not lead from the state root to exactly these sections.
    case proof(ProofError)
    /// An account out of order, twice, or of a section that is not given.
    case accountOrder(Bytes32)
    case malformedBody(Bytes32)
    /// So many accounts have storage, and so many numbers of slots came with them.
    case wrongCounts(accounts: Int, counts: Int)
    /// Slots out of order, or twice.
    case slotOrder(account: Bytes32)
    /// The slots do not give the storage root of the account's body.
    case storageRootMismatch(account: Bytes32)
    /// The slots of this account are not with it: its storage is spread round the ring.
    case elsewhere(account: Bytes32)
    /// The accounts do not give the section hash that is proven: one is missing, too many or another.
    case sectionHashMismatch(section: Int)
}

/// Whole sections that are true under the root they were checked against.
public struct VerifiedSections: Sendable {
    /// One section.
    public struct Part: Sendable {
        public let section: Section
        /// Its accounts and its slots, by their places in the columns.
        public let accounts: Range<Int>
        public let slots: Range<Int>
        /// What its accounts hash to.
        public let subtree: Subtree
        /// Branches of the account trie in it, and of its accounts' storage tries.
        public let branches: BranchColumns
        public let storageBranches: [(account: Bytes32, branches: BranchColumns)]
        /// Code hashes named by its accounts, ascending, each once; that of no code is left out.
        public let codeHashes: [Bytes32]
    }

    /// Those given, in order.
    public let parts: [Part]
    /// The accounts' keys and slim bodies, ascending.
    public let accounts: LeafColumns
    /// Number of slots of each account, in the order of `accounts`.
    public let slotCounts: [Int]
    /// All slots: keys, and values as they stand in the trie (RLP strings), in flat order.
    public let slots: LeafColumns

    /// Bytes of the keys and values of one part.
    public func leafBytes(of part: Part) -> Int {
        func bytes(_ range: Range<Int>, _ columns: LeafColumns) -> Int {
            guard let first = range.first, let last = range.last else { return 0 }
            return 32 * range.count + columns.valueRange(at: last).upperBound - columns.valueRange(at: first).lowerBound
        }
        return bytes(part.accounts, accounts) + bytes(part.slots, slots)
    }
}

/// Checks answers with several sections.
public enum SectionsCheck {
    /// Checks that `value` (status byte included) answers `key` with whole sections as the state of this root has them.
    ///
    /// - Parameter rule: how the network places storage; nil: with its account, whatever its size.
    public static func verify(
        _ value: [UInt8], key: SectionsKey, depth: Int, stateRoot: Bytes32, placedBy rule: Placement? = nil
    ) throws(SectionsError) -> VerifiedSections {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        guard value.count <= Int(key.maxBytes) else { throw .overMaxBytes(value.count) }
        let sections: SectionsValue
        do throws(SSZError) {
            sections = try SectionsValue(decoding: value, from: key.sections.first ?? 0)
        } catch {
            throw .malformed(error)
        }
        let asked = Set(key.sections)
        guard !sections.given.isEmpty,
            sections.given.allSatisfy({ asked.contains($0) && $0 < Section.count(depth: depth) })
        else { throw .wrongSections }
        let proven: [(hash: Bytes32, path: [[UInt8]])]
        do throws(ProofError) {
            proven = try SectionProof.sectionHashes(
                root: stateRoot, proof: sections.proof, sections: sections.given, depth: depth)
        } catch {
            throw .proof(error)
        }
        var checker = SectionsChecker(sections, depth: depth, keeping: key.kept, placedBy: rule)
        return try checker.verify(hashes: proven.map(\.hash))
    }
}

/// One check under way.
private struct SectionsChecker {
    private let value: SectionsValue
    private let depth: Int
    private let rule: Placement?
    private let kept: KeptStorage
    private let slots: LeafColumns
    /// The accounts as they stand in the trie, and what their bodies name of that which was asked for.
    private var full = LeafColumns()
    private var named: [(storageRoot: Bytes32?, codeHash: Bytes32?)] = []
    /// Number of slots of each account.
    private var slotCounts: [Int] = []
    private var nextAccount = 0
    private var nextSlot = 0

    init(_ value: SectionsValue, depth: Int, keeping kept: KeptStorage, placedBy rule: Placement?) {
        self.kept = kept
        self.rule = rule
        self.value = value
        self.depth = depth
        slots = LeafColumns(
            keys: value.slotKeys, valueBytes: value.slotValues.bytes, valueEnds: value.slotValues.ends)
    }

    mutating func verify(hashes: [Bytes32]) throws(SectionsError) -> VerifiedSections {
        try readBodies()
        try giveCounts()
        var parts: [VerifiedSections.Part] = []
        parts.reserveCapacity(value.given.count)
        for (place, index) in value.given.enumerated() {
            parts.append(try part(Section(depth: depth, index: index), hash: hashes[place]))
        }
        // What is left lies in no given section, or is out of order.
        guard nextAccount == value.accountKeys.count else { throw .accountOrder(value.accountKeys[nextAccount]) }
        let accounts = LeafColumns(
            keys: value.accountKeys, valueBytes: value.bodies.bytes, valueEnds: value.bodies.ends)
        return VerifiedSections(parts: parts, accounts: accounts, slotCounts: slotCounts, slots: slots)
    }

    /// Reads the bodies in place.
    private mutating func readBodies() throws(SectionsError) {
        let keys = value.accountKeys
        var ends: [Int] = []
        ends.reserveCapacity(keys.count)
        named.reserveCapacity(keys.count)
        var malformed: Bytes32?
        let values = [UInt8](unsafeUninitializedCapacity: keys.count * SlimBody.fullBytes) { buffer, size in
            guard let target = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            value.bodies.bytes.withUnsafeBytes { bytes in
                for index in keys.indices {
                    let slim = UnsafeRawBufferPointer(rebasing: bytes[value.bodies.range(at: index)])
                    guard let body = SlimBody(slim) else {
                        malformed = keys[index]
                        return
                    }
                    size += body.writeFull(slim, to: target + size)
                    ends.append(size)
                    named.append(kept.keeps(keys[index]) ? (body.storageRoot, body.codeHash) : (nil, nil))
                }
            }
        }
        if let malformed { throw .malformedBody(malformed) }
        full = LeafColumns(keys: keys, valueBytes: values, valueEnds: ends)
    }

    /// Gives each account its number of slots.
    private mutating func giveCounts() throws(SectionsError) {
        let stored = named.count { $0.storageRoot != nil }
        guard stored == value.slotCounts.count else {
            throw .wrongCounts(accounts: stored, counts: value.slotCounts.count)
        }
        var next = value.slotCounts.makeIterator()
        slotCounts = named.map { $0.storageRoot == nil ? 0 : next.next() ?? 0 }
    }

    /// The next section, whose accounts come next.
    private mutating func part(_ section: Section, hash: Bytes32) throws(SectionsError) -> VerifiedSections.Part {
        let (firstAccount, firstSlot) = (nextAccount, nextSlot)
        var storageBranches: [(account: Bytes32, branches: BranchColumns)] = []
        var codeHashes: Set<Bytes32> = []
        while nextAccount < value.accountKeys.count, section.contains(value.accountKeys[nextAccount]) {
            let account = value.accountKeys[nextAccount]
            guard nextAccount == firstAccount || value.accountKeys[nextAccount - 1] < account else {
                throw .accountOrder(account)
            }
            if let root = named[nextAccount].storageRoot {
                let branches = try storage(of: account, root: root, count: slotCounts[nextAccount])
                if !branches.isEmpty { storageBranches.append((account, branches)) }
            }
            if let code = named[nextAccount].codeHash { codeHashes.insert(code) }
            nextAccount += 1
        }
        var branches = BranchColumns()
        let accounts = firstAccount..<nextAccount
        let subtree = TrieBuilder.build(full, in: accounts, under: section.path, emitting: &branches)
        guard subtree.hash(at: depth) == hash else { throw .sectionHashMismatch(section: section.index) }
        return VerifiedSections.Part(
            section: section, accounts: accounts, slots: firstSlot..<nextSlot, subtree: subtree, branches: branches,
            storageBranches: storageBranches, codeHashes: codeHashes.sorted())
    }

    /// The next account's slots, which come next.
    private mutating func storage(
        of account: Bytes32, root: Bytes32, count: Int
    ) throws(SectionsError) -> BranchColumns {
        let places = nextSlot..<(nextSlot + count)
        nextSlot = places.upperBound
        for slot in places.dropFirst() where value.slotKeys[slot - 1] >= value.slotKeys[slot] {
            throw .slotOrder(account: account)
        }
        var branches = BranchColumns()
        let built = TrieBuilder.build(slots, in: places, under: .root, emitting: &branches)
        guard built.hash(at: 0) == root else { throw .storageRootMismatch(account: account) }
        if let rule, rule.depth(of: slots.keys[places]) > 0 { throw .elsewhere(account: account) }
        return branches
    }
}
