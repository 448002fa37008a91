import Foundation
import Primitives

/// Walks over a JSON document once, from its beginning, and hands on members and values as the bytes they are: a
/// document of a gigabyte takes no memory beside itself. For the large documents of chains, whose texts are names and
/// hex digits: a text with an escape in it is passed over where nobody asks for it, and is an error where somebody
/// does.
struct JSONCursor {
    /// The document is no JSON at this byte, or not of the form that was asked for.
    struct Failure: Error, Equatable, CustomStringConvertible {
        let position: Int
        var description: String { "it is no JSON, or not of the form it should have, at byte \(position)" }
    }

    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0
    /// Objects and lists inside each other, at most: a document from elsewhere decides about it.
    private static let deepest = 512

    /// Begins before the document's value. The bytes must outlive the cursor.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private func failed() -> Failure { Failure(position: position) }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0a, 0x0d, 0x09: position &+= 1
            default: return
            }
        }
    }

    /// The first byte of what comes next.
    private mutating func peek() throws(Failure) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw failed() }
        return bytes[position]
    }

    private mutating func expect(_ byte: UInt8) throws(Failure) {
        guard try peek() == byte else { throw failed() }
        position += 1
    }

    /// Whether an object comes next.
    mutating func isAtObject() throws(Failure) -> Bool { try peek() == UInt8(ascii: "{") }

    /// Throws unless nothing is left.
    mutating func finish() throws(Failure) {
        skipSpace()
        guard position == bytes.count else { throw failed() }
    }

    /// Reads an object: `member` is called with each name and must read or skip the value.
    mutating func object(_ member: (inout JSONCursor, UnsafeRawBufferPointer) throws -> Void) throws {
        try expect(UInt8(ascii: "{"))
        if try peek() == UInt8(ascii: "}") {
            position += 1
            return
        }
        while true {
            let name = try text()
            try expect(UInt8(ascii: ":"))
            try member(&self, name)
            let next = try peek()
            guard next == UInt8(ascii: ",") || next == UInt8(ascii: "}") else { throw failed() }
            position += 1
            if next == UInt8(ascii: "}") { return }
        }
    }

    /// Reads a list: `element` is called before each element and must read or skip it.
    mutating func list(_ element: (inout JSONCursor) throws -> Void) throws {
        try expect(UInt8(ascii: "["))
        if try peek() == UInt8(ascii: "]") {
            position += 1
            return
        }
        while true {
            try element(&self)
            let next = try peek()
            guard next == UInt8(ascii: ",") || next == UInt8(ascii: "]") else { throw failed() }
            position += 1
            if next == UInt8(ascii: "]") { return }
        }
    }

    /// The content of a string without escapes.
    mutating func text() throws(Failure) -> UnsafeRawBufferPointer {
        try expect(UInt8(ascii: "\""))
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            guard bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\\") else { throw failed() }
            position &+= 1
        }
        guard position < bytes.count else { throw failed() }
        position += 1
        return UnsafeRawBufferPointer(rebasing: bytes[start..<position - 1])
    }

    /// The content of a string, or the characters of a number; nil, and passed over, where it is neither.
    mutating func textOrNumber() throws(Failure) -> UnsafeRawBufferPointer? {
        switch try peek() {
        case UInt8(ascii: "\""): return try text()
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            return UnsafeRawBufferPointer(rebasing: try skip())
        default:
            try passOver()
            return nil
        }
    }

    /// Passes over the next value, whatever it is.
    mutating func passOver() throws(Failure) { _ = try skip() }

    /// Passes over the next value, whatever it is; gives its bytes.
    private mutating func skip() throws(Failure) -> Slice<UnsafeRawBufferPointer> {
        _ = try peek()
        let start = position
        var depth = 0
        repeat {
            switch try peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= JSONCursor.deepest else { throw failed() }
                position += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                guard depth >= 0 else { throw failed() }
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw failed() }
                position += 1
            case UInt8(ascii: "\""): try skipString()
            default: try skipWord()
            }
        } while depth > 0
        return bytes[start..<position]
    }

    private mutating func skipString() throws(Failure) {
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
            position &+= bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard position < bytes.count else { throw failed() }
        position += 1
    }

    /// A number, true, false or null.
    private mutating func skipWord() throws(Failure) {
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            let belongs =
                (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || byte == 0x45 || byte == 0x2b
                || byte == 0x2d || byte == 0x2e
            guard belongs else { break }
            position &+= 1
        }
        guard position > start else { throw failed() }
    }
}

extension JSONCursor {
    /// The path of the first name that an object of the document has twice, dots between the objects' names; nil for
    /// none. Readers that make a map of an object take one of the two in silence. A name with an escape is an error.
    static func repeatedName(in document: Data) throws -> String? {
        try document.withUnsafeBytes { bytes in
            var cursor = JSONCursor(bytes)
            return try cursor.repeatedName(prefix: "", depth: 0)
        }
    }

    private mutating func repeatedName(prefix: String, depth: Int) throws -> String? {
        guard depth <= JSONCursor.deepest else { throw failed() }
        var found: String?
        switch try peek() {
        case UInt8(ascii: "{"):
            var seen: Set<String> = []
            try object { cursor, name in
                let name = String(decoding: name, as: UTF8.self)
                if !seen.insert(name).inserted { found = found ?? prefix + name }
                let inner = try cursor.repeatedName(prefix: prefix + name + ".", depth: depth + 1)
                found = found ?? inner
            }
        case UInt8(ascii: "["):
            try list { cursor in
                let inner = try cursor.repeatedName(prefix: prefix, depth: depth + 1)
                found = found ?? inner
            }
        default: try passOver()
        }
        return found
    }
}
