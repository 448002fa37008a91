import Primitives

/// Whose storage and code is kept. All accounts are kept by everybody, with their storage roots; a node may keep the
/// slots and the code of some of them alone.
///
/// Of the others a store has the body and nothing more: no slot, no branch of a storage trie, no code. That such an
/// account is right is shown by the section hash. Which they are is never read off what is stored beside an account:
/// it follows from this value, which the store's own record has (`StoreMeta`).
public struct KeptStorage: Hashable, Sendable {
    /// Keys (keccak256 of the address), ascending, each once; nil: that of all accounts.
    public let accounts: [Bytes32]?

    /// That of every account.
    public static let all = KeptStorage(accounts: nil)

    /// That of these accounts, given by their keys in any order.
    public static func only(_ accounts: some Sequence<Bytes32>) -> KeptStorage {
        KeptStorage(accounts: Set(accounts).sorted())
    }

    private init(accounts: [Bytes32]?) { self.accounts = accounts }

    /// Whether nothing is left out.
    @inlinable
    public var isAll: Bool { accounts == nil }

    /// Whether the storage and the code of this account are kept.
    @inlinable
    public func keeps(_ account: Bytes32) -> Bool {
        guard let accounts, !accounts.isEmpty else { return accounts == nil }
        var (low, high) = (0, accounts.count)
        while low < high {
            let middle = (low + high) / 2
            if accounts[middle] < account { low = middle + 1 } else { high = middle }
        }
        return low < accounts.count && accounts[low] == account
    }

    /// What of it lies among these account keys.
    public func within(_ keys: ClosedRange<Bytes32>) -> KeptStorage {
        accounts.map { KeptStorage(accounts: $0.filter { keys.contains($0) }) } ?? .all
    }

    /// What of it lies in these sections of the account trie, which ascend.
    public func within(_ sections: some Collection<Section>) -> KeptStorage {
        accounts.map { accounts in
            KeptStorage(accounts: accounts.filter { key in sections.contains { $0.contains(key) } })
        } ?? .all
    }

    /// Accounts that one of both keeps and the other does not; none where one of them keeps all.
    public func differing(from other: KeptStorage) -> [Bytes32] {
        guard let accounts, let others = other.accounts else { return [] }
        return Set(accounts).symmetricDifference(others).sorted()
    }
}
