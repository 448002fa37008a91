import Chain
import Foundation
import Primitives
import Testing

@testable import Shell

/// The field `rule` of a network's file, for the rules proof of work and committee.
@Suite struct RuleFileTests {
    static func worked() throws -> NetworkConfiguration {
        try network(
            NetworkConfiguration.Rule(
                work: WorkTerms(
                    minimumDifficulty: 1_000, blockSeconds: 10, aheadSeconds: 15, undoDepth: 256,
                    minimumWork: UInt128.max - 5), maxAgeSeconds: 90))
    }

    static func signed() throws -> NetworkConfiguration {
        let members = [
            Committee.Member(key: Bytes32(1, 2, 3, 4), stake: 40),
            Committee.Member(key: Bytes32(5, 6, 7, 8), stake: 60),
        ]
        return try network(
            NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: Committee(members), termLength: 77), maxAgeSeconds: 90))
    }

    private static func network(_ rule: NetworkConfiguration.Rule) throws -> NetworkConfiguration {
        try NetworkConfiguration(
            name: "ruled", chainID: 7, genesisHash: .max, checkpoint: StatePoint(number: 7, hash: .zero),
            epochLength: 256, sectionDepth: 3, rule: rule)
    }

    private func refused(
        _ network: NetworkConfiguration, _ old: String, _ new: String, _ error: NetworkConfigurationError
    ) {
        let text = NetworkConfigurationFile.encode(network)
        let altered = text.replacingOccurrences(of: old, with: new)
        #expect(altered != text, "\(old)")
        #expect(throws: error, "\(new)") {
            _ = try NetworkConfigurationFile.decode(Data(altered.utf8), file: "n.json")
        }
        #expect(!"\(error)".contains("\n"))
    }

    private func invalid(_ why: String) -> NetworkConfigurationError {
        .invalid(file: "n.json", .invalidConfiguration(why))
    }

    private func wrong(_ field: String, _ expected: String) -> NetworkConfigurationError {
        .wrongType(file: "n.json", field: field, expected: expected)
    }

    @Test func everyFieldOfProofOfWorkIsChecked() throws {
        let network = try Self.worked()
        let work = "\"minimumWork\": \"0xfffffffffffffffffffffffffffffffa\""
        for bad in [
            "\"0x\"", "\"fa\"", "\"0x+1\"", "\"0x-1\"", "\"0xg\"", "250", "\"0x1\(String(repeating: "0", count: 32))\"",
        ] {
            refused(
                network, work, "\"minimumWork\": \(bad)",
                wrong("rule.minimumWork", "a string of 0x and 1 to 32 hex digits"))
        }
        refused(
            network, "\"minimumDifficulty\": 1000", "\"minimumDifficulty\": 0",
            invalid("rule.minimumDifficulty is 0; it must be 1 to 9007199254740992"))
        refused(
            network, "\"blockSeconds\": 10", "\"blockSeconds\": 86401",
            invalid("rule.blockSeconds is 86401; it must be 1 to 86400"))
        refused(network, "\"aheadSeconds\": 15", "\"aheadSeconds\": -1", wrong("rule.aheadSeconds", "a whole number"))
        refused(
            network, "\"undoDepth\": 256", "\"undoDepth\": 5", invalid("rule.undoDepth is 5; it must be 6 to 4096"))
        refused(
            network, "\"maxAgeSeconds\": 90", "\"maxAgeSeconds\": 0",
            invalid("rule.maxAgeSeconds is 0; it must be 1 to 4294967295"))
        refused(network, "\"undoDepth\": 256,", "", .missing(file: "n.json", field: "rule.undoDepth"))
        refused(
            network, "\"undoDepth\": 256", "\"undoDepth\": 256, \"threshold\": 1",
            .unknown(file: "n.json", field: "rule.threshold"))
    }

    @Test func everyFieldOfACommitteeIsChecked() throws {
        let network = try Self.signed()
        let (one, other) = (Bytes32(1, 2, 3, 4), Bytes32(5, 6, 7, 8))
        refused(network, "\"stake\": 40", "\"stake\": 0", invalid("rule.members: the member \(one) has no stake"))
        refused(
            network, "\"stake\": 60", "\"stake\": 4611686018427387904",
            invalid("rule.members: all stakes together are more than 4611686018427387904"))
        refused(
            network, "\(other)", "\(one)",
            invalid("rule.members: the member \(one) is out of order, or stands twice"))
        refused(
            network, "{\"key\": \"\(other)\", \"stake\": 60}", "7",
            wrong("rule.members", "a list of objects"))
        refused(network, "\"\(other)\"", "\"0x01\"", wrong("rule.members[1].key", "0x and 64 hex digits"))
        refused(network, "\"stake\": 60", "\"stake\": 1.5", wrong("rule.members[1].stake", "a whole number"))
        refused(
            network, "\"stake\": 60", "\"stake\": 60, \"name\": 1",
            .unknown(file: "n.json", field: "rule.members[1].name"))
        refused(
            network, "\"termLength\": 77", "\"termLength\": 65537",
            invalid("rule.termLength is 65537; it must be 1 to 65536"))
        refused(
            network, "\"termLength\": 77", "\"termLength\": 77, \"keys\": []",
            .unknown(file: "n.json", field: "rule.keys"))
        let none = try #require(
            NetworkConfigurationFile.encode(network).firstMatch(of: /"members": \[.*\]/)
        ).output
        refused(
            network, String(none), "\"members\": []",
            invalid("rule.members: a committee of 0 members; 1 to 64 are allowed"))
    }
}
