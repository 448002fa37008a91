import Chain
import MerklePatricia
import Primitives
import StateStore

/// Answers range requests from what is stored. No trie is rebuilt: leaves are walked, edges are proven from the stored
/// branches and the crown.
public enum RangeServer {
    /// The value for `key`, status byte included, at most `key.maxBytes` long; nil where the view does not hold the
    /// section of the origin. `view` and `crown` are at the key's anchor. Throws only where the store fails.
    public static func serve<Snapshot: StoreSnapshot>(
        _ key: RangeKey, view: inout StateView<Snapshot>, crown: Crown
    ) throws -> [UInt8]? {
        guard key.trie == .accounts else { return StateStatus.placementNotSupported.encoded }
        guard let limit = heldEnd(of: key, view: view) else { return nil }
        let maxBytes = min(Int(key.maxBytes), StateNetworkLimits.answerBytes)
        // The proof of the right edge is known only when the end is: the left one's size is a fair guess for it.
        var edge = ProofNodes()
        var accounts = view.accountTrie
        try TrieProver.prove(key.origin.account, upper: crown, source: &accounts, into: &edge)
        var budget = max(maxBytes - 2 * edge.byteCount - firstReserve, maxBytes / 4)
        for _ in 0..<attempts {
            var gathering = RangeGathering(key: key, limit: limit, budget: budget)
            guard try gathering.gather(from: &view) else { break }
            try gathering.prove(from: &view, crown: crown)
            let excess = gathering.value.encodedCount - maxBytes
            if excess <= 0 { return gathering.value.encoded }
            budget = min(budget, gathering.spent) - excess
            guard budget > 0 else { break }
        }
        return StateStatus.itemTooLarge.encoded
    }

    /// Room kept at first for the container and for edges of storage tries. Bytes.
    private static let firstReserve = 2_048
    /// How often an answer is gathered again, smaller, because its proofs did not fit.
    private static let attempts = 8

    /// The end of the sections held without a gap from the origin's on, or the key's limit where that comes first.
    private static func heldEnd<Snapshot>(of key: RangeKey, view: StateView<Snapshot>) -> Cursor? {
        var section = Section(of: key.origin.account, depth: view.depth)
        guard view.holds(section) else { return nil }
        while let next = section.next, next.firstKey <= key.limit.account, view.holds(next) { section = next }
        return min(key.limit, Cursor.end(of: section.lastKey))
    }
}

/// Leaves gathered for one answer.
private struct RangeGathering {
    let key: RangeKey
    /// Last position that may be served.
    let limit: Cursor
    /// Bytes of leaves, in the form of the columns, that may be spent.
    let budget: Int
    private(set) var value: RangeValue
    private(set) var spent = 0
    /// Storage root of each account.
    private var roots: [Bytes32] = []

    /// What an account costs beside its body: key and kind; and, where it has storage, its number of slots.
    private static let accountCost = 33
    private static let countCost = 4

    init(key: RangeKey, limit: Cursor, budget: Int) {
        self.key = key
        self.limit = limit
        self.budget = budget
        value = RangeValue(end: limit)
    }

    /// Walks as far as the budget goes. False where not even one leaf fits.
    mutating func gather<Snapshot: StoreSnapshot>(from view: inout StateView<Snapshot>) throws -> Bool {
        if key.origin.slot != .zero, let body = try view.leaf(FlatKey(account: key.origin.account)) {
            guard try append(account: key.origin.account, body) else { return false }
        }
        var walk = try view.walk(from: key.origin)
        while let leaf = try walk.next(), limit.covers(leaf) {
            let fits =
                try walk.withValue { bytes in
                    if let slot = leaf.slot { return try append(slot: slot, of: leaf.account, bytes) }
                    return try append(account: leaf.account, Array(bytes))
                } ?? false
            if !fits { return stop(before: leaf) }
        }
        setKinds()
        return true
    }

