import Chain
import Foundation
import Primitives
import StateNetwork
import Testing

@testable import Shell
@testable import StateStore

/// One changed byte in a store: export, verify and a start see it, name it, and leave nothing that looks like a result.
@Suite struct DamageTests {
    @Test func whatIsWholePassesAll() throws {
        let state = try SmallState()
        let report = try state.verify()
        #expect(report.complete == 16 && report.partial == 0)
        #expect(report.accounts == state.accounts.count)
        #expect(report.slots == state.accounts.reduce(0) { $0 + $1.storage.count })
        #expect(report.root == state.header.stateRoot)
        #expect(report.point == state.header.point)
        try state.start()
        try state.export()
        let text = try String(contentsOfFile: state.output, encoding: .utf8)
        #expect(text.contains("\"root\": \"\(state.header.stateRoot)\""))
    }

    /// A damage, and how the fault must begin.
    private enum Damage: CaseIterable {
        case balance, slot, codeHash, code, missingCode, missingAccount, missingSlot, strangeSlot, strangeKey, body
    }

    @Test(arguments: Damage.allCases) private func isSeen(damage: Damage) throws {
        let state = try SmallState()
        let wide = state.accounts[6]
        let coded = state.accounts[5]
        let fault = try Self.inflict(damage, wide, coded, on: state)
        for attempt in [{ _ = try state.verify() }, { try state.start() }, { try state.export() }] {
            let error = #expect(throws: (any Error).self) { try attempt() }
            guard case .damaged(state.directory.path, let found, _)? = error as? ShellError else {
                // The walk itself refuses such a key.
                if damage == .strangeKey, error as? ShellError == Self.corruptLeaves(state) { continue }
                Issue.record("\(damage): \(error.map { "\($0)" } ?? "nothing")")
                continue
            }
            #expect(fault(found), "\(damage): \(found)")
            let text = "\(ShellError.damaged(path: "/d", found, others: 2))"
            #expect(text.hasPrefix("/d: ") && text.contains("move the directory away") && !text.contains("\n"))
        }
        #expect(!FileManager.default.fileExists(atPath: state.output))
        #expect(try FileManager.default.contentsOfDirectory(atPath: state.folder).sorted() == ["data", "net.json"])
    }

    private static func corruptLeaves(_ state: SmallState) -> ShellError {
        .store(path: state.directory.path, .corrupt(table: .leaves))
    }

    /// Does the damage; gives what the fault must be.
    private static func inflict(
        _ damage: Damage, _ wide: AccountChange, _ coded: AccountChange, on state: SmallState
    ) throws -> (StateFault) -> Bool {
        let slot = FlatKey(account: wide.key, slot: wide.storage[100].key).bytes
        let section = Section(of: wide.key, depth: SmallState.depth).index
        let isSectionHash: (StateFault) -> Bool = {
            if case .sectionHash(section, 0, _, _) = $0 { true } else { false }
        }
        let isStorageRoot: (StateFault) -> Bool = {
            if case .storageRoot(wide.key, _, _) = $0 { true } else { false }
        }
        switch damage {
        case .balance:
            // The nonce comes first in the body, then the balance.
            try state.spoil(.leaves, wide.key.bytes, byte: 4)
            return isSectionHash
        case .slot:
            try state.spoil(.leaves, slot, byte: -1)
            return isStorageRoot
        case .codeHash:
            try state.spoil(.leaves, coded.key.bytes, byte: -1)
            return { if case .missingCode(coded.key, _) = $0 { true } else { false } }
        case .code:
            try state.spoil(.codes, Keccak.hash(coded.code ?? []).bytes, byte: 1)
            return { if case .code = $0 { true } else { false } }
        case .missingCode:
            try state.change { _, batch in batch.delete(.codes, Keccak.hash(coded.code ?? []).bytes) }
            return { if case .missingCode = $0 { true } else { false } }
        case .missingAccount:
            let last = try #require(state.accounts.first { $0.storage.isEmpty })
            let home = Section(of: last.key, depth: SmallState.depth).index
            try state.change { _, batch in batch.delete(.leaves, last.key.bytes) }
            return { if case .sectionHash(home, 0, _, _) = $0 { true } else { false } }
        case .missingSlot:
            try state.change { _, batch in batch.delete(.leaves, slot) }
            return isStorageRoot
        case .strangeSlot:
            try state.change { _, batch in batch.put(.leaves, slot, [0, 1]) }
            return { if case .malformedSlot(wide.key, _) = $0 { true } else { false } }
        case .strangeKey:
            try state.change { _, batch in batch.put(.leaves, wide.key.bytes + [1], [1]) }
            return { if case .notALeaf(section) = $0 { true } else { false } }
        case .body:
            try state.change { _, batch in batch.put(.leaves, wide.key.bytes, [0xc0]) }
            return { if case .malformedAccount(wide.key) = $0 { true } else { false } }
        }
    }

    /// A section's record may be what is wrong: its leaves are not blamed.
    @Test func aSpoiltRecordIsSeen() throws {
        let state = try SmallState()
        let section = Section(depth: SmallState.depth, index: 9)
        try state.spoil(.sections, section.storeKey, byte: -1)
        let verified = #expect(throws: ShellError.self) { try state.verify() }
        guard case .damaged(_, .recordHash(9, 0, _, _), _)? = verified else {
            Issue.record("\(verified.map { "\($0)" } ?? "nothing")")
            return
        }
        let exported = #expect(throws: ShellError.self) { try state.export() }
        guard case .damaged(_, .stateRoot(0, state.header.stateRoot, _), _)? = exported else {
            Issue.record("\(exported.map { "\($0)" } ?? "nothing")")
            return
        }
    }

    /// Any byte of a record, whatever it makes of it, is an error and never a trap.
    @Test func aSpoiltRecordIsSeenAtEveryByte() throws {
        let state = try SmallState(accounts: 60)
        let section = Section(depth: SmallState.depth, index: 3)
        var length = 0
        try state.change { snapshot, _ in length = try snapshot.get(.sections, section.storeKey)?.count ?? 0 }
        #expect(length > 80)
        for byte in 0..<length {
            try state.spoil(.sections, section.storeKey, byte: byte)
            // What the record says of its points and of its history is held against nothing here.
            for attempt in [{ _ = try state.verify() }, { try state.start() }, { try state.export() }] {
                do { try attempt() } catch is ShellError {} catch is StateExport.Failure {}
            }
            if byte > length - 32 { #expect(throws: ShellError.self, "byte \(byte)") { try state.verify() } }
            try state.spoil(.sections, section.storeKey, byte: byte)
        }
        #expect(try state.verify().root == state.header.stateRoot)
    }

    @Test func aSpoiltHeaderOrCrownIsSeen() throws {
        let state = try SmallState()
        let anchor = Anchor(epoch: 0, hash: state.header.hash)
        try state.spoil(.crowns, anchor.storeKey, byte: 40)
        let crown = #expect(throws: ShellError.self) { try state.verify() }
        guard case .damaged(_, .crown(block: 0), _)? = crown else {
            Issue.record("\(crown.map { "\($0)" } ?? "nothing")")
            return
        }
        try state.spoil(.headers, state.header.point.storeKey, byte: 60)
        let header = #expect(throws: ShellError.self) { try state.verify() }
        guard case .damaged(_, .header(block: 0), _)? = header else {
            Issue.record("\(header.map { "\($0)" } ?? "nothing")")
            return
        }
    }
}
