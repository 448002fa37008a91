import Chain
import ChainForge
import ChainNetwork
import Primitives

extension Workloads {
    /// Taking headers in.
    static let headers: [any Workload] = [
        HeadersWorkload(), PresyncWorkload(),
        PresyncWorkload(name: "chain.presync.1m", count: BenchLimits.manyHeaders, onlyByName: true),
    ]
}

/// A chain of proof of work, headers alone: the easiest difficulty, which the times of the blocks keep as it is.
struct MinedHeaders {
    let configuration: NetworkConfiguration
    let genesis: BlockHeader
    private var sealer: HeaderSealer
    private var last: BlockHeader

    init() throws {
        let terms = try WorkTerms(
            minimumDifficulty: 2, blockSeconds: 10, aheadSeconds: 60, undoDepth: 64, minimumWork: 0)
        var fields = BlockHeader.Fields(parentHash: .zero, stateRoot: .zero, number: 0, timestamp: 1_000)
        fields.difficulty = UInt256(2)
        genesis = try BlockHeader(fields)
        configuration = try NetworkConfiguration(
            name: "bench", chainID: 1, genesisHash: genesis.hash, checkpoint: genesis.point, epochLength: 256,
            sectionDepth: 1, rule: NetworkConfiguration.Rule(work: terms, maxAgeSeconds: 3_600))
        sealer = HeaderSealer(work: ProofOfWork(terms, maxAgeSeconds: 3_600), above: genesis)
        last = genesis
    }

    /// The next `count` headers.
    mutating func next(_ count: Int) throws -> [BlockHeader] {
        try (0..<count).map { _ in
            let number = last.number + 1
            last = try sealer.seal(
                BlockHeader.Fields(
                    parentHash: last.hash, stateRoot: Bytes32(number, 1, 2, 3), number: number,
                    timestamp: last.timestamp + 15, gasLimit: 30_000_000)
            ).header
            return last
        }
    }
}

/// Headers of proof of work as answers bring them: decoded, hashed, judged, and made the chain.
struct HeadersWorkload: Workload {
    let name = "chain.headers"
    let items = "headers"
    let scales = false
    let summary = "100,000 headers of proof of work out of answers with 100 each: decoded, judged, on the chain"

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        var mined = try MinedHeaders()
        var answers: [[UInt8]] = []
        for _ in 0..<(BenchLimits.headers / ChainNetworkLimits.batch) {
            let entries = try mined.next(ChainNetworkLimits.batch).map { CertifiedHeader(header: $0) }
            answers.append(HeadersValue.headers(entries).encoded())
        }
        return HeadersTrial(mined: mined, answers: answers)
    }
}

private struct HeadersTrial: Trial {
    let mined: MinedHeaders
    let answers: [[UInt8]]

    func run() throws -> Work {
        var chain = AttestedChain(configuration: mined.configuration)
        _ = try chain.accept([CertifiedHeader(header: mined.genesis)])
        for answer in answers {
            guard case .headers(let entries) = try HeadersValue(decoding: answer) else { continue }
            _ = try chain.accept(entries)
        }
        guard chain.head.number == UInt64(BenchLimits.headers) else {
            throw BenchError.wrongResult(workload: "chain.headers", what: "the head is block \(chain.head.number)")
        }
        return Work(items: BenchLimits.headers, bytes: answers.reduce(0) { $0 + $1.count })
    }
}

/// The same headers weighed before anything of them is kept: both times. Where there are very many they are made
/// meanwhile, and what counts is the memory.
struct PresyncWorkload: Workload {
    var name = "chain.presync"
    var count = BenchLimits.headers
    var onlyByName = false
    let items = "headers"
    let scales = false

    var summary: String {
        "\(count) headers of proof of work, which come twice before they are taken"
            + (onlyByName ? "; they are made meanwhile" : "")
    }

    func prepare(_ material: BenchMaterial, threads: Int) throws -> any Trial {
        var mined = try MinedHeaders()
        let made = onlyByName ? [] : try mined.next(count)
        return PresyncTrial(name: name, count: count, mined: try MinedHeaders(), made: made)
    }
}

private struct PresyncTrial: Trial {
    let name: String
    let count: Int
    let mined: MinedHeaders
    let made: [BlockHeader]
    private(set) var remark: String?

    init(name: String, count: Int, mined: MinedHeaders, made: [BlockHeader]) {
        self.name = name
        self.count = count
        self.mined = mined
        self.made = made
    }

    mutating func run() throws -> Work {
        guard case .work(let rule) = ChainRule(mined.configuration) else {
            throw BenchError.wrongResult(workload: name, what: "no proof of work")
        }
        let base = WorkStanding(checkpoint: mined.genesis)
        var presync = Presync(
            rule, above: mined.genesis.point, base, moreThan: 2 * UInt128(count) - 1, salt: Bytes32(1, 2, 3, 4))
        var (released, most, isDone) = (0, 0, false)
        for _ in 0..<2 {
            var source = mined
            for start in stride(from: 0, to: count, by: 1_000) {
                let run = made.isEmpty ? try source.next(1_000) : Array(made[start..<(start + 1_000)])
                var given: [BlockHeader] = []
                isDone = try presync.take(run, at: .max, released: &given) == .done
                released += given.count
                most = max(most, presync.byteCount)
            }
        }
        guard isDone, released == count else {
            throw BenchError.wrongResult(workload: name, what: "\(released) of \(count) headers came out")
        }
        remark = "\(most) bytes kept of \(count) headers"
        return Work(items: count, bytes: made.reduce(0) { $0 + $1.rlp.count })
    }
}
