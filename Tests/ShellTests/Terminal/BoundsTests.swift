import Chain
import Foundation
import Primitives
import Testing

@testable import Shell

/// Values from files and flags that no network has: refused in one line, where they are read.
@Suite struct BoundsTests {
    private static let hash = "0x" + String(repeating: "1", count: 64)

    private static func network(_ old: String = "", _ new: String = "") throws -> NetworkConfiguration {
        let text = """
            {"name": "n", "chainId": 7, "genesisHash": "\(hash)", "checkpoint": {"number": 0, "hash": "\(hash)"},
             "epochLength": 32, "sectionDepth": 1, "wideDepth": null,
             "rule": {"kind": "attested", "keys": ["\(hash)"], "threshold": 1, "maxAgeSeconds": 60}}
            """
        return try FileText.network(Array(text.replacingOccurrences(of: old, with: new).utf8))
    }

    @Test(arguments: [
        ("\"epochLength\": 32", "\"epochLength\": 1152921504606846976", "epochLength"),
        ("\"epochLength\": 32", "\"epochLength\": 65537", "epochLength"),
        ("\"epochLength\": 32", "\"epochLength\": 0", "epochLength"),
        ("\"maxAgeSeconds\": 60", "\"maxAgeSeconds\": 18446744073709551615", "maxAgeSeconds"),
        ("\"number\": 0", "\"number\": 9223372036854775808", "checkpoint.number"),
        ("\"sectionDepth\": 1", "\"sectionDepth\": 65536", "sectionDepth"),
        ("\"chainId\": 7", "\"chainId\": 0", "chainId"), ("\"name\": \"n\"", "\"name\": \"n\\n\"", "name"),
    ]) func aNetworkNobodyHasIsRefused(old: String, new: String, field: String) throws {
        _ = try Self.network()
        let error = #expect(throws: NetworkConfigurationError.self) { try Self.network(old, new) }
        guard case .invalid("net.json", .invalidConfiguration(let why))? = error else {
            Issue.record("\(error.map { "\($0)" } ?? "accepted")")
            return
        }
        #expect(why.contains(field), "\(why)")
    }

    @Test(arguments: [
        ("\"chainId\": 7", "\"chainId\": 7, \"chainId\": 8", "chainId"),
        ("\"threshold\": 1", "\"threshold\": 2, \"threshold\": 1", "rule.threshold"),
    ]) func aFieldThatStandsTwiceIsRefused(old: String, new: String, field: String) {
        #expect(throws: NetworkConfigurationError.twice(file: "net.json", field: field)) { try Self.network(old, new) }
    }

    private static func genesis(_ alloc: String) throws -> [GenesisAccount] {
        try FileText.genesis(Array("{\"config\": {\"chainId\": 7}, \"alloc\": {\(alloc)}}".utf8)).accounts
    }

    private static let address = "0x00000000000000000000000000000000000000aa"

    @Test(arguments: [
        ("\"storage\": {\"0x1\": \"0x1\", \"0x01\": \"0x2\"}", "storage names slot 0x"),
        ("\"storage\": {\"0x1\": \"0x0\", \"0x01\": \"0x2\"}", "storage names slot 0x"),
        ("\"storage\": {\"0x1\": \"0x1\", \"0x1\": \"0x1\"}", "storage names slot 0x"),
        ("\"nonce\": 1, \"nonce\": 2", "has nonce twice"),
    ]) func aGenesisThatSaysOneThingTwiceIsRefused(fields: String, reason: String) throws {
        let error = #expect(throws: ChainDirectoryError.self) { try Self.genesis("\"\(Self.address)\": {\(fields)}") }
        #expect(error?.description.contains(reason) == true, "\(error.map { "\($0)" } ?? "accepted")")
        let whole = "\"\(Self.address)\": {\"storage\": {\"0x1\": \"0x1\", \"0x02\": \"0x0\"}}"
        #expect(try Self.genesis(whole).first?.storage.map(\.slot) == [UInt256(1)])
        #expect(throws: ChainDirectoryError.self) { try Self.genesis("\(whole), \"\(Self.address)\": {}") }
    }

    private static func header(_ number: UInt64, parent: Bytes32 = .zero) throws -> BlockHeader {
        try BlockHeader(BlockHeader.Fields(parentHash: parent, stateRoot: .zero, number: number, timestamp: 1))
    }

    @Test func aGenesisHeaderIsOfBlockZero() throws {
        for (number, reason) in [
            (1, ChainError.wrongNumber(expected: 0, found: 1)), (UInt64.max, .malformed(.header, .integerTooLarge)),
            (ChainLimits.blockNumber, .wrongNumber(expected: 0, found: ChainLimits.blockNumber)),
        ] {
            let fields = BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: number, timestamp: 1)
            let bytes = try? BlockHeader(fields).rlp
            let rlp = try bytes ?? Self.rlp(of: number)
            #expect(
                throws: ChainDirectoryError.invalid(file: "genesis_header.rlp", block: 0, reason), "\(number)"
            ) { try FileText.blocks(genesisHeader: rlp, chain: [], changes: [], diffs: true) }
        }
    }

    /// A header with another number, as bytes.
    private static func rlp(of number: UInt64) throws -> [UInt8] {
        var reader = try RLPReader.list(try header(0).rlp)
        var items: [[UInt8]] = []
        while !reader.isAtEnd { items.append(try reader.nextRaw()) }
        return RLPWriter.list { writer in
            for (index, item) in items.enumerated() {
                if index == 8 { writer.append(number) } else { writer.append(raw: item) }
            }
        }
    }

    /// Flags that no program can carry out end with 2 and say what is allowed.
    @Test(arguments: [
        (["bridge", "--finality-depth", "18446744073709551615"], "0 to 8191"),
        (["bridge", "--finality-depth", "8192"], "0 to 8191"),
        (["run", "--udp-port", "70000"], "0 to 65535"),
        (["sync", "--until-block", "x"], "0 to 18446744073709551615"),
        (["sync", "--until-block=-1"], "0 to 18446744073709551615"),
        (["run", "--storage-capacity", "99999999999999TB"], "unit"),
        (["run", "--workers", "0"], "1 to 1024"),
        (["run", "--workers", "x"], "1 to 1024"),
        (["sync", "--lanes", "many"], "1 to 1024"),
        (["bridge", "--blocks-per-second", "nan"], "above 0"),
        (["bridge", "--blocks-per-second", "fast"], "above 0"),
    ]) func flagsSayWhatIsAllowed(arguments: [String], allowed: String) throws {
        guard let outcome = try Program.run(arguments) else { return }
        #expect(outcome.code == 2 && !outcome.isKilled, "\(outcome.errors)")
        #expect(outcome.errors.contains(allowed), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }
}
