import Chain
import Discovery
import Foundation
import Primitives
@testable import Shell
import TestSupport
import Testing

/// A copy of a recorded chain's directory that a test may damage.
private final class DirectoryCopy {
    let url: URL
    var path: String { url.path }

    init(_ name: String, _ files: [String]) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("chain-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        for file in files {
            let source = try #require(SharedFolder.url("chains/\(name)/\(file)"))
            try Data(contentsOf: source).write(to: url.appendingPathComponent(file))
        }
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func bytes(_ file: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: url.appendingPathComponent(file))) }

    func write(_ file: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: url.appendingPathComponent(file)) }

    func remove(_ file: String) throws { try FileManager.default.removeItem(at: url.appendingPathComponent(file)) }

    func gzip(_ file: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", url.appendingPathComponent(file).path]
        try process.run()
        process.waitUntilExit()
    }

    /// Reads the whole directory; returns the number of blocks.
    @discardableResult
    func readAll() throws -> UInt64 {
        let directory = try ChainDirectory(path: path)
        _ = try directory.genesisAccounts()
        let blocks = try directory.blocks()
        var last: UInt64 = 0
        while let block = try blocks.next() { last = block.header.number }
        return last
    }
}

@Suite(.enabled(if: SharedFolder.url("chains/bal-chain") != nil, "needs the shared folder"))
struct ChainDirectoryTests {
    static let balFiles = ["genesis.json", "genesis_header.rlp", "chain.rlp", "bals.rlp"]
    static let diffFiles = ["genesis.json", "genesis_header.rlp", "chain.rlp", "diffs.jsonl"]

    /// An account by address, with raw slots: what the recorded head state lists.
    private struct Plain: Equatable {
        var nonce: UInt64 = 0
        var balance = UInt256.zero
        var code: [UInt8] = []
        var storage: [UInt256: UInt256] = [:]
        var isEmpty: Bool { nonce == 0 && balance == .zero && code.isEmpty }
    }

