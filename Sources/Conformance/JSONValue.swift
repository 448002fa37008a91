import Foundation
import Primitives

/// A vector that has not the shape its suite expects: the file is wrong, not the implementation.
public enum VectorError: Error, Equatable, Sendable, CustomStringConvertible {
    /// `found` is the kind of value that stood there.
    case expected(String, found: String)
    /// Well-formed JSON with an impossible value.
    case malformed(String)

    /// Words for what refused a case.
    static func text(_ error: any Error) -> String {
        error is DecodingError ? "it is not of the form it should have" : "\(error)"
    }

    public var description: String {
        switch self {
        case .expected(let wanted, let found): "unreadable case: expected \(wanted), found \(found)"
        case .malformed(let what): "unreadable case: \(what)"
        }
    }
}

/// A JSON document. Integers are exact up to 64 bits; larger ones stand as strings in the vector files.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// An integer above Int64.max.
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Parses a whole document.
    public init(parsing data: Data) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: data)
    }

    /// Parses a whole document.
    package init(parsing bytes: [UInt8]) throws { try self.init(parsing: Data(bytes)) }

    /// The field `key` of an object; null where there is none, or where this is no object.
    public subscript(key: String) -> JSONValue {
        guard case .object(let fields) = self else { return .null }
        return fields[key] ?? .null
    }

    /// Whether this is an object with a field `key`, be it null.
    public func has(_ key: String) -> Bool {
        guard case .object(let fields) = self else { return false }
        return fields[key] != nil
    }

    /// Whether this is null, or a field that is not there.
    public var isNull: Bool { self == .null }

    /// nil for null and absent fields, otherwise this value: `try vector["root"].ifPresent?.hex`.
    public var ifPresent: JSONValue? { isNull ? nil : self }

    /// The kind of value, for messages.
    public var kind: String {
        switch self {
        case .null: "nothing"
        case .bool: "a boolean"
        case .integer, .unsigned, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The boolean.
    public var bool: Bool {
        get throws(VectorError) {
            guard case .bool(let value) = self else { throw .expected("a boolean", found: kind) }
            return value
        }
    }

    /// The string.
    public var string: String {
        get throws(VectorError) {
            guard case .string(let value) = self else { throw .expected("a string", found: kind) }
            return value
        }
    }

    /// The items of a list.
    public var array: [JSONValue] {
        get throws(VectorError) {
            guard case .array(let items) = self else { throw .expected("a list", found: kind) }
            return items
        }
    }

    /// The fields of an object. Their order in the file is not kept.
    public var object: [String: JSONValue] {
        get throws(VectorError) {
            guard case .object(let fields) = self else { throw .expected("an object", found: kind) }
            return fields
        }
    }

    /// A whole number that fits an Int: a JSON number, or decimal or 0x digits in a string.
    public var int: Int {
        get throws(VectorError) {
            guard let value = Int(exactly: try uint64) else { throw .expected("an Int", found: "a larger number") }
            return value
        }
    }

    /// A whole number ≥ 0: a JSON number, or decimal or 0x digits (an odd number of them too) in a string.
    public var uint64: UInt64 {
        get throws(VectorError) {
            let value = try uint256
            guard value.big.word0 | value.big.word1 | value.big.word2 == 0 else {
                throw .expected("a 64-bit integer", found: "a larger number")
            }
            return value.big.word3
        }
    }

    /// A whole number ≥ 0 of up to 256 bits: a JSON number, or decimal or 0x digits in a string.
    public var uint256: UInt256 {
        get throws(VectorError) {
            switch self {
            case .unsigned(let value): return UInt256(value)
            case .integer(let value) where value >= 0: return UInt256(UInt64(value))
            case .string(let text):
                guard let value = UInt256(text) else { throw .expected("an integer", found: "the string \(text)") }
                return value
            default: throw .expected("an integer", found: kind)
            }
        }
    }

    /// Bytes of a hex string, 0x or not.
    public var hex: [UInt8] {
        get throws(VectorError) {
            let text = try string
            guard let bytes = Hex.decode(text) else { throw .expected("hex", found: "the string \(text.prefix(40))") }
            return bytes
        }
    }

    /// 32 bytes of a hex string.
    public var bytes32: Bytes32 {
        get throws(VectorError) {
            let bytes = try hex
            guard let value = Bytes32(bytes) else { throw .expected("32 bytes", found: "\(bytes.count)") }
            return value
        }
    }

    static func prefixedHex(_ bytes: [UInt8]) -> String { Hex.prefixed(bytes) }
}

extension JSONValue: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([String: JSONValue].self) {
            self = .object(value)
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .unsigned(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else {
            self = .array(try container.decode([JSONValue].self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .unsigned(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let items): try container.encode(items)
        case .object(let fields): try container.encode(fields)
        }
    }
}
