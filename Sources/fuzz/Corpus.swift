import Fuzzing
import Glibc

/// First inputs for a decoder out of vector files: every byte string and every record in text form that stands in them.
/// Nothing is known of the files' shape, so new vectors are taken up by themselves.
enum Corpus {
    /// Longer strings slow a fuzzer down more than they teach it.
    private static let inputBytes = 16_384
    /// Of strings that the decoder refuses, as many as this are kept: they show it the way to its errors.
    private static let refusedLimit = 400

    static func write(_ target: DecoderTarget, into folder: String, from files: [String]) throws(UsageError) -> Int32 {
        _ = mkdir(folder, 0o755)
        var seen: Set<[UInt8]> = []
        var (kept, refused) = (0, 0)
        var inputs: [[UInt8]] = []
        for file in files { inputs += try strings(in: file, asText: target == .enrText) }
        inputs = target.seeds(of: inputs) + inputs
        for input in inputs {
            for form in [input, [0] + input] where form.count <= inputBytes && seen.insert(form).inserted {
                let isAccepted = (try? target.run(form)) ?? true
                if !isAccepted {
                    refused += 1
                    guard refused <= refusedLimit else { continue }
                }
                try save(form, to: "\(folder)/\(kept)")
                kept += 1
            }
        }
        print("\(target.rawValue): \(kept) inputs, \(kept - min(refused, refusedLimit)) of them accepted")
        return 0
    }

    /// The strings between quotation marks that are hex after 0x, or records.
    private static func strings(in file: String, asText: Bool) throws(UsageError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        for part in try read(file).split(separator: UInt8(ascii: "\"")) {
            if asText {
                if part.starts(with: Array("enr:".utf8)) { found.append(Array(part)) }
            } else if part.starts(with: Array("0x".utf8)), part.count.isMultiple(of: 2), part.count > 2 {
                let digits = part.dropFirst(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
                guard digits.count == part.count - 2 else { continue }
                found.append(stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
            }
        }
        return found
    }

    private static func read(_ file: String) throws(UsageError) -> [UInt8] {
        let descriptor = open(file, O_RDONLY)
        guard descriptor >= 0 else { throw .file(file) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 0 else { throw .file(file) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    private static func save(_ bytes: [UInt8], to path: String) throws(UsageError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw .file(path) }
        close(descriptor)
    }
}
