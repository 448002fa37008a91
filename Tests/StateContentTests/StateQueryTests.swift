import Chain
import MerklePatricia
import Primitives
import StateContent
import StateLab
import StateStore
import Testing

/// Questions about one account: what is answered is what the state has, with the nodes that prove it, and nothing else
/// is taken for an answer.
@Suite struct StateQueryTests {
    private let anchor = TestState.anchor

    private func header(_ root: Bytes32) throws -> BlockHeader {
        try BlockHeader(
            BlockHeader.Fields(parentHash: .zero, stateRoot: root, number: 24, timestamp: 1_000))
    }

    /// Asks a state until there is an answer.
    private func ask(_ question: StateQuestion, of state: TestState) throws -> StateAnswer {
        var query = StateQuery(question, at: anchor, try header(state.root), placedBy: nil)
        for _ in 0..<4 {
            for need in query.needs {
                guard case .range(let key) = need else { continue }
                #expect(try query.take(try state.serve(key), for: need))
            }
        }
        return try #require(query.answer)
    }

    /// Reads a value the plain way: from node to node by hash.
    private func walk(_ key: Bytes32, under root: Bytes32, _ nodes: [[UInt8]]) throws -> [UInt8]? {
        #expect(nodes.first.map { Keccak.hash($0) == root } ?? (root == StateAccount.emptyRoot))
        return try TriePath(to: key, under: root, in: nodes).value
    }

    @Test(arguments: [UInt64(1), 2, 3]) func everyAccountAndSlotIsProven(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let state = try TestState.random(&generator, accounts: 60)
        for account in state.accounts {
            let absent = TestState.nextKey(like: account.slots.map(\.key), &generator)
            let keys = account.slots.map(\.key).filter { $0 != .zero } + [absent]
            let answer = try ask(StateQuestion(account: account.key, slots: keys), of: state)
            #expect(answer.account == account.body && answer.point.number == 24 && answer.stateRoot == state.root)
            #expect(try walk(account.key, under: state.root, answer.accountProof) == account.body.rlp)
            for found in answer.slots {
                let value = account.slots.first { $0.key == found.key }?.value
                #expect(found.value == value ?? [])
                let rlp = try walk(found.key, under: account.body.storageRoot, found.proof)
                #expect(rlp == value.map { SlotValue.rlp($0) })
            }
        }
    }

    @Test(arguments: [UInt64(4), 5]) func whatIsNotThereIsProvenAbsent(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let state = try TestState.random(&generator, accounts: 60)
        for _ in 0..<50 {
            let key = TestState.nextKey(like: state.accounts.map(\.key), &generator)
            guard !state.accounts.contains(where: { $0.key == key }) else { continue }
            let answer = try ask(StateQuestion(account: key, slots: [Bytes32(1, 2, 3, 4)], wantsCode: true), of: state)
            #expect(answer.account == nil && answer.code == [] && answer.slots[0].value == [])
            #expect(try walk(key, under: state.root, answer.accountProof) == nil)
            #expect(!answer.accountProof.isEmpty)
        }
    }

    /// Of an answer every byte counts: changed anywhere it is refused, or says the same.
    @Test func changedAnswersAreRefused() throws {
        var generator = SeededGenerator(seed: 6)
        let state = try TestState.random(&generator, accounts: 40)
        let account = try #require(state.accounts.first { $0.slots.count > 3 })
        let slot = try #require(account.slots.last).key
        let header = try header(state.root)
        let question = StateQuestion(account: account.key, slots: [slot])
        let fresh = StateQuery(question, at: anchor, header, placedBy: nil)
        let need = try #require(fresh.needs.first)
        guard case .range(let key) = need else { return }
        let value = try state.serve(key)
        var honest = fresh
        #expect(try honest.take(value, for: need))
        let answer = try #require(honest.answer)
        for place in value.indices {
            for bit in [0, 6] {
                var lie = value
                lie[place] ^= 1 << bit
                var query = fresh
                #expect(throws: StateQueryError.self) { _ = try query.take(lie, for: need) }
                #expect(query.answer == nil || query.answer == answer)
            }
        }
        for count in [0, 1, value.count / 2, value.count - 1] {
            var query = fresh
            #expect(throws: StateQueryError.self) { _ = try query.take(Array(value.prefix(count)), for: need) }
        }
    }

