import Chain
import Primitives

/// Collects what a block's transactions touch into its access list (EIP-7928). Accounts are named by their numbers.
struct AccessRecorder {
    private struct Entry {
        var account: BlockAccessList.Account
        var slots: [UInt256: [BlockAccessList.Change<UInt256>]] = [:]
        var reads: Set<UInt256> = []
    }

    private var entries: [Int: Entry] = [:]

    /// The account was looked at.
    mutating func touch(_ index: Int, _ address: Address) {
        if entries[index] == nil { entries[index] = Entry(account: BlockAccessList.Account(address: address)) }
    }

    mutating func balance(_ index: Int, at place: UInt32, _ value: UInt128) {
        entries[index]?.account.balanceChanges.set(UInt256(value), at: place)
    }

    mutating func nonce(_ index: Int, at place: UInt32, _ value: UInt64) {
        entries[index]?.account.nonceChanges.set(value, at: place)
    }

    mutating func code(_ index: Int, at place: UInt32, _ value: [UInt8]) {
        entries[index]?.account.codeChanges.set(value, at: place)
    }

    mutating func write(_ index: Int, _ slot: UInt256, at place: UInt32, _ value: UInt256) {
        entries[index]?.slots[slot, default: []].set(value, at: place)
    }

    mutating func read(_ index: Int, _ slot: UInt256) { entries[index]?.reads.insert(slot) }

    /// The list, with a slot that was also written not among those read.
    func list() throws -> BlockAccessList {
        let accounts = entries.values.map { entry in
            var account = entry.account
            account.storageChanges = entry.slots.sorted { $0.key < $1.key }.map {
                BlockAccessList.SlotChanges(slot: $0.key, changes: $0.value)
            }
            account.storageReads = entry.reads.filter { entry.slots[$0] == nil }.sorted()
            return account
        }
        return try BlockAccessList(accounts.sorted { $0.address < $1.address })
    }
}

extension Array {
    /// The value after `place`: one transaction leaves one value, the last.
    fileprivate mutating func set<Value>(_ value: Value, at place: UInt32)
    where Element == BlockAccessList.Change<Value> {
        if last?.index == place { removeLast() }
        append(BlockAccessList.Change(index: place, value: value))
    }
}
