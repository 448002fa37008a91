import Chain
import Discovery
import Foundation
import Primitives

/// What is wrong with a network configuration file.
enum NetworkConfigurationError: Error, Equatable, Sendable {
    case cannotRead(file: String, String)
    case cannotWrite(file: String, String)
    case notJSON(file: String)
    case missing(file: String, field: String)
    case unknown(file: String, field: String)
    /// A field stands there more than once.
    case twice(file: String, field: String)
    case wrongType(file: String, field: String, expected: String)
    case invalid(file: String, ChainError)
}

extension NetworkConfigurationError: CustomStringConvertible {
    var description: String {
        switch self {
        case .cannotRead(let file, let reason): return "\(file): \(reason): give the network's file with --network"
        case .cannotWrite(let file, let reason): return "\(file): \(reason): check the folder and its permissions"
        case .notJSON(let file): return "\(file): is no JSON object: get the network's file again"
        case .missing(let file, let field): return "\(file): \(field) is missing: get the network's file again"
        case .unknown(let file, let field): return "\(file): \(field) is no field of a network: remove it"
        case .twice(let file, let field): return "\(file): \(field) stands there twice: remove one"
        case .wrongType(let file, let field, let expected): return "\(file): \(field) must be \(expected)"
        case .invalid(let file, .invalidConfiguration(let why)): return "\(file): \(why)"
        case .invalid(let file, let error): return "\(file): \(error)"
        }
    }
}

/// The JSON form of a network's configuration: what all its nodes share.
///
///     {"name", "chainId", "genesisHash", "checkpoint": {"number", "hash"}, "epochLength", "sectionDepth",
///      "wideDepth" (or null), "rule": {"kind", …, "maxAgeSeconds"}, "bridges": [...]}
///
/// What else stands in `rule` follows from its kind: see `NetworkRuleFile`.
/// `bridges` may be left out, and is left out where there are none.
/// Integers are JSON numbers, hashes and keys 0x and 64 digits. Unknown fields are errors: a misspelt one must not pass
/// for a default.
enum NetworkConfigurationFile {
    /// Largest file read, bytes.
    private static let limit = 1 << 20

    /// Reads and checks a file.
    static func read(_ path: String) throws(NetworkConfigurationError) -> NetworkConfiguration {
        let data: Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            data = try handle.read(upToCount: limit) ?? Data()
        } catch {
            throw .cannotRead(
                file: path, FileManager.default.fileExists(atPath: path) ? "not readable" : "no such file")
        }
        return try decode(data, file: path)
    }

    /// Writes a file that `read` reads, replacing it as a whole.
    static func write(_ configuration: NetworkConfiguration, to path: String) throws(NetworkConfigurationError) {
        do throws(ShellError) {
            try WholeFile.write(encode(configuration), to: path, .replaced)
        } catch {
            guard case .file(_, let reason) = error else { throw .cannotWrite(file: path, "\(error)") }
            throw .cannotWrite(file: path, reason)
        }
    }

    /// Reads the content of a file; `file` is its name in errors.
    static func decode(_ data: Data, file: String) throws(NetworkConfigurationError) -> NetworkConfiguration {
        guard let object = (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] else {
            throw .notJSON(file: file)
        }
        let twice: String?
        do {
            twice = try JSONCursor.repeatedName(in: data)
        } catch {
            // A name with an escape in it: no field has one.
            throw .notJSON(file: file)
        }
        if let twice { throw .twice(file: file, field: twice) }
        let root = NetworkFileFields(object, prefix: "", file: file)
        try root.allow([
            "name", "chainId", "genesisHash", "checkpoint", "epochLength", "sectionDepth", "wideDepth", "rule",
            "bridges",
        ])
        let checkpoint = try root.object("checkpoint")
        try checkpoint.allow(["number", "hash"])
        let rule = try root.object("rule")
        let name = try root.string("name")
        let (chainID, epochLength) = (try root.uint64("chainId"), try root.uint64("epochLength"))
        let (genesisHash, sectionDepth) = (try root.hash("genesisHash"), try root.int("sectionDepth"))
        let wideDepth = root.isNull("wideDepth") ? nil : try root.int("wideDepth")
        let point = StatePoint(number: try checkpoint.uint64("number"), hash: try checkpoint.hash("hash"))
        let terms = try NetworkRuleFile.read(rule)
        let bridges = root.isNull("bridges") ? [] : try root.records("bridges")
        do throws(ChainError) {
            return try NetworkConfiguration(
                name: name, chainID: chainID, genesisHash: genesisHash, checkpoint: point, epochLength: epochLength,
                sectionDepth: sectionDepth, wideDepth: wideDepth,
                rule: terms,
                bridges: bridges)
        } catch {
            throw .invalid(file: file, error)
        }
    }

    /// The file's text, its fields in the order of the description above.
    static func encode(_ configuration: NetworkConfiguration) -> String {
        let records = configuration.bridges.map { JSONText.quoted($0) }.joined(separator: ", ")
        let bridges = configuration.bridges.isEmpty ? "" : ",\n  \"bridges\": [\(records)]"
        return """
            {
              "name": \(JSONText.quoted(configuration.name)),
              "chainId": \(configuration.chainID),
              "genesisHash": "\(configuration.genesisHash)",
              "checkpoint": {"number": \(configuration.checkpoint.number), "hash": "\(configuration.checkpoint.hash)"},
              "epochLength": \(configuration.epochLength),
              "sectionDepth": \(configuration.sectionDepth),
              "wideDepth": \(configuration.wideDepth.map(String.init) ?? "null"),
              "rule": {
                \(NetworkRuleFile.lines(configuration.rule).joined(separator: ",\n    "))
              }\(bridges)
            }

            """
    }
}
