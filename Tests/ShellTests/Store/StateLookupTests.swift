import Chain
import Foundation
import MerklePatricia
import Primitives
import StateContent
import StateStore
import Testing

@testable import Shell

/// What a data directory answers about an account.
@Suite struct StateLookupTests {
    private func ask(
        _ state: SmallState, _ question: StateQuestion, block: UInt64? = nil
    ) throws -> StateAnswer {
        try StateLookup.answer(question, block: block, in: state.directory, networkFile: state.networkFile)
    }

    @Test func everyAccountIsAnsweredAsItIs() throws {
        let state = try SmallState()
        for change in state.accounts.prefix(40) {
            let slots = change.storage.prefix(3).map { $0.slot }
            let answer = try ask(
                state, StateQuestion(account: change.key, slots: slots.map(\.slotKey), wantsCode: true))
            #expect(answer.account?.nonce == change.nonce && answer.account?.balance == change.balance)
            #expect(answer.code == change.code ?? [])
            #expect(answer.slots.map(\.value) == change.storage.prefix(3).map { $0.value.minimalBytes })
            #expect(answer.point == state.header.point && answer.stateRoot == state.header.stateRoot)
        }
    }

    @Test func anAbsentAccountIsProven() throws {
        let state = try SmallState(accounts: 60)
        let answer = try ask(state, StateQuestion(account: Bytes32(1, 2, 3, 4), slots: [.max], wantsCode: true))
        #expect(answer.account == nil && !answer.accountProof.isEmpty)
        let address = try #require(Address(hex: "0x" + String(repeating: "11", count: 20)))
        let found = FoundState(answer, of: address, slots: [UInt256(5)], from: .directory("./state"))
        let lines = [
            "address       0x1111111111111111111111111111111111111111",
            "account       no such account (proven)",
            "balance       0 wei", "nonce         0", "code          none",
            "storage root  0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
            "block         0 \(state.header.hash), the anchor of epoch 0",
            "proven under  \(state.header.stateRoot), the state root of that attested block",
            "from          ./state",
        ]
        #expect(found.lines(.account) == lines)
        #expect(found.lines(.storage)[3] == "value         0x" + String(repeating: "0", count: 64))
        #expect(found.lines(.code)[2] == "code          none")
    }

    /// The members of `eth_getProof`, with hex quantities.
    @Test func proofsHaveTheShapeOfTheStandard() throws {
        let state = try SmallState()
        let change = state.accounts[6]
        let slots = [UInt256(0), UInt256(299), UInt256(5_000)]
        let answer = try ask(state, StateQuestion(account: change.key, slots: slots.map(\.slotKey)))
        let found = FoundState(answer, of: change.address, slots: slots, from: .directory("./state"))
        let text = try found.json(.proof)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["nonce"] as? String == "0x6" && object["balance"] as? String == "0x1771")
        #expect(object["address"] as? String == "\(change.address)" && object["exists"] as? Bool == true)
        let storage = try #require(object["storageProof"] as? [[String: Any]])
        #expect(storage.map { $0["key"] as? String } == ["0x0", "0x12b", "0x1388"])
        #expect(storage.map { $0["value"] as? String } == ["0x1", "0xe999", "0x0"])
        let nodes = try #require(object["accountProof"] as? [String]).compactMap { Hex.decode($0) }
        let way = try TriePath(to: change.key, under: state.header.stateRoot, in: nodes)
        #expect(way.value == answer.account?.rlp && way.nodes == nodes)
        let source = try #require(object["source"] as? [String: Any])
        #expect(source["kind"] as? String == "directory" && source["path"] as? String == "./state")
    }

    @Test func whatIsNotHereIsSaidInOneLine() throws {
        let state = try SmallState(accounts: 60)
        let account = state.accounts[0].key
        #expect(throws: StateLookup.Failure.notServed(block: 8, served: [0])) {
            try ask(state, StateQuestion(account: account), block: 8)
        }
        #expect(try ask(state, StateQuestion(account: account), block: 0).point.number == 0)
        let section = Section(of: account, depth: SmallState.depth)
        try state.change { _, batch in batch.append(StateWrites.dropSection(section)) }
        #expect(throws: StateLookup.Failure.notHeld(section: "\(section)")) {
            try ask(state, StateQuestion(account: account))
        }
        #expect(throws: ShellError.noDataDirectory("/nonexistent/carousel")) {
            try StateLookup.answer(
                StateQuestion(account: account), block: nil, in: DataDirectory("/nonexistent/carousel"),
                networkFile: state.networkFile)
        }
    }

    /// A leaf that the disk has changed is not told.
    @Test func nothingDamagedIsPrinted() throws {
        let state = try SmallState(accounts: 60)
        let change = state.accounts[1]
        try state.spoil(.leaves, change.key.bytes, byte: 1)
        do {
            let answer = try ask(state, StateQuestion(account: change.key))
            Issue.record("\(answer)")
        } catch StateLookup.Failure.damaged, StateLookup.Failure.notHeld {
            return
        }
    }

    @Test func slotsAreHexOrDecimal() {
        let texts = ["0x0", "0x12b", "299", "0x" + String(repeating: "f", count: 64)]
        #expect(texts.map { UInt256(slot: $0) } == [UInt256(0), UInt256(299), UInt256(299), .max])
        for text in ["", "0x", "x", "-1", "0xg", "0x" + String(repeating: "f", count: 65), "1.5"] {
            #expect(UInt256(slot: text) == nil)
        }
    }
}
