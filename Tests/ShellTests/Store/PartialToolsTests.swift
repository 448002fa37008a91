import Foundation
import Primitives
import StateNetwork
import Testing

@testable import Shell
@testable import StateStore

/// What the tools say of a store that has all accounts and the storage of some.
@Suite struct PartialToolsTests {
    /// The small state as it is held by whoever keeps the storage and code of these accounts alone.
    private func state(keeping kept: KeptStorage) throws -> SmallState {
        let state = try SmallState()
        let named = Set(state.accounts.filter { kept.keeps($0.key) }.compactMap(\.codeHash))
        try state.change { _, batch in
            batch.append(StoreMeta(state.network, keeping: kept).batch)
            for account in state.accounts where !kept.keeps(account.key) {
                for slot in account.storage {
                    batch.delete(.leaves, FlatKey(account: account.key, slot: slot.key).bytes)
                }
                batch.deletePrefix(.storageBranches, account.key.bytes)
                if let hash = account.codeHash, !named.contains(hash) { batch.delete(.codes, hash.bytes) }
            }
        }
        return state
    }

    @Test func whatIsThereIsVerifiedAndWhatIsLeftOutIsSaid() throws {
        for count in [0, 2] {
            let whole = try SmallState().accounts
            // One with slots, one with code.
            let kept = KeptStorage.only([whole[6].key, whole[5].key].prefix(count))
            let state = try state(keeping: kept)
            let report = try state.verify()
            #expect(report.complete == 16 && report.root == state.header.stateRoot)
            #expect(report.accounts == state.accounts.count)
            #expect(report.slots == (count == 0 ? 0 : whole[6].storage.count))
            #expect(report.figures.contains { $0.name == "storage_of" && $0.value == "\(count)" })
            try state.start()
            try state.export()
            let text = try String(contentsOfFile: state.output, encoding: .utf8)
            let keys = (kept.accounts ?? []).map { "\"\($0)\"" }.joined(separator: ", ")
            #expect(text.contains("\"storageOf\": [\(keys)], \"accounts\": {"))
            #expect(text.components(separatedBy: "\"storage\": {").count - 1 == (count == 0 ? 0 : 1))
            #expect(text.components(separatedBy: "\"code\": ").count - 1 == (count == 0 ? 0 : 1))
        }
        let whole = try SmallState()
        try whole.export()
        #expect(try !String(contentsOfFile: whole.output, encoding: .utf8).contains("storageOf"))
        #expect(try whole.verify().figures.contains { $0.name == "storage_of" && $0.value == "all" })
    }

    /// What is said to be kept has to be there.
    @Test func whatIsKeptAndNotThereIsSeen() throws {
        let account = try SmallState().accounts[6]
        let state = try state(keeping: .only([]))
        try state.change { _, batch in
            batch.append(StoreMeta(state.network, keeping: .only([account.key])).batch)
        }
        for attempt in [{ _ = try state.verify() }, { try state.export() }] {
            let error = #expect(throws: ShellError.self) { try attempt() }
            guard case .damaged(_, .storageRoot(let found, _, _), _)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(found == account.key)
        }
    }

    @Test func theOtherKindIsRefusedWithACure() {
        let (whole, partial) = (StoreError.wrongKind(keptStorages: nil), StoreError.wrongKind(keptStorages: 3))
        for error in [whole, partial] {
            let text = "\(ShellError(error, dataDirectory: DataDirectory("/d"), networkFile: "net.json"))"
            #expect(text.hasPrefix("/d: holds ") && text.contains("--only") && !text.contains("\n"), "\(text)")
        }
    }
}
