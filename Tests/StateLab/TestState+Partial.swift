import MerklePatricia
import Primitives
import StateContent
import StateStore

// A state as it is held by whoever keeps the storage of few.
extension TestState {
    /// Some of the accounts with storage, by chance; and one that is not there.
    public func someKept(_ generator: inout SeededGenerator) -> KeptStorage {
        var keys = accounts.filter { !$0.slots.isEmpty && Int.random(in: 0..<4, using: &generator) == 0 }.map(\.key)
        if Bool.random(using: &generator) { keys.append(Bytes32(generator.next(), 1, 2, 3)) }
        return .only(keys.prefix(StateContentLimits.keptStorages))
    }

    /// Its leaves without the slots that are not kept.
    public func leaves(keeping kept: KeptStorage) -> [MemoryState.Leaf] {
        leaves.filter { $0.key.slot == nil || kept.keeps($0.key.account) }
    }

    /// What a store has of it: those leaves and the branches over them.
    public func snapshot(keeping kept: KeptStorage) throws -> MemorySnapshot {
        var batch = WriteBatch()
        var gone: [MemoryState.Leaf] = []
        for leaf in leaves where leaf.key.slot != nil && !kept.keeps(leaf.key.account) { gone.append(leaf) }
        for leaf in gone { batch.delete(.leaves, leaf.key.bytes) }
        for account in accounts where !kept.keeps(account.key) {
            batch.deletePrefix(.storageBranches, account.key.bytes)
        }
        var snapshot = snapshot
        snapshot.apply(batch)
        return snapshot
    }
}
