import Chain
import Primitives
import Testing

@Suite struct AccessListTests {
    private func address(_ byte: UInt8) throws -> Address {
        try #require(Address([UInt8](repeating: byte, count: 20)))
    }

    @Test func theLastValueOfEachListCounts() throws {
        var account = BlockAccessList.Account(address: try address(7))
        account.balanceChanges = [.init(index: 1, value: UInt256(5)), .init(index: 3, value: UInt256(2))]
        account.nonceChanges = [.init(index: 1, value: 1), .init(index: 2, value: 9)]
        account.codeChanges = [.init(index: 1, value: [1]), .init(index: 2, value: [])]
        account.storageChanges = [
            .init(slot: .zero, changes: [.init(index: 0, value: UInt256(4)), .init(index: 1, value: .zero)])
        ]
        var read = BlockAccessList.Account(address: try address(8))
        read.storageReads = [UInt256(1)]
        let list = try BlockAccessList([account, read, BlockAccessList.Account(address: try address(9))])
        #expect(try BlockAccessList(rlp: list.rlp) == list)
        let changes = list.accountChanges
        #expect(changes.count == 1)
        let change = try #require(changes.first)
        #expect(change.balance == UInt256(2) && change.nonce == 9 && change.code == [])
        #expect(change.codeHash == StateAccount.emptyCodeHash)
        #expect(change.storage.map(\.value) == [.zero])
        #expect(list.itemCount == 5)
    }

    /// Of blocks put together the last word on each value counts, and a slot that one of them cleared stays cleared.
    @Test func whatBlocksLeaveTogether() throws {
        let (one, other) = (try address(1), try address(2))
        func slot(_ number: UInt64, _ value: UInt64) -> AccountChange.SlotChange {
            AccountChange.SlotChange(slot: UInt256(number), value: UInt256(value))
        }
        let first = [
            AccountChange(
                address: one, nonce: 1, balance: UInt256(5), code: [1], storage: [slot(1, 1), slot(2, 2)])
        ]
        let second = [
            AccountChange(address: one, nonce: nil, balance: UInt256(6), code: nil, storage: [slot(2, 0)]),
            AccountChange(address: other, nonce: 3, balance: nil, code: nil, storage: []),
        ].sorted { $0.key < $1.key }
        let together = AccountChange.merged([first, second])
        #expect(together.map(\.key) == [one.key, other.key].sorted())
        let found = try #require(together.first { $0.address == one })
        #expect(found.nonce == 1 && found.balance == UInt256(6) && found.code == [1])
        #expect(Set(found.storage) == [slot(1, 1), slot(2, 0)])
        #expect(together.first { $0.address == other }?.nonce == 3)
        #expect(AccountChange.merged([second]) == second && AccountChange.merged([]).isEmpty)
    }

    @Test func anAccountOfNothingIsNoAccount() throws {
        let change = AccountChange(address: try address(1), nonce: 0, balance: .zero, code: [], storage: [])
        let before = StateAccount(nonce: 1, balance: UInt256(7), codeHash: .max)
        #expect(change.applied(to: before, storageRoot: StateAccount.emptyRoot) == nil)
        let touched = AccountChange(address: try address(1), nonce: nil, balance: .zero, code: nil, storage: [])
        #expect(touched.applied(to: nil, storageRoot: StateAccount.emptyRoot) == nil)
        #expect(
            touched.applied(to: before, storageRoot: .max)
                == StateAccount(nonce: 1, balance: .zero, storageRoot: .max, codeHash: .max))
    }

    @Test func aSidecarHasIndexOneEverywhereAndMeansTheSame() throws {
        let changes = [
            AccountChange(
                address: try address(9), nonce: 3, balance: UInt256(1), code: [0xef],
                storage: [.init(slot: UInt256(8), value: UInt256(1)), .init(slot: UInt256(2), value: .zero)]),
            AccountChange(address: try address(3), nonce: 0, balance: .zero, code: [], storage: []),
        ]
        let list = try BlockAccessList(sidecar: changes)
        #expect(list.accounts.map(\.address) == [try address(3), try address(9)])
        #expect(list.accounts[1].storageChanges.map(\.slot) == [UInt256(2), UInt256(8)])
        #expect(list.accountChanges == changes.sorted { $0.key < $1.key })
        try list.verifyLimits(transactionCount: 0)
        #expect(throws: ChainError.accessList(.addressOrder(try address(3)))) {
            try BlockAccessList(sidecar: [changes[1], changes[1]])
        }
    }

    @Test func keysAreSortedByTheirHashes() throws {
        let changes = try BlockAccessList(
            sidecar: (1...40).map { byte in
                AccountChange(
                    address: try address(byte), nonce: 1, balance: nil, code: nil,
                    storage: (1...9).map { .init(slot: UInt256($0), value: UInt256(1)) })
            }
        ).accountChanges
        #expect(changes.map(\.key) == changes.map(\.key).sorted())
        #expect(changes.allSatisfy { $0.storage.map(\.key) == $0.storage.map(\.key).sorted() })
        #expect(changes.allSatisfy { $0.key == Keccak.hash($0.address.bytes) })
    }

    /// EIP-161 takes away what a transaction touched and left empty.
    @Test func anEmptyAccountGoesWhenItIsTouched() throws {
        let root = StateAccount.emptyRoot
        let allotted = AccountChange(address: try address(1), nonce: 0, balance: .zero, code: [], storage: [])
        #expect(allotted.applied(to: nil, storageRoot: root) == nil)
        let touched = AccountChange(address: try address(1), nonce: nil, balance: .zero, code: nil, storage: [])
        #expect(touched.applied(to: StateAccount(), storageRoot: root) == nil)
        #expect(touched.applied(to: StateAccount(nonce: 1), storageRoot: root) == StateAccount(nonce: 1))
        // What an access list only names has no change: it is left as it is.
        var account = BlockAccessList.Account(address: try address(1))
        account.storageReads = [UInt256(1)]
        #expect(try BlockAccessList([account]).accountChanges.isEmpty)
    }
}
