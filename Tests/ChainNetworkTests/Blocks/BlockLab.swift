import Chain
import ChainForge
import ChainNetwork
import Primitives
import StateStore
import Testing

/// A chain with whole blocks, attested and final by one key up to the last but `unfinal` blocks.
struct BlockLab {
    let genesis: BlockHeader
    let headers: [BlockHeader]
    let blocks: [BlockBytes]
    let configuration: NetworkConfiguration
    private let key: AttestingKey

    /// Made blocks, whose headers commit to their access lists.
    init(blocks count: Int = 40, transactions: Int = 1, epochLength: UInt64 = 1_024) throws {
        var forge = try ChainForge(
            shape: ForgeShape(
                accounts: ForgeLimits.accounts.lowerBound, blocks: count, transactions: transactions, isPlain: true),
            seed: 77)
        var (headers, blocks) = ([BlockHeader](), [BlockBytes]())
        while let made = try forge.next() {
            headers.append(made.block.header)
            blocks.append(BlockBytes(made.block, made.accessList))
        }
        try self.init(genesis: forge.genesis, headers, blocks, epochLength: epochLength)
    }

    /// Blocks without transactions whose headers commit to no access list: each changes one balance.
    init(sidecars count: Int, epochLength: UInt64 = 1_024) throws {
        let genesis = try BlockHeader(
            BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000))
        var (headers, blocks) = ([BlockHeader](), [BlockBytes]())
        for number in 1...UInt64(count) {
            let parent = headers.last ?? genesis
            let header = try BlockHeader(
                BlockHeader.Fields(
                    parentHash: parent.hash, stateRoot: Bytes32(number, 0, 0, 1), number: number,
                    timestamp: parent.timestamp + 12, gasLimit: 30_000_000))
            headers.append(header)
            blocks.append(
                BlockBytes(
                    Block(header: header, transactions: [], withdrawals: nil),
                    try BlockLab.sidecar(balance: number)))
        }
        try self.init(genesis: genesis, headers, blocks, epochLength: epochLength)
    }

    private init(
        genesis: BlockHeader, _ headers: [BlockHeader], _ blocks: [BlockBytes], epochLength: UInt64
    ) throws {
        self.genesis = genesis
        self.headers = headers
        self.blocks = blocks
        key = try #require(AttestingKey(seed: Keccak.hash([7])))
        configuration = try NetworkConfiguration(
            name: "blocks", chainID: 4_246, genesisHash: genesis.hash, checkpoint: genesis.point,
            epochLength: epochLength, sectionDepth: 1,
            rule: NetworkConfiguration.Rule(keys: [key.publicKey], threshold: 1, maxAgeSeconds: 60))
    }

    /// A list of one account, whose balance is this.
    static func sidecar(balance: UInt64) throws -> BlockAccessList {
        try BlockAccessList(sidecar: [
            AccountChange(
                address: .zero, nonce: nil, balance: UInt256(balance), code: nil,
                storage: [])
        ])
    }

    /// A header with the key's word that it is the head, and that another is final.
    func certified(_ header: BlockHeader, final: BlockHeader) -> CertifiedHeader {
        let context = ClaimContext(configuration)
        let claims = [
            Claim(kind: .head, point: header.point, unixSeconds: header.timestamp),
            Claim(kind: .final, point: final.point, unixSeconds: header.timestamp),
        ]
        return CertifiedHeader(header: header, certificate: Certificate(claims.map { key.sign($0, in: context) }))
    }

    /// The headers from the first one on, the last with the key's word.
    func entries(unfinal: Int = 0) throws -> [CertifiedHeader] {
        let last = try #require(headers.last)
        let final = unfinal == 0 ? last : headers[headers.count - 1 - unfinal]
        return headers.dropLast().map { CertifiedHeader(header: $0) } + [certified(last, final: final)]
    }

    /// The chain that knows all of them.
    func chain(unfinal: Int = 0) throws -> AttestedChain {
        var chain = AttestedChain(configuration: configuration)
        _ = try chain.accept([CertifiedHeader(header: genesis)])
        _ = try chain.accept(try entries(unfinal: unfinal))
        return chain
    }

    /// A machine of the chain network that has all of them.
    func machine(unfinal: Int = 0) throws -> ChainSync {
        var machine = try ChainSync(configuration: configuration, seed: 1)
        machine.handle(.produced(CertifiedHeader(header: genesis)), at: .zero)
        for entry in try entries(unfinal: unfinal) { machine.handle(.produced(entry), at: .zero) }
        return machine
    }

    /// A store that has all headers, and the blocks of these numbers.
    func store(_ kept: ClosedRange<Int>) -> MemorySnapshot {
        var store = MemorySnapshot()
        for header in headers { store.apply(HeaderRecords.writing(CertifiedHeader(header: header))) }
        for number in kept {
            let block = blocks[number - 1]
            store.apply(
                BlockRecords.writing(
                    body: block.body, accessList: block.accessList, at: headers[number - 1].point))
        }
        return store
    }

    /// What a peer answers that has blocks of these numbers.
    func answer(_ key: [UInt8], has: ClosedRange<Int>? = nil) -> [UInt8]? {
        let has = has ?? 1...headers.count
        let nothing = BlocksValue.notServed(lowest: UInt64(has.lowerBound), highest: UInt64(has.upperBound)).encoded
        guard case .success(.blocks(.run(let run))) = Result(catching: { try ChainContentKey(decoding: key) }),
            let first = headers.firstIndex(where: { $0.hash == run.start }), has.contains(first + 1)
        else { return nothing }
        let end = min(first + Int(run.count), has.upperBound)
        return BlocksValue.blocks(Array(blocks[first..<end])).encoded
    }
}

extension HeaderRecords {
    static func writing(_ entry: CertifiedHeader) -> WriteBatch {
        writing(header: entry.header.rlp, at: entry.point, certificate: entry.certificate?.encoded)
    }
}