    /// Genesis and every block's changes give the recorded head state, account by account and slot by slot.
    @Test(arguments: ["bal-chain", "ethtest-chain"])
    func theChangesLeadToTheRecordedHeadState(name: String) throws {
        let folder = try #require(SharedFolder.url("chains/\(name)"))
        let directory = try ChainDirectory(path: folder.path)
        var state: [Address: Plain] = [:]
        for account in try directory.genesisAccounts() {
            let slots = account.storage.map { ($0.slot, $0.value) }
            state[account.address] = Plain(
                nonce: account.nonce, balance: account.balance, code: account.code,
                storage: Dictionary(uniqueKeysWithValues: slots))
        }
        let blocks = try directory.blocks()
        var last = directory.genesisHeader
        while let block = try blocks.next() {
            for change in block.changes {
                var account = state[change.address] ?? Plain()
                account.nonce = change.nonce ?? account.nonce
                account.balance = change.balance ?? account.balance
                account.code = change.code ?? account.code
                for slot in change.storage { account.storage[slot.slot] = slot.value == .zero ? nil : slot.value }
                state[change.address] = account.isEmpty ? nil : account
            }
            last = block.header
        }
        #expect(try directory.lastBlock() == last.number)
        let expected = try headState(folder)
        #expect(state.count == expected.count)
        for (address, account) in expected { #expect(state[address] == account, "\(address)") }
    }

    private func headState(_ folder: URL) throws -> [Address: Plain] {
        let data = try Data(contentsOf: folder.appendingPathComponent("headstate.json"))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let accounts = try #require(object["accounts"] as? [String: [String: Any]])
        var state: [Address: Plain] = [:]
        for (name, fields) in accounts {
            var account = Plain()
            account.nonce = try #require(fields["nonce"] as? UInt64)
            account.balance = try #require((fields["balance"] as? String).flatMap { UInt256($0) })
            account.code = try #require(Hex.decode(fields["code"] as? String ?? "0x"))
            for (slot, value) in fields["storage"] as? [String: String] ?? [:] {
                let number: UInt256 = try #require(UInt256("0x" + value))
                account.storage[try #require(UInt256(slot))] = number
            }
            state[try #require(Address(hex: name))] = account
        }
        return state
    }

    @Test func theChainIdIsRead() throws {
        let bal = try #require(SharedFolder.url("chains/bal-chain"))
        #expect(try ChainDirectory(path: bal.path).chainID == 7928)
        let ethtest = try #require(SharedFolder.url("chains/ethtest-chain"))
        #expect(try ChainDirectory(path: ethtest.path).chainID == 3_503_995_874_084_926)
    }

    @Test func gzippedFilesAreReadAsTheyAre() throws {
        for files in [("bal-chain", ChainDirectoryTests.balFiles), ("ethtest-chain", ChainDirectoryTests.diffFiles)] {
            let copy = try DirectoryCopy(files.0, files.1)
            let plain = try copy.readAll()
            for file in files.1 { try copy.gzip(file) }
            #expect(try copy.readAll() == plain)
        }
    }

    // MARK: Broken directories

    @Test(arguments: ["genesis.json", "genesis_header.rlp", "chain.rlp"])
    func aMissingFileIsNamed(file: String) throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        try copy.remove(file)
        #expect(throws: ChainDirectoryError.missingFile(copy.path + "/" + file)) { try copy.readAll() }
    }

    @Test func changesThatAreMissingAreNamed() throws {
        let copy = try DirectoryCopy("bal-chain", Array(ChainDirectoryTests.balFiles.dropLast()))
        let error = ChainDirectoryError.missingFile(copy.path + "/bals.rlp or diffs.jsonl")
        #expect(throws: error) { try copy.readAll() }
        #expect(!error.description.contains("\n"))
    }

    @Test func aCutChainNamesItsBlock() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        let whole = try copy.bytes("chain.rlp")
        var reader = RLPReader(whole)
        let firstTwo = try reader.nextRaw().count + reader.nextRaw().count
        for length in [firstTwo + 1, firstTwo + 3, firstTwo + 400] {
            try copy.write("chain.rlp", Array(whole.prefix(length)))
            #expect(throws: ChainDirectoryError.cut(file: copy.path + "/chain.rlp", block: 3)) { try copy.readAll() }
        }
        try copy.write("chain.rlp", Array(whole.prefix(firstTwo)))
        #expect(throws: ChainDirectoryError.wrongCount(file: copy.path + "/bals.rlp", block: 2)) { try copy.readAll() }
    }

    @Test func aGzipThatIsCutIsNamed() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        try copy.gzip("chain.rlp")
        let packed = try copy.bytes("chain.rlp.gz")
        try copy.write("chain.rlp.gz", Array(packed.prefix(packed.count / 2)))
        #expect(throws: ChainDirectoryError.notGzip(copy.path + "/chain.rlp.gz")) { try copy.readAll() }
    }

