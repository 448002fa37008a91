import Chain
import ChainNetwork
import Primitives
import Testing

/// Content 0x51: its keys, its values, and what is in a block.
@Suite struct BlocksContentTests {
    @Test func keysHaveOneEncoding() throws {
        let run = ChainContentKey.blocks(
            .run(try #require(BlockRun(start: .max, count: 258, direction: .downward))))
        #expect(run.encoded == [0x51, 0] + [UInt8](repeating: 255, count: 32) + [2, 1, 1])
        let named = ChainContentKey.blocks(try #require(BlocksKey(of: [.zero, .max])))
        #expect(
            named.encoded
                == [0x51, 1] + [UInt8](repeating: 0, count: 32) + [UInt8](repeating: 255, count: 32))
        for key in [run, named] {
            #expect(try ChainContentKey(decoding: key.encoded) == key)
            for length in 1..<key.encoded.count where (length - 2) % 32 != 0 || key == run {
                #expect(throws: ChainNetworkError.malformedKey) {
                    try ChainContentKey(decoding: Array(key.encoded.prefix(length)))
                }
            }
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: key.encoded + [0]) }
        }
        // Option, count 0, count 1,001, direction.
        for edits in [[1: 2], [34: 0, 35: 0], [34: 0xe9, 35: 3], [36: 2]] as [[Int: UInt8]] {
            var damaged = run.encoded
            for (place, byte) in edits { damaged[place] = byte }
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: damaged) }
        }
        // No hash, one twice, one too many.
        let many = (0..<21).flatMap { Bytes32(UInt64($0), 0, 0, 1).bytes }
        for hashes in [[], Bytes32.max.bytes + Bytes32.max.bytes, many] {
            #expect(throws: ChainNetworkError.malformedKey) { try ChainContentKey(decoding: [0x51, 1] + hashes) }
        }
        #expect(BlockRun(start: .zero, count: 0) == nil && BlockRun(start: .zero, count: 1_001) == nil)
        #expect(BlocksKey(of: []) == nil && BlocksKey(of: [.zero, .zero]) == nil)
    }

    @Test func valuesAreReadBack() throws {
        let lab = try BlockLab(blocks: 3)
        for value in [BlocksValue.blocks(lab.blocks), .notServed(lowest: 1, highest: .max), .busy(seconds: 258)] {
            #expect(try BlocksValue(decoding: value.encoded) == value)
        }
        for value in [BlocksValue.notServed(lowest: 1, highest: .max), .busy(seconds: 258)] {
            let bytes = value.encoded
            for length in 0..<bytes.count {
                #expect(throws: ChainNetworkError.self) { try BlocksValue(decoding: Array(bytes.prefix(length))) }
            }
            #expect(throws: ChainNetworkError.self) { try BlocksValue(decoding: bytes + [0]) }
        }
        #expect(throws: ChainNetworkError.notWhatWasAsked) { try BlocksValue(decoding: [0]) }
        #expect(throws: ChainNetworkError.unknownStatus(nil)) { try BlocksValue(decoding: []) }
        #expect(throws: ChainNetworkError.unknownStatus(3)) { try BlocksValue(decoding: [3]) }
    }

    /// The value as it is made holds; with any one bit of it turned, cut anywhere or with a byte more it does not
    /// decode, or no block in it holds.
    @Test func everyBitOfABlockIsProven() throws {
        let lab = try BlockLab(blocks: 1, transactions: 2)
        let (bytes, hash) = (BlocksValue.blocks(lab.blocks).encoded, lab.headers[0].hash)
        func holds(_ bytes: [UInt8]) -> Bool {
            guard case .success(.blocks(let blocks)) = Result(catching: { try BlocksValue(decoding: bytes) }) else {
                return false
            }
            let outcome = BlockCheck(blocks, expecting: [hash]).run()
            return outcome.fault == nil && outcome.blocks.count == 1
        }
        #expect(holds(bytes))
        var accepted: [Int] = []
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 1 << UInt8(place % 8)
            if holds(damaged) || holds(Array(bytes.prefix(place))) { accepted.append(place) }
        }
        #expect(!holds(bytes + [0]))
        #expect(accepted.isEmpty, "\(accepted)")
    }
}

