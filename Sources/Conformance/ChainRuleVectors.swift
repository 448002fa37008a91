import Chain
import ChainNetwork
import Primitives

/// `chain-rules.json`: what the rules proof of work and committee make of headers (`Specs/chain-rules.md`).
enum ChainRuleVectors: VectorSuite {
    static let fileName = "chain-rules.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        let lists: [(String, (JSONValue) throws -> String?)] = [
            ("targets", target), ("difficulties", difficulty), ("handOvers", handOver), ("chains", chain),
        ]
        var outcomes: [CaseOutcome] = []
        for (list, check) in lists {
            for (index, vector) in try (file[list].ifPresent?.array ?? []).enumerated() {
                let name = "\(list) \(name(of: vector, list, index))"
                outcomes.append(CaseOutcome.judge(name, vector) { try check(vector) })
            }
        }
        guard !outcomes.isEmpty else { throw VectorError.expected("lists of cases", found: "none of them") }
        return outcomes
    }

    private static func work(_ value: JSONValue) throws -> UInt128 {
        guard let number = try value.uint256.low128 else { throw VectorError.malformed("a number beyond 128 bits") }
        return number
    }

    /// Whether a hash is under the target of a difficulty.
    private static func target(_ vector: JSONValue) throws -> String? {
        let difficulty = try work(vector["difficulty"])
        guard ProofOfWork.isUnderTarget(try vector["hash"].bytes32, difficulty: difficulty) else {
            throw WireRefusal.target
        }
        return nil
    }

    /// The difficulty that follows from a parent's and the time between.
    private static func difficulty(_ vector: JSONValue) throws -> String? {
        var fields = BlockHeader.Fields(
            parentHash: .zero, stateRoot: .zero, number: 0, timestamp: try vector["parentTimestamp"].uint64)
        fields.difficulty = try vector["parentDifficulty"].uint256
        let parent = WorkStanding(checkpoint: try BlockHeader(fields))
        let terms = try WorkTerms(
            minimumDifficulty: try vector["minimumDifficulty"].uint64, blockSeconds: try vector["blockSeconds"].uint64,
            aheadSeconds: 0, undoDepth: 6, minimumWork: 0)
        let found = ProofOfWork(terms, maxAgeSeconds: 1).difficulty(on: parent, at: try vector["timestamp"].uint64)
        return CaseOutcome.difference("difficulty", UInt256(low128: found), try vector["difficulty"].uint256)
    }

    /// The committee in a term's last block.
    private static func handOver(_ vector: JSONValue) throws -> String? {
        let bytes = try vector["encoded"].hex
        let committee = try Committee(extraData: bytes)
        return WireFields.difference(.array(committee.members.map { member($0) }), vector)
            ?? CaseOutcome.difference("re-encoding", bytes: committee.extraData, bytes)
    }

    static func member(_ member: Committee.Member) -> JSONValue {
        .object(["key": WireFields.hash(member.key), "stake": WireFields.integer(member.stake)])
    }

    private static func rule(_ value: JSONValue) throws -> NetworkConfiguration.Rule {
        if value.has("members") {
            let members = try value["members"].array.map {
                Committee.Member(key: try $0["key"].bytes32, stake: try $0["stake"].uint64)
            }
            let terms = try CommitteeTerms(first: Committee(members), termLength: try value["termLength"].uint64)
            return try NetworkConfiguration.Rule(committee: terms, maxAgeSeconds: 60)
        }
        let terms = try WorkTerms(
            minimumDifficulty: try value["minimumDifficulty"].uint64, blockSeconds: try value["blockSeconds"].uint64,
            aheadSeconds: try value["aheadSeconds"].uint64, undoDepth: try value["undoDepth"].uint64,
            minimumWork: try work(value["minimumWork"]))
        return try NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 60)
    }

    /// What a rule makes of headers answers, taken in one after the other at a time of the calendar.
    private static func chain(_ vector: JSONValue) throws -> String? {
        let point = StatePoint(
            number: try vector["checkpoint"]["number"].uint64, hash: try vector["checkpoint"]["hash"].bytes32)
        let configuration: NetworkConfiguration
        do {
            configuration = try NetworkConfiguration(
                name: "vectors", chainID: try vector["chainId"].uint64, genesisHash: point.hash, checkpoint: point,
                epochLength: try vector["epochLength"].uint64, sectionDepth: 1, rule: try rule(vector["rule"]))
        } catch {
            throw VectorError.malformed("the rule: \(error)")
        }
        var chain = AttestedChain(configuration: configuration)
        for value in try vector["answers"].array {
            guard case .headers(let entries) = try HeadersValue(decoding: try value.hex) else {
                throw VectorError.malformed("an answer without headers")
            }
            _ = try chain.accept(entries, at: try vector["now"].uint64)
        }
        let found = JSONValue.object([
            "head": WireFields.object(chain.head), "final": WireFields.object(chain.final),
            "floor": WireFields.object(chain.floor), "work": .string(UInt256(low128: chain.work).description),
            "anchors": .array(chain.anchors.map { WireFields.object($0) }),
        ])
        return WireFields.difference(found, vector)
    }
}
