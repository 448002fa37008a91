import Chain
import Foundation
import Primitives
import StateNetwork
import TestSupport
import Testing

@testable import Shell
@testable import StateStore

/// A state as a genesis: built again from the file it has the same root; where a preimage lacks there is no file.
@Suite struct GenesisFormTests {
    private func export(_ state: SmallState) throws -> [GenesisAccount] {
        let path = state.folder + "/genesis.json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try StateExport.run(
            dataDirectory: state.directory, networkFile: state.networkFile, output: path,
            form: StateExport.Form(.genesis))
        return try FileText.genesis(Array(try Data(contentsOf: URL(fileURLWithPath: path)))).accounts
    }

    private func keep(_ accounts: some Sequence<AccountChange>, _ state: SmallState) throws {
        try state.change { _, batch in batch.append(PreimageRecords.writing(accounts)) }
    }

    /// The root of the state that a genesis of these accounts makes.
    private func root(of accounts: [GenesisAccount], _ state: SmallState) throws -> Bytes32 {
        let changes = accounts.map {
            AccountChange(
                address: $0.address, nonce: $0.nonce, balance: $0.balance, code: $0.code.isEmpty ? nil : $0.code,
                storage: $0.storage)
        }
        let job = StateJob.genesis(
            BuildGenesis(block: ReplayedBlock(header: state.header, changes: changes), depth: SmallState.depth))
        guard case .genesis(let outcome) = job.run(on: MemorySnapshot()) else { return .zero }
        return try outcome.get().crown.root
    }

    @Test func builtAgainItHasTheSameRoot() throws {
        let state = try SmallState()
        try keep(state.accounts, state)
        let accounts = try export(state)
        #expect(accounts.count == state.accounts.count)
        #expect(try root(of: accounts, state) == state.header.stateRoot)
        for (found, expected) in zip(accounts, state.accounts.sorted { $0.key < $1.key }) {
            #expect(found.address == expected.address && found.nonce == expected.nonce)
            #expect(found.balance == expected.balance && found.storage == expected.storage)
        }
    }

    @Test func whereOneLacksThereIsNoFile() throws {
        let state = try SmallState()
        let slots = state.accounts.reduce(0) { $0 + $1.storage.count }
        #expect(
            throws: StateExport.Failure.missingPreimages(
                addresses: UInt64(state.accounts.count), slots: UInt64(slots))
        ) { try export(state) }
        try keep(state.accounts, state)
        let (one, wide) = (state.accounts[1], state.accounts[6])
        try state.change { _, batch in
            batch.delete(.preimages, one.key.bytes)
            batch.delete(.preimages, wide.key.bytes)
            batch.delete(.preimages, wide.storage[299].key.bytes)
        }
        #expect(throws: StateExport.Failure.missingPreimages(addresses: 2, slots: 1)) { try export(state) }
        #expect(!FileManager.default.fileExists(atPath: state.folder + "/genesis.json"))
        try keep([one, wide], state)
        #expect(try export(state).count == state.accounts.count)
    }

    /// What is stored under a hash has to have it.
    @Test func aFalsePreimageIsDamage() throws {
        let state = try SmallState()
        try keep(state.accounts, state)
        try state.spoil(.preimages, state.accounts[3].key.bytes, byte: 2)
        let error = #expect(throws: ShellError.self) { try export(state) }
        guard case .damaged(_, .record(let table), _)? = error else {
            Issue.record("it was taken for another fault")
            return
        }
        #expect(table == "preimages")
    }

    @Test func aStateOfAccountsAloneIsNoGenesis() throws {
        let state = try SmallState(accounts: 40)
        try keep(state.accounts, state)
        try state.change { _, batch in batch.append(StoreMeta(state.network, keeping: .only([])).batch) }
        #expect(throws: StateExport.Failure.partial) { try export(state) }
    }

    /// Of blocks that were applied before they were asked for they are read from the chain's files.
    @Test(.enabled(if: SharedFolder.url("chains/bal-chain") != nil, "needs the shared folder"))
    func blocksAppliedBeforeAreReadAgain() throws {
        let state = try SmallState(accounts: 2)
        let chain = try ChainDirectory(path: try #require(SharedFolder.url("chains/bal-chain")).path)
        let blocks = try chain.blocks()
        var block: ChainBlock?
        for _ in 0..<20 { block = try blocks.next() }
        let last = try #require(block)
        let store = try LMDBStore(directory: state.directory.storePath)
        try PreimageFill.run(store, chain, upTo: nil)
        #expect(try PreimageRecords.filled(in: try store.snapshot()) == nil)
        try PreimageFill.run(store, chain, upTo: last.header.point)
        let snapshot = try store.snapshot()
        #expect(try PreimageRecords.filled(in: snapshot) == 20)
        for account in try chain.genesisAccounts() {
            #expect(try PreimageRecords.address(account.key, in: snapshot) == account.address)
        }
        for change in last.changes {
            #expect(try PreimageRecords.address(change.key, in: snapshot) == change.address)
            for slot in change.storage {
                #expect(try PreimageRecords.slot(slot.key, in: snapshot) == slot.slot.big)
            }
        }
        // Once more there is nothing to do.
        try PreimageFill.run(store, chain, upTo: last.header.point)
        #expect(try PreimageRecords.filled(in: try store.snapshot()) == 20)
    }

    /// A bridge keeps them with each block, and notes how far they reach without a gap.
    @Test func aBridgeKeepsThemWithItsBlocks() throws {
        let state = try SmallState(accounts: 40)
        let block = ReplayedBlock(header: state.header, changes: state.accounts)
        let job = StateJob.genesis(BuildGenesis(block: block, depth: SmallState.depth, keepsPreimages: true))
        try state.change { snapshot, batch in
            guard case .genesis(let outcome) = job.run(on: snapshot) else { return }
            batch.append(try outcome.get().batch)
        }
        #expect(try export(state).count == 40)
        let filled = try StoreAccess.withSnapshot(of: state.directory, networkFile: state.networkFile) { snapshot, _ in
            try PreimageRecords.filled(in: snapshot)
        }
        #expect(filled == 0)
    }
}