    private mutating func append(account: Bytes32, _ body: [UInt8]) throws -> Bool {
        let root = try StateAccount(slim: body).storageRoot
        let hasStorage = root != StateAccount.emptyRoot
        let cost = Self.accountCost + body.count + (hasStorage ? Self.countCost : 0)
        guard cost <= budget - spent, value.leafCount < StateNetworkLimits.leaves else { return false }
        spent += cost
        value.accountKeys.append(account)
        value.bodies.append(body)
        roots.append(root)
        if hasStorage { value.slotCounts.append(0) }
        return true
    }

    private mutating func append(slot: Bytes32, of account: Bytes32, _ bytes: UnsafeRawBufferPointer) throws -> Bool {
        guard value.accountKeys.last == account, roots.last != StateAccount.emptyRoot else {
            throw StoreError.corrupt(table: .leaves)
        }
        let isOneByte = bytes.count == 1 && bytes[0] < 0x80
        let cost = 32 + bytes.count + (isOneByte ? 0 : 1)
        guard cost <= budget - spent, value.leafCount < StateNetworkLimits.leaves else { return false }
        spent += cost
        value.slotKeys.append(slot)
        value.slotValues.append(slot: bytes, isOneByte: isOneByte)
        value.slotCounts[value.slotCounts.count - 1] += 1
        return true
    }

    /// Ends the answer before a leaf that does not fit. False where that leaves nothing.
    private mutating func stop(before leaf: FlatKey) -> Bool {
        if leaf.slot != nil {
            if let last = value.slotKeys.last, let count = value.slotCounts.last, count > 0 {
                value.end = Cursor(account: leaf.account, slot: last)
                setKinds()
                return true
            }
            // Its account alone would be an answer that ends nowhere.
            value.accountKeys.removeLast()
            value.bodies.removeLast()
            value.slotCounts.removeLast()
            roots.removeLast()
        }
        guard let last = value.accountKeys.last else { return false }
        value.end = Cursor.end(of: last)
        setKinds()
        return true
    }

    private mutating func setKinds() {
        value.kinds = zip(value.accountKeys, roots).map { account, root in
            let (first, last) = slotBounds(of: account)
            return .storage(root: root, first: first, last: last)
        }
    }

    private func slotBounds(of account: Bytes32) -> (first: Bytes32, last: Bytes32) {
        (
            account == key.origin.account ? key.origin.slot : .zero,
            account == value.end.account ? value.end.slot : .max
        )
    }

    /// Adds the proofs of the edges.
    mutating func prove<Snapshot: StoreSnapshot>(from view: inout StateView<Snapshot>, crown: Crown) throws {
        var proof = ProofNodes()
        var accounts = view.accountTrie
        try Self.prove(key.origin.account, value.end.account, upper: crown, source: &accounts, into: &proof)
        value.accountProof = proof.nodes
        for (account, kind) in zip(value.accountKeys, value.kinds) where kind == .partial {
            let (first, last) = slotBounds(of: account)
            var storage = view.storageTrie(of: account)
            var proof = ProofNodes()
            try Self.prove(first, last, upper: nil, source: &storage, into: &proof)
            value.storageProofs.append(proof.nodes)
        }
    }

    /// Adds the edges of [first, last]. Nothing lies before the first key of all and after the last.
    private static func prove(
        _ first: Bytes32, _ last: Bytes32, upper: Crown?, source: inout some TrieSource, into proof: inout ProofNodes
    ) throws {
        if first != .zero { try TrieProver.prove(first, upper: upper, source: &source, into: &proof) }
        if last != .max { try TrieProver.prove(last, upper: upper, source: &source, into: &proof) }
    }
}

extension ByteColumn {
    /// Appends a slot's value as its RLP.
    fileprivate mutating func append(slot bytes: UnsafeRawBufferPointer, isOneByte: Bool) {
        if isOneByte { append(bytes) } else { append([0x80 + UInt8(truncatingIfNeeded: bytes.count)] + bytes) }
    }
}
