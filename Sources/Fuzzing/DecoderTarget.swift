/// A decoder, or a family of them, as fuzzing meets it.
public enum DecoderTarget: String, CaseIterable, Sendable {
    case discv5Packet = "discv5-packet"
    case discv5Message = "discv5-message"
    case enr
    case enrText = "enr-text"
    case portalMessage = "portal-message"
    case pingPayload = "ping-payload"
    case utpPacket = "utp-packet"
    case frames
    case rlp
    case header
    case transaction
    case body
    case account
    case accessList = "access-list"
    case certificate
    case chainKey = "chain-key"
    case chainContent = "chain-content"
    case blocks
    case stateKey = "state-key"
    case stateStatus = "state-status"
    case availability
    case range
    case sectionDiffs = "section-diffs"
    case blockDiff = "block-diff"
    case blockDiffs = "block-diffs"
    /// Block diffs and section diffs with the storage of some accounts alone.
    case partialDiffs = "partial-diffs"
    case crown
    case codes
    case sections
    case subtrees
    case wideDirectory = "wide-directory"
    case storageCrown = "storage-crown"
    case trieNode = "trie-node"
    case networkFile = "network-file"
    case genesisFile = "genesis-file"
    case chainDirectory = "chain-directory"
    case vectorFile = "vector-file"
    /// A state as a file, in both forms.
    case importFile = "import-file"
    /// A coverage certificate, and a program of changes to a true one.
    case coverage
    /// Answers to questions about one account, and programs of changes to true ones.
    case stateQuery = "state-query"
    /// A program of changes to headers that are right by work or by a committee's word.
    case chainRule = "chain-rule"
    /// No bytes of the wire but a program of changes to a true range proof: must-reject trials, driven by coverage.
    case rangeProof = "range-proof"

    /// First inputs beside `inputs`, for targets whose form does not stand among them: blocks made of headers and
    /// transactions, and files.
    public func seeds(of inputs: [[UInt8]]) -> [[UInt8]] {
        let headers = { inputs.filter { (try? DecoderTarget.header.run($0)) == true } }
        switch self {
        case .body:
            return ChainDecoders.bodies(
                headers: headers(), transactions: inputs.filter { (try? DecoderTarget.transaction.run($0)) == true })
        case .networkFile: return FileDecoders.networks
        case .genesisFile: return FileDecoders.geneses
        case .chainDirectory: return FileDecoders.chainDirectories(headers: headers())
        case .vectorFile: return FileDecoders.vectorFiles
        case .importFile: return ExportDecoder.seeds()
        case .coverage: return CoverageProgram.seeds()
        case .stateQuery: return QueryProgram.seeds()
        case .chainRule: return RuleProgram.seeds()
        default: return []
        }
    }

    /// Reads `bytes`. Returns whether they were accepted (by any of the family); a broken promise is thrown.
    public func run(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        switch self {
        case .discv5Packet: try WireDecoders.discv5Packet(bytes)
        case .discv5Message: try WireDecoders.discv5Message(bytes)
        case .enr: try WireDecoders.nodeRecord(bytes)
        case .enrText: try WireDecoders.nodeRecordText(bytes)
        case .portalMessage: try WireDecoders.portalMessage(bytes)
        case .pingPayload: try WireDecoders.pingPayload(bytes)
        case .utpPacket: try WireDecoders.utpPacket(bytes)
        case .frames: try WireDecoders.frames(bytes)
        case .rlp: try ChainDecoders.rlp(bytes)
        case .header: try ChainDecoders.header(bytes)
        case .transaction: try ChainDecoders.transaction(bytes)
        case .body: try ChainDecoders.body(bytes)
        case .account: try ChainDecoders.account(bytes)
        case .accessList: try ChainDecoders.accessList(bytes)
        case .certificate: try ChainDecoders.certificate(bytes)
        case .chainKey: try ChainDecoders.key(bytes)
        case .chainContent: try ChainDecoders.content(bytes)
        case .blocks: try ChainDecoders.blocks(bytes)
        case .stateKey: try StateDecoders.key(bytes)
        case .stateStatus: try StateDecoders.status(bytes)
        case .availability: try StateDecoders.availability(bytes)
        case .range: try StateDecoders.range(bytes)
        case .sectionDiffs: try StateDecoders.sectionDiffs(bytes)
        case .blockDiff: try StateDecoders.blockDiff(bytes)
        case .blockDiffs: try StateDecoders.blockDiffs(bytes)
        case .partialDiffs: try StateDecoders.partialDiffs(bytes)
        case .crown: try StateDecoders.crown(bytes)
        case .codes: try StateDecoders.codes(bytes)
        case .sections: try StateDecoders.sections(bytes)
        case .subtrees: try StateDecoders.subtrees(bytes)
        case .wideDirectory: try StateDecoders.wideDirectory(bytes)
        case .storageCrown: try StateDecoders.storageCrown(bytes)
        case .trieNode: try StateDecoders.trieNode(bytes)
        case .networkFile: try FileDecoders.network(bytes)
        case .genesisFile: try FileDecoders.genesis(bytes)
        case .chainDirectory: try FileDecoders.chainDirectory(bytes)
        case .vectorFile: try FileDecoders.vectors(bytes)
        case .importFile: try ExportDecoder.file(bytes)
        case .coverage: try CoverageProgram.run(bytes)
        case .stateQuery: try QueryProgram.run(bytes)
        case .chainRule: try RuleProgram.run(bytes)
        case .rangeProof: try RangeProgram.run(bytes)
        }
    }
}
