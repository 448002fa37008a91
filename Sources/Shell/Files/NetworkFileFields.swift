import Chain
import Discovery
import Foundation
import Primitives

/// The fields of one JSON object, each error naming the whole path to its field.
struct NetworkFileFields {
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

    func object(_ name: String) throws(NetworkConfigurationError) -> NetworkFileFields {
        try value(name, "an object") { found in
            (found as? [String: Any]).map { NetworkFileFields($0, prefix: prefix + name + ".", file: file) }
        }
    }

    /// A list of objects, each named by its place in errors.
    func objects(_ name: String) throws(NetworkConfigurationError) -> [NetworkFileFields] {
        let found: [[String: Any]] = try value(name, "a list of objects") { $0 as? [[String: Any]] }
        return found.enumerated().map { index, object in
            NetworkFileFields(object, prefix: prefix + "\(name)[\(index)].", file: file)
        }
    }

    /// A number that may be beyond what readers of JSON take for a whole one: a string of 0x and at most 32 hex digits.
    func uint128(_ name: String) throws(NetworkConfigurationError) -> UInt128 {
        try value(name, "a string of 0x and 1 to 32 hex digits") { found in
            guard let text = found as? String, text.hasPrefix("0x"), (3...34).contains(text.utf8.count),
                text.utf8.dropFirst(2).allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") })
            else { return nil }
            return UInt128(text.dropFirst(2), radix: 16)
        }
    }
}
