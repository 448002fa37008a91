// A question about one account, and how it is answered by content that there is anyway: ranges (0x40) of one
// position, and code (0x42). Whoever answers, a peer or the own store, gives the same bytes, which are checked alike.
//
//      (account, slot)  ──▶ range [(a, s), (a, s)] of the accounts ──▶ body with proof, slot with proof
//                                         └── the storage is spread: range of its part, which may lie elsewhere
//      (account)        ──▶ range [(a, 0), (a, 0)]
//      code             ──▶ the body first, then 0x42
//
// Invariant: what an answer holds was proven under the state root of the anchor that the query was begun at.

import Chain
import MerklePatricia
import Primitives
import StateStore

/// What is asked of the state.
public struct StateQuestion: Hashable, Sendable {
    /// keccak256 of the address, and of each slot.
    public let account: Bytes32
    public let slots: [Bytes32]
    public let wantsCode: Bool

    public init(account: Bytes32, slots: [Bytes32] = [], wantsCode: Bool = false) {
        self.account = account
        self.slots = slots
        self.wantsCode = wantsCode
    }
}

/// What is true at one anchor, with the proofs of it.
public struct StateAnswer: Hashable, Sendable {
    /// A slot's value without leading zeros, empty where the slot is zero, and the nodes from the storage root to it.
    public struct Slot: Hashable, Sendable {
        public let key: Bytes32
        public let value: [UInt8]
        public let proof: [[UInt8]]
    }

    public let question: StateQuestion
    public let anchor: Anchor
    /// The anchor's block, and its state root.
    public let point: StatePoint
    public let stateRoot: Bytes32
    /// nil: proven absent.
    public let account: StateAccount?
    /// The nodes from the state root to the account.
    public let accountProof: [[UInt8]]
    /// In the order asked for.
    public let slots: [Slot]
    /// Where it was asked for; empty where the account has none.
    public let code: [UInt8]?
}

/// Why an answer to a query is not true. The sender is at fault.
public enum StateQueryError: Error, Equatable, Sendable {
    case range(RangeError)
    /// The nodes of a range do not lead where it says.
    case path(ProofError)
    case code(ContentError)
    /// Ranges of one anchor that say different things of the account: one of them cannot be of it.
    case contradiction
}

/// A question under way at one anchor: what is still needed, and what was proven of it.
public struct StateQuery: Sendable {
    /// One piece of content that is needed.
    public enum Need: Hashable, Sendable {
        case range(RangeKey)
        case code(CodesKey)

        /// The content key.
        public var key: StateContentKey {
            switch self {
            case .range(let key): .range(key)
            case .code(let key): .codes(key)
            }
        }
    }

    public let question: StateQuestion
    public let anchor: Anchor
    public let point: StatePoint
    public let stateRoot: Bytes32
    private let rule: Placement?
    private var account: (body: StateAccount?, proof: [[UInt8]])?
    private var slots: [Bytes32: StateAnswer.Slot] = [:]
    private var code: [UInt8]?
    /// At which depth the storage is spread; 0: it is with the account.
    private var placement = 0

    /// Nothing is known yet. `rule`: how the network places storage.
    public init(_ question: StateQuestion, at anchor: Anchor, _ header: BlockHeader, placedBy rule: Placement?) {
        self.question = question
        self.anchor = anchor
        self.rule = rule
        point = header.point
        stateRoot = header.stateRoot
    }

    // MARK: What is needed

    /// What can be asked for now, each of anybody who has it.
    public var needs: [Need] {
        guard let account else {
            let cursors = question.slots.isEmpty ? [Bytes32.zero] : question.slots
            return cursors.compactMap { range(at: $0, of: .accounts) }
        }
        guard let body = account.body else { return [] }
        let placement = UInt8(truncatingIfNeeded: placement)
        let trie: StateTrie =
            placement == 0 ? .accounts : .storage(account: question.account, placement: placement)
        var needs = question.slots.filter { slots[$0] == nil }.compactMap { range(at: $0, of: trie) }
        if question.wantsCode, code == nil, let key = CodesKey(near: question.account, hashes: [body.codeHash]) {
            needs.append(.code(key))
        }
        return needs
    }

