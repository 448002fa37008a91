import Chain
import MerklePatricia
import Primitives
import StateStore
import Testing

@testable import StateNetwork

@Suite("Genesis") struct GenesisTests {
    private func block(_ changes: [AccountChange], root: Bytes32) throws -> ReplayedBlock {
        let fields = BlockHeader.Fields(parentHash: .zero, stateRoot: root, number: 0, timestamp: 1)
        return ReplayedBlock(header: try BlockHeader(fields), changes: changes)
    }

    /// As geth writes a genesis state: an account of the allocation that is empty is in the trie all the same.
    @Test func anEmptyAccountOfTheAllocationIsInTheTrie() throws {
        let addresses = try (1...2).map { number in
            try #require(Address([UInt8](repeating: 0, count: 19) + [UInt8(number)]))
        }
        let empty = AccountChange(address: addresses[0], nonce: 0, balance: .zero, code: [], storage: [])
        let rich = AccountChange(address: addresses[1], nonce: 0, balance: UInt256(9), code: [], storage: [])
        var columns = LeafColumns()
        let bodies = [(empty.key, StateAccount()), (rich.key, StateAccount(balance: UInt256(9)))]
        for (key, body) in bodies.sorted(by: { $0.0 < $1.0 }) { columns.append(key: key, value: body.rlp) }
        let root = TrieBuilder.root(of: columns)
        let taken = try BuildGenesis(block: block([empty, rich], root: root), depth: 1).run(on: MemorySnapshot())
        #expect(taken.crown.root == root)
        // Without it the root is another.
        let error = #expect(throws: BridgeError.self) {
            try BuildGenesis(block: block([rich], root: root), depth: 1).run(on: MemorySnapshot())
        }
        guard case .wrongRoot(0, root, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
