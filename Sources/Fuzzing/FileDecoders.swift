import Chain
import Conformance
import Primitives
import Shell

/// Readers of the files that people write and hand on: a network's configuration, a chain directory, vector files.
enum FileDecoders {
    /// What is read is written back the same, and every number of it can be reckoned with.
    static func network(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let network = try? FileText.network(bytes) else { return false }
        try require((try? FileText.network(FileText.text(of: network))) == network, .notRoundTrip("network file"))
        for number in [0, network.checkpoint.number, ChainLimits.blockNumber, .max] {
            let start = network.epochs.boundary(of: network.epochs.epoch(of: number))
            try require(
                start.map { $0 <= number && network.epochs.isBoundary($0) } ?? false, .notCanonical("an epoch"))
        }
        return true
    }

    /// No slot and no account stands twice in what is read.
    static func genesis(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let genesis = try? FileText.genesis(bytes) else { return false }
        let accounts = genesis.accounts
        let isInOrder = zip(accounts, accounts.dropFirst()).allSatisfy { $0.key < $1.key }
        try require(isInOrder, .notCanonical("genesis accounts"))
        for account in accounts {
            let slots = account.storage
            try require(zip(slots, slots.dropFirst()).allSatisfy { $0.key < $1.key }, .notCanonical("genesis slots"))
            try require(slots.allSatisfy { $0.value != .zero }, .notCanonical("genesis slots"))
        }
        return true
    }

    /// One byte: whether the changes are diffs; two bytes: how long the genesis header is; three bytes: how long
    /// chain.rlp is; then the header, chain.rlp and the file with the changes.
    static func chainDirectory(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard bytes.count >= 6 else { return false }
        let rest = bytes.dropFirst(6)
        let header = rest.prefix(Int(bytes[1]) << 8 | Int(bytes[2]))
        let chain = rest.dropFirst(header.count).prefix(Int(bytes[3]) << 16 | Int(bytes[4]) << 8 | Int(bytes[5]))
        let changes = rest.dropFirst(header.count + chain.count)
        let read = try? FileText.blocks(
            genesisHeader: Array(header), chain: Array(chain), changes: Array(changes), diffs: bytes[0] & 1 == 1)
        guard let blocks = read else { return false }
        for (index, block) in blocks.enumerated() {
            try require(block.header.number == UInt64(index) + 1, .untruthAccepted("a block's number"))
        }
        return true
    }

    /// The same, written.
    static func chainDirectory(header: [UInt8], chain: [UInt8], changes: [UInt8], diffs: Bool) -> [UInt8] {
        [
            diffs ? 1 : 0, UInt8(truncatingIfNeeded: header.count >> 8), UInt8(truncatingIfNeeded: header.count),
            UInt8(truncatingIfNeeded: chain.count >> 16), UInt8(truncatingIfNeeded: chain.count >> 8),
            UInt8(truncatingIfNeeded: chain.count),
        ] + header + chain + changes
    }

    /// One byte names the kind of vector file, the rest is the file: whatever its cases say, they are judged.
    static func vectors(_ bytes: [UInt8]) throws(FuzzFailure) -> Bool {
        guard let first = bytes.first, Int(first) < VectorSuites.all.count,
            let file = try? JSONValue(parsing: Array(bytes.dropFirst()))
        else { return false }
        return (try? VectorSuites.all[Int(first)].run(file)) != nil
    }

    // First inputs.

    private static func networkText(rule: String) -> String {
        """
        {"name": "my-network", "chainId": 7928, "genesisHash": "\(hash(1))",
         "checkpoint": {"number": 64, "hash": "\(hash(2))"}, "epochLength": 32, "sectionDepth": 1, "wideDepth": null,
         "rule": \(rule)}
        """
    }

    private static let rules = [
        "{\"kind\": \"attested\", \"keys\": [\"\(hash(3))\"], \"threshold\": 1, \"maxAgeSeconds\": 3600}",
        """
        {"kind": "proofOfWork", "minimumDifficulty": 1000, "blockSeconds": 10, "aheadSeconds": 15, "undoDepth": 256,
         "minimumWork": "0x1f4", "maxAgeSeconds": 60}
        """,
        """
        {"kind": "committee", "members": [{"key": "\(hash(3))", "stake": 5}], "termLength": 9, "maxAgeSeconds": 60}
        """,
    ]

    private static let genesisText = """
        {"config": {"chainId": 7}, "alloc": {
         "0x00000000000000000000000000000000000000aa": {"balance": "0x10", "nonce": "1", "code": "0x6000",
          "storage": {"0x1": "0x02", "0x02": "0x00", "0x3": "0xff"}},
         "00000000000000000000000000000000000000ab": {"balance": "12"}}}
        """

    private static func hash(_ byte: UInt8) -> String { Hex.prefixed([UInt8](repeating: byte, count: 32)) }

    static var networks: [[UInt8]] { rules.map { Array(networkText(rule: $0).utf8) } }
    static var geneses: [[UInt8]] { [Array(genesisText.utf8)] }

    /// Chains of a genesis alone.
    static func chainDirectories(headers: [[UInt8]]) -> [[UInt8]] {
        let genesis = try? BlockHeader(
            BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 0, gasLimit: 30_000_000))
        return ((genesis.map { [$0.rlp] } ?? []) + headers).flatMap { header in
            [
                chainDirectory(header: header, chain: [], changes: [], diffs: true),
                chainDirectory(header: header, chain: [], changes: [0xc0], diffs: false),
            ]
        }
    }

    /// A file of each kind with a case whose fields are the usual ones, wrong as they are.
    static var vectorFiles: [[UInt8]] {
        let words = ["encoded", "key", "stateRoot", "root", "position"].map { "\"\($0)\": \"\(hash(4))\"" }
        let numbers = ["sectionDepth", "depth", "section", "length", "modulo"].map { "\"\($0)\": 65536" }
        let one = "[{\((words + numbers).joined(separator: ", "))}]"
        let lists = [
            "keys", "cases", "vectors", "ranges", "roots", "headers", "statuses", "crowns", "codes", "diffs",
        ].map { "\"\($0)\": \(one)" }
        let text = Array("{\(lists.joined(separator: ", "))}".utf8)
        return (0..<VectorSuites.all.count).map { [UInt8($0)] + text }
    }
}