    private func range(at slot: Bytes32, of trie: StateTrie) -> Need? {
        let place = Cursor(account: question.account, slot: slot)
        return RangeKey(
            trie: trie, anchor: anchor, origin: place, limit: place, maxBytes: StateContentLimits.queryBytes
        ).map { .range($0) }
    }

    /// All that was asked for, once it is proven; nil before.
    public var answer: StateAnswer? {
        guard let account, needs.isEmpty else { return nil }
        return StateAnswer(
            question: question, anchor: anchor, point: point, stateRoot: stateRoot, account: account.body,
            accountProof: account.proof, slots: question.slots.map { slot(of: $0) },
            code: question.wantsCode ? code ?? [] : nil)
    }

    /// Of an account that is not there, or has no storage, every slot is zero, and its own proof shows it.
    private func slot(of key: Bytes32) -> StateAnswer.Slot {
        slots[key] ?? StateAnswer.Slot(key: key, value: [], proof: [])
    }

    // MARK: What was given

    /// Takes an answer with data (status 0). False where it is true and brings nothing: a code that is not there.
    public mutating func take(_ value: [UInt8], for need: Need) throws(StateQueryError) -> Bool {
        switch need {
        case .code(let key):
            let codes: [(hash: Bytes32, code: [UInt8])]
            do throws(ContentError) { codes = try CodesValue.verify(value, key: key) } catch { throw .code(error) }
            guard let found = codes.first else { return false }
            code = found.code
        case .range(let key):
            let range: VerifiedStateRange
            do throws(RangeError) {
                range = try RangeCheck.verify(value, key: key, stateRoot: stateRoot, placedBy: rule)
            } catch {
                throw .range(error)
            }
            try take(range, of: key)
        }
        return true
    }

    private mutating func take(_ range: VerifiedStateRange, of key: RangeKey) throws(StateQueryError) {
        let body = StateQuery.body(in: range)
        let way: TriePath
        do throws(ProofError) {
            way = try TriePath(
                to: question.account, under: stateRoot, in: range.accountProof, leaf: body?.rlp)
        } catch {
            throw .path(error)
        }
        guard way.value == body?.rlp, account.map({ $0.body == body }) ?? true else { throw .contradiction }
        account = account ?? (body, way.nodes)
        guard let body, body.storageRoot != StateAccount.emptyRoot else { return settleSlots() }
        if body.codeHash == StateAccount.emptyCodeHash { code = [] }
        if let (_, nodes) = range.spread.first, let rule {
            do throws(ProofError) {
                placement = try rule.depth(root: body.storageRoot, shownBy: nodes)
            } catch {
                throw .path(error)
            }
            return
        }
        guard key.origin.slot != .zero else { return }
        try take(slot: key.origin.slot, of: range, under: body.storageRoot)
    }

    private mutating func take(
        slot: Bytes32, of range: VerifiedStateRange, under root: Bytes32
    ) throws(StateQueryError) {
        let found = range.slots.count > 0 ? Array(range.slots.valueBytes[range.slots.valueRange(at: 0)]) : nil
        let way: TriePath
        do throws(ProofError) {
            way = try TriePath(to: slot, under: root, in: range.originStorageProof, leaf: found)
        } catch {
            throw .path(error)
        }
        guard way.value == found else { throw .contradiction }
        // A value below 0x80 is its own RLP; any other of at most 32 bytes has one byte before it.
        let value = found.map { $0.count == 1 ? $0 : Array($0.dropFirst()) } ?? []
        slots[slot] = StateAnswer.Slot(key: slot, value: value, proof: way.nodes)
    }

    /// No slot of the account is anything but zero.
    private mutating func settleSlots() {
        for key in question.slots { slots[key] = StateAnswer.Slot(key: key, value: [], proof: []) }
        if account?.body?.codeHash ?? StateAccount.emptyCodeHash == StateAccount.emptyCodeHash { code = [] }
    }

    /// The account in a range of one position, which was read before.
    private static func body(in range: VerifiedStateRange) -> StateAccount? {
        guard range.accounts.count > 0 else { return nil }
        let slim = Array(range.accounts.valueBytes[range.accounts.valueRange(at: 0)])
        return try? StateAccount(slim: slim)
    }
}
