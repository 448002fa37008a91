import Chain
import MerklePatricia
import Primitives
import StateContent
import StateStore

/// Two states and what leads from one to the other.
public struct StatePair: Sendable {
    /// Of both.
    public static let depth = 1
    public let before: TestState
    public let after: TestState
    public let changes: [LeafChange]

    /// Every kind of change: accounts new, gone, changed, re-created; slots new, gone, changed; storage wiped;
    /// sections emptied.
    public init(_ generator: inout SeededGenerator, accounts count: Int = 60) throws {
        let before = try TestState.random(&generator, accounts: count, depth: StatePair.depth)
        let emptied = Int.random(in: 0..<16, using: &generator)
        var accounts: [TestState.Account] = []
        for account in before.accounts {
            if Section(of: account.key, depth: StatePair.depth).index == emptied { continue }
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: continue
            case 1: accounts.append(TestState.account(account.key, &generator))
            case 2:
                accounts.append(
                    TestState.Account(
                        key: account.key, nonce: account.body.nonce &+ 1, codeHash: account.body.codeHash,
                        slots: account.slots.enumerated().filter { $0.offset % 3 != 0 }.map(\.element)))
            default: accounts.append(account)
            }
        }
        let keys = before.accounts.map(\.key)
        for _ in 0..<6 {
            let key = TestState.nextKey(like: keys, &generator)
            guard !keys.contains(key), !accounts.contains(where: { $0.key == key }) else { continue }
            accounts.append(TestState.account(key, &generator))
        }
        try self.init(before, accounts)
    }

    public init(_ before: TestState, _ accounts: [TestState.Account]) throws {
        self.before = before
        after = try TestState(accounts, depth: StatePair.depth)
        changes = before.changes(to: after)
    }

    public func changes(in section: Section) -> [LeafChange] { changes.filter { section.contains($0.key.account) } }

    public func key(_ sections: [Int], maxBytes: UInt32 = 1 << 20, withProof: Bool = true) throws -> DiffsKey {
        let key = DiffsKey(
            from: StatePoint(number: 1, hash: before.root), to: StatePoint(number: 2, hash: after.root),
            sections: sections, maxBytes: maxBytes, withProof: withProof)
        guard let key else { throw StateLabError.noSuchKey }
        return key
    }

    public func serve(_ key: DiffsKey) throws -> [UInt8] {
        try DiffsServer.serve(
            key, depth: StatePair.depth, path: { try after.crown.proofNodes(forSection: $0.index) },
            changes: { changes(in: $0) })
    }
}