    @Test func aBlockLeftOutIsNamed() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        let whole = try copy.bytes("chain.rlp")
        var reader = RLPReader(whole)
        let first = try reader.nextRaw()
        let second = try reader.nextRaw()
        try copy.write("chain.rlp", first + Array(whole.dropFirst(first.count + second.count)))
        #expect(
            throws: ChainDirectoryError.invalid(
                file: copy.path + "/chain.rlp", block: 2, .wrongNumber(expected: 2, found: 3))
        ) { try copy.readAll() }
    }

    @Test func filesOfTwoChainsDoNotGoTogether() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        let other = try DirectoryCopy("ethtest-chain", ChainDirectoryTests.diffFiles)
        let first = try ChainDirectory(path: copy.path)
        let parent = try ChainDirectory(path: other.path).genesisHeader.hash
        try copy.write("genesis_header.rlp", try other.bytes("genesis_header.rlp"))
        #expect(
            throws: ChainDirectoryError.wrongParent(
                file: copy.path + "/chain.rlp", block: 1, expected: parent, found: first.genesisHeader.hash)
        ) { try copy.readAll() }
    }

    @Test func damagedAccessListsNameTheirBlock() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        let whole = try copy.bytes("bals.rlp")
        var reader = try RLPReader.list(whole)
        var lists: [[UInt8]] = []
        while !reader.isAtEnd { lists.append(try reader.nextRaw()) }
        func write(_ lists: [[UInt8]]) throws {
            try copy.write("bals.rlp", RLPWriter.list { writer in for list in lists { writer.append(raw: list) } })
        }
        var swapped = lists
        swapped.swapAt(4, 5)
        try write(swapped)
        #expect(
            throws: ChainDirectoryError.invalid(
                file: copy.path + "/bals.rlp", block: 5,
                .accessListHashMismatch(expected: Keccak.hash(lists[4]), found: Keccak.hash(lists[5])))
        ) { try copy.readAll() }
        try write(Array(lists.dropLast()))
        #expect(
            throws: ChainDirectoryError.wrongCount(file: copy.path + "/bals.rlp", block: UInt64(lists.count))
        ) { try copy.readAll() }
        try copy.write("bals.rlp", Array(whole.dropLast(100)))
        #expect(throws: ChainDirectoryError.cut(file: copy.path + "/bals.rlp", block: UInt64(lists.count))) {
            try copy.readAll()
        }
    }

    @Test func damagedDiffsNameTheirLine() throws {
        let copy = try DirectoryCopy("ethtest-chain", ChainDirectoryTests.diffFiles)
        let file = copy.path + "/diffs.jsonl"
        let text = String(decoding: try copy.bytes("diffs.jsonl"), as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        func write(_ lines: [String]) throws {
            try copy.write("diffs.jsonl", Array(lines.joined(separator: "\n").utf8))
        }
        try write(Array(lines[1...]))
        #expect(throws: ChainDirectoryError.wrongDiff(file: file, block: 1, field: "number")) { try copy.readAll() }
        var altered = lines
        altered[2] = altered[2].replacingOccurrences(of: "\"stateRoot\":\"0x", with: "\"stateRoot\":\"0x00")
        try write(altered)
        #expect(throws: ChainDirectoryError.wrongDiff(file: file, block: 3, field: "stateRoot")) { try copy.readAll() }
        altered = lines
        altered[1] = String(altered[1].dropLast(5))
        try write(altered)
        #expect(throws: ChainDirectoryError.malformed(file: file, block: 2, "is no JSON, or is cut off")) {
            try copy.readAll()
        }
        altered = lines
        altered[1] = altered[1].replacingOccurrences(of: "\"code\":\"0x36", with: "\"code\":\"0x37")
        try write(altered)
        #expect(throws: ChainDirectoryError.malformed(file: file, block: 2, "account 2 is not as described")) {
            try copy.readAll()
        }
        try write(Array(lines.dropLast()))
        #expect(throws: ChainDirectoryError.wrongCount(file: file, block: UInt64(lines.count))) { try copy.readAll() }
    }

    @Test func aGenesisThatIsNoneIsNamed() throws {
        let copy = try DirectoryCopy("bal-chain", ChainDirectoryTests.balFiles)
        let file = copy.path + "/genesis.json"
        for (text, reason) in [
            ("{", "is no JSON, or is cut off"), ("[]", "is no JSON object"), ("{}", "has no config.chainId of 64 bits"),
            (#"{"config":{"chainId":1}}"#, "has no alloc"),
            (#"{"config":{"chainId":1},"alloc":{"12":{}}}"#, "alloc of 12: is no address"),
        ] {
            try copy.write("genesis.json", Array(text.utf8))
            #expect(throws: ChainDirectoryError.malformed(file: file, block: nil, reason)) { try copy.readAll() }
        }
        try copy.write("genesis_header.rlp", [0xc1, 0x80])
        #expect(
            throws: ChainDirectoryError.invalid(
                file: copy.path + "/genesis_header.rlp", block: 0, .headerFieldCount(1))
        ) { try copy.readAll() }
    }
}