    /// An answer about another account, slot or state is none.
    @Test func answersToOtherQuestionsAreRefused() throws {
        var generator = SeededGenerator(seed: 7)
        let (state, other) = (
            try TestState.random(&generator, accounts: 40), try TestState.random(&generator, accounts: 40)
        )
        let accounts = state.accounts.filter { !$0.slots.isEmpty }
        let (first, second) = (try #require(accounts.first), try #require(accounts.last))
        var query = StateQuery(StateQuestion(account: first.key), at: anchor, try header(state.root), placedBy: nil)
        let need = try #require(query.needs.first)
        let foreign = StateQuery(StateQuestion(account: second.key), at: anchor, try header(state.root), placedBy: nil)
        guard case .range(let key) = try #require(foreign.needs.first), case .range(let own) = need else { return }
        for value in [try state.serve(key), try other.serve(own)] {
            #expect(throws: StateQueryError.self) { _ = try query.take(value, for: need) }
        }
        #expect(query.answer == nil)
    }

    @Test func codeIsKnownByItsHash() throws {
        let code: [UInt8] = [0x60, 1, 0x55]
        let account = TestState.Account(key: Bytes32(7, 0, 0, 0), nonce: 3, codeHash: Keccak.hash(code), slots: [])
        let state = try TestState([account], depth: 1)
        let question = StateQuestion(account: account.key, wantsCode: true)
        var query = StateQuery(question, at: anchor, try header(state.root), placedBy: nil)
        guard case .range(let range) = try #require(query.needs.first) else { return }
        #expect(try query.take(try state.serve(range), for: .range(range)))
        guard case .code(let key) = try #require(query.needs.first) else { return }
        #expect(key.near == account.key && key.hashes == [account.body.codeHash] && query.answer == nil)
        let none = CodesValue.serve(key) { _ in nil }
        #expect(try !query.take(none, for: .code(key)), "none is a true answer, and none of ours")
        let wrong = CodesValue.serve(key) { _ in [1, 2, 3] }
        #expect(throws: StateQueryError.code(.unaskedCode(Keccak.hash([1, 2, 3])))) {
            _ = try query.take(wrong, for: .code(key))
        }
        #expect(try query.take(CodesValue.serve(key) { _ in code }, for: .code(key)))
        #expect(query.answer?.code == code)
    }

    /// A slot of a spread storage comes from its part, which another node may have.
    @Test(arguments: [UInt64(8), 9]) func slotsOfSpreadStorageComeFromTheirParts(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let state = try SpreadState(&generator)
        let account = try #require(state.account)
        let absent = SpreadState.slot(&generator)
        let keys = [account.slots[3].key, account.slots[400].key, absent]
        var query = StateQuery(
            StateQuestion(account: state.owner, slots: keys), at: anchor, try header(state.whole.root),
            placedBy: SpreadState.rule)
        var parts = 0
        for _ in 0..<3 {
            for need in query.needs {
                guard case .range(let key) = need else { continue }
                let value: [UInt8]?
                if key.trie == .accounts {
                    var view = state.view
                    value = try RangeServer.serve(key, view: &view, crown: state.whole.crown)
                } else {
                    parts += 1
                    let index = Section(of: key.origin.slot, depth: 1).index
                    var view = state.view(of: [index])
                    value = try RangeServer.serve(key, view: &view, crown: try state.crown(index...index))
                }
                #expect(try query.take(try #require(value), for: need))
            }
        }
        let answer = try #require(query.answer)
        #expect(parts == 3 && answer.account == account.body)
        for found in answer.slots {
            let value = account.slots.first { $0.key == found.key }?.value
            #expect(found.value == value ?? [])
            #expect(
                try walk(found.key, under: account.body.storageRoot, found.proof) == value.map { SlotValue.rlp($0) })
        }
    }
}
