import Chain
import Primitives

/// The field `rule` of a network's file.
///
///     {"kind": "attested", "keys": [...], "threshold", "maxAgeSeconds"}
///     {"kind": "proofOfWork", "minimumDifficulty", "blockSeconds", "aheadSeconds", "undoDepth", "minimumWork": "0x…",
///      "maxAgeSeconds"}
///     {"kind": "committee", "members": [{"key", "stake"}, ...], "termLength", "maxAgeSeconds"}
enum NetworkRuleFile {
    /// Reads it; a field of another kind of rule is as unknown as a misspelt one.
    static func read(_ rule: NetworkFileFields) throws(NetworkConfigurationError) -> NetworkConfiguration.Rule {
        guard let kind = NetworkConfiguration.Rule.Kind(rawValue: try rule.string("kind")) else {
            let kinds = NetworkConfiguration.Rule.Kind.allCases.map { "\"\($0.rawValue)\"" }
            throw .wrongType(file: rule.file, field: "rule.kind", expected: "one of " + kinds.joined(separator: ", "))
        }
        switch kind {
        case .attested: return try attested(rule)
        case .proofOfWork: return try proofOfWork(rule)
        case .committee: return try committee(rule)
        }
    }

    private static func attested(
        _ rule: NetworkFileFields
    ) throws(NetworkConfigurationError) -> NetworkConfiguration.Rule {
        try rule.allow(["kind", "keys", "threshold", "maxAgeSeconds"])
        let (keys, threshold) = (try rule.hashes("keys"), try rule.int("threshold"))
        let maxAgeSeconds = try rule.uint64("maxAgeSeconds")
        return try checked(rule) { () throws(ChainError) in
            try NetworkConfiguration.Rule(keys: keys, threshold: threshold, maxAgeSeconds: maxAgeSeconds)
        }
    }

    private static func proofOfWork(
        _ rule: NetworkFileFields
    ) throws(NetworkConfigurationError) -> NetworkConfiguration.Rule {
        try rule.allow([
            "kind", "minimumDifficulty", "blockSeconds", "aheadSeconds", "undoDepth", "minimumWork", "maxAgeSeconds",
        ])
        let (difficulty, seconds) = (try rule.uint64("minimumDifficulty"), try rule.uint64("blockSeconds"))
        let (ahead, depth) = (try rule.uint64("aheadSeconds"), try rule.uint64("undoDepth"))
        let (work, maxAgeSeconds) = (try rule.uint128("minimumWork"), try rule.uint64("maxAgeSeconds"))
        return try checked(rule) { () throws(ChainError) in
            try NetworkConfiguration.Rule(
                work: WorkTerms(
                    minimumDifficulty: difficulty, blockSeconds: seconds, aheadSeconds: ahead, undoDepth: depth,
                    minimumWork: work),
                maxAgeSeconds: maxAgeSeconds)
        }
    }

    private static func committee(
        _ rule: NetworkFileFields
    ) throws(NetworkConfigurationError) -> NetworkConfiguration.Rule {
        try rule.allow(["kind", "members", "termLength", "maxAgeSeconds"])
        var members: [Committee.Member] = []
        for member in try rule.objects("members") {
            try member.allow(["key", "stake"])
            members.append(Committee.Member(key: try member.hash("key"), stake: try member.uint64("stake")))
        }
        let (termLength, maxAgeSeconds) = (try rule.uint64("termLength"), try rule.uint64("maxAgeSeconds"))
        return try checked(rule) { [members] () throws(ChainError) in
            let first: Committee
            do throws(CommitteeError) {
                first = try Committee(members)
            } catch {
                throw .invalidConfiguration("rule.members: \(error)")
            }
            return try NetworkConfiguration.Rule(
                committee: CommitteeTerms(first: first, termLength: termLength), maxAgeSeconds: maxAgeSeconds)
        }
    }

    private static func checked(
        _ rule: NetworkFileFields, _ make: () throws(ChainError) -> NetworkConfiguration.Rule
    ) throws(NetworkConfigurationError) -> NetworkConfiguration.Rule {
        do throws(ChainError) {
            return try make()
        } catch {
            throw .invalid(file: rule.file, error)
        }
    }

    /// The fields as the file has them, one a line.
    static func lines(_ rule: NetworkConfiguration.Rule) -> [String] {
        let own: [String] =
            switch rule.terms {
            case .attested(let keys, let threshold):
                [
                    "\"keys\": [\(keys.map { "\"\($0)\"" }.joined(separator: ", "))]", "\"threshold\": \(threshold)",
                ]
            case .proofOfWork(let terms):
                [
                    "\"minimumDifficulty\": \(terms.minimumDifficulty)", "\"blockSeconds\": \(terms.blockSeconds)",
                    "\"aheadSeconds\": \(terms.aheadSeconds)", "\"undoDepth\": \(terms.undoDepth)",
                    "\"minimumWork\": \"0x\(String(terms.minimumWork, radix: 16))\"",
                ]
            case .committee(let terms):
                [
                    "\"members\": ["
                        + terms.first.members.map { "{\"key\": \"\($0.key)\", \"stake\": \($0.stake)}" }
                        .joined(separator: ", ") + "]", "\"termLength\": \(terms.termLength)",
                ]
            }
        return ["\"kind\": \"\(rule.kind.rawValue)\""] + own + ["\"maxAgeSeconds\": \(rule.maxAgeSeconds)"]
    }
}
