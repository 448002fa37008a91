import Chain
import MerklePatricia
import Primitives

/// Why leaves that come in order are no state.
public enum LoadError: Error, Equatable, Sendable {
    /// An account, or a slot of one, whose key is not above the one before it: out of order, or there twice.
    case order(FlatKey)
    /// A slot before any account.
    case slotWithoutAccount(slot: Bytes32)
    /// Storage or code of an account of which only the body is to be there.
    case leftOut(account: Bytes32)
    /// Code that is not what the account names; nil: there is none.
    case code(account: Bytes32, expected: Bytes32, found: Bytes32?)
    /// Leaves that contradict each other.
    case fault(StateFault)
    /// All is there, and it is another state.
    case stateRoot(expected: Bytes32, found: Bytes32)
}

extension LoadError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .order(let key):
            if let slot = key.slot { return "slot \(slot) of account \(key.account) is out of order, or there twice" }
            return "account \(key.account) is out of order, or there twice"
        case .slotWithoutAccount(let slot): return "slot \(slot) stands before all accounts"
        case .leftOut(let account): return "storage or code of account \(account) is there, and should be left out"
        case .code(let account, let expected, let found):
            let what = found.map { "hashes to \($0)" } ?? "is missing"
            return "the code of account \(account) \(what), and is to be \(expected)"
        case .fault(let fault): return "\(fault)"
        case .stateRoot(let expected, let found):
            return
                "the accounts hash to \(found), and the block's state root is \(expected): it is cut, changed, or of "
                + "another block"
        }
    }
}

/// Makes a store's content out of the leaves of a whole state, which come once and in order. Memory does not grow with
/// the state: leaves and branches are given out as they come, and nothing of it counts before `finish` has compared the
/// root. So the caller must be able to throw away what was written until then.
public struct StateLoader: Sendable {
    private let depth: Int
    private let point: StatePoint
    private let kept: KeptStorage
    private var hasher: LeafHasher
    private var section: Section
    private var subtrees: [Subtree] = []
    private var account: Bytes32?
    private var slot: Bytes32?
    private var body: [UInt8] = []
    /// Codes that are in what was given out, as far as they are remembered.
    private var written: Set<Bytes32> = []
    private var batch = WriteBatch()
    /// How many came.
    public private(set) var accounts: UInt64 = 0
    public private(set) var slots: UInt64 = 0

    /// Of a network whose storage is all with its accounts. `point`: the block at which the state is.
    public init(depth: Int, at point: StatePoint, keeping kept: KeptStorage = .all) {
        self.depth = depth
        self.point = point
        self.kept = kept
        section = Section(depth: depth, index: 0)
        hasher = StateLoader.hasher(of: section, kept)
    }

    private static func hasher(of section: Section, _ kept: KeptStorage) -> LeafHasher {
        LeafHasher(of: section, keepingBranches: true) { !kept.keeps($0) }
    }

    /// Bytes of changes that wait to be taken.
    public var byteCount: Int { batch.byteCount }

    /// What is to be written of what came so far.
    public mutating func takeBatch() -> WriteBatch {
        giveBranches()
        defer { batch = WriteBatch() }
        return batch
    }

    /// The next account. `code`: where it has some, and its storage and code are kept.
    public mutating func add(_ key: Bytes32, _ account: StateAccount, code: [UInt8]?) throws(LoadError) {
        if let last = self.account, key <= last { throw .order(FlatKey(account: key)) }
        while !section.contains(key), let next = section.next {
            try closeSection()
            section = next
            hasher = StateLoader.hasher(of: next, kept)
        }
        try check(code, of: key, account)
        (self.account, slot) = (key, nil)
        accounts += 1
        body = account.slim
        try hash(FlatKey(account: key), body)
        body.withUnsafeBytes { batch.put(leaf: key, slot: nil, $0) }
    }

    /// The next slot of the account that came last; its value without leading zeros.
    public mutating func add(slot key: Bytes32, _ value: [UInt8]) throws(LoadError) {
        guard let account else { throw .slotWithoutAccount(slot: key) }
        if let slot, key <= slot { throw .order(FlatKey(account: account, slot: key)) }
        guard kept.keeps(account) else { throw .leftOut(account: account) }
        slot = key
        slots += 1
        try hash(FlatKey(account: account, slot: key), value)
        value.withUnsafeBytes { batch.put(leaf: account, slot: key, $0) }
    }

    /// All came. Gives what is left to be written, with the crown where it is to be kept, if this is the state under
    /// `root`.
    public mutating func finish(_ root: Bytes32) throws(LoadError) -> (batch: WriteBatch, crown: Crown) {
        try closeSection()
        while let next = section.next {
            section = next
            hasher = StateLoader.hasher(of: next, kept)
            try closeSection()
        }
        let crown = Crown(sections: subtrees, depth: depth)
        guard crown.root == root else { throw .stateRoot(expected: root, found: crown.root) }
        return (takeBatch(), crown)
    }

    private mutating func check(
        _ code: [UInt8]?, of key: Bytes32, _ account: StateAccount
    ) throws(LoadError) {
        guard kept.keeps(key) else {
            if code != nil { throw .leftOut(account: key) }
            return
        }
        guard let code else {
            guard account.codeHash == StateAccount.emptyCodeHash || written.contains(account.codeHash) else {
                throw .code(account: key, expected: account.codeHash, found: nil)
            }
            return
        }
        let found = Keccak.hash(code)
        guard found == account.codeHash else { throw .code(account: key, expected: account.codeHash, found: found) }
        guard !code.isEmpty, !written.contains(found) else { return }
        if written.count < StateStoreLimits.scrubbedCodes { written.insert(found) }
        batch.put(.codes, found.bytes, code)
    }

    private mutating func hash(_ key: FlatKey, _ value: [UInt8]) throws(LoadError) {
        var fault: StateFault?
        value.withUnsafeBytes { value in
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { room in
                guard let base = room.baseAddress else { return }
                key.account.store(to: base)
                key.slot?.store(to: base + 32)
                let bytes = UnsafeRawBufferPointer(start: base, count: key.slot == nil ? 32 : 64)
                do throws(StateFault) { try hasher.add(bytes, value) } catch { fault = error }
            }
        }
        if let fault { throw .fault(fault) }
    }

    private mutating func closeSection() throws(LoadError) {
        do throws(StateFault) {
            let subtree = try hasher.finish()
            giveBranches()
            subtrees.append(subtree)
            let record = SectionRecord(section: section, working: point, coverage: .complete(subtree))
            batch.append(StateWrites.record(record))
        } catch {
            throw .fault(error)
        }
    }

    private mutating func giveBranches() {
        let found = hasher.takeBranches()
        found.accounts?.forEach { path, node in
            // Those above the sections belong to the crown.
            if path.count >= depth { batch.put(branch: path, of: nil, node) }
        }
        for (account, branches) in found.storage {
            branches.forEach { path, node in batch.put(branch: path, of: account, node) }
        }
    }
}