/// A block by itself: what is refused, and as what.
@Suite struct BlockCheckTests {
    private func fault(_ block: BlockBytes, _ hash: Bytes32) -> ChainError? {
        BlockCheck([block], expecting: [hash]).run().fault
    }

    @Test func eachPartIsComparedWithTheHeader() throws {
        let lab = try BlockLab(blocks: 2, transactions: 2)
        let (one, two, hash) = (lab.blocks[0], lab.blocks[1], lab.headers[0].hash)
        #expect(fault(one, hash) == nil)
        #expect(fault(two, hash) == .anotherBlock(expected: hash, found: lab.headers[1].hash))
        let otherBody = BlockBytes(header: one.header, body: two.body, accessList: one.accessList)
        #expect(
            [.transactionsRootMismatch(block: 1), .withdrawalsRootMismatch(block: 1)].contains(fault(otherBody, hash)))
        let otherList = BlockBytes(header: one.header, body: one.body, accessList: two.accessList)
        guard case .accessListHashMismatch? = fault(otherList, hash) else {
            return #expect(Bool(false), "\(String(describing: fault(otherList, hash)))")
        }
    }

    /// What comes before the first that does not hold is of use.
    @Test func theBlocksBeforeAFaultAreKept() throws {
        let lab = try BlockLab(blocks: 3)
        let hashes = lab.headers.map(\.hash)
        let outcome = BlockCheck([lab.blocks[0], lab.blocks[1], lab.blocks[0]], expecting: hashes).run()
        #expect(outcome.blocks.map(\.header.number) == [1, 2])
        #expect(outcome.fault == .anotherBlock(expected: hashes[2], found: hashes[0]))
    }

    /// A header of before access lists commits to none: its rules hold all the same.
    @Test func aListWithoutCommitmentKeepsItsRules() throws {
        let lab = try BlockLab(sidecars: 1)
        let checked = try CheckedBlock(lab.blocks[0], expecting: lab.headers[0].hash)
        #expect(!checked.commitsToList && checked.changes.map(\.balance) == [UInt256(1)])
        var account = BlockAccessList.Account(address: .zero)
        account.nonceChanges = [BlockAccessList.Change(index: 2, value: 1)]
        let tooHigh = BlockBytes(
            header: lab.blocks[0].header, body: lab.blocks[0].body,
            accessList: try BlockAccessList([account]).rlp)
        #expect(
            fault(tooHigh, lab.headers[0].hash)
                == .accessList(.indexTooHigh(.zero, 2)))
    }

    @Test func everySignatureIsRecovered() throws {
        let key = try #require(TransactionKey(secret: Bytes32(1, 2, 3, 4)))
        var sent = Transaction.Fields(
            chainID: 4_246, nonce: 0, maxFeePerGas: UInt256(1), gasLimit: 21_000, to: .zero, value: UInt256(1))
        sent.maxPriorityFeePerGas = .zero
        let signed = try key.sign(.dynamicFee, sent)
        // The other form of the same signature is refused since EIP-2; this one is no number of the curve's at all.
        let broken = Transaction(
            signed.kind, signed.fields,
            signature: Transaction.Signature(parity: 0, r: signed.signature.r, s: .max))
        let cases: [(Transaction, ChainError?)] = [(signed, nil), (broken, .invalidSignature)]
        for (transaction, expected) in cases {
            var fields = BlockHeader.Fields(
                parentHash: .zero, stateRoot: .zero, number: 1, timestamp: 1, gasLimit: 30_000_000)
            fields.transactionsRoot =
                Block(header: try BlockHeader(fields), transactions: [transaction], withdrawals: nil).transactionsRoot
            let block = Block(header: try BlockHeader(fields), transactions: [transaction], withdrawals: nil)
            let bytes = BlockBytes(block, try BlockAccessList([]))
            #expect(fault(bytes, block.header.hash) == expected)
        }
    }
}