@Suite struct NetworkConfigurationFileTests {
    private func record() throws -> String {
        var entropy = Entropy(seed: .max)
        return try NodeRecordFields(sequence: 1).signed(by: IdentityKey(from: &entropy)).text
    }

    private func made(_ wideDepth: Int?, bridges: [String] = []) throws -> NetworkConfiguration {
        try NetworkConfiguration(
            name: "a \"name\" \\", chainID: .max, genesisHash: .max, checkpoint: StatePoint(number: 7, hash: .zero),
            epochLength: 256, sectionDepth: 3, wideDepth: wideDepth,
            rule: NetworkConfiguration.Rule(
                keys: [Bytes32(1, 2, 3, 4), Bytes32(5, 6, 7, 8)], threshold: 2, maxAgeSeconds: 90),
            bridges: bridges)
    }

    @Test func whatIsWrittenIsRead() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("network-\(UUID().uuidString).json")
            .path
        defer { try? FileManager.default.removeItem(atPath: path) }
        for configuration in [
            try made(nil), try made(3), try made(nil, bridges: [try record()]), try RuleFileTests.worked(),
            try RuleFileTests.signed(),
        ] {
            try NetworkConfigurationFile.write(configuration, to: path)
            #expect(try NetworkConfigurationFile.read(path) == configuration)
        }
    }

    @Test func errorsNameTheField() throws {
        let text = NetworkConfigurationFile.encode(try made(nil))
        func decode(_ old: String, _ new: String) throws {
            let altered = text.replacingOccurrences(of: old, with: new)
            #expect(altered != text)
            _ = try NetworkConfigurationFile.decode(Data(altered.utf8), file: "n.json")
        }
        #expect(throws: NetworkConfigurationError.notJSON(file: "n.json")) { try decode("{", "(") }
        #expect(throws: NetworkConfigurationError.missing(file: "n.json", field: "epochLength")) {
            try decode("\"epochLength\": 256,", "")
        }
        #expect(throws: NetworkConfigurationError.unknown(file: "n.json", field: "rule.treshold")) {
            try decode("\"threshold\": 2", "\"threshold\": 2, \"treshold\": 1")
        }
        #expect(
            throws: NetworkConfigurationError.wrongType(
                file: "n.json", field: "sectionDepth", expected: "a whole number")
        ) { try decode("\"sectionDepth\": 3", "\"sectionDepth\": 3.5") }
        #expect(
            throws: NetworkConfigurationError.wrongType(
                file: "n.json", field: "checkpoint.hash", expected: "0x and 64 hex digits")
        ) { try decode("\"hash\": \"0x00", "\"hash\": \"0x") }
        #expect(
            throws: NetworkConfigurationError.wrongType(
                file: "n.json", field: "rule.kind", expected: "one of \"attested\", \"proofOfWork\", \"committee\"")
        ) {
            try decode("attested", "believed")
        }
        #expect(
            throws: NetworkConfigurationError.invalid(
                file: "n.json", .invalidConfiguration("rule.threshold is 3; it must be 1 to 2"))
        ) { try decode("\"threshold\": 2", "\"threshold\": 3") }
        let notRecords = NetworkConfigurationError.wrongType(
            file: "n.json", field: "bridges", expected: "a list of node records (enr:…)")
        for bad in ["7", "[7]", "[\"enr:-\"]", "\"\(try record())\""] {
            #expect(throws: notRecords) { try decode("\"rule\":", "\"bridges\": \(bad), \"rule\":") }
        }
        let many = [String](repeating: try record(), count: ChainLimits.bridges + 1)
        #expect(throws: ChainError.invalidConfiguration("bridges has 65 records; it may have 64")) {
            try made(nil, bridges: many)
        }
        #expect(throws: NetworkConfigurationError.cannotRead(file: "/nowhere/n.json", "no such file")) {
            try NetworkConfigurationFile.read("/nowhere/n.json")
        }
    }
}
