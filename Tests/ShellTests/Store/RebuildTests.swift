import Foundation
import StateStore
import Testing

@testable import Shell
@testable import StateNetwork

/// A store that is begun anew: what tells of the state goes, what is the node's own stays.
@Suite("A store begun anew") struct RebuildTests {
    private func names(_ state: SmallState) throws -> Set<String> {
        try StoreAccess.withSnapshot(of: state.directory, networkFile: state.networkFile) { snapshot, _ in
            var names: Set<String> = []
            try snapshot.forEach(.local, from: [], upTo: nil) { (key, _) throws(StoreError) in
                names.insert(String(decoding: key, as: UTF8.self))
                return true
            }
            return names
        }
    }

    private func sections(_ state: SmallState) throws -> Int {
        try StoreAccess.withSnapshot(of: state.directory, networkFile: state.networkFile) { snapshot, _ in
            try SectionRecord.all(in: snapshot).count
        }
    }

    @Test func whatIsTheNodesOwnStays() throws {
        let state = try SmallState(accounts: 60)
        try state.change { _, batch in
            batch.append(ArcMark(kept: 254, announced: 253).writing(under: .automatic))
            for name in ["known-nodes", "holders", "record-sequence", "head-proof", "complete-anchor", "replayed"] {
                batch.append(StateWrites.local(name, [1]))
            }
        }
        try Data([7]).write(to: URL(fileURLWithPath: state.directory.keyPath))
        #expect(try sections(state) == 16)
        try StoreRebuild.run(state.directory, networkFile: state.networkFile)
        #expect(try sections(state) == 0)
        #expect(try names(state) == ["arc", "known-nodes", "holders", "record-sequence"])
        #expect(FileManager.default.contents(atPath: state.directory.keyPath) == Data([7]))
    }

    @Test func aFileThatCannotBeReadIsReplaced() throws {
        let state = try SmallState(accounts: 60)
        let file = state.directory.storePath + "/" + StoreFile.name
        try Data(repeating: 0x5a, count: 65_536).write(to: URL(fileURLWithPath: file))
        #expect(throws: ShellError.self) { try sections(state) }
        try StoreRebuild.run(state.directory, networkFile: state.networkFile)
        #expect(try sections(state) == 0)
        #expect(try names(state) == [])
    }

    @Test func anotherNetworksStoreIsLeftAlone() throws {
        let state = try SmallState(accounts: 60)
        let other = try SmallState(accounts: 61)
        let error = #expect(throws: ShellError.self) {
            try StoreRebuild.run(state.directory, networkFile: other.networkFile)
        }
        guard case .anotherNetwork? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try sections(state) == 16)
    }
}
