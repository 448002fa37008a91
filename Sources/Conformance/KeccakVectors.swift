import Primitives

/// `keccak.json`: `cases` (bytes given), `large` (bytes described), and the digest of nothing by SHA3-256, which must
/// differ from ours.
enum KeccakVectors: VectorSuite {
    static let fileName = "keccak.json"

    static func run(_ file: JSONValue) throws -> [CaseOutcome] {
        var outcomes: [CaseOutcome] = []
        for (index, vector) in try file["cases"].array.enumerated() {
            outcomes.append(
                CaseOutcome.judge(name(of: vector, "cases", index), vector) {
                    try digest(of: try vector["input"].hex, vector)
                })
        }
        if let large = file["large"].ifPresent {
            for (index, vector) in try large.array.enumerated() {
                outcomes.append(
                    CaseOutcome.judge(name(of: vector, "large", index), vector) {
                        try digest(of: try described(vector), vector)
                    })
            }
        }
        let key = "sha3_256_of_empty_must_differ"
        if let other = file[key].ifPresent {
            outcomes.append(
                CaseOutcome.judge(key, valid: true) {
                    Keccak.empty == (try other.bytes32) ? "the padding is SHA3's" : nil
                })
        }
        return outcomes
    }

    /// The digest alone, and once more inside a batch, where the bytes stand between others, by each kernel there is.
    private static func digest(of input: [UInt8], _ vector: JSONValue) throws -> String? {
        if let length = vector["length"].ifPresent, try length.int != input.count {
            throw VectorError.malformed("length is not that of the input")
        }
        let expected = try vector["digest"].bytes32
        let buffer = [0xff] + input + [0xff]
        for kernel in Keccak.Kernel.allCases where kernel.isAvailable {
            var batch: [Bytes32] = []
            buffer.withUnsafeBytes { bytes in
                let ranges = [0..<1, 1..<(1 + input.count), 0..<buffer.count]
                Keccak.hash(bytes, ranges: ranges, into: &batch, kernel: kernel)
            }
            if let difference = CaseOutcome.difference("digest in a batch (\(kernel))", batch[1], expected) {
                return difference
            }
        }
        return CaseOutcome.difference("digest", Keccak.hash(input), expected)
    }

    /// The longest input that a file may describe in a few bytes: 64 MiB.
    private static let describedLimit = 64 << 20

    private static func described(_ vector: JSONValue) throws -> [UInt8] {
        let length = try vector["length"].int
        guard length <= describedLimit else { throw VectorError.malformed("length is over \(describedLimit)") }
        if let fill = vector["fill"].ifPresent {
            guard let byte = try fill.hex.first else { throw VectorError.malformed("fill is empty") }
            return [UInt8](repeating: byte, count: length)
        }
        let modulo = try vector["modulo"].int
        guard (1...256).contains(modulo) else { throw VectorError.malformed("modulo is not 1…256") }
        return (0..<length).map { UInt8($0 % modulo) }
    }
}
