import Primitives

/// The containers of `Specs/wire.md`, written down once more and apart from the codecs: vectors are decoded and encoded
/// by these too, so that a slip in a codec does not pass because its own reader has the same slip.
enum WireSchemas {
    private static let anchor = "Container(epoch:uint64,hash:Bytes32)"
    private static let point = "Container(number:uint64,hash:Bytes32)"
    private static let cursor = "Container(account:Bytes32,slot:Bytes32)"
    private static let trie = "Union[None,Container(account:Bytes32,placement:uint8)]"
    private static let bodies = "ByteList[7208960]"
    private static let slotValues = "ByteList[2162688]"
    private static let hashes = "List[Bytes32,65536]"
    private static let counts = "List[uint32,65536]"
    private static let changes =
        "Container(account_keys:\(hashes),bodies:\(bodies),slot_counts:\(counts),slot_keys:\(hashes),"
        + "slot_values:\(slotValues))"
    private static let certified = "Container(header:ByteList[4096],certificate:ByteList[18560])"

    private static func nodes(_ limit: Int) -> String { "List[ByteList[1024],\(limit)]" }
    private static func served(anchors: Int, runs: Int) -> String {
        "List[Container(anchor:\(anchor),runs:List[Container(first:uint16,last:uint16),\(runs)]),\(anchors)]"
    }

    /// What follows the selector of a key; nil for a key of one byte and for selectors that are not there.
    static func key(_ selector: UInt8) -> String? {
        switch selector {
        case 0x40:
            "Container(trie:\(trie),anchor:\(anchor),origin:\(cursor),limit:\(cursor),max_bytes:uint32)"
        case 0x41:
            "Container(trie:\(trie),from:\(point),to:\(point),first_section:uint32,sections:Bitlist[256],"
                + "max_bytes:uint32,with_proof:boolean)"
        case 0x42: "Container(near:Bytes32,hashes:List[Bytes32,20])"
        case 0x43: "Container(trie:\(trie),block:\(point),section:uint32)"
        case 0x4A: "Container(trie:\(trie),block:\(point),first_section:uint32,last_section:uint32)"
        case 0x44: "Container(trie:\(trie),anchor:\(anchor))"
        case 0x45:
            "Container(trie:\(trie),anchor:\(anchor),first_section:uint32,sections:Bitlist[256],max_bytes:uint32)"
        case 0x46:
            "Container(trie:\(trie),anchor:\(anchor),places:List[ByteList[66],128],levels:uint8,max_bytes:uint32)"
        case 0x47: "Container(anchor:\(anchor),first_section:uint32,sections:Bitlist[256])"
        case 0x4B: "Container(trie:\(trie),anchor:\(anchor),first_part:uint32,last_part:uint32)"
        case 0x4C: "Container(storage_of:List[Bytes32,16],key:ByteList[1024])"
        case 0x50: "Container(start:Union[uint64,Bytes32],count:uint16,stride:uint16,direction:uint8)"
        case 0x51: "Union[Container(start:Bytes32,count:uint16,direction:uint8),List[Bytes32,20]]"
        case 0x52: point
        default: nil
        }
    }

    static let range =
        "Container(end:\(cursor),account_keys:\(hashes),kinds:ByteList[65536],bodies:\(bodies),slot_counts:\(counts),"
        + "slot_keys:\(hashes),slot_values:\(slotValues),account_proof:\(nodes(512)),"
        + "storage_proofs:List[\(nodes(512)),8192])"
    static let sections =
        "Container(given:Bitlist[256],account_keys:\(hashes),bodies:\(bodies),slot_counts:\(counts),"
        + "slot_keys:\(hashes),slot_values:\(slotValues),proof:\(nodes(2_048)))"
    static let diffs =
        "Container(sections:List[uint32,256],changes:List[\(changes),256],proof:\(nodes(2_048)))"
    static let blockDiff =
        "Container(section_hash_before:Bytes32,header:ByteList[4096],certificate:ByteList[18560],changes:\(changes),"
        + "codes:List[ByteList[65536],4096],path_proof:\(nodes(64)))"
    static let blockDiffs =
        "Container(header:ByteList[4096],certificate:ByteList[18560],section_hashes_before:\(hashes),"
        + "changes:\(changes),codes:List[ByteList[65536],4096],proof:\(nodes(69_905)))"
    static let codes = "List[ByteList[65536],20]"
    static let crown = nodes(69_905)
    static let subtrees = nodes(8_192)
    static let wideDirectory = "List[Container(account:Bytes32,placement:uint8,storage_root:Bytes32),65536]"
    static let storageCrown = nodes(2_048)
    static let availability = served(anchors: 4, runs: 32_768)
    static let statePing =
        "Container(role:uint8,radius:uint256,head:\(point),served:\(served(anchors: 2, runs: 256)))"
    static let servedAnchors = "List[\(anchor),4]"
    static let headers = "List[\(certified),1000]"
    static let blocks =
        "List[Container(header:ByteList[4096],body:ByteList[16777216],access_list:ByteList[33554432]),1000]"
    static let newBlock = certified
    static let heights = "Container(lowest:uint64,highest:uint64)"
    static let chainPing =
        "Container(genesis_hash:Bytes32,lowest:uint64,highest:uint64,head_hash:Bytes32,certified:uint64)"

    /// nil where `bytes` are the one encoding of a value of this type.
    static func difference(_ bytes: some Collection<UInt8>, _ schema: String) throws -> String? {
        let type = try SSZSchemaParser.parse(schema)
        let given = Array(bytes)
        let again = try SSZ.encode(try SSZ.decode(given[...], as: type), as: type)
        return CaseOutcome.difference("encoding by the schema", bytes: again, given)
    }

    /// A container's bytes with some of its fields changed.
    static func changing(
        _ bytes: some Collection<UInt8>, _ schema: String, _ change: (inout [SSZValue]) throws -> Void
    ) throws -> [UInt8] {
        let type = try SSZSchemaParser.parse(schema)
        var fields = try SSZ.decode(Array(bytes)[...], as: type).fields
        try change(&fields)
        return try SSZ.encode(.fields(fields), as: type)
    }
}
