import Foundation
import Primitives
import TestSupport
import Testing

@testable import Fuzzing

/// The targets that libFuzzer drives, with seeded bytes and with every string of the vectors.
@Suite struct DecoderTests {
    private static let seed: UInt64 = 50_001

    /// No bytes, short ones, and any: refused or written back, never a crash.
    @Test(arguments: DecoderTarget.allCases) func anyBytes(target: DecoderTarget) throws {
        var generator = SeededGenerator(seed: Self.seed)
        _ = try target.run([])
        for round in 0..<600 {
            let count = round < 256 ? 1 : Int.random(in: 2...120, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if round < 256 { bytes[0] = UInt8(round) }
            _ = try target.run(bytes)
        }
    }

    /// Everything in the repository's vectors, whole and with a bit turned; each target accepts some of it.
    @Test(arguments: DecoderTarget.allCases) func vectors(target: DecoderTarget) throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        var accepted = 0
        var inputs = try Self.inputs(asText: target == .enrText)
        inputs += target.seeds(of: inputs)
        for input in inputs {
            for form in [input, [0] + input] where try target.run(form) { accepted += 1 }
            var changed = input
            let place = Int.random(in: 0..<changed.count, using: &generator)
            changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            _ = try target.run(changed)
        }
        #expect(accepted > 0, "\(target.rawValue)")
    }

    /// Strings of 2,000 bytes at most, in the order of the files.
    private static func inputs(asText: Bool) throws -> [[UInt8]] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Specs/vectors")
        var seen: Set<[UInt8]> = []
        var found: [[UInt8]] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
            guard name.hasSuffix(".json") else { continue }
            let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            for part in text.utf8.split(separator: UInt8(ascii: "\"")) where (3...4_002).contains(part.count) {
                let word = Substring(part)
                let bytes =
                    asText
                    ? word.hasPrefix("enr:") ? Array(part) : nil
                    : word.hasPrefix("0x") ? Hex.decode(word.dropFirst(2)) : nil
                guard let bytes, !bytes.isEmpty, seen.insert(bytes).inserted else { continue }
                found.append(bytes)
            }
        }
        return found
    }
}
