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
///      "wideDepth" (or null), "rule": {"kind", "keys": [...], "threshold", "maxAgeSeconds"}, "bridges": [...]}
///
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
        let root = Fields(object, prefix: "", file: file)
        try root.allow([
            "name", "chainId", "genesisHash", "checkpoint", "epochLength", "sectionDepth", "wideDepth", "rule",
            "bridges",
        ])
        let checkpoint = try root.object("checkpoint")
        try checkpoint.allow(["number", "hash"])
        let rule = try root.object("rule")
        try rule.allow(["kind", "keys", "threshold", "maxAgeSeconds"])
        guard let kind = NetworkConfiguration.Rule.Kind(rawValue: try rule.string("kind")) else {
            throw .wrongType(file: file, field: "rule.kind", expected: "\"attested\"")
        }
        let name = try root.string("name")
        let (chainID, epochLength) = (try root.uint64("chainId"), try root.uint64("epochLength"))
        let (genesisHash, sectionDepth) = (try root.hash("genesisHash"), try root.int("sectionDepth"))
        let wideDepth = root.isNull("wideDepth") ? nil : try root.int("wideDepth")
        let point = StatePoint(number: try checkpoint.uint64("number"), hash: try checkpoint.hash("hash"))
        let (keys, threshold) = (try rule.hashes("keys"), try rule.int("threshold"))
        let maxAgeSeconds = try rule.uint64("maxAgeSeconds")
        let bridges = root.isNull("bridges") ? [] : try root.records("bridges")
        do throws(ChainError) {
            return try NetworkConfiguration(
                name: name, chainID: chainID, genesisHash: genesisHash, checkpoint: point, epochLength: epochLength,
                sectionDepth: sectionDepth, wideDepth: wideDepth,
                rule: NetworkConfiguration.Rule(
                    kind: kind, keys: keys, threshold: threshold, maxAgeSeconds: maxAgeSeconds),
                bridges: bridges)
        } catch {
            throw .invalid(file: file, error)
        }
    }

    /// The file's text, its fields in the order of the description above.
    static func encode(_ configuration: NetworkConfiguration) -> String {
        let rule = configuration.rule
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
                "kind": "\(rule.kind.rawValue)",
                "keys": [\(rule.keys.map { "\"\($0)\"" }.joined(separator: ", "))],
                "threshold": \(rule.threshold),
                "maxAgeSeconds": \(rule.maxAgeSeconds)
              }\(bridges)
            }

            """
    }

    /// The fields of one JSON object, each error naming the whole path to its field.
    private struct Fields {
        let object: [String: Any]
        let prefix: String
        let file: String

        init(_ object: [String: Any], prefix: String, file: String) {
            self.object = object
            self.prefix = prefix
            self.file = file
        }

        func allow(_ names: Set<String>) throws(NetworkConfigurationError) {
            if let stranger = object.keys.filter({ !names.contains($0) }).min() {
                throw .unknown(file: file, field: prefix + stranger)
            }
        }

        func isNull(_ name: String) -> Bool { object[name] == nil || object[name] is NSNull }

        private func value<Value>(_ name: String, _ expected: String, _ read: (Any) -> Value?)
            throws(NetworkConfigurationError)
            -> Value
        {
            guard let found = object[name] else { throw .missing(file: file, field: prefix + name) }
            guard let value = read(found) else {
                throw .wrongType(file: file, field: prefix + name, expected: expected)
            }
            return value
        }

        func string(_ name: String) throws(NetworkConfigurationError) -> String {
            try value(name, "a string") { $0 as? String }
        }

        func uint64(_ name: String) throws(NetworkConfigurationError) -> UInt64 {
            try value(name, "a whole number") { ($0 as? NSNumber).flatMap { UInt64($0.stringValue) } }
        }

        func int(_ name: String) throws(NetworkConfigurationError) -> Int {
            try value(name, "a whole number") { ($0 as? NSNumber).flatMap { Int($0.stringValue) } }
        }

        func hash(_ name: String) throws(NetworkConfigurationError) -> Bytes32 {
            try value(name, "0x and 64 hex digits") { ($0 as? String).flatMap { Bytes32(hex: $0) } }
        }

        func hashes(_ name: String) throws(NetworkConfigurationError) -> [Bytes32] {
            try value(name, "a list of 0x and 64 hex digits each") { list in
                guard let texts = list as? [String] else { return nil }
                let hashes = texts.compactMap { Bytes32(hex: $0) }
                return hashes.count == texts.count ? hashes : nil
            }
        }

        /// Node records as text.
        func records(_ name: String) throws(NetworkConfigurationError) -> [String] {
            try value(name, "a list of node records (enr:…)") { list in
                guard let texts = list as? [String] else { return nil }
                return texts.allSatisfy { (try? NodeRecord(text: $0)) != nil } ? texts : nil
            }
        }

        func object(_ name: String) throws(NetworkConfigurationError) -> Fields {
            try value(name, "an object") { found in
                (found as? [String: Any]).map { Fields($0, prefix: prefix + name + ".", file: file) }
            }
        }
    }
}
