import Chain
import ChainLab
import Primitives
import Testing

@Suite struct HeaderTests {
    @Test func impossibleFieldCountsAreRefused() throws {
        let rlp = try MadeChain.header(parent: nil, salt: 1).rlp
        var reader = try RLPReader.list(rlp)
        var items: [[UInt8]] = []
        while !reader.isAtEnd { items.append(try reader.nextRaw()) }
        for count in 0..<30 {
            let fields = (items + [[UInt8]](repeating: [0x80], count: 30)).prefix(count)
            let bytes = RLPWriter.list { writer in for field in fields { writer.append(raw: field) } }
            guard [15, 16, 17, 20, 21, 23].contains(count) else {
                #expect(throws: ChainError.headerFieldCount(min(count, 24))) { try BlockHeader(rlp: bytes) }
                continue
            }
            if count == 16 { #expect(try BlockHeader(rlp: bytes).baseFeePerGas == UInt256.zero) }
            if count >= 17 {
                #expect(throws: ChainError.malformed(.header, .wrongSize)) { try BlockHeader(rlp: bytes) }
            }
        }
    }

    @Test func laterFieldsNeedTheEarlierOnes() throws {
        var fields = try MadeChain.header(parent: nil, salt: 1).fields
        fields.requestsHash = .zero
        #expect(throws: ChainError.headerFieldCount(15)) { try BlockHeader(fields) }
        fields.requestsHash = nil
        fields.logsBloom = []
        #expect(throws: ChainError.malformed(.header, .wrongSize)) { try BlockHeader(fields) }
    }

    @Test func longHeadersAreRefusedUnread() {
        let bytes = [UInt8](repeating: 0, count: ChainLimits.headerBytes + 1)
        #expect(throws: ChainError.tooLarge(.header, bytes: bytes.count)) { try BlockHeader(rlp: bytes) }
    }
}

@Suite struct TransactionTests {
    /// The worked example of EIP-155: key 0x46…46, chain id 1.
    static let eip155 =
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340b"
        + "d939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64"
        + "214b297fb1966a3b6d83"

    @Test func theExampleOfEIP155() throws {
        let transaction = try Transaction(envelope: try #require(Hex.decode(TransactionTests.eip155)))
        #expect(transaction.fields.chainID == 1)
        #expect(
            transaction.signingHash.description
                == "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53")
        #expect(try transaction.sender().description == "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f")
    }

    @Test func theOtherFormOfASignatureIsRefused() throws {
        let transaction = try Transaction(envelope: try #require(Hex.decode(TransactionTests.eip155)))
        let high = try #require(UInt256("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"))
        let altered = Transaction(
            .legacy, transaction.fields,
            signature: Transaction.Signature(parity: 1, r: transaction.signature.r, s: high))
        #expect(throws: ChainError.invalidSignature) { try altered.sender() }
    }

    @Test func envelopesThatAreNoTransaction() throws {
        #expect(throws: ChainError.malformed(.transaction, .truncated)) { try Transaction(envelope: []) }
        #expect(throws: ChainError.unknownTransactionType(0)) { try Transaction(envelope: [0, 0xc0]) }
        #expect(throws: ChainError.unknownTransactionType(5)) { try Transaction(envelope: [5, 0xc0]) }
        #expect(throws: ChainError.malformed(.transaction, .truncated)) { try Transaction(envelope: [2, 0xc0]) }
        #expect(throws: ChainError.malformed(.transaction, .trailingBytes)) {
            try Transaction(envelope: try #require(Hex.decode(TransactionTests.eip155)) + [0])
        }
        var fields = Transaction.Fields(
            chainID: 1, nonce: 0, maxFeePerGas: .zero, gasLimit: 0, to: nil, value: .zero)
        fields.maxPriorityFeePerGas = .zero
        let signature = Transaction.Signature(parity: 0, r: UInt256(1), s: UInt256(1))
        for kind in [Transaction.Kind.blob, .setCode] {
            let made = Transaction(kind, fields, signature: signature)
            #expect(throws: ChainError.missingReceiver) { try Transaction(envelope: made.envelope) }
        }
        let odd = Transaction(.dynamicFee, fields, signature: Transaction.Signature(parity: 2, r: .zero, s: .zero))
        #expect(throws: ChainError.invalidSignature) { try Transaction(envelope: odd.envelope) }
        #expect(throws: ChainError.invalidSignature) {
            try Transaction(.dynamicFee, fields, signature: Transaction.Signature(parity: 0, r: .zero, s: .zero))
                .sender()
        }
    }
}

@Suite struct AccountTests {
    @Test func whatIsEmptyHasTheHashOfNothing() {
        #expect(StateAccount.emptyRoot == Keccak.hash([0x80]))
        #expect(StateAccount.emptyCodeHash == Keccak.hash([UInt8]()))
    }
}

@Suite struct ConfigurationTests {
    @Test func valuesThatCannotBeAreNamed() throws {
        let made = try MadeChain.voted()
        let keys = made.keys.map(\.publicKey)
        func rule(_ keys: [Bytes32], _ threshold: Int) throws {
            _ = try NetworkConfiguration.Rule(keys: keys, threshold: threshold, maxAgeSeconds: 1)
        }
        #expect(throws: ChainError.invalidConfiguration("rule.threshold is 4; it must be 1 to 3")) {
            try rule(keys, 4)
        }
        #expect(throws: ChainError.invalidConfiguration("rule.keys names a key twice")) { try rule(keys + keys, 1) }
        #expect(throws: ChainError.invalidConfiguration("rule.keys has 0 keys; 1 to 64 are allowed")) {
            try rule([], 1)
        }
        #expect(throws: ChainError.invalidConfiguration("checkpoint is block 0 but its hash is not genesisHash")) {
            _ = try NetworkConfiguration(
                name: "x", chainID: 1, genesisHash: .zero, checkpoint: made.genesis.point, epochLength: 1,
                sectionDepth: 1, rule: made.configuration.rule)
        }
        #expect(throws: ChainError.invalidConfiguration("epochLength is 0; it must be 1 to 65536")) {
            _ = try NetworkConfiguration(
                name: "x", chainID: 1, genesisHash: made.genesis.hash, checkpoint: made.genesis.point, epochLength: 0,
                sectionDepth: 1, rule: made.configuration.rule)
        }
    }
}
